"""Every scenario and preset that comes with the project, run at reduced size through the whole program."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from learning.build import build_federation, build_method, build_setting, load_tasks
from netsim.engines import run
from netsim.result import Result
from netsim.world import build_ground
from scenarios.loading import load_scenario
from scenarios.presets import names
from scenarios.schema import Scenario
from scenarios.streams import Streams

FOLDER = Path(__file__).parents[1] / "scenarios"
COMPARISONS = sorted(f"methods/{path.stem}" for path in FOLDER.glob("methods/*.yaml"))
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml")) + COMPARISONS
SMALL = ["data.arguments.samples_per_task=60", "terminals.per_base_station=2"]
MIXED = ["data.arguments={tasks: 6, features: 10, least_rows: 80}", "data.unseen_tasks=2"]
ARRAYS = ["data.arguments.cells=3", "terminals.per_base_station=2"]
SMALLER = {"urban": SMALL[1:], "methods/fedem": MIXED, "methods/directions": ARRAYS}
SHORT_S = {"urban": 1.0, "micro": 1.5, "dense_urban": 0.5, "rural": 20.0, "indoor_factory": 0.5, "highway": 8.0}
SHORT_S |= dict.fromkeys(COMPARISONS, 0.6) | {"methods/mocha": 10.0, "methods/asynchronous": 6.0, "methods/permfl": 3.0}
PRESET = """
name: any
presets: [{name}]
data: {{source: synthetic, arguments: {{tasks: 3, samples_per_task: 90, features: 5}}}}
terminals: {{per_base_station: 3}}
budget: {{time_s: {time_s}}}
methods: {{fedavg: {{cloud_rounds: 2}}}}
"""


def simulated(scenario: Scenario, key: str | None = None) -> Result:
    streams, name = Streams(0), key or next(iter(scenario.methods))
    scenario = scenario.learned_by(name)
    federation = build_federation(scenario, load_tasks(scenario.data, scenario.learning.loss, Streams(0)), streams)
    method: Any = build_method(name, scenario.methods[name], build_setting(scenario, federation, streams, "cpu"))
    ground = build_ground(scenario, federation.terminal_task, len(federation.task_names), streams)
    return run(ground, method, list(federation.task_names))


@lru_cache
def reduced(name: str) -> Result:
    changes = SMALLER.get(name, SMALL)
    return simulated(load_scenario(FOLDER / f"{name}.yaml", [*changes, f"budget.time_s={SHORT_S.get(name, 0.2)}"]))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_scenario_learns_within_its_budget_and_accounts_for_every_joule_and_byte(name: str) -> None:
    result, last = reduced(name), reduced(name).rounds[-1]
    assert 0.0 < last["time_s"] <= SHORT_S.get(name, 0.2) * (1.0 + 1e-9)
    parts = [value for key, value in last.items() if key.startswith("energy_") and key != "energy_j"]
    assert last["energy_j"] == pytest.approx(sum(parts), rel=1e-9)
    assert min(parts) >= 0.0
    assert last["bytes_uplink"] == pytest.approx(sum(result.terminals.columns["bytes_up"]), rel=1e-9)
    merged = [row for row in result.participation if row["outcome"] == "merged"]
    assert merged
    assert last["objective"] < result.rounds[0]["objective"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_method_of_a_comparison_learns_within_its_budget(name: str) -> None:
    scenario = load_scenario(FOLDER / f"{name}.yaml", [*SMALLER.get(name, SMALL), f"budget.time_s={SHORT_S[name]}"])
    for key in scenario.methods:
        result = simulated(scenario, key)
        rows = [row for row in result.tasks if row["split"] == "test"]
        last = [row for row in rows if row["time_s"] == rows[-1]["time_s"]]
        scores = [row["balanced_accuracy"] if "balanced_accuracy" in row else 0.5 + row["r2"] for row in last]
        assert result.rounds[-1]["time_s"] <= SHORT_S[name] * (1.0 + 1e-9), key
        assert sum(scores) / len(scores) > 0.55, key  # a model that knows nothing has 0.5


def test_cells_of_the_dense_scenario_are_sectors_that_stand_together() -> None:
    stations = reduced("dense_urban").base_stations
    assert len(stations) == 21
    assert len({(row["x_m"], row["y_m"]) for row in stations}) == 7
    assert any(reduced("dense_urban").terminals.columns["indoor"])


def test_farm_sensors_recharge_and_their_sites_sleep() -> None:
    columns = reduced("rural").terminals.columns
    assert 0.0 <= min(columns["state_of_charge"]) < max(columns["state_of_charge"]) <= 1.0
    last = reduced("rural").rounds[-1]
    awake_j = 7 * 6 * 130.0 * last["time_s"]
    assert 75.0 / 130.0 * awake_j < last["energy_bs_static_j"] < awake_j
    assert last["carbon_g"] == pytest.approx(last["energy_j"] / 3.6e6 * 300.0, rel=1e-12)


def test_updates_of_the_factory_arrive_together() -> None:
    rounds: dict[tuple[int, int], list[float]] = {}
    for row in reduced("indoor_factory").participation:
        if row["outcome"] == "merged":
            key = row["base_station"], row["edge_round"]
            rounds.setdefault(key, []).append(row["finish_s"])
    spread_s = sorted(max(times) - min(times) for times in rounds.values() if len(times) == 2)
    assert spread_s[len(spread_s) // 2] < 1e-6  # most rounds have no straggler


def test_cars_change_cells_and_their_updates_find_the_way_home() -> None:
    result = reduced("highway")
    assert result.handovers is not None
    assert len(result.handovers.columns["time_s"]) > 0
    assert max(result.terminals.columns["away_s"]) > 0.0


def test_headsets_of_the_hotspot_send_gigabits_a_second() -> None:
    assert max(reduced("thz_hotspot").terminals.columns["uplink_bps"]) > 1e10


@pytest.mark.parametrize("name", names())
def test_a_preset_makes_a_network_that_learns(tmp_path: Path, name: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(PRESET.format(name=name, time_s=2000.0 if name == "fedcs2019" else 60.0))
    result = simulated(load_scenario(path))
    assert result.rounds[-1]["time_s"] > 0.0
    assert any(row["outcome"] == "merged" for row in result.participation)


def test_the_hierarchical_preset_uploads_in_the_published_time(tmp_path: Path) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(PRESET.format(name="hierfavg2020", time_s=60.0))
    network = ["terminals.per_base_station=10", "data.arguments.samples_per_task=300"]
    result = simulated(load_scenario(path, network))
    uploads_s = [row["upload_s"] for row in result.participation if row["outcome"] == "merged"]
    assert uploads_s == pytest.approx([0.1233] * len(uploads_s), rel=2e-3)
