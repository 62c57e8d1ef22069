"""FedEM: terminals share several models, and each mixes them in shares of its own, found by expectation-maximisation.

Marfoq, Neglia, Bellet, Kameni and Vidal, "Federated multi-task learning under a mixture of distributions", NeurIPS
2021, Algorithm 1. A terminal decides which of the M models explains which of its rows, keeps the mean of that as its
shares pi, and descends on each model with its rows so weighted; the server averages each model over the terminals, by
their rows. The shares never leave the terminal. An update that is lost is forgotten, and the shares with it. In the
hierarchy base stations average first; with one base-station iteration per cloud round it is the paper's method.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.deferred import ALL, Pending
from learning.evaluation import Evaluator, Measurement
from learning.kept import Kept
from learning.local_em import LocalEM, starts_apart
from learning.messages import Cohort, Plan, Sizes, owners
from learning.methods.base import Array, IntArray, Node
from learning.methods.fedavg import FedAvg, FedAvgParameters
from learning.mixtures import LIKELIHOODS
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class MixtureParameters(FedAvgParameters):
    """Parameters of FedEM.

    Attributes:
        components: M, models that are mixed; 1 is FedAvg.
        spread: standard deviation of what sets the others apart from the first model at the start, which is FedAvg's;
            models that are equal at the start remain so, and with 0 all are.
    """

    components: int = Field(default=3, ge=1)
    spread: float = Field(default=0.1, ge=0)


class FedEM(FedAvg):
    """Averages the M models of a mixture, weighted by training rows."""

    label = "FedEM"
    Parameters: ClassVar[Any] = MixtureParameters
    personal = True
    losses = LIKELIHOODS

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        M = parameters.components
        self._em = LocalEM(setting, parameters, M)
        self._shares = State(np.full((setting.terminals, M), 1.0 / M))
        self._kept = Kept(setting.queue, M * setting.model.size, [self._shares, self._velocities])
        self.evaluator = Evaluator(setting, self._em.mixture)

    def initial(self) -> Array:
        """Return the (M P,) components of the start."""
        return starts_apart(self.setting, self.parameters.components, self.parameters.spread)

    def sizes(self, plan: Plan) -> Sizes:
        """All M models everywhere."""
        samples, fixed = self._em.visits(plan.everybodys)
        return replace(super().sizes(plan), samples=samples, fixed_samples=fixed)

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit an E-step and H SGD steps of each model received."""
        who, numbers = cohort.terminals, self.next_rounds(cohort.terminals)
        state, steps = (self._sites, owners(cohort), self._shares), plan.steps(who)
        return self._em.submit(who, *state, steps, numbers, self._velocities)

    def served(self) -> tuple[State, IntArray]:
        """Return where the models are that terminals mix, and which (terminals,) row is each one's."""
        return self._cloud, np.zeros(self.setting.terminals, np.int64)

    def evaluate(self, node: Node) -> Measurement:
        """Measure the terminals' mixtures of the models they are served."""
        if node.tier == "base_station":
            return Measurement()
        models, rows = self.served()
        used = [(models, ALL), (self._shares, ALL)]
        mixtures = self.queue.submit(self._mixtures, (models, rows), reads=used)
        owner = self.setting.federation.terminal_task
        return Measurement([], self.evaluator.score(self.queue, owner, mixtures), self.measure_unseen())

    def newcomers(self) -> Pending | None:
        """Submit the mixtures that unseen terminals fit of the global models."""
        return self.queue.submit(self._em.newcomers, (super().newcomers(),))

    # What the queue runs ------------------------------------------------------------------------------------

    def _mixtures(self, batch: list[tuple[Any, ...]]) -> list[Array]:
        return [np.hstack([models.values[rows], self._shares.values]) for models, rows in batch]
