"""One trial from its scenario to its tables, and what its results depend on: what all commands that simulate share."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scenarios.schema import Scenario
from scenarios.storage import SOMETIMES, TABLES, write_table
from scenarios.streams import Streams
from scenarios.traces import trace_bytes
from scenarios.trials import Trial, inputs_fingerprint

if TYPE_CHECKING:
    from learning.data.federate import Federation
    from learning.data.records import TaskRecords
    from netsim.result import Result

_REPORT_EVERY_S = 0.5


def simulate(trial: Trial, data: Federation, threads: int, report: Callable[[Any], None] | None = None) -> Result:
    """Simulate one method with one seed.

    Args:
        trial: what to simulate.
        data: its tasks, split and dealt to terminals.
        threads: of the compiled kernels.
        report: told now and then how far it is.
    """
    from learning.build import build_method, build_setting
    from netsim.engines import run
    from netsim.port import Method
    from netsim.world import build_ground

    gc.set_threshold(100_000, 50, 50)  # most objects of a trial live to its end: looking for garbage often finds none
    scenario, streams = trial.scenario, Streams(trial.seed)
    setting = build_setting(scenario, data, streams, trial.device)
    # The port hands a method's own plans back to it, which the type of a protocol cannot say.
    method = cast(Method, build_method(trial.method, scenario.methods[trial.method], setting))
    if "torch" in sys.modules:  # each loaded only by what needs it
        sys.modules["torch"].set_num_threads(threads)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    ground = build_ground(scenario, data.terminal_task, len(data.task_names), streams)
    return run(ground, method, list(data.task_names), None if report is None else _progress(method, report))


def write_tables(folder: Path, result: Result, stamp: Mapping[str, Any]) -> None:
    """Write what was recorded, and the timeline if there is one, into a folder."""
    for name in (*TABLES, *SOMETIMES):
        table = getattr(result, name)
        if table is not None:
            write_table(folder / f"{name}.parquet", columns(table), stamp)
    if result.trace is not None:
        (folder / "trace.json").write_text(json.dumps(result.trace), encoding="utf-8")


def columns(table: Any) -> Any:
    """Return a recorded table as columns by name, or rows as they were recorded."""
    from netsim.table import Chapters, Table

    return table.columns if isinstance(table, Table | Chapters) else table


def _progress(method: Any, report: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a listener that reports share done, clock, joules and gap, a few times a second."""
    last_s = time.perf_counter()

    def listen(row: Any) -> None:
        nonlocal last_s
        if time.perf_counter() - last_s < _REPORT_EVERY_S:
            return
        last_s = time.perf_counter()
        method.settle()
        gap = row.metrics.scalars.get("gap")
        report((row.share_spent, row.world["time_s"], row.world["energy_j"], gap))

    return listen


def inputs_of(scenario: Scenario, tasks: Sequence[TaskRecords]) -> str:
    """Return a hash of what results depend on besides the scenario: its data, and the code."""
    rows = [part.tobytes() for t in tasks for part in (t.features, t.labels, t.recording, t.start, t.stop)]
    rows += [part for t in tasks for part in (t.further.tobytes(), repr(t.targets).encode()) if t.targets]
    measured = trace_bytes(scenario.terminals.traces)
    return inputs_fingerprint([*(t.name.encode() for t in tasks), *rows, *measured, *_sources(scenario)])


def _sources(scenario: Scenario) -> list[bytes]:
    """Return what else results depend on: our code, modules that import paths name, files of places and movements."""
    from learning.data.user import import_object

    here = Path(__file__).parent
    rooms = ("channel_models", "learning", "netsim", "scenarios")
    files = [path for room in rooms for path in sorted((here / room).rglob("*.py"))]
    named = {"learning.model": scenario.learning.model}
    named |= {f"methods.{key}.use": entry.use or "" for key, entry in scenario.methods.items()}
    own = [import_object(path, field) for field, path in named.items() if ":" in path]
    modules = [sys.modules[made.__module__] for made in own]
    files += [Path(module.__file__) for module in modules if module.__file__]
    motion = scenario.mobility
    named_files: tuple[str | None, ...] = (scenario.network.layout.sites_csv, scenario.network.layout.terminals_csv)
    named_files += (None if motion is None else motion.trace_path, scenario.network.graph.edges_csv)
    files += [Path(path) for path in named_files if path is not None and Path(path).is_file()]
    return [path.read_bytes() for path in files]
