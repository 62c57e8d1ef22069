"""A comparison: every method of a scenario with every seed, run in worker processes, kept, and joined."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from scenarios.loading import resolved_yaml
from scenarios.schema import Scenario
from scenarios.simulator import Simulator
from scenarios.storage import new_folder, read_json, write_json, write_text
from scenarios.tables import join_trials, write_tables
from scenarios.trials import VERSION, Trial
from scenarios.workers import Message, run_jobs


@dataclass(frozen=True)
class Job:
    """A trial as a worker process needs it: with its data and its place on disk."""

    simulator: Simulator
    trial: Trial
    federation: Any
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
    result = job.simulator.simulate(trial, job.federation, job.threads, report)
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


def run_trials(jobs: list[Job], workers: int, reused: int, preload: Sequence[str], console: Any) -> int:
    """Run jobs with progress on the console; return how many failed.

    Args:
        jobs: trials that have not been run yet.
        workers: number of processes.
        reused: how many trials were found finished.
        preload: modules every worker will need.
        console: told of progress and failures.
    """
    failed = 0
    with console.progress([job.trial.name for job in jobs], reused) as show:
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


def collect(
    scenario: Scenario,
    root: Path,
    finished: Sequence[Trial],
    methods: Sequence[Mapping[str, str]],
    chance: Mapping[str, float],
    wall_s: float,
) -> None:
    """Join the tables of all finished trials and describe the run.

    Args:
        scenario: what was run.
        root: its result folder.
        finished: trials, at least one.
        methods: key, label and description of each method.
        chance: balanced accuracy of always answering one class, of tasks in which it is not one half.
        wall_s: how long it took.
    """
    folders = [root / "trials" / trial.name for trial in finished]
    join_trials(folders, root)
    records = [read_json(folder / "trial.json") or {} for folder in folders]
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
            "methods": list(methods),
            "flagship": scenario.flagship or next(iter(scenario.methods)),
            "budget": {
                name: getattr(limits, name) for name in ("time_s", "energy_j", "energy_per_terminal_j", "bytes", "cost")
            },
            "chance": dict(chance),
            "trials": [{key: value for key, value in record.items() if key != "fingerprint"} for record in records],
        },
    )
