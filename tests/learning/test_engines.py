"""Every method in both engines: the same tables, and models that are equal to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netsim.cohort.engine
import netsim.engines
from learning.build import build_method
from netsim.recorder import Row
from netsim.result import Result
from netsim.world import build_ground
from tests.learning.driving import SCENARIO, UNRELIABLE, scenario_of, setting_for, simulated, weights_of
from tests.netsim.agreement import CLOSE, assert_agree

ROOT = Path(__file__).parents[2]
METHODS = tuple(SCENARIO["methods"])
Change = Mapping[str, Any]


def _run(engine: str, key: str, *changes: Change, seed: int = 0, told: list[Row] | None = None) -> tuple[Result, Any]:
    """Run one method of the small scenario in an engine; return what was recorded and the method in its last state."""
    scenario = scenario_of(*changes, {"engine": engine})
    setting = setting_for(scenario, seed)
    data = setting.federation
    method: Any = build_method(key, scenario.methods[key], setting)
    ground = build_ground(scenario, data.terminal_task, setting.tasks, setting.streams)
    on_cloud = None if told is None else told.append
    return netsim.engines.run(ground, method, list(data.task_names), on_cloud), method


def _assert_engines_agree(key: str, *changes: Change, seed: int = 0) -> Result:
    """Require that a method leaves the same behind whichever engine simulates its terminals."""
    (one, first), (other, second) = (_run(engine, key, *changes, seed=seed) for engine in ("process", "cohort"))
    assert_agree(one, other)
    _assert_tasks_agree(one.tasks, other.tasks)
    np.testing.assert_array_equal(weights_of(first), weights_of(second))
    assert weights_of(first).any()
    return other


def _assert_tasks_agree(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Require equal tables of scores, to rounding in the instants and joules at which they were measured."""
    assert [list(row) for row in one] == [list(row) for row in other] != []
    for name in dict.fromkeys(name for row in one for name in row):
        mine, theirs = ([row[name] for row in rows if name in row] for rows in (one, other))
        if any(isinstance(value, float) for value in mine):
            np.testing.assert_allclose(mine, theirs, rtol=CLOSE, atol=1e-13, err_msg=name)
        else:
            assert mine == theirs, name


