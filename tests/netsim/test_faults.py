"""Whatever sleeps, fails, recovers or recharges: joules and bytes add up, budgets bind to the instant, seeds repeat."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netsim.engines import run as run_with_an_engine
from netsim.world import build_ground
from scenarios.errors import ScenarioError
from scenarios.streams import Streams
from tests.netsim.any_scenario import faulty_settings, methods
from tests.netsim.counting import Counting
from tests.netsim.worlds import ENERGY_COLUMNS, device, run, scenario, world

CLOSE = 1e-9
MANY = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**20)


@MANY
@given(faulty_settings(), methods(), SEEDS)
def test_joules_and_bytes_add_up_and_no_terminal_uses_more_than_it_has(
    made: dict[str, Any], method: Counting, seed: int
) -> None:
    where = world(scenario(budget={"time_s": 2.0}, output={"carbon_g_per_kwh": 50.0}, **made), 2, 3, seed)
    result = run(where, method)
    for row in result.rounds:
        assert sum(row[name] for name in ENERGY_COLUMNS) == pytest.approx(row["energy_j"], rel=CLOSE)
        assert row["carbon_g"] == pytest.approx(row["energy_j"] * 50.0 / 3.6e6, rel=1e-12)
        carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
        assert row["bytes"] >= carried * (1.0 - CLOSE)
        if row["event"] == "cloud":
            assert row["bytes"] == pytest.approx(carried, rel=CLOSE)
    assert result.totals["carbon_g"] == result.rounds[-1]["carbon_g"]
    nodes_j = sum(row["energy_j"] for row in result.terminals)
    nodes_j += sum(row["energy_transmit_j"] + row["energy_static_j"] for row in result.base_stations)
    assert result.totals["energy_j"] == pytest.approx(nodes_j + result.rounds[-1]["energy_backhaul_j"], rel=CLOSE)
    for row in result.terminals:
        if row["device_class"] == "weak":
            assert 0.0 <= row["state_of_charge"] <= 1.0
    if made["terminals"]["classes"][0]["harvest"]["packets_per_s"] == 0.0:
        start_j = 0.2 * made["terminals"]["classes"][0]["initial_charge"]
        for row in result.terminals:
            if row["device_class"] == "weak":
                assert row["energy_j"] + 0.2 * row["state_of_charge"] <= (start_j + 0.3 * 2.0) * (1.0 + CLOSE)


@MANY
@given(faulty_settings(), methods(), SEEDS, st.floats(0.05, 0.95))
def test_an_energy_budget_is_met_at_the_instant_the_unlimited_run_passes_it(
    made: dict[str, Any], method: Counting, seed: int, share: float
) -> None:
    def used(**budget: float) -> Any:
        return run(world(scenario(budget=budget, **made), 2, 3, seed), method.twin())

    limit_j = share * used(time_s=2.0).totals["energy_j"]
    assume(limit_j > 0.0)
    limited = used(energy_j=limit_j)
    assert limited.ended_by == "energy budget"
    assert limited.totals["energy_j"] == pytest.approx(limit_j, rel=CLOSE)
    timed = used(time_s=limited.totals["time_s"])
    assert timed.totals["energy_j"] == pytest.approx(limit_j, rel=CLOSE)


@settings(max_examples=15, deadline=None)
@given(faulty_settings(), SEEDS)
def test_the_same_seed_gives_the_same_run_bit_for_bit(made: dict[str, Any], seed: int) -> None:
    def records() -> str:
        result = run(world(scenario(budget={"time_s": 2.0}, **made), 2, 3, seed))
        tables = (result.rounds, list(result.participation), list(result.terminals), result.base_stations)
        return repr((result.ended_by, *tables))

    assert records() == records()


@settings(max_examples=15, deadline=None)
@given(faulty_settings(), SEEDS)
def test_lone_terminals_recharge_and_go_on(made: dict[str, Any], seed: int) -> None:
    where = world(scenario(budget={"time_s": 2.0}, **made), 2, 2, seed)
    result = run(where, Counting(protocol="isolated", bs_iterations=1000))
    assert result.ended_by == "time budget"
    assert result.rounds[-1]["count"] == sum(row["outcome"] == "merged" for row in result.participation)


ONLY_PROCESSES: dict[str, dict[str, Any]] = {
    "terminals.classes.processor_static_w": {"terminals": device(processor_static_w=0.1)},
    "terminals.classes.initial_charge": {"terminals": device(battery_j=1.0, initial_charge=0.5)},
    "terminals.classes.refuse_below": {"terminals": device(battery_j=1.0, refuse_below=0.5)},
    "terminals.classes.harvest": {"terminals": device(battery_j=1.0, harvest={"power_w": 1.0})},
    "terminals.classes.trains": {"terminals": device(trains="head")},
    "terminals.diurnal": {"terminals": {"diurnal": {}}},
    "terminals.traces": {"terminals": {"traces": {}}},
    "network.backhaul.shared": {"network": {"backhaul": {"shared": True}}},
    "network.uplink.slow_fading": {"network": {"uplink": {"slow_fading": True}}},
    "base_stations.sleep": {"base_stations": {"static_power": "always", "sleep": {}}},
    "base_stations.outage": {"base_stations": {"outage": {"mean_up_s": 1.0, "mean_down_s": 1.0}}},
    "terminals.classes.dvfs.policy": {
        "terminals": device(dvfs={"levels_hz": [1e9], "policy": "deadline"}),
        "collection": {"policy": "deadline"},
    },
}


@pytest.mark.parametrize("field", list(ONLY_PROCESSES))
def test_what_cohorts_do_not_know_is_refused_by_name(field: str) -> None:
    made = scenario(engine="cohort", **ONLY_PROCESSES[field])
    with pytest.raises(ScenarioError, match=f"process or auto, because of {field}"):
        run_with_an_engine(build_ground(made, [0, 0], 1, Streams(0)), Counting(), ["task"])  # type: ignore[arg-type]
