"""A shared uplink: closed forms, an independent reference, and no bit lost or counted twice."""

from collections.abc import Iterable
from itertools import pairwise
from math import inf, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment, Timeout

from netsim.cell import BandShared, TimeShared, Uplink
from tests.netsim.sharing import Upload, by_hand, drive

BAND_HZ = 1e6
SNR = (0.1, 1.0, 3.0, 30.0, 1e3)


def full_rate_bps(terminal: int) -> float:
    return BAND_HZ * log2(1.0 + SNR[terminal % len(SNR)])


def turn_bps(terminal: int, n: int) -> float:
    return full_rate_bps(terminal) / n


def power_limited_bps(terminal: int, n: int) -> float:
    return BAND_HZ / n * log2(1.0 + n * SNR[terminal % len(SNR)])


def staggered(cancelled: bool) -> st.SearchStrategy[list[Upload]]:
    """Uploads of distinct terminals with any starts and sizes, some given up half-way."""
    wish = st.tuples(st.floats(0.0, 5.0), st.floats(1e3, 5e6), st.floats(1e-3, 4.0) if cancelled else st.just(inf))
    return st.lists(wish, min_size=1, max_size=12).map(
        lambda wishes: [Upload(i, start, bits, start + patience) for i, (start, bits, patience) in enumerate(wishes)]
    )


def together(bits: list[float], terminals: list[int] | None = None) -> list[Upload]:
    return [Upload(terminal, 0.0, b) for terminal, b in zip(terminals or range(len(bits)), bits, strict=True)]


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_equal_uploads_started_together_in_time_all_end_when_the_last_bit_has_had_its_turn(n: int) -> None:
    env = Environment()
    outcomes = drive(env, TimeShared(env, full_rate_bps), together([8e5] * n, [1] * n))
    assert [o.finish_s for o in outcomes] == pytest.approx([n * 8e5 / 1e6] * n, rel=1e-9)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(1.0, 1e7)), min_size=1, max_size=30))
def test_unequal_uploads_started_together_in_time_finish_as_the_closed_form_says(
    wishes: list[tuple[int, float]],
) -> None:
    # In order of airtime a: T_k = T_{k-1} + (a_k - a_{k-1}) (n - k + 1).
    env = Environment()
    terminals, bits = [terminal for terminal, _ in wishes], [b for _, b in wishes]
    airtime_s = np.array(bits) / [full_rate_bps(terminal) for terminal in terminals]
    order = np.argsort(airtime_s, kind="stable")
    stages = np.diff(airtime_s[order], prepend=0.0) * np.arange(len(bits), 0, -1)
    outcomes = drive(env, TimeShared(env, full_rate_bps), together(bits, terminals))
    np.testing.assert_allclose([outcomes[i].finish_s for i in order], np.cumsum(stages), rtol=1e-9)
    np.testing.assert_allclose([o.transfer.airtime_s for o in outcomes], airtime_s, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_equal_uploads_started_together_in_frequency_all_end_at_the_rate_of_one_slice(n: int) -> None:
    env = Environment()
    outcomes = drive(env, BandShared(env, power_limited_bps), together([8e5] * n, [2] * n))
    assert [o.finish_s for o in outcomes] == pytest.approx([8e5 / power_limited_bps(2, n)] * n, rel=1e-9)


@given(st.lists(st.floats(1.0, 1e7), min_size=1, max_size=30))
def test_unequal_uploads_started_together_in_frequency_finish_as_the_closed_form_says(bits: list[float]) -> None:
    # Alike in channel, so in order of size: T_k = T_{k-1} + (b_k - b_{k-1}) / r(n - k + 1).
    env = Environment()
    n = len(bits)
    slice_bps = np.array([power_limited_bps(3, m) for m in range(n, 0, -1)])
    order = np.argsort(bits, kind="stable")
    expected = np.cumsum(np.diff(np.array(bits)[order], prepend=0.0) / slice_bps)
    outcomes = drive(env, BandShared(env, power_limited_bps), together(bits, [3] * n))
    np.testing.assert_allclose([outcomes[i].finish_s for i in order], expected, rtol=1e-9)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(1.0, 1e7)), min_size=1, max_size=20))
