"""The size of RHFedMTL's published comparison, end to end: 5 methods x 9 budgets, 5 cells of 5 terminals, 9 features.

Planted data of the published shape: 260 training rows a task, 52 a terminal. The whole network is simulated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from learning.build import build_federation, build_method, build_setting, load_tasks
from netsim.engines import run
from netsim.world import build_ground
from scenarios.loading import check
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.benchmarks.timing import best_s, table

BUDGETS = range(200, 2000, 200)
METHODS = {
    "rhfedmtl": {"cloud_rounds": 2},
    "published": {"use": "rhfedmtl", "controller": "reference", "cloud_rounds": 2},
    "hfedmtl": {"local_iterations": 2, "bs_iterations": 2},
    "fedavg": {"local_iterations": 5, "batch_size": 1},
    "fedprox": {"local_iterations": 5, "batch_size": 1},
}


def scenario(budget: float) -> Scenario:
    """Return the comparison at one budget."""
    data = {"tasks": 5, "samples_per_task": 650, "features": 9, "relatedness": 0.7, "noise": 0.5}
    split = {"train_fraction": 0.4, "validation_fraction": 0.0, "test_fraction": 0.6}
    return check(
        {
            "name": "published",
            "data": {"source": "synthetic", "arguments": data, "split": split},
            "learning": {"loss": "hinge", "lambda1": 0.01, "lambda2": 0.01},
            "terminals": {"per_base_station": 5},
            "output": {"edge_metrics": False},
            "budget": {"cost": budget},
            "methods": METHODS,
        }
    )


def main() -> dict[str, Any]:
    """Measure and return the figure's duration with either engine, and what it simulated."""
    scenarios, streams = [scenario(budget) for budget in BUDGETS], Streams(0)
    tasks = load_tasks(scenarios[0].data, "hinge", streams)
    federation = build_federation(scenarios[0], tasks, streams)
    names = list(federation.task_names)
    ground = build_ground(scenarios[0], federation.terminal_task, len(names), streams)

    def figure(engine: str) -> int:
        updates = 0
        for experiment in scenarios:
            where = replace(
                ground, scenario=experiment.model_copy(update={"engine": engine})
            )  # only the budget differs
            for key, entry in experiment.methods.items():
                method: Any = build_method(key, entry, build_setting(experiment, federation, streams))
                updates += len(run(where, method, names).participation)
        return updates

    figures: dict[str, Any] = {"runs": len(BUDGETS) * len(METHODS)}
    for engine in ("process", "cohort"):
        figure(engine)
        figures[f"{engine}_s"], figures["updates"] = best_s(lambda engine=engine: figure(engine))  # type: ignore[misc]
    return figures


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    row = [f"{figures[key]:.2f}" for key in ("process_s", "cohort_s")] + [str(figures["runs"]), str(figures["updates"])]
    return table("The published comparison after warm-up", ["processes s", "cohorts s", "runs", "updates"], [row])


if __name__ == "__main__":
    print(text(main()))
