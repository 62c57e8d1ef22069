"""D-FedEM: FedEM without a centre, where terminals mix the models they share with their neighbours in a graph.

Marfoq et al., "Federated multi-task learning under a mixture of distributions", NeurIPS 2021, Algorithm 4, with
Metropolis weights. Each terminal keeps M models of its own and shares pi that never leave it; it does the local work of
FedEM and then averages each model with its neighbours'. Terminals count alike, whatever their rows. On a complete graph
of terminals with equally many rows it is FedEM with one base station.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.deferred import Pending
from learning.evaluation import Evaluator
from learning.local_em import LocalEM, starts_apart
from learning.messages import Cohort, Plan, Sizes
from learning.methods.base import Array
from learning.methods.gossip import Gossip, GossipParameters
from learning.mixtures import LIKELIHOODS
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class DecentralisedMixtureParameters(GossipParameters):
    """Parameters of D-FedEM.

    Attributes:
        components: M, models that are mixed; 1 is gossip.
        spread: as for FedEM; all terminals start from the same components.
    """

    components: int = Field(default=3, ge=1)
    spread: float = Field(default=0.1, ge=0)


class DFedEM(Gossip):
    """M models per terminal, each mixed with those of its neighbours."""

    label = "D-FedEM"
    Parameters: ClassVar[Any] = DecentralisedMixtureParameters
    losses = LIKELIHOODS

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._em = LocalEM(setting, parameters, parameters.components)
        self.evaluator = Evaluator(setting, self._em.mixture)

    def initial(self) -> Array:
        """Return (M P + M,) components, and even shares behind them."""
        M = self.parameters.components
        return np.append(starts_apart(self.setting, M, self.parameters.spread), np.full(M, 1.0 / M))

    @property
    def private(self) -> int:
        """The shares."""
        return int(self.parameters.components)

    def sizes(self, plan: Plan) -> Sizes:
        """All M models to every neighbour."""
        samples, fixed = self._em.visits(plan.everybodys)
        return replace(super().sizes(plan), samples=samples, fixed_samples=fixed)

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit an E-step and H SGD steps of each of the terminals' own models."""
        who, numbers = cohort.terminals, self.next_rounds(cohort.terminals)
        steps, own = plan.steps(who), self._models
        return self._em.submit(who, own, who, own, steps, numbers, self._velocities)
