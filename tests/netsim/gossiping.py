"""A decentralised method that keeps a number at every node: what the network does to it can be checked to the last.

Work adds nothing to a number unless it is told to, so mixing alone moves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.port import BoolArray, Cohort, IntArray, Mixing
from netsim.port import Plan as AnyPlan
from netsim.result import Result
from netsim.simulation import simulate
from netsim.world import World
from tests.netsim.counting import Counting


@dataclass(frozen=True, eq=False)
class Contacts:
    """Whom a node talks to."""

    nodes: IntArray
    bits: NDArray[np.float64]


@dataclass
class Gossiping(Counting):
    """Mixes numbers with the weights 1 / (1 + larger degree).

    Args:
        bits: size of every message.
        step: what a piece of local work adds.
    """

    protocol: str = "decentralised"
    nodes: str = "terminals"
    bits: float = 2e4
    step: float = 0.0
    values: NDArray[np.float64] = field(default_factory=lambda: np.arange(64.0))
    mixings: list[Mixing] = field(default_factory=list)

    def train(self, cohort: Cohort, plan: AnyPlan) -> Any:
        """Return the number, one step further."""
        (terminal,) = cohort.terminals
        return self.values[terminal] + self.step

    def contacts(self, node: int, round_: int, neighbours: IntArray) -> Contacts:
        """Everybody."""
        return Contacts(neighbours, np.full(len(neighbours), self.bits))

    def mix(self, mixing: Mixing) -> None:
        """Move towards the numbers of those that were met."""
        self.mixings.append(mixing)
        weights = 1.0 / (1.0 + np.maximum(mixing.degree, mixing.degrees[mixing.met]))
        moved = weights @ (np.array(mixing.works, float).reshape(-1) - mixing.work) if mixing.works else 0.0
        self.values[mixing.node] = mixing.work + moved
        self.total += 1

    def merge(self, cohort: Cohort, work: Any, arrived: BoolArray) -> None:
        """Never asked."""
        raise AssertionError


def gossip(where: World, method: Gossiping) -> Result:
    """Let a method gossip in a world until it ends."""
    return simulate(where, method, [f"task {site}" for site in range(where.sites)])
