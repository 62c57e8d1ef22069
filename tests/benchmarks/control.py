"""Regret of the controllers over seventeen worlds: ``python -m tests.benchmarks.control FOLDER [SEEDS]``.

Variants of the urban scenario and of the street cells with synthetic tasks. Constants of controllers were chosen with
seeds 0 to 2 of those in TUNED, and of WELL_CONDITIONED; those in UNSEEN were looked at afterwards the first time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from analysis.regret import command
from analysis.regret.table import regret, summary

URBAN, MICRO = "scenarios/urban.yaml", "scenarios/micro.yaml"
FREE = ("budget.cost=null",)
SYNTHETIC = (
    "data={source: synthetic,"
    " arguments: {tasks: 10, samples_per_task: 300, features: 20, relatedness: 0.8, noise: 0.5},"
    " split: {train_fraction: 0.2, validation_fraction: 0.2, test_fraction: 0.6}}"
)
TUNED: dict[str, tuple[str, tuple[str, ...]]] = {
    "urban": (URBAN, ()),
    "dense": (
        URBAN,
        (
            "terminals.per_base_station=10",
            "network.layout.environment=UMi",
            "data.split={train_fraction: 0.4, validation_fraction: 0.15, test_fraction: 0.45}",
            "budget.cost=40000",
        ),
    ),
    "light": (
        URBAN,
        ("terminals.slowdown={kind: shifted_exponential, scale: 0.1}", "budget.time_s=6", *FREE),
    ),
    "heavy": (URBAN, ("terminals.slowdown={kind: pareto, tail_index: 1.5}", "budget.time_s=20", *FREE)),
    "ratio-0.007": (URBAN, ("budget.cost_per_local_iteration=0.07",)),
    "ratio-0.17": (URBAN, ("budget.cost_per_bs_iteration=1", "budget.cost=6000")),
    "ratio-10": (
        URBAN,
        ("budget.cost_per_local_iteration=10", "budget.cost_per_bs_iteration=1", "budget.cost=200000"),
    ),
    "energy": (URBAN, ("budget={energy_j: 40, time_s: 20}",)),
    "street": (MICRO, ("budget.time_s=12",)),
    "joint": (
        URBAN,
        (
            SYNTHETIC,
            "learning.loss=logistic",
            "learning.lambda1=0.02",
            "terminals.per_base_station=6",
            "budget={cost: 6000, time_s: 6, energy_j: 20, bytes: 1.0e+6}",
        ),
    ),
}
UNSEEN: dict[str, tuple[str, tuple[str, ...]]] = {
    "coupled": (URBAN, ("learning.lambda2=1.0", "budget.cost=10000")),
    "backhaul": (URBAN, ("network.backhaul.latency_s=0.1", "budget.time_s=12", *FREE)),
    "bytes": (URBAN, ("budget={bytes: 1.5e+6}",)),
    "deadline": (URBAN, ("collection={policy: deadline, deadline_s: 0.07}", "budget.time_s=5", *FREE)),
    "hinge": (URBAN, ("learning.loss=hinge", "budget.cost=10000")),
}
WELL_CONDITIONED: dict[str, tuple[str, tuple[str, ...]]] = {
    "hotspot": ("scenarios/thz_hotspot.yaml", ()),
    "factory": ("scenarios/indoor_factory.yaml", ()),
}


def main(folder: Path, seeds: int) -> None:
    """Run everything that is missing, and print a summary of each world and of all."""
    tables = []
    for name, (scenario, changes) in (TUNED | UNSEEN | WELL_CONDITIONED).items():
        given = [part for change in changes for part in ("--set", change)]
        out = folder / name
        grid = ["--local", "4,8,16,32" if name in WELL_CONDITIONED else "1,2,4,8,16"]
        print(f"\n## {name}\n", flush=True)
        command.main([scenario, *given, "--seeds", str(seeds), "--out", str(out), *grid])
        tables.append(regret(pd.read_csv(out / "runs.csv")))
    for title, first, last in (
        ("tuned", 0, len(TUNED)),
        ("unseen", len(TUNED), len(TUNED | UNSEEN)),
        ("well conditioned", len(TUNED | UNSEEN), None),
        ("all", 0, None),
    ):
        some = pd.concat(tables[first:last])
        print(f"\n## {title}\n\n{summary(some).to_string(index=False, float_format='%.3f')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
