"""What a global round costs with a thousand to a million terminals, network and maths together, and how much memory.

Workload: HFedMTL, smoothed hinge, 10 rows of 10 features a terminal, 10 dual steps, 5 base-station iterations per cloud
round, a tenth of the terminals asked in each, models measured at the cloud. Once with 1000 cells whatever the
population, once with 1000 terminals in every cell. Each population runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from learning.build import build_method, build_setting
from learning.data.federate import Evaluation, Federation
from netsim.cohort.engine import simulate_cohorts
from netsim.world import build_ground
from scenarios.loading import check
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.benchmarks.timing import peak_memory_b, table

ROWS, FEATURES, ROUNDS = 10, 10, 4
WORKLOADS = (
    (1_000, 1000),
    (10_000, 1000),
    (100_000, 1000),
    (1_000_000, 1000),
    (10_000, 10),
    (100_000, 100),
)  # terminals, cells


def federation(terminals: int, cells: int) -> Federation:
    """Return planted rows, dealt evenly."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((terminals * ROWS, FEATURES))
    y = np.where(X @ generator.standard_normal(FEATURES) > 0, 1.0, -1.0)
    task = np.arange(terminals) * cells // terminals
    held_out = Evaluation(X[: cells * 2], y[: cells * 2], np.arange(cells + 1) * 2)
    names = tuple(f"task-{cell}" for cell in range(cells))
    offsets, samples = np.arange(terminals + 1) * ROWS, np.bincount(task, minlength=cells) * ROWS
    return Federation(X, y, offsets, task, names, samples, held_out, held_out)


def scenario(rounds: int) -> Scenario:
    """Return the workload as a scenario."""
    return check(
        {
            "name": "population",
            "learning": {"lambda2": 0.1},
            "collection": {"scheduled_fraction": 0.1},
            "output": {"edge_metrics": False},
            "budget": {"time_s": 1e9},
            "engine": "cohort",
            "methods": {"hfedmtl": {"local_iterations": 10, "bs_iterations": 5, "cloud_rounds": rounds}},
        }
    )


def measure(terminals: int, cells: int) -> dict[str, float]:
    """Run a few rounds in this process."""
    experiment = scenario(ROUNDS)
    warm_up = federation(1000, 10)
    _run(experiment, warm_up, [])
    data = federation(terminals, cells)
    before_b = peak_memory_b()  # the data is there, and everything that is loaded once
    stamps: list[tuple[float, float]] = []
    started_s = time.perf_counter()
    updates = _run(experiment, data, stamps)
    cpu_s, wall_s = np.diff(stamps, axis=0).T  # the first round also allocates
    return {
        "round_cpu_s": float(cpu_s.min()),
        "round_wall_s": float(wall_s.min()),
        "update_us": float(cpu_s.min()) / (updates / ROUNDS) * 1e6,
        "updates_per_round": updates / ROUNDS,
        "whole_s": time.perf_counter() - started_s,
        "bytes_per_terminal": (peak_memory_b() - before_b) / terminals,
        "peak_memory_mb": peak_memory_b() / 1e6,
    }


def _run(experiment: Scenario, data: Federation, stamps: list[tuple[float, float]]) -> int:
    setting = build_setting(experiment, data, Streams(0))
    method: Any = build_method("hfedmtl", experiment.methods["hfedmtl"], setting)
    ground = build_ground(experiment, data.terminal_task, len(data.task_names), Streams(0))

    def on_cloud(_: Any) -> None:
        method.settle()
        stamps.append((time.process_time(), time.perf_counter()))

    return len(simulate_cohorts(ground, method, list(data.task_names), on_cloud).participation)


def main() -> dict[str, Any]:
    """Measure every population in fresh processes: CPU time with one thread, real time with all."""
    one = {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    figures = {}
    for terminals, cells in WORKLOADS:
        command = [sys.executable, "-m", "tests.benchmarks.population", str(terminals), str(cells)]
        alone, together = (
            subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | extra)
            for extra in (one, {})
        )
        wall = {"round_wall_s": json.loads(together.stdout)["round_wall_s"]}
        figures[f"{terminals:,} terminals, {cells} cells"] = json.loads(alone.stdout) | wall
    return figures


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    columns = ["", "updates/round", "CPU s/round", "CPU us/update", "wall s/round", "whole s", "B/terminal", "peak MB"]
    rows = [
        [
            name,
            f"{f['updates_per_round']:,.0f}",
            f"{f['round_cpu_s']:.3f}",
            f"{f['update_us']:.2f}",
            f"{f['round_wall_s']:.3f}",
            f"{f['whole_s']:.1f}",
            f"{f['bytes_per_terminal']:,.0f}",
            f"{f['peak_memory_mb']:,.0f}",
        ]
        for name, f in figures.items()
    ]
    return table("A global round: 10 % of the terminals, 5 base-station iterations", columns, rows)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        print(text(main()))
