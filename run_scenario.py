"""Run a scenario: ``python run_scenario.py scenarios/urban.yaml``.

Simulates every method with every seed, keeps what is finished, and writes tables, figures and a report. This is where
the rooms are put together: what else asks for runs gets them from :class:`NetworkSimulator`.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scenarios.command_line import exit_code
from scenarios.errors import ScenarioError
from scenarios.options import command_line, resolve
from scenarios.schema import Method, Scenario
from scenarios.simulator import Simulator
from scenarios.storage import new_file
from scenarios.streams import Streams
from scenarios.traces import trace_bytes
from scenarios.trials import Trial, inputs_fingerprint
from scenarios.workers import cores

if TYPE_CHECKING:
    from analysis.console import Console
    from learning.data.federate import Federation
    from learning.data.records import TaskRecords
    from netsim.result import Result

_PRELOAD = (
    "learning.build",
    "learning.primal_dual.kernel_solver",
    "netsim.simulation",
    "netsim.world",
    "pandas",
    "pyarrow.parquet",
)
_REPORT_EVERY_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: _main(given), "trials")


def _main(arguments: Sequence[str]) -> int:
    from analysis.console import Console

    console = Console()
    options = command_line(arguments, __doc__.split("\n\n")[0] if __doc__ else "")
    console.quiet = options.quiet
    if options.list_methods:
        return list_methods()
    if options.list_presets:
        return list_presets()
    if options.schema:
        return print_schema()
    scenario = resolve(options)
    return run(scenario, options.out or Path("results") / scenario.name, options, console)


def run(scenario: Scenario, root: Path, options: argparse.Namespace, console: Console) -> int:
    """Run what has not been run yet, then join tables and write the report."""
    from learning.references import chance_levels
    from scenarios.comparison import Job, collect, run_trials

    started_s = time.perf_counter()
    simulator: Simulator = NetworkSimulator()
    device = simulator.device(options.device)
    for key, entry in scenario.methods.items():
        simulator.check_method(key, entry)
    tasks = simulator.tasks(scenario)
    inputs = simulator.inputs(scenario, tasks)
    federations = {seed: simulator.federation(scenario, tasks, seed) for seed in scenario.seed_list}
    trials = [Trial(scenario, method, seed, device) for seed in scenario.seed_list for method in scenario.methods]
    folder = root / "trials"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [trial for trial in trials if not trial.finished(folder, inputs)]
    workers = 1 if device == "cuda" else min(options.workers or cores(), max(1, len(missing)))
    threads = max(1, cores() // workers)
    jobs = [Job(simulator, t, federations[t.seed], t.fingerprint(inputs), folder, threads) for t in missing]
    with_torch = device != "cpu" or any(scenario.learned_by(key).learning.model != "linear" for key in scenario.methods)
    preload = (*_PRELOAD, "torch") if with_torch else _PRELOAD
    failed = run_trials(jobs, workers, len(trials) - len(missing), preload, console)
    finished = [trial for trial in trials if trial.finished(folder, inputs)]
    if finished:
        _write_references(scenario, root, federations)
        _write_coverage(scenario, root, len(federations[finished[0].seed].task_names))
        chance = chance_levels(federations[finished[0].seed])
        collect(scenario, root, finished, _methods_of(scenario), chance, time.perf_counter() - started_s)
        if not options.no_report:
            from analysis.report import write_report

            console.done(write_report(root))
    return 1 if failed else 0


@dataclass(frozen=True)
class NetworkSimulator:
    """The simulator: learning runs on the network; see :class:`scenarios.simulator.Simulator`.

    Rooms are imported when they are needed: listing methods takes no network, planning no kernels.
    """

    def device(self, wanted: str) -> str:
        """Return the torch device for a wish of "auto", "cpu" or "cuda"."""
        from learning.build import choose_device

        return choose_device(wanted)

    def check_method(self, key: str, entry: Method) -> None:
        """Raise a ScenarioError if a method or one of its parameters is unknown."""
        from learning.build import check_method

        check_method(key, entry)

    def label(self, key: str, entry: Method) -> str:
        """Return what readers call a method."""
        from learning.methods.registry import find

        return entry.label or find(entry.use or key).label

    def fits_cohorts(self, scenario: Scenario) -> bool:
        """Return whether terminals can be simulated in cohorts."""
        from netsim.engines import needs_processes

        return needs_processes(scenario) is None

    def tasks(self, scenario: Scenario) -> Sequence[TaskRecords]:
        """Load the data of a scenario."""
        from learning.build import load_tasks

        return load_tasks(scenario.data, scenario.learning.loss, Streams(0))

    def federation(self, scenario: Scenario, tasks: Sequence[TaskRecords], seed: int) -> Federation:
        """Split tasks and deal them to the terminals of a seed."""
        from learning.build import build_federation

        return build_federation(scenario, tasks, Streams(seed))

    def inputs(self, scenario: Scenario, tasks: Sequence[TaskRecords]) -> str:
        """Return a hash of what results depend on besides the scenario: its data, and the code."""
        rows = [part.tobytes() for t in tasks for part in (t.features, t.labels, t.recording, t.start, t.stop)]
        rows += [part for t in tasks for part in (t.further.tobytes(), repr(t.targets).encode()) if t.targets]
        measured = trace_bytes(scenario.terminals.traces)
        return inputs_fingerprint([*(t.name.encode() for t in tasks), *rows, *measured, *_sources(scenario)])

    def simulate(
        self, trial: Trial, federation: Federation, threads: int, report: Callable[[Any], None] | None = None
    ) -> Result:
        """Simulate one method with one seed."""
        from learning.build import build_method, build_setting
        from netsim.engines import run
        from netsim.port import Method
        from netsim.world import build_ground

        gc.set_threshold(100_000, 50, 50)  # most objects of a trial live to its end: there is little garbage to find
        scenario, streams = trial.scenario.learned_by(trial.method), Streams(trial.seed)
        names = list(federation.task_names)
        ground = build_ground(scenario, federation.terminal_task, len(names), streams)
        with _naming(trial.method, scenario.methods[trial.method]):
            setting = build_setting(scenario, federation, streams, trial.device, heads_only=ground.heads_only)
            # The port hands a method's own plans back to it, which the type of a protocol cannot say.
            method = cast(Method, build_method(trial.method, scenario.methods[trial.method], setting))
        _use_threads(threads)
        return run(ground, method, names, None if report is None else _progress(method, report))


@contextmanager
def _naming(key: str, entry: Method) -> Iterator[None]:
    """Let errors in a model that a method states itself name the field it is stated in."""
    try:
        yield
    except ScenarioError as error:
        if entry.model is None or not error.field.startswith("learning.model"):
            raise
        field = error.field.replace("learning", f"methods.{key}", 1)
        raise ScenarioError(field, error.value, error.allowed, error.source) from None


def _use_threads(threads: int) -> None:
    """Tell the libraries of the kernels, of which only those are loaded that are needed."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


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


