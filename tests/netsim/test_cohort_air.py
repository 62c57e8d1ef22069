"""A compiled uplink carries every upload as the cells of the other engine do: same instants, bits and airtime."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment

from netsim.cell import BandShared, TimeShared, Uplink
from netsim.cohort import air as uplink
from netsim.cohort.plant import make_plant, make_rules
from netsim.world import Ground
from tests.netsim.sharing import Upload, drive
from tests.netsim.worlds import scenario, world

COMPILED = settings(max_examples=150, deadline=None)  # the first example waits for the compiler
BITS = 4e5
CLOSE = 1e-9


def _ground(share: str, slices: int = 5) -> Ground:
    """Return a cell of twelve terminals, no two of which are equally fast."""
    network = {
        "link": {"max_bit_s_hz": 30.0},
        "uplink": {"share": share, "bandwidth_hz": 0.9e6, "min_slice_hz": 0.9e6 / slices},
    }
    return world(scenario(network=network), sites=1, per_site=12, seed=5)


IN_TIME, IN_FREQUENCY = _ground("tdma"), {slices: _ground("ofdma", slices) for slices in (1, 3, 20)}
GROUNDS = st.sampled_from([IN_TIME, *IN_FREQUENCY.values()])


def _cell(where: Ground, env: Environment) -> Uplink:
    """Return the cell as the other engine has it."""
    if make_rules(where).time_shared:
        return TimeShared(env, where.radio.whole_band_bps)
    return BandShared(env, where.radio.band_shared_bps, make_rules(where).slices)


@dataclass
class Carried:
    """What a compiled uplink did: (m,) finish, unsent bits and airtime of each upload, and how long it was busy."""

    finish_s: list[float]
    unsent_bits: list[float]
    airtime_s: list[float]
    order: list[int]
    busy_s: float


def _carry(where: Ground, uploads: list[Upload]) -> Carried:
    """Let a compiled uplink carry the uploads, change after change."""
    plant, rules, m = make_plant(where), make_rules(where), len(uploads)
    air, terminals = uplink.new_air(m)._replace(bits=BITS), np.array([upload.terminal for upload in uploads])
    done, carried = np.empty(m, np.int64), Carried([inf] * m, [0.0] * m, [], [], 0.0)
    changes = [(u.start_s, i, "start") for i, u in enumerate(uploads)]
    changes = sorted(changes + [(u.cancel_s, i, "cancel") for i, u in enumerate(uploads) if u.cancel_s < inf])
    while changes or air.number[0] > 0:
        sent_s = uplink.next_completion_s(rules, air)
        now_s = min(sent_s, changes[0][0] if changes else inf)
        uplink.advance(rules, air, now_s)
        if sent_s == now_s:
            for i in done[: uplink.complete(plant, rules, air, terminals, done)].tolist():
                carried.finish_s[i] = now_s
                carried.order.append(i)
            continue
        _, i, kind = changes.pop(0)
        if kind == "start":
            uplink.enter(plant, rules, air, terminals, i)
        elif air.phase[i] != uplink.SENT:
            carried.unsent_bits[i] = uplink.leave(plant, rules, air, terminals, i)
    carried.airtime_s, carried.busy_s = air.airtime_s.tolist(), float(air.clock[2])
    return carried


def _assert_carried_alike(where: Ground, uploads: list[Upload]) -> None:
    """Require that both engines' uplinks did the same."""
    env = Environment()
    cell = _cell(where, env)
    theirs, mine = drive(env, cell, uploads), _carry(where, uploads)
    np.testing.assert_allclose(mine.finish_s, [each.finish_s for each in theirs], rtol=CLOSE)
    unsent_bits = [each.unsent_bits for each in theirs]
    np.testing.assert_allclose(mine.unsent_bits, unsent_bits, rtol=CLOSE, atol=CLOSE * BITS)
    airtime_s = [each.transfer.airtime_s for each in theirs]
    np.testing.assert_allclose(mine.airtime_s, airtime_s, rtol=CLOSE, atol=1e-12)
    assert mine.busy_s == pytest.approx(cell.busy_s, rel=CLOSE, abs=1e-12)


@st.composite
def staggered(draw: st.DrawFn) -> list[Upload]:
    """Uploads of distinct terminals that start at any time, some of which are given up."""
    who = draw(st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True))
    patience = st.one_of(st.just(inf), st.floats(1e-3, 2.0))
    starts = [draw(st.floats(0.0, 2.0)) for _ in who]
    return [Upload(j, start_s, BITS, start_s + draw(patience)) for j, start_s in zip(who, starts, strict=True)]


@COMPILED
@given(GROUNDS, staggered())
def test_uploads_that_come_and_go_are_carried_alike(where: Ground, uploads: list[Upload]) -> None:
    _assert_carried_alike(where, uploads)


@COMPILED
@given(GROUNDS, st.integers(1, 12), st.floats(0.0, 5.0))
def test_uploads_that_start_together_are_carried_alike(where: Ground, m: int, start_s: float) -> None:
    _assert_carried_alike(where, [Upload(j, start_s, BITS) for j in range(m)])


@COMPILED
@given(GROUNDS, staggered())
def test_every_bit_is_sent_or_left_over(where: Ground, uploads: list[Upload]) -> None:
    carried = _carry(where, uploads)
    for i, upload in enumerate(uploads):
        finished = carried.finish_s[i] < inf
        assert finished == (carried.unsent_bits[i] == 0.0)
        assert finished or upload.cancel_s < inf
        assert 0.0 <= carried.unsent_bits[i] <= BITS
        assert carried.airtime_s[i] <= carried.busy_s * (1.0 + CLOSE)
    if make_rules(where).time_shared:  # turns: one transmits at a time, at its own full rate
        sent = BITS - np.array(carried.unsent_bits)
        rates = [where.radio.whole_band_bps(upload.terminal) for upload in uploads]
        np.testing.assert_allclose(carried.airtime_s, sent / rates, rtol=CLOSE, atol=CLOSE)
        assert sum(carried.airtime_s) == pytest.approx(carried.busy_s, rel=CLOSE)


