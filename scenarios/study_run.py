"""One run of a study, done in a worker process of a cluster: simulated, reduced to its curve, recorded."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from scenarios.errors import ScenarioError
from scenarios.loading import check
from scenarios.records import recorded, write_record
from scenarios.schema import Scenario
from scenarios.simulator import Simulator
from scenarios.storage import new_folder
from scenarios.tables import columns, write_tables
from scenarios.trials import Trial, inputs_fingerprint

CurveOf = Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, dict[str, Any]]]
"""From tables of rounds and tasks to a curve and a summary."""

_DATA_SETS, _FEDERATIONS, _INPUTS = 2, 4, 64
_ONE_AT_A_TIME = threading.Lock()  # the compiled kernels have threads of their own and bear no company


@dataclass(frozen=True)
class Run:
    """A run as a worker needs it.

    Attributes:
        scenario: resolved, with one method, as a plain mapping.
        method, seed, device: the trial.
        fingerprint: what its record will be called.
        records: folder of all records.
        tables: folder for all tables of every run, None to keep only curves.
        folder: working directory that relative paths and own modules refer to.
    """

    scenario: dict[str, Any]
    method: str
    seed: int
    device: str
    fingerprint: str
    records: str
    tables: str | None
    folder: str


@dataclass(frozen=True)
class Outcome:
    """What a worker tells of a run: seconds of a core, and if it failed, why and whether it would fail again."""

    fingerprint: str
    core_s: float
    problem: str | None = None
    lasting: bool = False


@dataclass(frozen=True)
class Recorder:
    """How records are made of runs; sent to workers by the names of its parts.

    Attributes:
        simulator: simulates a run.
        curve_of: an importable function that reduces its tables to a curve and a summary.
        modules: names of the modules that define these, with what they use elsewhere: their code is part of what a
            record depends on.
    """

    simulator: Simulator
    curve_of: CurveOf
    modules: tuple[str, ...]

    def code(self) -> str:
        """Return a hash of the modules."""
        files = [importlib.import_module(name).__file__ for name in self.modules]
        return inputs_fingerprint(Path(file).read_bytes() for file in files if file is not None)


class Shelf:
    """Data sets that are used again and again; only the latest few are kept."""

    def __init__(self, recorder: Recorder) -> None:
        self._simulator, self._code = recorder.simulator, recorder.code()
        self._tasks: OrderedDict[str, Any] = OrderedDict()
        self._federations: OrderedDict[str, Any] = OrderedDict()
        self._inputs: OrderedDict[str, Any] = OrderedDict()

    def tasks(self, scenario: Scenario) -> Any:
        """Return the tasks of a scenario."""
        key = [_plain(scenario.data), scenario.learning.loss]
        return _kept(self._tasks, _DATA_SETS, key, lambda: self._simulator.tasks(scenario))

    def federation(self, scenario: Scenario, seed: int) -> Any:
        """Return the tasks, split and dealt to the terminals of a seed."""
        key = [_plain(scenario.data), scenario.learning.loss, scenario.terminals.per_base_station, seed]

        def make() -> Any:
            return self._simulator.federation(scenario, self.tasks(scenario), seed)

        return _kept(self._federations, _FEDERATIONS, key, make)

    def inputs(self, scenario: Scenario) -> str:
        """Return the hash of what runs of a scenario depend on besides it: data, code and record."""
        # Whatever else is read, a file or a module, is named in the scenario: by a text.
        key = [_plain(scenario.data), scenario.learning.loss, *_texts(scenario.model_dump(mode="json"))]

        def make() -> str:
            return self._code + self._simulator.inputs(scenario, self.tasks(scenario))

        found: str = _kept(self._inputs, _INPUTS, key, make)
        return found


def _kept(shelf: OrderedDict[str, Any], most: int, key: Any, make: Callable[[], Any]) -> Any:
    name = json.dumps(key, sort_keys=True)
    if name not in shelf:
        shelf[name] = make()
        if len(shelf) > most:
            shelf.popitem(last=False)
    shelf.move_to_end(name)
    return shelf[name]


def _plain(section: BaseModel) -> Any:
    return section.model_dump(mode="json")


def _texts(tree: Any) -> Iterator[str]:
    """Yield all texts in a plain tree."""
    if isinstance(tree, dict | list):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(part)
    elif isinstance(tree, str):
        yield tree


@cache
def _shelf(recorder: Recorder) -> Shelf:
    """Return the shelf of this process."""
    return Shelf(recorder)


def do_run(recorder: Recorder, run: Run) -> Outcome:
    """Simulate a run and write its record; every error becomes part of the answer."""
    started_s = time.process_time()

    def outcome(problem: str | None = None, lasting: bool = False) -> Outcome:
        return Outcome(run.fingerprint, time.process_time() - started_s, problem, lasting)

    with _ONE_AT_A_TIME:
        try:
            os.chdir(run.folder)
            if run.folder not in sys.path:
                sys.path.insert(0, run.folder)  # import paths in a scenario are the user's own modules
            if not done(run):  # it is, if it was told to a worker that died before it could answer
                _record(recorder, run)
        except ScenarioError as error:
            return outcome(str(error), lasting=True)
        except (OSError, MemoryError):  # the disk, the machine: another time it may go well
            return outcome(traceback.format_exc())
        except Exception:
            return outcome(traceback.format_exc(), lasting=True)
    return outcome()


def done(run: Run) -> bool:
    """Return whether all that a run leaves behind is there."""
    tables = run.tables is None or (Path(run.tables) / run.fingerprint).is_dir()
    return tables and recorded(Path(run.records), run.fingerprint)


def _record(recorder: Recorder, run: Run) -> None:
    scenario, shelf = check(run.scenario), _shelf(recorder)
    trial = Trial(scenario, run.method, run.seed, run.device)
    if trial.fingerprint(shelf.inputs(scenario)) != run.fingerprint:
        raise OSError("this worker has other code or other data than the process that planned the study")
    result = recorder.simulator.simulate(trial, shelf.federation(scenario, run.seed), threads=1)
    if run.tables is not None:
        with new_folder(Path(run.tables) / run.fingerprint) as folder:
            write_tables(folder, result, {"method": run.method, "seed": run.seed})
    rounds, tasks = pd.DataFrame(columns(result.rounds)), pd.DataFrame(columns(result.tasks))
    curve, summary = recorder.curve_of(rounds, tasks)
    budget = scenario.budget.model_dump(mode="json")
    known = {"method": run.method, "seed": run.seed, "fingerprint": run.fingerprint, "scenario": scenario.name}
    summary = {**known, "ended_by": result.ended_by, "budget": budget, **summary}
    write_record(Path(run.records), run.fingerprint, curve, summary)
