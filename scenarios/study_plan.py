"""From a study to the list of its runs: which there are, which of them are recorded, and what is told to workers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.errors import ScenarioError
from scenarios.loading import check
from scenarios.records import recorded
from scenarios.schema import Scenario
from scenarios.simulator import Simulator
from scenarios.study import Study, only, scenario_at
from scenarios.study_run import Recorder, Run, Shelf
from scenarios.trials import Trial


@dataclass(frozen=True)
class Planned:
    """A run of a study: number of its point, and what tells it from the others there."""

    point: int
    method: str
    seed: int
    fingerprint: str


@dataclass(frozen=True)
class Plan:
    """All runs of a study.

    Attributes:
        study: what is asked.
        base: the scenario's mapping, without the points' values.
        source: where it came from, for errors.
        points: values of the fields, one mapping a point.
        runs: in the order in which they are done: seeds side by side, so that all points grow together.
        first: the scenario of the first point.
        device: torch device.
    """

    study: Study
    base: Mapping[str, Any]
    source: str
    points: tuple[Mapping[str, Any], ...]
    runs: tuple[Planned, ...]
    first: Scenario
    device: str

    def scenario(self, run: Planned) -> Scenario:
        """Return the scenario of a run, with its method alone."""
        return only(scenario_at(self.base, self.points[run.point], self.source), run.method)


def make_plan(study: Study, base: Mapping[str, Any], source: str, device: str, recorder: Recorder) -> Plan:
    """Check every point of a study and find out which runs it has.

    Raises:
        ScenarioError: a point is no scenario, or a method, parameter, data set or file is unknown or unreadable.
    """
    shelf, runs = Shelf(recorder), []
    points = tuple(study.points())
    first = scenario_at(base, points[0], source)
    for number, point in enumerate(points):
        scenario = scenario_at(base, point, source)
        for method in methods_of(study, scenario, source):
            recorder.simulator.check_method(method, scenario.methods[method])
            alone = only(scenario, method)
            inputs = shelf.inputs(alone)
            for seed in seeds_of(study, scenario):
                runs.append(Planned(number, method, seed, Trial(alone, method, seed, device).fingerprint(inputs)))
    runs.sort(key=lambda run: run.seed)  # stable: within a seed by point and method, which share data
    return Plan(study, base, source, points, tuple(runs), first, device)


def methods_of(study: Study, scenario: Scenario, source: str = "") -> tuple[str, ...]:
    """Return the methods a study compares."""
    for name in (*(study.methods or ()), *([study.flagship] if study.flagship else [])):
        if name not in scenario.methods:
            raise ScenarioError("methods", name, "among " + ", ".join(scenario.methods), source)
    return study.methods or tuple(scenario.methods)


def seeds_of(study: Study, scenario: Scenario) -> tuple[int, ...]:
    """Return the seeds of every point."""
    if study.seeds is None:
        return scenario.seed_list
    return tuple(range(study.seeds)) if isinstance(study.seeds, int) else study.seeds


def missing_runs(plan: Plan, records: Path, tables: Path | None, skipped: set[str]) -> list[Planned]:
    """Return the runs to do, each fingerprint once: settings that do not touch a method do not make it run again."""
    found: dict[str, Planned] = {}
    for run in plan.runs:
        there = recorded(records, run.fingerprint) and (tables is None or (tables / run.fingerprint).is_dir())
        if not there and run.fingerprint not in skipped:
            found.setdefault(run.fingerprint, run)
    return list(found.values())


def jobs(plan: Plan, runs: list[Planned], records: Path, tables: Path | None) -> Iterator[tuple[str, Run]]:
    """Yield what workers are told, made when it is needed: ten thousand scenarios would not fit into memory well."""
    for run in runs:
        tree = plan.scenario(run).model_dump(mode="json")
        where = str(records.resolve()), None if tables is None else str(tables.resolve())
        yield run.fingerprint, Run(tree, run.method, run.seed, plan.device, run.fingerprint, *where, str(Path.cwd()))


def index_of(plan: Plan) -> pd.DataFrame:
    """Return one row a run: its point and the values there, method, seed and the name of its record."""
    axes = [axis for group in plan.study.axes for axis in group]
    columns: dict[str, Any] = {"point": [run.point for run in plan.runs]}
    for axis in axes:
        values = [plan.points[run.point][axis.field] for run in plan.runs]
        numbers = all(isinstance(step, int | float) and not isinstance(step, bool) for step in axis.steps)
        columns[axis.field] = [float(value) if numbers else as_text(value) for value in values]
    for name in ("method", "seed", "fingerprint"):
        columns[name] = [getattr(run, name) for run in plan.runs]
    return pd.DataFrame(columns)


def as_text(value: Any) -> str:
    """Return a value as a reader would write it."""
    return value if isinstance(value, str) else json.dumps(value)


def warm_up(plan: Plan, runs: list[Planned], simulator: Simulator) -> None:
    """Compile what the runs need in this process, once; workers find it in the compiler's cache.

    Each method meets each kind of learning problem in a world of two tasks.
    """
    met = set()
    for run in runs[: len(plan.points) * len(methods_of(plan.study, plan.first))]:
        scenario = plan.scenario(run).learned_by(run.method)
        problem = scenario.learning.loss, scenario.learning.precision, scenario.learning.model, run.method
        if problem in met:
            continue
        met.add(problem)
        tree = {
            "name": "small",
            "data": {"source": "synthetic", "arguments": {"tasks": 2, "samples_per_task": 40, "features": 3}},
            "learning": scenario.learning.model_dump(mode="json"),
            "terminals": {"per_base_station": 2},
            "budget": {"cost": 300.0},
            "methods": {run.method: scenario.methods[run.method].model_dump(mode="json")},
        }
        with contextlib.suppress(Exception):  # what is wrong with a method, its own runs will say
            small = check(tree)
            federation = simulator.federation(small, simulator.tasks(small), 0)
            simulator.simulate(Trial(small, run.method, 0, plan.device), federation, threads=1)
