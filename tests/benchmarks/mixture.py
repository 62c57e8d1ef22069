"""Methods that average or personalise, on one population: ``python -m tests.benchmarks.mixture [FILE.json] --seeds N``.

Learning alone, in lock step, without a network and without losses: 20 terminals with a task each, 100 rounds of a pass
over the own rows in batches of 128, SGD with a step of 0.5. A seed is a draw of the population
(:mod:`tests.benchmarks.mixture_population`) and of all else. All again on the one draw of the authors' program, where a
seed is a draw of starts and batches alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods import registry
from learning.methods.base import Method, Node
from learning.setting import Setting
from learning.shared_trunk import SharedTrunkModel
from learning.trunks import linear_trunk
from netsim.port import CLOUD, Cohort, Mixing
from tests.benchmarks.mixture_population import SEEN, Population, population, published_draw
from tests.benchmarks.timing import table
from tests.learning.driving import Driver, setting_of, weights_of

ROUNDS, BATCH, RATE, TEAMS, WIDTH = 100, 128, 0.5, 4, 3
NEXT_TO_NOTHING = 1e-12  # ridge
SPREAD = 0.05  # of FedEM's start, as wide as what torch.nn.Linear draws for 151 inputs


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Attributes:
        name: of the row.
        method: of the registry.
        parameters: that differ from ROUNDS, BATCH and RATE.
        run: what plays the rounds.
        passes: local steps of a round in passes over the rows, as the method counts steps.
        kind: ``"linear"``, ``"trunk"`` for a linear trunk with heads, or ``"teams"`` for terminals grouped by site.
    """

    name: str
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run: Callable[[Any, Plan], None] | None = None
    passes: int = 1
    kind: str = "linear"


class Unwatched(Driver):
    """The lock-step driver, which measures nothing on the way."""

    def record(self, node: Node) -> None:
        """Leave it."""


