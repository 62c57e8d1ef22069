"""Runs of which only the end is kept, a JSON file each: how good the models were then, and what was spent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.simulator import Simulator
from scenarios.storage import read_json, write_json
from scenarios.trials import Trial
from scenarios.workers import run_jobs

LIMITS = ("time_s", "energy_j", "energy_per_terminal_j", "bytes", "cost")
"""Fields of a budget that limit a run."""


@dataclass(frozen=True)
class Job:
    """One run, and where its end is written down.

    Attributes:
        simulator, trial, federation: what is run.
        known: what the file says of the run besides its method and seed.
        path: the file.
    """

    simulator: Simulator
    trial: Trial
    federation: Any
    known: Mapping[str, Any]
    path: Path


def run_one(job: Job, report: Callable[[Any], None]) -> None:
    """Run a trial and keep how it ended; runs in a worker process."""
    trial = job.trial
    result = job.simulator.simulate(trial, job.federation, threads=1)
    ends = [row for row in result.tasks if row["event"] == "end" and row["split"] == "test"]
    scores = [row["balanced_accuracy"] if "balanced_accuracy" in row else row["r2"] for row in ends]
    limits = {name: getattr(trial.scenario.budget, name) for name in result.totals if name in LIMITS}
    shares = [result.totals[name] / limit for name, limit in limits.items() if limit is not None]
    summary = {**job.known, "method": trial.method, "seed": trial.seed, "gap": result.rounds[-1]["gap"]}
    summary |= {"score": sum(scores) / len(scores), "share_spent": max(shares, default=0.0)}
    write_json(job.path, summary | dict(result.totals))


def run_missing(jobs: Sequence[Job], workers: int) -> int:
    """Do the runs that are not written down yet, saying in a line what failed; return how many did."""
    missing = [job for job in jobs if read_json(job.path) is None]
    failed = 0
    for message in run_jobs(run_one, missing, max(1, min(workers, len(missing)))):
        if message.kind == "refused":
            raise message.content
        if message.kind == "failed":
            failed += 1
            name, why = missing[message.job].trial.name, str(message.content).strip().splitlines()[-1]
            print(f"{name}: {why}", file=sys.stderr)
    return failed


def endings(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return what is written down."""
    return [found for job in jobs if (found := read_json(job.path)) is not None]
