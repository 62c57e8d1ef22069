"""Measure controllers against the best fixed H and K: ``python run_regret.py scenarios/urban.yaml``.

Runs a grid of fixed H and K, and every controller, at several shares of all budgets, all with the same seeds; keeps
what is finished; writes ``runs.csv``, ``regret.csv`` and ``regret.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run_trial import inputs_of, simulate
from scenarios.command_line import OneLineParser
from scenarios.errors import ScenarioError
from scenarios.loading import check, load_scenario
from scenarios.schema import Scenario
from scenarios.storage import new_file, read_json, write_json, write_text
from scenarios.streams import Streams
from scenarios.trials import Trial
from scenarios.workers import cores, run_jobs

if TYPE_CHECKING:
    from learning.data.federate import Federation

CONTROLLERS = ("online", "convergence_bound", "closed_form", "reference")
_ALIKE = ("relaxation", "sampling", "aggregation")  # what the grid takes from the scenario's own planner
LIMITS = ("time_s", "energy_j", "energy_per_terminal_j", "bytes", "cost")


@dataclass(frozen=True)
class Job:
    """One run, and where its result goes."""

    trial: Trial
    federation: Federation
    level: float
    path: Path


def run_one(job: Job, report: Callable[[Any], None]) -> None:
    """Run a trial and keep how it ended; runs in a worker process."""
    trial = job.trial
    result = simulate(trial, job.federation, threads=1)
    scores = [row["balanced_accuracy"] for row in result.tasks if row["event"] == "end" and row["split"] == "test"]
    limits = {name: getattr(trial.scenario.budget, name) for name in result.totals if name in LIMITS}
    shares = [result.totals[name] / limit for name, limit in limits.items() if limit is not None]
    summary = {"level": job.level, "method": trial.method, "seed": trial.seed, "gap": result.rounds[-1]["gap"]}
    summary |= {"balanced_accuracy": sum(scores) / len(scores), "share_spent": max(shares, default=0.0)}
    write_json(job.path, summary | dict(result.totals))


def scenarios_of(scenario: Scenario, options: argparse.Namespace, rows: float) -> dict[float, Scenario]:
    """Return the scenario with the grid and the controllers as its methods, for every share of its budgets."""
    from learning.control.oracle import fixed_methods, local_grid
    from netsim.engines import needs_processes

    own = next((entry for key, entry in scenario.methods.items() if (entry.use or key) == "rhfedmtl"), None)
    given = {} if own is None else own.parameters
    common: dict[str, Any] = {name: given[name] for name in _ALIKE if name in given}
    planning: dict[str, Any] = {"use": "rhfedmtl", **common, "cloud_rounds": given.get("cloud_rounds", 40)}
    names = [name for name in options.controllers if name != "reference" or scenario.budget.cost is not None]
    methods: dict[str, Any] = {name: planning | {"controller": name} for name in names}
    methods |= fixed_methods(options.local or local_grid(rows), options.iterations, common)
    tree = scenario.model_dump(mode="json") | {"methods": methods, "flagship": None}
    tree["output"]["edge_metrics"] = False
    if tree["engine"] == "auto" and needs_processes(scenario) is None:
        tree["engine"] = "cohort"  # the same to 1e-9, and several times faster
    found = {}
    for level in options.levels:
        limits = {k: v * level if k in LIMITS and v is not None else v for k, v in tree["budget"].items()}
        found[level] = check(tree | {"budget": limits}, str(options.scenario))
    return found


def numbers(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return what parses a list with commas."""

    def parse(text: str) -> tuple[Any, ...]:
        return tuple(kind(part) for part in text.split(","))

    return parse


def command_line(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = OneLineParser(prog="run_regret.py", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change a field")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="use seeds 0 .. N-1")
    parser.add_argument("--levels", type=numbers(float), default=(0.25, 0.5, 1.0), help="shares of all budgets")
    parser.add_argument("--controllers", type=numbers(str), default=CONTROLLERS)
    parser.add_argument("--local", type=numbers(int), help="H of the grid (default: a sixteenth to 16 passes)")
    parser.add_argument("--iterations", type=numbers(int), default=(1, 2, 4, 8), help="K of the grid")
    parser.add_argument("--out", type=Path, metavar="DIR", help="result folder (default: results/NAME-regret)")
    parser.add_argument("--workers", type=int, default=cores())
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Run what has not been run yet and write the tables."""
    import pandas as pd

    from analysis.regret import regret, text
    from learning.build import build_federation, load_tasks

    scenario = load_scenario(options.scenario, options.set)
    tasks = load_tasks(scenario.data, scenario.learning.loss, Streams(0))
    federations = {seed: build_federation(scenario, tasks, Streams(seed)) for seed in range(options.seeds)}
    first = federations[0]
    levels = scenarios_of(scenario, options, len(first.y) / len(first.terminal_task))
    inputs = inputs_of(scenario, tasks)
    root = options.out or Path("results") / f"{scenario.name}-regret"
    (root / "runs").mkdir(parents=True, exist_ok=True)
    jobs = []
    for level, here in levels.items():
        for key in here.methods:
            for seed, federation in federations.items():
                trial = Trial(here, key, seed, "cpu")
                name = hashlib.sha256(f"{level}{trial.name}{trial.fingerprint(inputs)}".encode()).hexdigest()[:24]
                jobs.append(Job(trial, federation, level, root / "runs" / f"{name}.json"))
    missing = [job for job in jobs if read_json(job.path) is None]
    failed = 0
    for message in run_jobs(run_one, missing, max(1, min(options.workers, len(missing)))):
        if message.kind == "refused":
            raise message.content
        if message.kind == "failed":
            failed += 1
            print(
                f"{missing[message.job].trial.name}: {str(message.content).strip().splitlines()[-1]}", file=sys.stderr
            )
    runs = pd.DataFrame([found for job in jobs if (found := read_json(job.path)) is not None])
    runs["grid"] = runs["method"].str.startswith("fixed_")
    table = regret(runs)
    for name, frame in (("runs", runs), ("regret", table)):
        with new_file(root / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    write_text(root / "regret.md", text(table))
    print(text(table), end="")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    sys.path.insert(0, os.getcwd())  # import paths in a scenario are the user's own modules
    try:
        return run(command_line(sys.argv[1:] if arguments is None else arguments))
    except ScenarioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
