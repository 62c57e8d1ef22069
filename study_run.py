"""One run of a study, done in a worker process of a cluster: simulated, reduced to its curve, recorded."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel

from run_trial import columns, inputs_of, simulate, write_tables
from scenarios.errors import ScenarioError
from scenarios.loading import check
from scenarios.records import recorded, write_record
from scenarios.schema import Scenario
from scenarios.storage import new_folder
from scenarios.streams import Streams
from scenarios.trials import Trial, inputs_fingerprint

if TYPE_CHECKING:
    from learning.data.federate import Federation
    from learning.data.records import TaskRecords

_DATA_SETS, _FEDERATIONS, _INPUTS = 2, 4, 64
_MAKERS = ("run_trial.py", "study_run.py", "analysis/curves.py", "analysis/tradeoff/curve.py")
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


class Shelf:
    """Data sets that are used again and again; only the latest few are kept."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[str, Any] = OrderedDict()
        self._federations: OrderedDict[str, Any] = OrderedDict()
        self._inputs: OrderedDict[str, Any] = OrderedDict()

    def tasks(self, scenario: Scenario) -> Sequence[TaskRecords]:
        """Return the tasks of a scenario."""
        from learning.build import load_tasks

        def load() -> Sequence[TaskRecords]:
            return load_tasks(scenario.data, scenario.learning.loss, Streams(0))

        return _kept(self._tasks, _DATA_SETS, [_plain(scenario.data), scenario.learning.loss], load)

    def federation(self, scenario: Scenario, seed: int) -> Federation:
        """Return the tasks, split and dealt to the terminals of a seed."""
        from learning.build import build_federation

        key = [_plain(scenario.data), scenario.learning.loss, scenario.terminals.per_base_station, seed]
        return _kept(
            self._federations,
            _FEDERATIONS,
            key,
            lambda: build_federation(scenario, self.tasks(scenario), Streams(seed)),
        )

    def inputs(self, scenario: Scenario) -> str:
        """Return the hash of what runs of a scenario depend on besides it: data, code and record."""
        # Whatever else is read, a file or a module, is named in the scenario: by a text.
        key = [_plain(scenario.data), scenario.learning.loss, *_texts(scenario.model_dump(mode="json"))]
        return _kept(self._inputs, _INPUTS, key, lambda: _makers() + inputs_of(scenario, self.tasks(scenario)))


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
def _makers() -> str:
    """Return a hash of the code that makes a record of what was simulated."""
    here = Path(__file__).parent
    return inputs_fingerprint((here / name).read_bytes() for name in _MAKERS)


@cache
def _shelf() -> Shelf:
    """Return the shelf of this process."""
    return Shelf()


def do_run(run: Run) -> Outcome:
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
                _record(run)
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


def _record(run: Run) -> None:
    from analysis.tradeoff.curve import run_curve

    scenario = check(run.scenario)
    trial = Trial(scenario, run.method, run.seed, run.device)
    if trial.fingerprint(_shelf().inputs(scenario)) != run.fingerprint:
        raise OSError("this worker has other code or other data than the process that planned the study")
    result = simulate(trial, _shelf().federation(scenario, run.seed), threads=1)
    if run.tables is not None:
        with new_folder(Path(run.tables) / run.fingerprint) as folder:
            write_tables(folder, result, {"method": run.method, "seed": run.seed})
    rounds, tasks = pd.DataFrame(columns(result.rounds)), pd.DataFrame(columns(result.tasks))
    curve, summary = run_curve(rounds, tasks)
    budget = scenario.budget.model_dump(mode="json")
    known = {"method": run.method, "seed": run.seed, "fingerprint": run.fingerprint, "scenario": scenario.name}
    summary = {**known, "ended_by": result.ended_by, "budget": budget, **summary}
    write_record(Path(run.records), run.fingerprint, curve, summary)