def test_frequency_shared_without_power_gain_is_the_same_as_time_shared(wishes: list[tuple[int, float]]) -> None:
    uploads = together([bits for _, bits in wishes], [terminal for terminal, _ in wishes])
    one, other = Environment(), Environment()
    in_time = drive(one, TimeShared(one, full_rate_bps), uploads)
    in_frequency = drive(other, BandShared(other, turn_bps), uploads)
    np.testing.assert_allclose([o.finish_s for o in in_frequency], [o.finish_s for o in in_time], rtol=1e-9)


@given(staggered(cancelled=False))
def test_staggered_uploads_in_time_finish_as_worked_out_by_hand(uploads: list[Upload]) -> None:
    env = Environment()
    outcomes, fates = drive(env, TimeShared(env, full_rate_bps), uploads), by_hand(uploads, turn_bps)
    np.testing.assert_allclose([o.finish_s for o in outcomes], [f.finish_s for f in fates], rtol=1e-9)


@given(staggered(cancelled=False), st.integers(1, 12))
def test_staggered_uploads_in_frequency_finish_as_worked_out_by_hand(uploads: list[Upload], places: int) -> None:
    env = Environment()
    outcomes = drive(env, BandShared(env, power_limited_bps, places), uploads)
    fates = by_hand(uploads, power_limited_bps, places)
    np.testing.assert_allclose([o.finish_s for o in outcomes], [f.finish_s for f in fates], rtol=1e-9)
    np.testing.assert_allclose([o.transfer.airtime_s for o in outcomes], [f.airtime_s for f in fates], rtol=1e-9)


@given(staggered(cancelled=True), st.sampled_from(["time", "frequency", "two at once"]))
def test_no_bit_is_lost_or_counted_twice_when_uploads_are_cancelled(uploads: list[Upload], discipline: str) -> None:
    env = Environment()
    places = 2 if discipline == "two at once" else 2**31
    rate = turn_bps if discipline == "time" else power_limited_bps
    cell = TimeShared(env, full_rate_bps) if discipline == "time" else BandShared(env, rate, places)
    for upload, outcome, fate in zip(uploads, drive(env, cell, uploads), by_hand(uploads, rate, places), strict=True):
        assert outcome.unsent_bits >= 0.0
        assert outcome.unsent_bits + fate.sent_bits == pytest.approx(upload.bits, rel=1e-9)
        if discipline == "time":
            sent_bits = outcome.transfer.airtime_s * full_rate_bps(upload.terminal)
            assert sent_bits + outcome.unsent_bits == pytest.approx(upload.bits, rel=1e-9)


def test_an_upload_that_leaves_gives_its_share_to_the_others_at_that_instant() -> None:
    env = Environment()
    cell = TimeShared(env, lambda terminal: 1e6)
    outcomes = drive(env, cell, [Upload(0, 0.0, 1e6), Upload(1, 0.0, 1e6, cancel_s=0.5)])
    assert outcomes[1].unsent_bits == pytest.approx(0.75e6, rel=1e-12)  # half the time in turns of two
    assert outcomes[0].finish_s == pytest.approx(1.25, rel=1e-12)


def test_who_waits_in_line_gets_the_place_of_who_leaves_and_sends_nothing_before() -> None:
    env = Environment()
    cell = BandShared(env, lambda terminal, n: 1e6 / n, max_simultaneous=1)
    outcomes = drive(env, cell, [Upload(0, 0.0, 1e6, cancel_s=0.25), Upload(1, 0.0, 1e6), Upload(2, 0.0, 5.0, 0.1)])
    assert outcomes[0].unsent_bits == pytest.approx(0.75e6, rel=1e-12)
    assert outcomes[1].finish_s == pytest.approx(1.25, rel=1e-12)
    assert outcomes[1].transfer.airtime_s == pytest.approx(1.0, rel=1e-12)
    assert outcomes[2].unsent_bits == 5.0 and outcomes[2].transfer.airtime_s == 0.0


