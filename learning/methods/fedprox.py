"""FedProx: FedAvg whose local steps are held near the model received, by (mu/2) ||w - w_received||^2.

Li et al., "Federated optimization in heterogeneous networks", MLSys 2020.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.descent import Pull
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.momentum import MomentumParameters


@dataclass(frozen=True, config={"extra": "forbid"})
class ProximalParameters(AveragingParameters):
    """Parameters that FedProx and other methods with a pull have in common.

    Attributes:
        proximal: mu, weight of the proximal term; 0 regresses to FedAvg, a huge one keeps the model received.
        pull: whether the term acts at the end of a step, which is stable for any weight, or at its start, as plain
            SGD has it, which needs learning_rate x proximal below 2.
    """

    proximal: float = Field(default=0.1, ge=0)
    pull: Pull = "implicit"


@dataclass(frozen=True, config={"extra": "forbid"})
class FedProxParameters(MomentumParameters, ProximalParameters):
    """Parameters of FedProx."""


class Pulled:
    """Makes a kind of FedAvg take its pull from its parameters."""

    parameters: Any

    @property
    def proximal(self) -> float:
        """Its weight."""
        return float(self.parameters.proximal)

    @property
    def pull(self) -> Pull:
        """Where in a step it acts."""
        chosen: Pull = self.parameters.pull
        return chosen


class FedProx(Pulled, FedAvg):
    """FedAvg with a proximal term."""

    label = "FedProx"
    Parameters: ClassVar[Any] = FedProxParameters
