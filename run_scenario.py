"""Run a scenario: ``python run_scenario.py scenarios/urban.yaml``.

Simulates every method with every seed, keeps what is finished, and writes tables, figures and a report.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run_trial import inputs_of, simulate, write_tables
from scenarios.command_line import OneLineParser
from scenarios.errors import ScenarioError
from scenarios.loading import check, load_scenario, resolved_yaml
from scenarios.schema import Scenario
from scenarios.storage import (
    SOMETIMES,
    TABLES,
    join_tables,
    new_file,
    new_folder,
    write_json,
    write_table,
    write_text,
)
from scenarios.streams import Streams
from scenarios.trials import VERSION, Trial
from scenarios.workers import Message, cores, run_jobs

if TYPE_CHECKING:
    from learning.data.federate import Federation

_PRELOAD = (
    "learning.build",
    "learning.primal_dual.kernel_solver",
    "netsim.simulation",
    "netsim.world",
    "pandas",
    "pyarrow.parquet",
)


@dataclass(frozen=True)
class Job:
    """A trial as a worker process needs it: with its data and its place on disk."""

    trial: Trial
    federation: Federation
    fingerprint: str
    root: Path
    threads: int


def run_trial(job: Job, report: Callable[[Any], None]) -> dict[str, Any]:
    """Simulate one method with one seed and store its tables; runs in a worker process.

    Returns:
        What run.json says about the trial.
    """
    trial = job.trial
    started_s = time.perf_counter()
    result = simulate(trial, job.federation, job.threads, report)
    summary = {
        "method": trial.method,
        "seed": trial.seed,
        "ended_by": result.ended_by,
        **result.totals,
        "wall_s": time.perf_counter() - started_s,
    }
    with new_folder(job.root / trial.name) as folder:
        write_tables(folder, result, {"method": trial.method, "seed": trial.seed})
        write_json(folder / "trial.json", summary | {"fingerprint": job.fingerprint})
    return summary


def command_line(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ScenarioError: an option is unknown or its value impossible.
    """
    parser = OneLineParser(prog="run_scenario.py", description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("scenario", type=Path, nargs="?", help="YAML file, e.g. scenarios/urban.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change a field; repeatable"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="use seeds 0 .. N-1")
    parser.add_argument("--methods", metavar="A,B", help="run only these methods of the scenario")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the maths runs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="result folder (default: results/NAME)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--no-report", action="store_true", help="write tables only")
    parser.add_argument("--list-methods", action="store_true", help="print the methods that can be used, and stop")
    parser.add_argument("--list-presets", action="store_true", help="print the set-ups a scenario can name, and stop")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of scenario files, and stop")
    options = parser.parse_args(arguments)
    if options.scenario is None and not (options.list_methods or options.list_presets or options.schema):
        raise ScenarioError("scenario", None, "a YAML file, e.g. scenarios/urban.yaml")
    for name in ("seeds", "workers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ScenarioError(f"--{name}", value, "a whole number, at least 1")
    return options


def resolve(options: argparse.Namespace) -> Scenario:
    """Return the scenario with all options applied."""
    scenario = load_scenario(options.scenario, options.set)
    tree = scenario.model_dump(mode="json")
    if options.seeds is not None:
        tree["seeds"] = options.seeds
    if options.methods is not None:
        wanted = [name.strip() for name in options.methods.split(",")]
        for name in wanted:
            if name not in scenario.methods:
                raise ScenarioError("--methods", name, "among " + ", ".join(scenario.methods))
        tree["methods"] = {name: tree["methods"][name] for name in wanted}
        if tree["flagship"] not in wanted:
            tree["flagship"] = None
    return check(tree, str(options.scenario))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    from analysis.console import Console

    console = Console()
    sys.path.insert(0, os.getcwd())  # import paths in a scenario are the user's own modules
    try:
        options = command_line(sys.argv[1:] if arguments is None else arguments)
        console.quiet = options.quiet
        if options.list_methods:
            return list_methods()
        if options.list_presets:
            return list_presets()
        if options.schema:
            return print_schema()
        scenario = resolve(options)
        root = options.out or Path("results") / scenario.name
        return run(scenario, root, options, console)
    except ScenarioError as error:
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        console.error("interrupted; finished trials are kept: run the same command again to go on")
        return 130
    except OSError as error:
        console.error(f"cannot write results: {error.strerror or error}: {error.filename or ''}")
        return 1


def run(scenario: Scenario, root: Path, options: argparse.Namespace, console: Any) -> int:
    """Run what has not been run yet, then join tables and write the report."""
    from learning.build import build_federation, check_method, choose_device, load_tasks

    started_s = time.perf_counter()
    device = choose_device(options.device)
    for key, entry in scenario.methods.items():
        check_method(key, entry)
    tasks = load_tasks(scenario.data, scenario.learning.loss, Streams(0))
    inputs = inputs_of(scenario, tasks)
    federations = {seed: build_federation(scenario, tasks, Streams(seed)) for seed in scenario.seed_list}
    trials = [Trial(scenario, method, seed, device) for seed in scenario.seed_list for method in scenario.methods]
    folder = root / "trials"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [trial for trial in trials if not trial.finished(folder, inputs)]
    workers = 1 if device == "cuda" else min(options.workers or cores(), max(1, len(missing)))
    threads = max(1, cores() // workers)
    jobs = [Job(t, federations[t.seed], t.fingerprint(inputs), folder, threads) for t in missing]
    failed = _run_jobs(jobs, workers, len(trials) - len(missing), console)
    finished = [trial for trial in trials if trial.finished(folder, inputs)]
    if finished:
        _collect(scenario, root, finished, federations, time.perf_counter() - started_s)
        if not options.no_report:
            from analysis.report import write_report

            console.done(write_report(root))
    return 1 if failed else 0


def _run_jobs(jobs: list[Job], workers: int, reused: int, console: Any) -> int:
    """Run jobs with progress on the console; return how many failed."""
    failed = 0
    names = [job.trial.name for job in jobs]
    with_torch = any(job.trial.device != "cpu" or job.trial.scenario.learning.model != "linear" for job in jobs)
    preload = (*_PRELOAD, "torch") if with_torch else _PRELOAD
    with console.progress(names, reused) as show:
        for message in run_jobs(run_trial, jobs, workers, preload):
            if message.kind == "refused":
                raise message.content
            if message.kind == "failed":
                failed += 1
                _keep_failure(jobs[message.job], message, console)
            show(message.job, message.kind, message.content)
    return failed


def _keep_failure(job: Job, message: Message, console: Any) -> None:
    """Say in one line that a trial failed, and keep the traceback for whoever looks into it."""
    path = job.root / f"{job.trial.name}.error.txt"
    write_text(path, str(message.content))
    console.error(f"trial {job.trial.name} failed: {str(message.content).strip().splitlines()[-1]} (details: {path})")


def _collect(
    scenario: Scenario, root: Path, finished: list[Trial], federations: Mapping[int, Federation], wall_s: float
) -> None:
    """Join the tables of all finished trials and describe the run."""
    from learning.methods.registry import find, summary
    from scenarios.storage import read_json

    folders = [root / "trials" / trial.name for trial in finished]
    for name in TABLES:
        join_tables(folders, root, name)
    for name in SOMETIMES:
        having = [folder for folder in folders if (folder / f"{name}.parquet").is_file()]
        if having:
            join_tables(having, root, name)
    _write_references(scenario, root, federations)
    _write_coverage(scenario, root, len(federations[finished[0].seed].task_names))
    records = [read_json(folder / "trial.json") or {} for folder in folders]
    methods = []
    for key, entry in scenario.methods.items():
        kind = find(entry.use or key)
        settings = ", ".join(f"{name} {value}" for name, value in entry.parameters.items())
        description = summary(kind).partition(": ")[2] + (f" Here: {settings}." if settings else "")
        methods.append({"key": key, "label": entry.label or kind.label, "description": description})
    limits = scenario.budget
    write_text(root / "scenario.yaml", resolved_yaml(scenario))
    write_json(
        root / "run.json",
        {
            "scenario": scenario.name,
            "title": scenario.title or scenario.name,
            "description": scenario.description,
            "version": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()},
            "versions": {
                name: metadata.version(name) for name in ("numpy", "scipy", "torch", "simpy", "numba", "pandas")
            },
            "wall_time_s": wall_s,
            "seeds": list(scenario.seed_list),
            "methods": methods,
            "flagship": scenario.flagship or next(iter(scenario.methods)),
            "budget": {
                name: getattr(limits, name) for name in ("time_s", "energy_j", "energy_per_terminal_j", "bytes", "cost")
            },
            "trials": [{key: value for key, value in record.items() if key != "fingerprint"} for record in records],
        },
    )


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