def test_power_limited_frequency_sharing_is_not_turns_over_the_band() -> None:
    # Every one of ten terminals at -10 dB gains ten times the power density: nearly ten times the rate.
    one, other = Environment(), Environment()
    uploads = together([1e6] * 10, [0] * 10)
    in_frequency = drive(one, BandShared(one, power_limited_bps), uploads)[0].finish_s
    in_time = drive(other, TimeShared(other, full_rate_bps), uploads)[0].finish_s
    assert in_time / in_frequency == pytest.approx(log2(1.0 + 10 * 0.1) / log2(1.0 + 0.1), rel=1e-9)
    assert in_time > 7.0 * in_frequency


@given(staggered(cancelled=True), st.booleans())
def test_the_cell_is_busy_exactly_while_something_is_on_the_air(uploads: list[Upload], in_time: bool) -> None:
    env = Environment()
    shares: dict[int, float] = {}
    changes: list[tuple[float, float]] = [(0.0, 0.0)]

    def duty(terminals: Iterable[int], share: float) -> None:
        shares.update(dict.fromkeys(terminals, share))
        changes.append((env.now, sum(shares.values())))

    cell = TimeShared(env, full_rate_bps, duty) if in_time else BandShared(env, power_limited_bps, duty=duty)
    outcomes = drive(env, cell, uploads)
    airtime_s = sum(o.transfer.airtime_s for o in outcomes)
    told_s = sum((later - now) * share for (now, share), (later, _) in pairwise(changes))
    assert changes[-1][1] == 0.0
    assert told_s == pytest.approx(airtime_s, rel=1e-9)
    assert cell.busy_s <= env.now * (1.0 + 1e-12)
    if in_time:
        assert airtime_s == pytest.approx(cell.busy_s, rel=1e-9)
    else:
        assert cell.busy_s <= airtime_s * (1.0 + 1e-9)


def test_the_airtime_is_known_in_the_middle_of_an_upload() -> None:
    env = Environment()
    cell = BandShared(env, power_limited_bps)
    cell.start(1, 4e6)
    env.run(until=3.0)
    assert cell.busy_s == 3.0


def test_an_upload_without_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="bits > 0, got 0"):
        TimeShared(Environment(), full_rate_bps).start(0, 0.0)


@pytest.mark.parametrize("kind", ["time", "band"])
def test_an_upload_goes_on_at_its_new_rate_and_stands_still_without_one(kind: str) -> None:
    env, rates = Environment(), {0: 10.0, 1: 10.0}
    cell: Uplink = (
        TimeShared(env, rates.__getitem__)
        if kind == "time"
        else BandShared(env, lambda terminal, n: rates[terminal] / n)
    )
    first, second = cell.start(0, 100.0), cell.start(1, 100.0)
    finished = {}
    for name, transfer in (("first", first), ("second", second)):
        transfer.done.callbacks.append(lambda _, name=name: finished.setdefault(name, env.now))

    def tune(terminal: int, rate: float) -> None:
        rates[terminal] = rate
        cell.retune({terminal})

    for at, rate in ((4.0, 5.0), (8.0, 0.0), (12.0, 20.0)):
        Timeout(env, at).callbacks.append(lambda _, rate=rate: tune(1, rate))
    env.run()
    # Until 20 s the first has half of its 10 bit/s; the second 20 bits by 4 s, 30 by 8 and 12 s, 100 by 19 s.
    assert finished["second"] == pytest.approx(19.0, rel=1e-12)
    assert finished["first"] == pytest.approx(19.5, rel=1e-12)
    airtime = 9.5 if kind == "time" else 19.0
    assert second.airtime_s == pytest.approx(airtime, rel=1e-12)
    assert first.airtime_s + second.airtime_s == pytest.approx(19.5 if kind == "time" else 38.5, rel=1e-12)
