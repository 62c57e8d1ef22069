"""Run a study: ``python -m analysis.tradeoff STUDY.yaml``.

Does the runs that are not recorded yet, on a Dask cluster, and writes tables and figures about all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from analysis.tradeoff.curve import run_curve
from run_scenario import NetworkSimulator
from scenarios.cluster import open_cluster, work_through
from scenarios.command_line import OneLineParser, at_least_one, exit_code
from scenarios.records import sweep
from scenarios.storage import new_file, read_json, write_json
from scenarios.study import Study, load_base, load_study
from scenarios.study_plan import Plan, Planned, index_of, jobs, make_plan, methods_of, missing_runs, warm_up
from scenarios.study_run import Outcome, Recorder, do_run
from scenarios.trials import VERSION
from scenarios.workers import cores

SIMULATOR = NetworkSimulator()  # makes the records, which are all that is analysed
RECORDER = Recorder(SIMULATOR, run_curve, ("run_scenario", "analysis.curves", "analysis.tradeoff.curve"))


def command_line(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ScenarioError: an option is unknown or its value impossible.
    """
    parser = OneLineParser(prog="python -m analysis.tradeoff", description=__doc__)
    parser.add_argument("study", type=Path, help="YAML file, or the folder of a study: then nothing is run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change a field of the scenario"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="use seeds 0 .. N-1")
    parser.add_argument("--methods", metavar="A,B", help="run only these methods")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that is there already")
    parser.add_argument("--workers", type=int, metavar="N", help="processes of our own (default: one per core)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="where the maths runs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="result folder (default: results/studies/NAME)")
    parser.add_argument("--records", type=Path, metavar="DIR", help="folder of records, may be shared by studies")
    parser.add_argument("--retry", action="store_true", help="try again what failed before")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--no-report", action="store_true", help="run only")
    options = parser.parse_args(arguments)
    at_least_one(options, "seeds", "workers")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: run(command_line(given)), "runs")


def run(options: argparse.Namespace) -> int:
    """Plan a study, do what is missing, and analyse what is there."""
    study = asked(load_study(options.study), options)
    root = options.out or Path("results") / "studies" / study.name
    base = load_base(study, options.study, tuple(options.set))
    plan = make_plan(study, base, str(options.study), SIMULATOR.device(options.device), RECORDER)
    records: Path = options.records or root / "records"
    tables = root / "tables-of-runs" if study.keep_tables else None
    for folder in (root / "failed", records):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(records)
    describe(plan, root, records)
    skipped = set() if options.retry else failed_before(root)
    missing = missing_runs(plan, records, tables, skipped)
    failed = len({run.fingerprint for run in plan.runs} & skipped)
    if missing:
        failed += do_missing(plan, missing, (root, records, tables), options)
    if not options.no_report:
        from analysis.tradeoff.report import write_study

        page = write_study(root)
        if not options.quiet:
            print(page)
    return 1 if failed else 0


def asked(study: Study, options: argparse.Namespace) -> Study:
    """Return the study with the options of the command line applied."""
    changes: dict[str, Any] = {}
    if options.seeds is not None:
        changes["seeds"] = options.seeds
    if options.methods is not None:
        changes["methods"] = tuple(name.strip() for name in options.methods.split(","))
        if study.flagship not in changes["methods"]:
            changes["flagship"] = None
    return study.model_copy(update=changes)


def do_missing(
    plan: Plan, missing: list[Planned], places: tuple[Path, Path, Path | None], options: argparse.Namespace
) -> int:
    """Do runs on a cluster, saying how far it is; return how many failed."""
    from analysis.tradeoff.progress import Progress

    root, records, tables = places
    failed = 0
    progress = Progress(len(missing), len(plan.runs) - len(missing), options.quiet)
    warm_up(plan, missing, SIMULATOR)
    workers = min(options.workers or cores(), len(missing))
    with open_cluster(options.scheduler, workers) as client, progress:
        for message in work_through(client, partial(do_run, RECORDER), jobs(plan, missing, records, tables)):
            planned = missing[message.job]
            outcome = message.content
            if message.kind == "failed":
                outcome = Outcome(planned.fingerprint, 0.0, str(message.content))
            if outcome.problem is not None:
                failed += 1
                progress.error(keep_failure(plan, planned, outcome, root))
            progress.one_more(outcome.core_s, outcome.problem is not None)
    return failed


def keep_failure(plan: Plan, planned: Planned, outcome: Outcome, root: Path) -> str:
    """Write down why a run failed; return that in a line."""
    path = root / "failed" / f"{planned.fingerprint}.json"
    where = {**plan.points[planned.point], "method": planned.method, "seed": planned.seed}
    problem = str(outcome.problem)
    write_json(path, {"lasting": outcome.lasting, "run": where, "problem": problem})
    told = ", ".join(f"{name} {value}" for name, value in where.items())
    return f"run failed and is left out: {told}: {problem.strip().splitlines()[-1]} (details: {path})"


def failed_before(root: Path) -> set[str]:
    """Return the runs that failed in a way that would repeat itself."""
    paths = (root / "failed").glob("*.json")
    return {path.stem for path in paths if (read_json(path) or {}).get("lasting")}


def describe(plan: Plan, root: Path, records: Path) -> None:
    """Write what the study is: all that its analysis needs besides the records."""
    study, entries = plan.study, plan.first.methods
    methods = [{"key": key, "label": SIMULATOR.label(key, entries[key])} for key in methods_of(study, plan.first)]
    flagship = study.flagship or plan.first.flagship
    with new_file(root / "index.parquet") as temporary:
        index_of(plan).to_parquet(temporary, index=False)
    axes = [{"field": a.field, "label": a.label or a.field, "log": a.log is not None} for g in study.axes for a in g]
    packages = ("numpy", "scipy", "simpy", "numba", "pandas", "dask", "distributed")
    write_json(
        root / "study.json",
        {
            **{"study": study.name, "title": study.title or study.name, "question": study.question},
            "axes": axes,
            "together": [[axis.field for axis in group] for group in study.axes],
            "methods": methods,
            "flagship": flagship if flagship in [m["key"] for m in methods] else methods[0]["key"],
            "questions": study.questions.model_dump(mode="json"),
            "records": os.path.relpath(records, root),
            "version": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": {"platform": platform.platform(), "python": platform.python_version()},
            "versions": {name: metadata.version(name) for name in packages},
            "base": plan.first.model_dump(mode="json"),
        },
    )