def in_rounds(method: Method, plan: Plan) -> None:
    """Play ROUNDS base-station iterations."""
    Unwatched(method).run(plan, ROUNDS // plan.bs_iterations)


def on(graph: nx.Graph) -> Callable[[Any, Plan], None]:
    """Return what plays ROUNDS rounds on a graph of terminals."""
    edges = nx.to_numpy_array(graph) > 0.0
    degrees = edges.sum(axis=1)
    near = [np.flatnonzero(row) for row in edges]
    cohorts = [Cohort(np.array([i]), np.array([0, 1]), np.array([i])) for i in range(SEEN)]

    def play(method: Any, plan: Plan) -> None:
        for number in range(ROUNDS):
            works = [method.train(cohort, plan) for cohort in cohorts]
            for i, others in enumerate(near):
                met = np.full(len(others), True)
                heard = [works[other] for other in others]
                method.mix(Mixing(i, number, works[i], others, len(others), degrees[others], met, heard))
        method.settle()

    return play


def entries() -> list[Entry]:
    """Return all rows."""
    ring, random = on(nx.cycle_graph(SEEN)), on(nx.erdos_renyi_graph(SEEN, 0.5, seed=0))
    pulls = (0.01, 0.05, 0.1, 0.5, 1.0)
    equal = {"weighting": "equal"}
    return [
        Entry("local", "local"),
        Entry("fedavg", "fedavg"),
        Entry("fedavg, 1 epoch more", "fedavg_finetune"),
        Entry("fedprox .1", "fedprox", {"proximal": 0.1}),
        *(Entry(f"ditto {pull:g}", "ditto", {"proximal": pull} | equal) for pull in pulls),
        *(Entry(f"l2sgd {pull:g}", "l2sgd", {"proximal": pull} | equal) for pull in pulls[1:3]),
        Entry("soft_sharing .1", "soft_sharing", {"proximal": 0.1}),
        *(Entry(f"apfl {alpha:g}", "apfl", {"mixture": alpha} | equal) for alpha in (0.25, 0.5, 0.75)),
        Entry("pfedme 1", "pfedme", {"proximal": 1.0} | equal),
        *(
            Entry(f"permfl {pull:g}", "permfl", {"proximal": pull, **tiers(pull, 0.5)} | equal, teams, kind="teams")
            for pull in (0.1, 0.5)
        ),
        Entry("clustered_fl", "clustered_fl"),
        Entry("fedem 3", "fedem", {"spread": SPREAD}),
        Entry("fedem 3, equal weights", "fedem", {"spread": SPREAD} | equal),
        Entry("fedrep 3", "fedrep", {"head_iterations": 2, "trunk_iterations": 1}, passes=3, kind="trunk"),
        Entry("gossip ER", "gossip", run=random),
        Entry("gossip ring", "gossip", run=ring),
        Entry("dfedem 3 ER", "dfedem", {"spread": SPREAD}, random),
        Entry("dfedem 3 ring", "dfedem", {"spread": SPREAD}, ring),
    ]


def tiers(pull: float, team_pull: float) -> dict[str, float]:
    """Return PerMFL's parameters with steps as large as it takes them."""
    return {"team_proximal": team_pull, "team_rate": 1.0 / (pull + team_pull), "cloud_rate": 1.0 / team_pull}


def teams(method: Method, plan: Plan) -> None:
    """Play 30 cloud rounds of 3 iterations."""
    Unwatched(method).run(replace(plan, bs_iterations=3), 30)


def measured(entry: Entry, drawn: Population, seed: int) -> dict[str, float]:
    """Run an entry; return its mean accuracies, how often it visits a row in a round, and seconds."""
    federation = drawn.in_teams(TEAMS) if entry.kind == "teams" else drawn.federation(entry.kind != "trunk")
    setting, plan = setting_for(federation, entry.kind, seed), plan_of(federation, entry.passes)
    kind = registry.find(entry.method)
    given = {"batch_size": BATCH, "learning_rate": RATE, **entry.parameters}
    method = kind(setting, registry.parameters(kind, given, entry.name))
    started_s = time.perf_counter()
    (entry.run or in_rounds)(method, plan)
    passes = float(method.sizes(plan).samples.sum() / len(federation.X))
    found = {"passes": passes, "seconds": time.perf_counter() - started_s}
    if entry.kind == "teams":
        scores = setting.model.scores_each(weights_of(method), drawn.test.X, drawn.test.offsets)
        return found | {"seen": drawn.accuracy(scores)}
    measurement = method.evaluate(CLOUD)
    method.settle()
    by_split = {"seen": "test", "unseen": "unseen"}
    rows = {name: [r["accuracy"] for r in measurement.tasks if r["split"] == split] for name, split in by_split.items()}
    return found | {name: float(np.mean(values)) for name, values in rows.items() if values}


def setting_for(federation: Federation, kind: str, seed: int) -> Setting:
    """Return a fresh setting with the linear model, or one of a trunk and heads."""
    setting = setting_of(federation, "logistic", NEXT_TO_NOTHING, 0.0, seed, edge_metrics=False)
    if kind != "trunk":
        return setting
    return replace(
        setting, model=SharedTrunkModel(linear_trunk, {"width": WIDTH}, federation, setting.loss, setting.device)
    )


def plan_of(federation: Federation, passes: int) -> Plan:
    """Return the plan by which every terminal passes over its rows so many times in an iteration."""
    each = passes * -(-np.diff(federation.terminal_offsets) // BATCH)
    return Plan(int(each.max()), 1, each)


def main(seeds: int, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what was found over seeds, and in the authors' draw, for all rows or those whose names begin as stated."""
    chosen = [entry for entry in entries() if not names or entry.name.startswith(names)]
    ours = over(list(map(population, range(seeds))), chosen)
    published = over([published_draw()] * seeds, chosen)
    return {name: ours[name] | {"published": published[name]} for name in ours}


def over(draws: list[Population], chosen: list[Entry]) -> dict[str, dict[str, Any]]:
    """Return the summaries of the oracle and of entries over some draws, one of everything else for each."""
    found: dict[str, list[dict[str, float]]] = {"oracle": [{"seen": drawn.oracle} for drawn in draws]}
    for entry in chosen:
        found[entry.name] = [measured(entry, drawn, seed) for seed, drawn in enumerate(draws)]
    return {name: summary(runs) for name, runs in found.items()}


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return means, and standard errors of the accuracies."""
    made: dict[str, Any] = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
    for key in ("seen", "unseen"):
        if key in made and len(runs) > 1:
            values = [run[key] for run in runs]
            made |= {f"{key}_error": float(np.std(values, ddof=1) / np.sqrt(len(runs))), f"{key}_each": values}
    return made


def text(figures: dict[str, Any], seeds: int) -> str:
    """Return the figures as a table."""
    columns = ["", "seen %", "+-", "unseen %", "+-", "passes a round", "s a seed"]
    columns += ["authors' draw: seen %", "+-", "unseen %", "+-"]
    accuracies = (("seen", 100, 1), ("seen_error", 100, 1), ("unseen", 100, 1), ("unseen_error", 100, 1))
    costs = (("passes", 1, 1), ("seconds", 1, 2))
    rows = [
        [name, *cells(made, accuracies), *cells(made, costs), *cells(made["published"], accuracies)]
        for name, made in figures.items()
    ]
    return table(f"Planted mixtures, {ROUNDS} rounds, mean and standard error over {seeds} draws", columns, rows)


def cells(made: dict[str, Any], keys: tuple[tuple[str, int, int], ...]) -> list[str]:
    """Return the entries of (key, scale, digits) as text, and nothing for those that are not there."""
    return [f"{made[key] * scale:.{digits}f}" if key in made else "" for key, scale, digits in keys]


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m tests.benchmarks.mixture", description=__doc__)
    asked.add_argument("file", nargs="?", type=Path, help="where to write the figures as JSON")
    asked.add_argument("--seeds", type=int, default=8, help="how many draws, at least 2")
    asked.add_argument("--rows", default="", help="beginnings of the rows' names, separated by commas")
    options = asked.parse_args()
    measured_figures = main(options.seeds, tuple(filter(None, options.rows.split(","))))
    print(text(measured_figures, options.seeds))
    if options.file is not None:
        options.file.write_text(json.dumps(measured_figures, indent=2) + "\n", encoding="utf-8")
