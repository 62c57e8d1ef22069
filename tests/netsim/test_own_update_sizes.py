"""Terminals whose answers differ in size, down to an answer without a message, which takes no place on the air."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.allotment import Allotter
from netsim.cell import Allotted
from netsim.cohort.timing import load_of
from netsim.port import update_bits
from netsim.result import Result
from netsim.world import World
from scenarios.errors import ScenarioError
from tests.netsim.any_motion import moving_worlds
from tests.netsim.any_scenario import ALLOCATIONS, SHARES, faulty_settings, methods, worlds
from tests.netsim.counting import Counting, Plan
from tests.netsim.ledger import Ledger
from tests.netsim.worlds import device, run, scenario, world

CLOSE = 1e-9
ACCESS_S = 0.01
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OWN = np.resize([4e5, 0.0, 1e5, 8e3], 100)
PLAN = Plan(2, 2)
WAYS = [*((share, "equal_split") for share in SHARES), *(("allotted", allocation) for allocation in ALLOCATIONS[1:])]


def shared(share: str, allocation: str = "equal_split", **uplink: Any) -> World:
    """Return two cells of four terminals, of which the second of each has nothing to say."""
    up = {"share": share, "allocation": allocation, "access_delay_s": ACCESS_S, "deadline_s": 5.0} | uplink
    steady = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}}
    return world(scenario(network={"uplink": up}, terminals=steady), 2, 4, seed=3)


def uneven(own: Any = OWN, **changes: Any) -> Counting:
    """Return a method whose terminals send what is theirs, in two rounds of two iterations."""
    return Counting(**{"cloud_rounds": 2, "bits_own": own, **changes})


def of_terminals(result: Result, column: str) -> list[Any]:
    """Return a column of the terminals' table."""
    return [row[column] for row in result.terminals]


@pytest.mark.parametrize(("share", "allocation"), WAYS)
def test_each_sends_its_own_bits_and_who_sends_nothing_is_never_on_the_air(share: str, allocation: str) -> None:
    where = shared(share, allocation)
    result = run(where, uneven())
    assert {row["outcome"] for row in result.participation} == {"merged"}
    assert of_terminals(result, "bytes_up") == pytest.approx((4 * OWN[:8] / 8.0).tolist(), rel=CLOSE)
    assert result.rounds[-1]["bytes_uplink"] == pytest.approx(4 * OWN[:8].sum() / 8.0, rel=CLOSE)
    silent = [row for row in result.participation if OWN[row["terminal"]] == 0.0]
    assert [row["upload_s"] for row in silent] == pytest.approx([ACCESS_S] * 8, rel=CLOSE)
    assert [row["energy_transmit_j"] > 0.0 for row in result.terminals] == (OWN[:8] > 0.0).tolist()


@pytest.mark.parametrize("share", SHARES)
def test_a_cell_in_which_nobody_has_anything_to_say_goes_on_with_its_rounds(share: str) -> None:
    result = run(shared(share, "min_max_delay"), uneven(np.zeros(8)))
    assert result.rounds[-1]["count"] == 4 * 8
    assert result.rounds[-1]["bytes_uplink"] == 0.0
    assert [row["uplink_airtime_s"] for row in result.base_stations] == [0.0, 0.0]


@pytest.mark.parametrize(("share", "slow_fading"), [("ofdma", False), ("tdma", True), ("allotted", True)])
def test_sizes_of_their_own_that_are_all_the_same_change_nothing(share: str, slow_fading: bool) -> None:
    found = []
    for own in (None, np.full(8, 2e5)):
        result = run(shared(share, "min_max_delay", slow_fading=slow_fading), uneven(own, bits_up=2e5))
        found.append([repr(table) for table in (result.rounds, result.participation, result.terminals)])
    assert found[0] == found[1]


def test_in_slices_that_let_all_finish_together_who_sends_nothing_is_left_out() -> None:
    where = shared("allotted", "min_max_delay")
    rows = run(where, uneven(cloud_rounds=1, bs_iterations=1)).participation
    finish_s = [row["finish_s"] for row in rows if row["base_station"] == "bs-00" and OWN[row["terminal"]] > 0.0]
    assert len(finish_s) == 3 and finish_s == pytest.approx([finish_s[0]] * 3, rel=CLOSE)
    uplink, sizes, senders = where.uplinks[1], uneven().sizes(PLAN), np.array([4, 6, 7])
    Allotter(where, 1).hand_out(senders, sizes)
    assert isinstance(uplink, Allotted) and sorted(uplink._slices) == senders.tolist()
    assert sum(part.bandwidth_hz for part in uplink._slices.values()) == pytest.approx(0.9e6, rel=CLOSE)


