"""How fast the urban scenario runs, against baselines measured in the same run: ``python -m tests.benchmarks.urban``.

Baselines: the same trial with every operation evaluated at once instead of deferred and batched, and raw SimPy
timeouts, which bound what an event engine on SimPy can do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from learning.build import build_federation, build_method, build_setting, load_tasks
from netsim.simulation import simulate
from netsim.world import build_world
from scenarios.loading import load_scenario
from scenarios.streams import Streams
from tests.benchmarks.events import raw_timeouts
from tests.benchmarks.timing import best_s, table


def main() -> dict[str, Any]:
    """Measure and return figures, one entry per method of the scenario."""
    scenario = load_scenario(Path(__file__).parents[2] / "scenarios" / "urban.yaml")
    streams = Streams(0)
    federation = build_federation(scenario, load_tasks(scenario.data, scenario.learning.loss, streams), streams)
    serving = [int(task) for task in federation.terminal_task]

    def trial(key: str, eager: bool) -> int:
        setting = build_setting(scenario, federation, streams, eager=eager)
        method: Any = build_method(key, scenario.methods[key], setting)
        world = build_world(scenario, serving, len(federation.task_names), streams)
        return len(simulate(world, method, list(federation.task_names)).participation)

    timeouts_s, events = best_s(raw_timeouts)
    figures = {}
    for key in scenario.methods:
        trial(key, False)  # compiled kernels are loaded, tables built
        lazy_s, updates = best_s(lambda key=key: trial(key, False))  # type: ignore[misc]
        eager_s, _ = best_s(lambda key=key: trial(key, True))  # type: ignore[misc]
        figures[key] = {
            "trial_s": lazy_s,
            "updates_per_s": updates / lazy_s,
            "eager_over_deferred": eager_s / lazy_s,
            "raw_timeouts_per_s": events / timeouts_s,
        }
    return figures


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    columns = ["", "trial s", "updates/s", "eager/deferred", "raw SimPy timeouts/s"]
    rows = [
        [
            name,
            f"{f['trial_s']:.2f}",
            f"{f['updates_per_s']:,.0f}",
            f"{f['eager_over_deferred']:.2f}",
            f"{f['raw_timeouts_per_s']:,.0f}",
        ]
        for name, f in figures.items()
    ]
    return table("The urban scenario, one trial", columns, rows)


if __name__ == "__main__":
    print(text(main()))
