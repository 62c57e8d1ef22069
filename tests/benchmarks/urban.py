"""How fast the urban scenario runs, against baselines measured in the same run: ``python -m tests.benchmarks.urban``.

Baselines: the same trial with every operation evaluated at once instead of deferred and batched, and raw SimPy
timeouts, which bound what an event engine on SimPy can do.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import simpy

from learning.build import build_federation, build_method, build_setting, load_tasks
from netsim.simulation import simulate
from netsim.world import build_world
from scenarios.loading import load_scenario
from scenarios.streams import Streams

REPEATS = 3


def timed(action: Callable[[], int]) -> tuple[float, int]:
    """Return the median duration in seconds of some repetitions, and what the action counted."""
    durations, count = [], 0
    for _ in range(REPEATS):
        started_s = time.perf_counter()
        count = action()
        durations.append(time.perf_counter() - started_s)
    return median(durations), count


def raw_timeouts(processes: int = 80, events: int = 40_000) -> int:
    """Run SimPy processes that do nothing but wait; return the number of events."""
    env = simpy.Environment()

    def wait() -> simpy.events.Process:  # type: ignore[misc]
        for step in range(events // processes):
            yield env.timeout(1.0 + step % 7)

    for _ in range(processes):
        env.process(wait())
    env.run()
    return events


def main() -> None:
    """Print a table, and JSON with ``--json``."""
    scenario = load_scenario(Path(__file__).parents[2] / "scenarios" / "urban.yaml")
    streams = Streams(0)
    federation = build_federation(scenario, load_tasks(scenario.data, scenario.learning.loss, streams), streams)
    serving = [int(task) for task in federation.terminal_task]

    def trial(key: str, eager: bool) -> int:
        setting = build_setting(scenario, federation, streams, eager=eager)
        method = build_method(key, scenario.methods[key], setting)
        world = build_world(scenario, serving, len(federation.task_names), streams)
        return len(simulate(world, method, list(federation.task_names)).participation)  # type: ignore[arg-type]

    timeouts_s, events = timed(raw_timeouts)
    rows = []
    for key in scenario.methods:
        trial(key, False)  # compiled kernels are loaded, tables built
        lazy_s, updates = timed(lambda key=key: trial(key, False))  # type: ignore[misc]
        eager_s, _ = timed(lambda key=key: trial(key, True))  # type: ignore[misc]
        rows.append(
            {
                "method": key,
                "trial_s": lazy_s,
                "updates_per_s": updates / lazy_s,
                "eager_over_deferred": eager_s / lazy_s,
                "updates_per_raw_timeout": (updates / lazy_s) / (events / timeouts_s),
            }
        )
    if "--json" in sys.argv:
        print(json.dumps({"raw_timeouts_per_s": events / timeouts_s, "methods": rows}, indent=2))
        return
    print(f"raw SimPy timeouts: {events / timeouts_s:,.0f} per second")
    print(f"{'method':20} {'trial':>8} {'updates/s':>10} {'eager/deferred':>15} {'updates per raw timeout':>24}")
    for row in rows:
        print(
            f"{row['method']:20} {row['trial_s']:7.2f}s {row['updates_per_s']:10,.0f} "
            f"{row['eager_over_deferred']:15.1f} {row['updates_per_raw_timeout']:24.4f}"
        )


if __name__ == "__main__":
    main()
