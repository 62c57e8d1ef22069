"""A band allotted by the base station, end to end: who finishes when, at what energy, and what luck does to it."""

from math import log2
from typing import Any

import numpy as np
import pytest

from netsim.allotment import Allotter
from netsim.cell import Allotted
from netsim.energy import processor_w
from netsim.result import Result
from netsim.world import World
from tests.netsim.counting import Counting
from tests.netsim.worlds import run, scenario, world

CLOSE = 1e-9
CLASSES = [
    {"name": "slow", "cpu_hz": 0.5e9, "cycles_per_sample": 4e5, "tx_power_dbm": 10.0, "idle_power_w": 0.0},
    {"name": "fast", "cpu_hz": 2e9, "cycles_per_sample": 4e5, "tx_power_dbm": 23.0, "idle_power_w": 0.0},
]
ACCESS_S = 0.01


def cell(allocation: str, fading: str = "none", slowdown: str = "none", **changes: Any) -> World:
    settings = scenario(
        terminals={"classes": CLASSES, "slowdown": {"kind": slowdown}},
        network={
            "uplink": {"share": "allotted", "allocation": allocation, "access_delay_s": ACCESS_S, **changes},
            "propagation": {"fading": fading},
            "link": {"model": "shannon" if fading == "none" else "mcs"},
        },
    )
    return world(settings, 2, 5, seed=3)


def upload(where: World, **changes: Any) -> Result:
    return run(where, Counting(bits_up=4e5, cloud_rounds=2, bs_iterations=2, **changes))


def finishes(result: Result) -> dict[tuple[str, int], list[float]]:
    """Return when the updates of every iteration came in."""
    finish_s: dict[tuple[str, int], list[float]] = {}
    for row in result.participation:
        assert row["outcome"] == "merged"
        finish_s.setdefault((row["base_station"], row["edge_round"]), []).append(row["finish_s"])
    return finish_s


@pytest.mark.parametrize("fading", ["none", "rician"])
def test_with_min_max_delay_all_uploads_of_an_iteration_finish_together(fading: str) -> None:
    for finish_s in finishes(upload(cell("min_max_delay", fading))).values():
        assert len(finish_s) == 5
        assert finish_s == pytest.approx([finish_s[0]] * 5, rel=CLOSE)


def test_min_max_delay_is_over_before_the_baselines_and_their_uploads_end_when_a_slice_allows() -> None:
    ends_s = {}
    for allocation in ("min_max_delay", "proportional", "equal_split"):
        where = cell(allocation)
        result = upload(where)
        ends_s[allocation] = result.totals["time_s"]
        if allocation == "equal_split":
            for row in result.participation:
                expected_s = ACCESS_S + 4e5 / where.radio.slice_bps(row["terminal"], 0.9e6 / 5)
                assert row["upload_s"] == pytest.approx(expected_s, rel=CLOSE)
    assert ends_s["min_max_delay"] < 0.95 * min(ends_s["proportional"], ends_s["equal_split"])


def test_slices_in_proportion_to_need_are_wider_for_worse_links_and_fill_the_band() -> None:
    where = cell("proportional")
    who = np.array(where.terminals_of(1))
    Allotter(where, 1).hand_out(who, Counting().sizes(Counting().plan(_nothing())))
    uplink = where.uplinks[1]
    assert isinstance(uplink, Allotted)
    slices_hz = np.array([uplink._slices[i].bandwidth_hz for i in who.tolist()])
    assert slices_hz.sum() == pytest.approx(0.9e6, rel=1e-12)
    products = slices_hz * where.radio.uplink_efficiency[who]
    np.testing.assert_allclose(products, products[0], rtol=1e-12)


def _nothing() -> Any:
    from netsim.port import Observation

    return Observation(0, 10, 2)


