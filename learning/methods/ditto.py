"""Ditto: FedAvg beside a personal model per terminal that is pulled towards the global one by (lambda/2) ||v - w||^2.

T. Li et al., "Ditto: fair and robust federated learning through personalization", ICML 2021, algorithm 1 with FedAvg
as the solver of the global model. The steps of both models visit the same minibatches.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.descent import Descent
from learning.messages import Plan
from learning.methods.base import Array
from learning.methods.fedprox import ProximalParameters
from learning.private import LocalRound, PersonalAveraging, Trained
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class DittoParameters(ProximalParameters):
    """Parameters of Ditto.

    Attributes:
        proximal: lambda, pull of a personal model towards the global one; 0 is local training, a huge one FedAvg.
        personal_iterations: s, steps of the personal model per base-station iteration; absent: as many as of the
            global one.
    """

    proximal: float = Field(default=0.1, ge=0)
    personal_iterations: int | None = Field(default=None, ge=1)


class Ditto(PersonalAveraging):
    """A global model by FedAvg, and personal models near it."""

    label = "Ditto"
    Parameters: ClassVar[Any] = DittoParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._personal_descent = Descent(setting, parameters, parameters.proximal, parameters.pull)

    def visits(self, plan: Plan) -> Array:
        """Both descents."""
        personal = self.parameters.personal_iterations or plan.everybodys
        return self._descent.visits(plan.everybodys) + self._descent.visits(personal)

    def local(self, work: LocalRound) -> Trained:
        """Steps of the personal model towards the model received, and of a copy of that."""
        who, s = work.terminals, self.parameters.personal_iterations
        steps = work.steps if s is None else (0 * work.steps + s)
        own = self._personal_descent.run(who, work.private[0], steps, work.numbers, work.received)
        return Trained(self._descent.run(who, work.received, work.steps, work.numbers), own[None])