@pytest.mark.parametrize("share", ["tdma", "ofdma"])
def test_slow_fading_tells_long_updates_from_short_ones(share: str) -> None:
    """A long upload averages over more states of its channel, so less luck is left in its rate."""
    up = {"share": share, "slow_fading": True}
    network = {"propagation": {"fading": "rayleigh"}, "uplink": up}
    spread = []
    for bits in (1e3, 1e8):
        where = world(scenario(network=network, budget={"time_s": 1e5}), 1, 1)
        own = uneven(np.array([bits]), bits_up=1e5, cloud_rounds=1, bs_iterations=8)
        access_s = where.scenario.network.uplink.access_delay_s
        air_s = np.array([row["upload_s"] - access_s for row in run(where, own).participation])
        spread.append(np.ptp(bits / air_s) / np.mean(bits / air_s))
    assert spread[0] > 3.0 * spread[1] > 0.0


@st.composite
def faulty_worlds(draw: st.DrawFn) -> World:
    """Return a world in which batteries run empty and recover, and sites sleep and fail."""
    return world(scenario(budget={"time_s": 2.0}, **draw(faulty_settings())), 2, 3, draw(st.integers(0, 999)))


@FEW
@given(st.one_of(worlds(), moving_worlds(), faulty_worlds()), methods(bits_own=OWN))
def test_bytes_add_up_whatever_happens(where: World, method: Counting) -> None:
    result, tries, merged = run(where, method), Counter[int](), Counter[int]()
    for row in result.participation:
        tries[row["terminal"]] += 1
        merged[row["terminal"]] += row["outcome"] == "merged"
    moves = where.scenario.mobility
    # What a failure cuts off may be sent again, and so is what an upload that restarts in another cell had sent.
    repeated = where.scenario.base_stations.outage is not None or (
        moves is not None and moves.handover.in_flight == "restart"
    )
    for terminal, sent_bytes in enumerate(of_terminals(result, "bytes_up")):
        each = OWN[terminal] / 8.0
        assert sent_bytes >= merged[terminal] * each * (1.0 - CLOSE)
        assert repeated or sent_bytes <= (tries[terminal] + 1) * each * (1.0 + CLOSE)
        assert each > 0.0 or sent_bytes == 0.0
    last = result.rounds[-1]
    assert last["bytes_uplink"] == pytest.approx(sum(of_terminals(result, "bytes_up")), rel=CLOSE)
    assert last["bytes"] >= (last["bytes_uplink"] + last["bytes_downlink"] + last["bytes_backhaul"]) * (1.0 - CLOSE)


def test_without_rounds_a_report_goes_up_to_the_cloud_at_its_own_size() -> None:
    result = run(shared("tdma"), Ledger(cloud_rounds=3, bits_own=OWN, bits_down=8e3))
    last, own = result.rounds[-1], OWN[:8] / 8.0
    merged = Counter(row["terminal"] for row in result.participation if row["outcome"] == "merged")
    assert min(merged[terminal] for terminal in range(8)) > 0
    arrived = sum(own[terminal] * count for terminal, count in merged.items())
    assert of_terminals(result, "bytes_up")[1] == 0.0
    assert last["bytes_uplink"] >= arrived * (1.0 - CLOSE)
    begun = sum(own) + arrived
    assert arrived * (1.0 - CLOSE) <= last["bytes_backhaul"] - last["bytes_downlink"] <= begun + 8 * 1e3


def test_the_deadline_clock_counts_on_an_upload_of_its_own_size() -> None:
    dvfs = {"levels_hz": [0.5e9, 1e9, 2e9], "policy": "deadline"}
    classes = device(dvfs=dvfs, cycles_per_sample=1e6, idle_power_w=0.0) | {"slowdown": {"kind": "none"}}
    up = {"share": "tdma", "access_delay_s": ACCESS_S}
    bits = 0.08 * world(scenario(network={"uplink": up}), 1, 1).radio.whole_band_bps(0)
    deadline = {"policy": "deadline", "deadline_s": 0.22}  # 0.1 s of work at 1 GHz, 0.01 s of access
    taken_s = []
    for own in (0.0, bits):
        where = world(scenario(network={"uplink": up}, terminals=classes, collection=deadline), 1, 1)
        counted = uneven(np.array([own]), samples=50.0, cloud_rounds=1, bs_iterations=1)
        taken_s.append(run(where, counted).participation[0]["compute_s"])
    assert taken_s == pytest.approx([0.2, 0.1], rel=CLOSE)


def test_sizes_of_many_are_the_usual_one_or_their_own() -> None:
    usual, own = Counting(bits_up=5.0).sizes(PLAN), uneven().sizes(PLAN)
    assert update_bits(usual, np.array([1, 4])).tolist() == [5.0, 5.0]
    assert update_bits(own, np.array([1, 4])).tolist() == [0.0, 4e5]


def test_cohorts_refuse_sizes_of_their_own() -> None:
    sizes = uneven().sizes(PLAN)
    assert load_of(replace(sizes, own_update_bits=None)).update_bits == sizes.update_bits
    with pytest.raises(ScenarioError, match=r"^engine = .*process, because terminals send updates of different sizes$"):
        load_of(sizes)
