"""Measure controllers against the best fixed H and K: ``python -m analysis.regret scenarios/urban.yaml``.

Runs a grid of fixed H and K, and every controller, at several shares of all budgets, all with the same seeds; keeps
what is finished; writes ``runs.csv``, ``regret.csv`` and ``regret.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.regret.grid import fixed_methods, local_grid
from analysis.regret.table import regret, text
from run_scenario import NetworkSimulator
from scenarios.command_line import OneLineParser, at_least_one, exit_code
from scenarios.endings import LIMITS, Job, endings, run_missing
from scenarios.loading import check, load_scenario
from scenarios.schema import Scenario
from scenarios.storage import new_file, write_text
from scenarios.trials import Trial
from scenarios.workers import cores

SIMULATOR = NetworkSimulator()  # makes the records, which are all that is analysed
CONTROLLERS = ("online", "convergence_bound", "closed_form", "reference")
_ALIKE = ("relaxation", "sampling", "aggregation")  # what the grid takes from the scenario's own planner


def scenarios_of(scenario: Scenario, options: argparse.Namespace, rows: float) -> dict[float, Scenario]:
    """Return the scenario with the grid and the controllers as its methods, for every share of its budgets."""
    own = next((entry for key, entry in scenario.methods.items() if (entry.use or key) == "rhfedmtl"), None)
    given = {} if own is None else own.parameters
    common: dict[str, Any] = {name: given[name] for name in _ALIKE if name in given}
    planning: dict[str, Any] = {"use": "rhfedmtl", **common, "cloud_rounds": given.get("cloud_rounds", 40)}
    names = [name for name in options.controllers if name != "reference" or scenario.budget.cost is not None]
    methods: dict[str, Any] = {name: planning | {"controller": name} for name in names}
    methods |= fixed_methods(options.local or local_grid(rows), options.iterations, common)
    tree = scenario.model_dump(mode="json") | {"methods": methods, "flagship": None}
    tree["output"]["edge_metrics"] = False
    if tree["engine"] == "auto" and SIMULATOR.fits_cohorts(scenario):
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
    """Parse the command line.

    Raises:
        ScenarioError: an option is unknown or its value impossible.
    """
    parser = OneLineParser(prog="python -m analysis.regret", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change a field")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="use seeds 0 .. N-1")
    parser.add_argument("--levels", type=numbers(float), default=(0.25, 0.5, 1.0), help="shares of all budgets")
    parser.add_argument("--controllers", type=numbers(str), default=CONTROLLERS)
    parser.add_argument("--local", type=numbers(int), help="H of the grid (default: a sixteenth to 16 passes)")
    parser.add_argument("--iterations", type=numbers(int), default=(1, 2, 4, 8), help="K of the grid")
    parser.add_argument("--out", type=Path, metavar="DIR", help="result folder (default: results/NAME-regret)")
    parser.add_argument("--workers", type=int, default=cores())
    options = parser.parse_args(arguments)
    at_least_one(options, "seeds", "workers")
    return options


def run(options: argparse.Namespace) -> int:
    """Run what has not been run yet and write the tables."""
    scenario = load_scenario(options.scenario, options.set)
    root = options.out or Path("results") / f"{scenario.name}-regret"
    jobs = plan(scenario, options, root / "runs")
    failed = run_missing(jobs, options.workers)
    runs = pd.DataFrame(endings(jobs))
    runs["grid"] = runs["method"].str.startswith("fixed_")
    table = regret(runs)
    for name, frame in (("runs", runs), ("regret", table)):
        with new_file(root / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    write_text(root / "regret.md", text(table))
    print(text(table), end="")
    return 1 if failed else 0


def plan(scenario: Scenario, options: argparse.Namespace, folder: Path) -> list[Job]:
    """Return all runs, each with a file of its own in a folder, which is made."""
    tasks = SIMULATOR.tasks(scenario)
    federations = {seed: SIMULATOR.federation(scenario, tasks, seed) for seed in range(options.seeds)}
    first = federations[0]
    levels = scenarios_of(scenario, options, len(first.y) / len(first.terminal_task))
    inputs = SIMULATOR.inputs(scenario, tasks)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for level, here in levels.items():
        for key in here.methods:
            for seed, federation in federations.items():
                trial = Trial(here, key, seed, "cpu")
                name = hashlib.sha256(f"{level}{trial.name}{trial.fingerprint(inputs)}".encode()).hexdigest()[:24]
                jobs.append(Job(SIMULATOR, trial, federation, {"level": level}, folder / f"{name}.json"))
    return jobs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: run(command_line(given)), "runs")