@pytest.mark.parametrize("slices", IN_FREQUENCY)
def test_a_slice_is_as_fast_as_the_radio_says(slices: int) -> None:
    where = IN_FREQUENCY[slices]
    plant, rules = make_plant(where), make_rules(where)
    for j in range(where.terminals):
        for n in range(1, 21):
            assert uplink.slice_bps(plant, rules, j, n) == pytest.approx(where.radio.band_shared_bps(j, n), rel=1e-12)


@pytest.mark.parametrize("fading", ["rayleigh", "rician"])
@pytest.mark.parametrize("model", ["mcs", "shannon"])
def test_a_slice_is_as_fast_with_any_link_adaptation(fading: str, model: str) -> None:
    network: dict[str, Any] = {"propagation": {"fading": fading}, "link": {"model": model}}
    where = world(scenario(network=network), sites=3, per_site=30, seed=1)
    plant, rules = make_plant(where), make_rules(where)
    assert where.radio.fading.any() and not where.radio.fading.all()
    for j in range(where.terminals):
        for n in (1, 2, 5):
            assert uplink.slice_bps(plant, rules, j, n) == pytest.approx(where.radio.band_shared_bps(j, n), rel=1e-12)


def test_a_terminal_that_is_not_heard_at_all_sends_nothing() -> None:
    plant, rules = make_plant(IN_FREQUENCY[3]), make_rules(IN_FREQUENCY[3])
    deaf = plant._replace(uplink_snr=np.zeros(12))
    assert uplink.slice_bps(deaf, rules, 0, 3) == 0.0
    air, terminals = uplink.new_air(1)._replace(bits=BITS), np.zeros(1, np.int64)
    uplink.enter(deaf, rules, air, terminals, 0)
    assert uplink.next_completion_s(rules, air) == inf
    uplink.advance(rules, air, 10.0)
    assert uplink.leave(deaf, rules, air, terminals, 0) == BITS


def test_equally_long_turns_end_in_the_order_in_which_they_were_begun() -> None:
    where = IN_TIME
    plant, rules, air = make_plant(where), make_rules(where), uplink.new_air(3)._replace(bits=BITS)
    terminals, done = np.array([4, 4, 4]), np.empty(3, np.int64)
    for i in (2, 0, 1):
        uplink.enter(plant, rules, air, terminals, i)
    over_s = uplink.next_completion_s(rules, air)
    assert over_s == pytest.approx(3 * BITS / where.radio.whole_band_bps(4), rel=1e-12)
    uplink.advance(rules, air, over_s)
    assert done[: uplink.complete(plant, rules, air, terminals, done)].tolist() == [2, 0, 1]
    assert air.number[0] == 0 and uplink.next_completion_s(rules, air) == inf


def test_of_turns_that_end_together_the_one_with_less_airtime_comes_first() -> None:
    plant, rules, air = make_plant(IN_TIME), make_rules(IN_TIME), uplink.new_air(2)._replace(bits=BITS)
    nearly = plant._replace(uplink_bps=np.array([1e6, 1e6 * (1.0 + 1e-13)]))  # closer than the clock is followed
    terminals, done = np.arange(2), np.empty(2, np.int64)
    for i in (0, 1):
        uplink.enter(nearly, rules, air, terminals, i)
    uplink.advance(rules, air, uplink.next_completion_s(rules, air))
    assert done[: uplink.complete(nearly, rules, air, terminals, done)].tolist() == [1, 0]


@pytest.mark.parametrize(("snr", "efficiency"), [(0.9, 0.0), (1.0, 1.0), (2.5, 3.0), (4.0, 6.0), (99.0, 6.0)])
def test_a_table_is_read_in_between_its_points_as_0_below_and_flat_above(snr: float, efficiency: float) -> None:
    where = IN_FREQUENCY[3]
    rules, grid = make_rules(where), np.array([[1.0, 2.0, 4.0]] * 2)
    plant = make_plant(where)._replace(snr_grid=grid, efficiency_grid=np.array([[1.0, 2.0, 6.0]] * 2))
    for n in (1, 4):
        spread = plant._replace(uplink_snr=np.full(12, snr / n))  # n times the density in an n-th of the band
        expected_bps = (1.0 - where.scenario.network.link.overhead) * 0.9e6 / n * efficiency
        assert uplink.slice_bps(spread, rules, 0, n) == pytest.approx(expected_bps, rel=1e-12)


def test_who_waits_in_line_sends_nothing_until_a_slice_is_free() -> None:
    where = IN_FREQUENCY[1]
    carried = _carry(where, [Upload(0, 0.0, BITS), Upload(1, 0.0, BITS), Upload(2, 0.0, BITS, cancel_s=1e-3)])
    alone_s = [BITS / where.radio.band_shared_bps(j, 1) for j in range(3)]
    assert carried.finish_s == pytest.approx([alone_s[0], alone_s[0] + alone_s[1], inf], rel=1e-12)
    assert carried.airtime_s == pytest.approx([alone_s[0], alone_s[1], 0.0], rel=1e-12)
    assert carried.unsent_bits == [0.0, 0.0, BITS]
    assert carried.order == [0, 1]