def test_at_least_energy_all_come_in_at_the_deadline_and_every_joule_is_that_of_clock_and_power() -> None:
    where = cell("energy_minimal", deadline_s=6.0)
    result = upload(where, samples=100.0, local_iterations=5)
    net = 1.0 - where.scenario.network.link.overhead
    gap = 10.0 ** (where.scenario.network.link.shannon_gap_db / 10.0)
    compute_j, transmit_j = np.zeros(10), np.zeros(10)
    for row in result.participation:
        i, device = row["terminal"], where.devices[row["terminal"]]
        airtime_s = row["upload_s"] - ACCESS_S
        assert row["compute_s"] + row["upload_s"] == pytest.approx(6.0, rel=1e-8)
        cycles = row["samples"] * device.cycles_per_sample
        clock_hz = cycles / row["compute_s"]
        assert clock_hz <= device.cpu_hz * (1.0 + CLOSE)
        compute_j[i] += processor_w(device.switched_capacitance, clock_hz) * row["compute_s"]
        uplink = where.uplinks[where.deployment.serving[i]]
        assert isinstance(uplink, Allotted)
        slice_hz = uplink._slices[i].bandwidth_hz
        snr = gap * (2.0 ** (4e5 / airtime_s / net / slice_hz) - 1.0)
        radiated_w = snr * slice_hz / (where.radio.uplink_snr[i] * 0.9e6) * where.radio.tx_power_w[i]
        assert radiated_w <= where.radio.tx_power_w[i] * (1.0 + 1e-3)
        transmit_j[i] += (radiated_w / device.amplifier_efficiency + device.tx_circuit_w) * airtime_s
    np.testing.assert_allclose([row["energy_compute_j"] for row in result.terminals], compute_j, rtol=1e-7)
    np.testing.assert_allclose([row["energy_transmit_j"] for row in result.terminals], transmit_j, rtol=3e-3)  # a table


def test_least_energy_takes_less_than_the_fastest_and_more_time_lets_it_take_less_still() -> None:
    fast, tight, loose = (
        upload(cell(allocation, deadline_s=deadline_s), samples=100.0, local_iterations=5)
        for allocation, deadline_s in (("min_max_delay", 1.0), ("energy_minimal", 3.0), ("energy_minimal", 9.0))
    )
    spent_j = [
        sum(row["energy_compute_j"] + row["energy_transmit_j"] for row in result.terminals)
        for result in (fast, tight, loose)
    ]
    assert spent_j[0] > 1.2 * spent_j[1] > 1.2 * spent_j[2]


def test_a_deadline_that_cannot_be_met_gives_way_to_the_earliest_end() -> None:
    impossible, earliest = upload(cell("energy_minimal", deadline_s=0.02)), upload(cell("min_max_delay"))
    assert impossible.totals == earliest.totals


def test_a_straggler_is_late_by_its_own_luck_and_keeps_nobody_else_waiting_for_the_band() -> None:
    where = cell("min_max_delay", slowdown="shifted_exponential")
    for row in upload(where).participation:
        device = where.devices[row["terminal"]]
        usual_s = row["samples"] * device.cycles_per_sample / device.cpu_hz
        planned = finishes(upload(cell("min_max_delay")))[row["base_station"], row["edge_round"]]
        if row["edge_round"] == 0:
            assert row["finish_s"] == pytest.approx(planned[0] + row["compute_s"] - usual_s, rel=CLOSE)


def test_an_allotment_follows_links_that_change() -> None:
    where = cell("min_max_delay")
    allotter, sizes = Allotter(where, 0), Counting().sizes(Counting().plan(_nothing()))
    who, uplink = np.array(where.terminals_of(0)), where.uplinks[0]
    assert isinstance(uplink, Allotted)
    allotter.hand_out(who, sizes)
    before_hz = uplink._slices[0].bandwidth_hz
    where.radio.serving_gain[0] /= 50.0
    where.radio.refresh(np.array([0]))
    allotter.hand_out(who, sizes)
    assert uplink._slices[0].bandwidth_hz > before_hz
    assert uplink._slices[0].bandwidth_hz * log2(2.0) > 0.0
    assert sum(part.bandwidth_hz for part in uplink._slices.values()) == pytest.approx(0.9e6, rel=1e-9)