def _sources(scenario: Scenario) -> list[bytes]:
    """Return what else results depend on: our code, modules that import paths name, files of places and movements."""
    from learning.data.user import import_object

    here = Path(__file__).parent
    rooms = ("channel_models", "learning", "netsim", "scenarios")
    files = [path for room in rooms for path in sorted((here / room).rglob("*.py"))]
    named = {"learning.model": scenario.learning.model}
    named |= {f"methods.{key}.use": entry.use or "" for key, entry in scenario.methods.items()}
    named |= {f"methods.{key}.model": entry.model or "" for key, entry in scenario.methods.items()}
    own = [import_object(path, field) for field, path in named.items() if ":" in path]
    modules = [sys.modules[made.__module__] for made in own]
    files += [Path(module.__file__) for module in modules if module.__file__]
    motion = scenario.mobility
    named_files: tuple[str | None, ...] = (scenario.network.layout.sites_csv, scenario.network.layout.terminals_csv)
    named_files += (None if motion is None else motion.trace_path, scenario.network.graph.edges_csv)
    files += [Path(path) for path in named_files if path is not None and Path(path).is_file()]
    return [path.read_bytes() for path in files]


def _methods_of(scenario: Scenario) -> list[dict[str, str]]:
    """Return key, label and description of every method."""
    from learning.methods.registry import find, summary

    methods = []
    for key, entry in scenario.methods.items():
        kind = find(entry.use or key)
        stated = ({} if entry.model is None else {"model": entry.model} | entry.model_arguments) | entry.parameters
        settings = ", ".join(f"{name} {value}" for name, value in stated.items())
        description = summary(kind).partition(": ")[2] + (f" Here: {settings}." if settings else "")
        methods.append({"key": key, "label": entry.label or kind.label, "description": description})
    return methods


def _write_references(scenario: Scenario, root: Path, federations: Mapping[int, Federation]) -> None:
    """Write the centralised reference lines, for classification with a linear model and no declared targets."""
    import pandas as pd

    from learning.primal_dual.losses import make_loss
    from learning.references import references

    if any(federation.targets for federation in federations.values()):
        (root / "references.parquet").unlink(missing_ok=True)
        return
    problem = scenario.learning
    loss = make_loss(problem.loss, problem.smoothing)
    rows = [
        {"seed": seed, **row}
        for seed, federation in federations.items()
        for row in references(federation, loss, problem.lambda1, problem.lambda2)
    ]
    with new_file(root / "references.parquet") as temporary:
        pd.DataFrame(rows).to_parquet(temporary, index=False)


def _write_coverage(scenario: Scenario, root: Path, sites: int) -> None:
    """Write what places receive in the network of the first seed."""
    from netsim.coverage import coverage_columns, coverage_map
    from scenarios.tables import write_table

    seed = scenario.seed_list[0]
    coverage = coverage_map(scenario.network, sites, Streams(seed))
    if coverage is not None:
        with new_file(root / "coverage.parquet") as temporary:
            write_table(temporary, coverage_columns(coverage), {"seed": seed})


def list_methods() -> int:
    """Print every method with what it is and its parameters."""
    from learning.methods import registry

    for name in registry.names():
        kind = registry.find(name)
        print(f"{name}: {registry.summary(kind)}")
        print("    " + ", ".join(registry.parameter_texts(kind)))
    return 0


def list_presets() -> int:
    """Print every preset with what it is: the comment its file begins with."""
    from scenarios.presets import summaries

    for name, summary in summaries().items():
        print(f"{name}: {summary}")
    return 0


def print_schema() -> int:
    """Print the JSON Schema of scenario files, methods' parameters included."""
    from learning.methods.registry import scenario_schema

    print(json.dumps(scenario_schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
