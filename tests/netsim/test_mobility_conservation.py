"""However terminals move, no bit, joule or second is lost or counted twice."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from itertools import pairwise
from math import inf, isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_models.units import dbm_to_watt
from netsim.energy import transmitter_w
from netsim.result import Result
from netsim.world import World
from tests.netsim.any_motion import LANDSCAPE, moving_worlds, watch
from tests.netsim.any_scenario import methods
from tests.netsim.counting import Counting
from tests.netsim.worlds import ENERGY_COLUMNS, run, scenario, world

CLOSE = 1e-9
MANY = settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(MANY, max_examples=20)
BUSY = methods(bits_up=4e5)


def _handovers(result: Result) -> list[dict[str, Any]]:
    assert result.handovers is not None
    return list(result.handovers)


@MANY
@given(moving_worlds(), BUSY)
def test_every_bit_of_an_update_is_sent_once_or_again_and_counted(where: World, method: Counting) -> None:
    witness = watch(where)
    result = run(where, method)
    again: Counter[int] = Counter()
    sent: Counter[int] = Counter()
    restarts = where.scenario.mobility.handover.in_flight == "restart"  # type: ignore[union-attr]
    for done, legs in witness.uploads().items():
        terminal = legs[0].transfer.terminal
        assert all(leg.end_s is not None for leg in legs)  # nothing is left on the air
        for leg in legs:
            sent[terminal] += leg.sent_bits
            assert leg.sent_bits >= 0.0
        for before, after in pairwise(legs):
            expected = method.bits_up if restarts else before.unsent_bits
            assert after.transfer.bits == pytest.approx(expected, rel=CLOSE)
            again[terminal] += before.transfer.bits - before.unsent_bits if restarts else 0.0
        if done.triggered:
            useful = legs[-1].sent_bits if restarts else sum(leg.sent_bits for leg in legs)
            assert useful == pytest.approx(method.bits_up, rel=1e-8)
    for row in result.terminals:
        assert row["bytes_up"] * 8.0 == pytest.approx(sent[row["terminal"]], rel=CLOSE, abs=1e-6)
    assert result.rounds[-1]["bytes_uplink"] * 8.0 == pytest.approx(sum(sent.values()), rel=CLOSE, abs=1e-6)
    recorded: Counter[int] = Counter()
    for row in _handovers(result):
        recorded[row["terminal"]] += row["again_bits"]
        assert 0.0 <= row["again_bits"] <= row["left_bits"] <= method.bits_up * (1.0 + CLOSE)
    for terminal, bits in recorded.items():  # an upload that was to begin again may have ended before it could
        assert bits >= again[terminal] * (1.0 - 1e-8) - 1e-6
    merged = Counter(row["terminal"] for row in result.participation if row["outcome"] == "merged")
    for terminal, count in merged.items():
        assert sent[terminal] >= count * method.bits_up * (1.0 - 1e-8)


@MANY
@given(moving_worlds(), BUSY)
def test_every_joule_is_a_power_times_a_time_that_the_records_show(where: World, method: Counting) -> None:
    witness = watch(where)
    result = run(where, method)
    last, end_s = result.rounds[-1], result.totals["time_s"]
    airtime_s: Counter[int] = Counter()
    for leg in witness.legs:
        airtime_s[leg.transfer.terminal] += leg.transfer.airtime_s
        assert leg.transfer.airtime_s <= (leg.end_s or inf) - leg.start_s + 1e-9
    for i, kind in enumerate(where.devices):
        power_w = transmitter_w(dbm_to_watt(kind.tx_power_dbm), kind.amplifier_efficiency, kind.tx_circuit_w)
        assert where.terminal_meter.energy_j(i, "transmit") == pytest.approx(
            power_w * airtime_s[i], rel=1e-8, abs=1e-12
        )
    for row in result.terminals:
        computed_s = [
            entry["compute_s"]
            for entry in result.participation
            if entry["terminal"] == row["terminal"] and not isnan(entry["compute_s"])
        ]
        kind = where.devices[row["terminal"]]
        least_j = kind.switched_capacitance * kind.cpu_hz**3 * sum(computed_s)
        assert row["energy_compute_j"] >= least_j * (1.0 - 1e-8)
    per_bit_j = where.backhaul.energy_j_per_bit
    carried_j = 8.0 * last["bytes_backhaul"] * per_bit_j
    committed = last["bytes"] - last["bytes_uplink"] - last["bytes_downlink"]
    assert carried_j * (1.0 - CLOSE) <= last["energy_backhaul_j"] <= 8.0 * committed * per_bit_j * (1.0 + CLOSE)
    for row in result.base_stations:
        assert row["downlink_airtime_s"] <= end_s * (1.0 + CLOSE)  # one broadcast at a time, whoever's it is
    for row in result.rounds:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=CLOSE, abs=1e-15)
    total_j = sum(meter.component_j(part) for meter in _meters(where) for part in meter.components)
    assert result.totals["energy_j"] == pytest.approx(total_j, rel=CLOSE)


def _meters(where: World) -> tuple[Any, ...]:
    return where.terminal_meter, where.site_meter, where.backhaul_meter


@FEW
@given(moving_worlds(), BUSY)
def test_terminals_are_off_the_air_between_cells_and_cells_follow_each_other(where: World, method: Counting) -> None:
    witness = watch(where)
    result = run(where, method)
    law = where.scenario.mobility
    assert law is not None
    by_terminal: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in _handovers(result):
        by_terminal[row["terminal"]].append(row)
        assert row["time_s"] / law.measurement_s == pytest.approx(round(row["time_s"] / law.measurement_s), abs=1e-6)
        assert row["delay_s"] >= 0.0
        assert row["from_cell"] != row["to_cell"] or row["kind"] in ("link_failure", "reselection")
        if law.handover.in_flight == "finish" and row["kind"] == "handover" and law.membership == "keep":
            assert row["assignment"] in ("nothing", "computing")
    for rows in by_terminal.values():
        for before, after in pairwise(rows):
            assert before["to_cell"] == after["from_cell"]
            assert after["time_s"] >= before["time_s"] + before["interruption_s"] - 1e-9
    for leg in witness.legs:
        rows = by_terminal[leg.transfer.terminal]
        assert leg.end_s is not None
        for row in rows:
            free_s = row["time_s"] + row["interruption_s"]
            assert leg.end_s <= row["time_s"] + 1e-12 or leg.start_s >= free_s - 1e-9
        # Measurements come first at their instant: what starts then starts in the new cell.
        cell = [row["to_cell"] for row in rows if row["time_s"] <= leg.start_s]
        cell = cell or [row["from_cell"] for row in rows[:1]]
        if cell:
            assert cell[-1] == f"bs-{leg.site:02d}"


@FEW
@given(moving_worlds(), BUSY)
def test_every_terminal_asked_or_missed_has_at_most_one_row_in_an_iteration(where: World, method: Counting) -> None:
    result = run(where, method)
    home = where.deployment.serving.tolist()
    rows = Counter((row["base_station"], row["edge_round"], row["terminal"]) for row in result.participation)
    assert set(rows.values()) <= {1}
    assert all(station == f"bs-{home[terminal]:02d}" for station, _, terminal in rows)
    merged = Counter(row["cloud_round"] for row in result.participation if row["outcome"] == "merged")
    total = 0
    for row in result.rounds:
        if row["event"] == "cloud":
            total += merged[row["cloud_round"]]
            assert row["count"] == total


LIMITS = st.one_of(
    st.fixed_dictionaries({"energy_j": st.floats(1.0, 500.0), "time_s": st.just(20.0)}),
    st.fixed_dictionaries({"bytes": st.floats(1e4, 1e6), "time_s": st.just(20.0)}),
    st.fixed_dictionaries({"time_s": st.floats(0.01, 2.0)}),
    st.fixed_dictionaries({"energy_per_terminal_j": st.floats(0.01, 0.3), "time_s": st.just(20.0)}),
)


@FEW
@given(moving_worlds(budget=LIMITS), BUSY)
def test_a_budget_ends_a_run_at_the_exact_instant(where: World, method: Counting) -> None:
    result, limits = run(where, method), where.scenario.budget
    if result.ended_by == "time budget":
        assert result.totals["time_s"] == pytest.approx(limits.time_s, rel=1e-12)
    elif result.ended_by == "energy budget":
        assert result.totals["energy_j"] == pytest.approx(limits.energy_j, rel=CLOSE)
    elif result.ended_by == "bytes budget":
        assert result.totals["bytes"] <= (limits.bytes or inf) * (1.0 + CLOSE)
    elif result.ended_by.startswith("energy budget of terminal"):
        most_j = max(where.terminal_meter.node_j(i) for i in range(where.terminals))
        assert most_j == pytest.approx(limits.energy_per_terminal_j, rel=CLOSE)
    else:
        assert result.ended_by.startswith("no terminal left")
    assert result.totals["energy_j"] <= (limits.energy_j or inf) * (1.0 + CLOSE)


@FEW
@given(moving_worlds(), BUSY)
def test_the_same_world_runs_the_same_way_twice(where: World, method: Counting) -> None:
    again = world(where.scenario, where.sites, where.terminals // where.sites, where.streams.seed)
    assert repr(run(where, method)) == repr(run(again, method.twin()))


@FEW
@given(
    st.integers(0, 999),
    st.sampled_from(["ofdma", "tdma"]),
    st.sampled_from(["all", "first_k", "deadline"]),
    st.sampled_from(["fixed", "coupled"]),
    BUSY,
)
def test_with_speed_zero_nothing_changes(seed: int, share: str, policy: str, model: str, method: Counting) -> None:
    common = {
        "budget": {"time_s": 2.0},
        "collection": {"policy": policy, "deadline_s": 0.2},
        "network": {"propagation": LANDSCAPE, "uplink": {"share": share}, "interference": {"model": model}},
    }
    twin = method.twin()
    with_section = run(world(scenario(**common, mobility={"speed_mps": (0.0, 0.0)}), 3, 2, seed), method)
    without = run(world(scenario(**common), 3, 2, seed), twin)
    for name in ("ended_by", "totals", "rounds", "tasks", "participation", "base_stations", "trace"):
        assert repr(getattr(with_section, name)) == repr(getattr(without, name)), name
    columns = without.terminals.columns
    assert all(np.array_equal(with_section.terminals.columns[name], columns[name]) for name in columns)
    assert _handovers(with_section) == []


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "motion",
    [
        {"measurement_s": 0.01},  # the grid of all delays, so much falls on the instant of a measurement
        {"measurement_s": 0.1, "handover": {"interruption_s": 0.1, "in_flight": "restart"}},
        {"membership": "leave", "handover": {"in_flight": "finish"}},
    ],
)
@pytest.mark.parametrize(("share", "policy"), [("ofdma", "all"), ("tdma", "deadline")])
@pytest.mark.parametrize("together", [False, True])
def test_nothing_depends_on_the_order_of_events_at_an_instant(
    seed: int, motion: dict[str, Any], share: str, policy: str, together: bool
) -> None:
    settings = scenario(
        budget={"time_s": 4.0},
        mobility={"speed_mps": (30.0, 60.0), **motion},
        collection={"policy": policy, "deadline_s": 0.4},
        network={
            "propagation": LANDSCAPE,
            "layout": {"environment": "UMi"},
            "uplink": {"share": share},
            "interference": {"model": "coupled" if together else "fixed"},
            "backhaul": {"rate_bps": 2e7, "shared": together},
        },
    )
    usual, reversed_ = world(settings, 4, 4, seed), world(settings, 4, 4, seed)
    reversed_.env._eid = itertools.count(
        2**40, -1
    )  # of events of equal time and priority, the latest planned comes first
    one, other = run(usual, Counting(bits_up=4e5)), run(reversed_, Counting(bits_up=4e5))
    assert one.totals == pytest.approx(other.totals, rel=CLOSE)
    changes = [[(row["time_s"], row["terminal"], row["to_cell"]) for row in _handovers(r)] for r in (one, other)]
    assert changes[0] == changes[1] and len(changes[0]) > 0