# No rate ceiling and different batteries: which of two events at the same instant comes first is not defined.
CLEAR: dict[str, Any] = {"link": {"model": "shannon", "max_bit_s_hz": 30.0}}
TURNS: dict[str, Any] = {"network": CLEAR | {"uplink": {"share": "tdma"}}}
SLICES: dict[str, Any] = {"network": CLEAR | {"uplink": {"share": "ofdma", "min_slice_hz": 450e3}}}
ABSENT = UNRELIABLE["terminals"]
HARDWARE = [
    {"name": name, "cycles_per_sample": 1e6 * factor, "cpu_hz": 1e9 / factor, "battery_j": battery_j}
    for name, factor, battery_j in (("a", 1.0, 0.013), ("b", 1.3, 0.031), ("c", 1.7, 0.057), ("d", 2.9, None))
]
WORLDS: dict[str, dict[str, Any]] = {
    "calm": SLICES,
    "turns": TURNS | {"terminals": {"per_base_station": 3, "slowdown": {"kind": "lognormal"}}},
    "drop-outs": SLICES | {"terminals": {"per_base_station": 3, "dropout_probability": 0.3}},
    "absences and a deadline": SLICES | UNRELIABLE,
    "absences in turns": TURNS | {"terminals": ABSENT, "collection": {"scheduled_fraction": 0.5}},
    "the first that come": TURNS | {"terminals": ABSENT, "collection": {"policy": "first_k", "k_fraction": 0.4}},
    "batteries": SLICES | {"terminals": {"per_base_station": 3, "classes": HARDWARE}},
    "batteries and absences": TURNS | {"terminals": ABSENT | {"classes": HARDWARE}},
    "until nobody is left": TURNS | {"terminals": {"per_base_station": 3, "classes": HARDWARE[:1]}},
    "site on all the time": SLICES | {"base_stations": {"static_power": "always"}, "terminals": ABSENT},
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("key", METHODS)
def test_both_engines_leave_the_same_behind(key: str, world: str) -> None:
    result = _assert_engines_agree(key, WORLDS[world])
    assert sum(row["event"] == "edge" for row in result.rounds) > 3 or key == "local"


BUDGETS = {
    "time budget": ("time_s", 0.3),
    "energy budget": ("energy_j", 300.0),
    "bytes budget": ("bytes", 1e4),
    "cost budget": ("cost", 200.0),
    "energy budget of terminal": ("energy_per_terminal_j", 0.05),
}
SMALLER = {
    ("rhfedmtl", "energy budget of terminal"): 0.01,
    ("published", "time budget"): 0.1,
    ("published", "energy budget"): 3.0,
    ("published", "bytes budget"): 4e3,
    ("published", "energy budget of terminal"): 0.005,
    ("local", "energy budget"): 0.2,
}
KEPT = [("rhfedmtl", "energy budget"), ("rhfedmtl", "bytes budget"), ("rhfedmtl", "cost budget")]
KEPT += [("published", "cost budget"), ("local", "bytes budget")]
"""Budgets that last, because a plan keeps to them or because nothing is sent."""


@pytest.mark.parametrize("limit", BUDGETS)
@pytest.mark.parametrize("key", METHODS)
def test_both_engines_end_at_the_same_limit(key: str, limit: str) -> None:
    name, most = BUDGETS[limit]
    rest = {"cost": 500.0} if key == "published" else {}  # that rule plans with a cost budget alone
    budget = rest | {name: SMALLER.get((key, limit), most)}
    result = _assert_engines_agree(key, SLICES | {"terminals": ABSENT, "budget": budget}, seed=1)
    assert result.ended_by.startswith("plan complete" if (key, limit) in KEPT else limit)


def test_every_way_an_update_can_end_has_been_met() -> None:
    result, _ = _run("cohort", "hfedmtl", WORLDS["absences and a deadline"])
    assert {row["outcome"] for row in result.participation} == {"merged", "late", "dropped", "unavailable"}


@pytest.mark.parametrize("key", ["rhfedmtl", "local"])
def test_batteries_have_been_emptied_and_not_beyond(key: str) -> None:
    result, _ = _run("cohort", key, WORLDS["batteries"])
    battery_j: dict[str, Any] = {str(kind["name"]): kind["battery_j"] for kind in HARDWARE}
    mortal = [row for row in result.terminals if row["device_class"] != "d"]
    assert [row["energy_j"] for row in mortal] == pytest.approx([battery_j[row["device_class"]] for row in mortal])
    assert len(mortal) == 6
    left, _ = _run("cohort", key, WORLDS["until nobody is left"])
    assert left.ended_by.startswith("no terminal left")


@pytest.mark.parametrize("key", ["rhfedmtl", "fedavg", "local"])
def test_without_metrics_at_base_stations_the_models_are_the_same(key: str) -> None:
    quiet = {"output": {"edge_metrics": False}}
    _assert_engines_agree(key, WORLDS["absences and a deadline"], quiet)
    measured, unmeasured = (_run("cohort", key, *changes)[1] for changes in ([TURNS], [TURNS, quiet]))
    np.testing.assert_array_equal(weights_of(measured), weights_of(unmeasured))


@pytest.mark.parametrize("key", ["fedavg", "local"])
def test_both_engines_tell_of_every_cloud_aggregation(key: str) -> None:
    told: dict[str, list[Row]] = {"process": [], "cohort": []}
    for engine, rows in told.items():
        result, _ = _run(engine, key, SLICES, told=rows)
        clouds = [row for row in result.rounds if row["event"] == "cloud"]
        assert [row.world["time_s"] for row in rows] == [row["time_s"] for row in clouds] != []
    shares = [[row.share_spent for row in rows] for rows in told.values()]
    assert shares[0] == pytest.approx(shares[1], rel=CLOSE)


# Which engine -------------------------------------------------------------------------------------------------


def _noted(simulate: Callable[..., Result], name: str, ran: list[str]) -> Callable[..., Result]:
    """Return an engine that writes down its name when it runs."""

    def run(*arguments: Any) -> Result:
        ran.append(name)
        return simulate(*arguments)

    return run


def _chosen(engine: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return which engines ran when one was asked for."""
    ran: list[str] = []
    rooms: dict[str, tuple[Any, str]] = {
        "process": (netsim.engines, "simulate"),
        "cohort": (netsim.cohort.engine, "simulate_cohorts"),
    }
    for name, (room, function) in rooms.items():
        monkeypatch.setattr(room, function, _noted(getattr(room, function), name, ran))
    _run(engine, "fedavg")
    return ran


@pytest.mark.parametrize("engine", ["process", "cohort"])
@pytest.mark.parametrize("many", [8, 9])
def test_the_engine_that_is_asked_for_runs(engine: str, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netsim.engines, "MANY", many)
    assert _chosen(engine, monkeypatch) == [engine]


@pytest.mark.parametrize(("many", "expected"), [(8, "cohort"), (9, "process"), (None, "process")])
def test_left_alone_a_run_takes_cohorts_when_there_are_more_than_many_terminals(
    many: int | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert netsim.engines.MANY == 100_000
    if many is not None:
        monkeypatch.setattr(netsim.engines, "MANY", many)
    assert _chosen("auto", monkeypatch) == [expected]


def test_the_tests_own_way_of_running_is_that_of_processes() -> None:
    (one, first), (other, second) = _run("process", "fedavg"), simulated(scenario_of(), "fedavg")
    assert one.rounds == other.rounds
    np.testing.assert_array_equal(weights_of(first), weights_of(second))


# Threads ------------------------------------------------------------------------------------------------------

THREADS = """
import hashlib
from netsim.cohort import timing
from netsim.engines import run
from netsim.world import build_ground
from learning.build import build_method
from tests.learning.driving import fingerprint, scenario_of, setting_for, weights_of

calls, follow = [], timing.cloud_round
timing.cloud_round = lambda *arguments: (calls.append(arguments[-2:]), follow(*arguments))[1]
scenario = scenario_of({
    "engine": "cohort",
    "data": {"source": "synthetic", "arguments": {"tasks": 4, "samples_per_task": 600, "features": 3},
             "split": {"train_fraction": 0.5, "validation_fraction": 0.2, "test_fraction": 0.3}},
    "terminals": {"per_base_station": 100, "dropout_probability": 0.1, "slowdown": {"kind": "lognormal"},
                  "classes": [{"name": "device", "battery_j": 3.0}],
                  "availability": {"mean_on_s": 3.0, "mean_off_s": 1.0}},
    "collection": {"policy": "first_k"},
    "budget": {"time_s": 20.0, "energy_j": 2e4},
    "methods": {"hfedmtl": {"local_iterations": 3, "bs_iterations": 5}},
})
setting = setting_for(scenario)
method = build_method("hfedmtl", scenario.methods["hfedmtl"], setting)
ground = build_ground(scenario, setting.federation.terminal_task, setting.tasks, setting.streams)
result = run(ground, method, list(setting.federation.task_names))
assert len(result.participation) > 2000 and result.ended_by == "energy budget"
print(max(last - first for first, last in calls))
for name, text in fingerprint(result).items():
    print(name, hashlib.sha256(text.encode()).hexdigest())
print("models", hashlib.sha256(weights_of(method).tobytes()).hexdigest())
"""


def test_the_number_of_threads_changes_no_bit_of_any_table_or_model() -> None:
    printed = {}
    for threads in ("1", "2"):
        settings = {"NUMBA_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", THREADS],
            cwd=ROOT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        cells, *printed[threads] = done.stdout.splitlines()
        assert int(cells) == 4 // int(threads)  # a thread follows so many of the four cells
    assert printed["1"] == printed["2"]
    assert len(printed["1"]) == 6
