"""Soft sharing: a model per task, pulled towards its neighbours' on a graph of tasks.

The coupling is (lambda/2) sum S_kl ||w_k - w_l||^2 over pairs of tasks k and l.
Graph-regularised multi-task learning after T. Evgeniou, C. Micchelli, M. Pontil, "Learning multiple tasks with kernel
methods", JMLR 2005; with a complete graph it is mean regularisation. The pull is the gradient of the coupling, through
the graph's Laplacian. A base station holds its task's model; the cloud adds up the neighbours' models for each of them,
so what it sends is different for everyone, and a base station hands both its model and that sum to its terminals.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from learning.deferred import ALL, Pending
from learning.descent import Descent
from learning.messages import Cohort, Plan, Sizes, owners
from learning.methods.base import Array, IntArray
from learning.methods.fedavg import FedAvg
from learning.methods.fedprox import ProximalParameters
from learning.setting import Setting
from learning.state import State

Graph = Literal["complete", "exponential", "ring"]


@dataclass(frozen=True, config={"extra": "forbid"})
class GraphParameters(ProximalParameters):
    """Parameters of soft sharing.

    Attributes:
        proximal: lambda, weight of the coupling; 0 is FedAvg within each task.
        graph: S_kl of tasks k and l: 1 / tasks (``complete``), exp(-|k - l|) (``exponential``), or 1 for neighbours in
            a circle and 0 for others (``ring``).
    """

    graph: Graph = "complete"


class SoftSharing(FedAvg):
    """One model per task and the Laplacian of a graph of tasks."""

    label = "Soft sharing"
    Parameters: ClassVar[Any] = GraphParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        weights = weights_of(parameters.graph, setting.tasks)
        degrees = weights.sum(axis=1)
        self._shares = weights / np.where(degrees > 0.0, degrees, 1.0)[:, None]
        self._cloud = State(self._sites.values.copy())
        self._neighbours = State(self._sites.values.copy())
        pulls = parameters.proximal * degrees[setting.federation.terminal_task]
        self._descent = Descent(setting, parameters, pulls, parameters.pull)

    def models(self) -> tuple[State, IntArray]:
        """The tasks' models, as the cloud has them."""
        return self._cloud, np.arange(self.setting.tasks)

    def newcomers(self) -> None:
        """Offer none: a newcomer has no neighbours yet."""

    def sizes(self, plan: Plan) -> Sizes:
        """FedAvg's, but for the neighbours' models that go down to the terminals with their own."""
        return replace(super().sizes(plan), broadcast_bits=self.setting.message_bits(2 * self.setting.model.size))

    def adopt(self, sites: IntArray) -> None:
        """Take in the weighted mean of the neighbours' models; the own model is there."""
        self.queue.submit(self._add_up, (sites,), reads=[(self._cloud, ALL)], writes=[(self._neighbours, sites)])

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit H SGD steps from the task's model, each of them pulled towards the neighbours'."""
        who, sites, numbers = cohort.terminals, owners(cohort), self.next_rounds(cohort.terminals)
        arguments = (who, sites, plan.steps(who), numbers)
        reads = [(self._sites, sites), (self._neighbours, sites)]
        return self.queue.submit(self._descend, arguments, reads=reads, weight=len(who))

    # What the queue runs ------------------------------------------------------------------------------------

    def _add_up(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for (sites,) in batch:
            self._neighbours.values[sites] = np.einsum("sl,lp->sp", self._shares[sites], self._cloud.values)
        return [None] * len(batch)

    def _descend(self, batch: list[tuple[Any, ...]]) -> list[Array]:
        who, sites, steps, numbers = (np.concatenate(column) for column in zip(*batch, strict=True))
        reached = self._descent.run(who, self._sites.values[sites], steps, numbers, self._neighbours.values[sites])
        return np.split(reached, np.cumsum([len(terminals) for terminals, *_ in batch])[:-1])

    def _combine(self, batch: list[tuple[Any, ...]]) -> list[None]:
        self._cloud.values[:] = self._sites.values
        return [None] * len(batch)


def weights_of(graph: Graph, tasks: int) -> Array:
    """Return the (tasks, tasks) symmetric S, zero on the diagonal."""
    distance = np.abs(np.subtract.outer(np.arange(tasks), np.arange(tasks)))
    weights = {
        "complete": np.full((tasks, tasks), 1.0 / tasks),
        "exponential": np.exp(-distance.astype(np.float64)),
        "ring": ((distance == 1) | (distance == tasks - 1)).astype(np.float64),
    }[graph]
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, np.float64)
