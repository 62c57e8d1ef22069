"""FedAsync: the cloud mixes every report into its model as it arrives, old ones less.

w = (1 - alpha s(tau)) w + alpha s(tau) w_reported. Xie et al., "Asynchronous federated optimization", arXiv 1903.03934,
algorithm 1 and section 5.2.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.asynchronous import DescendingAsynchronous, DiscountingParameters
from learning.staleness import discounted


@dataclass(frozen=True, config={"extra": "forbid"})
class MixingParameters(DiscountingParameters):
    """Parameters of FedAsync.

    Attributes:
        mixing: alpha, weight of a fresh report; 1 keeps nothing of the model before.
        proximal: rho, pull of a terminal's steps towards the model received; 0 is plain SGD.
    """

    mixing: float = Field(default=0.6, gt=0, le=1)
    proximal: float = Field(default=0.005, ge=0)


class FedAsync(DescendingAsynchronous):
    """Mixes reports in one at a time."""

    label = "FedAsync"
    Parameters: ClassVar[Any] = MixingParameters

    @property
    def proximal(self) -> float:
        """rho."""
        return float(self.parameters.proximal)

    def weigh(self, staleness: int) -> tuple[float, int]:
        """Return alpha s(tau); every report makes a version."""
        return self.parameters.mixing * discounted(self.parameters, staleness), 1

    def take_in(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """Mix."""
        w = self.cloud.values[0]
        for _, reached, weight in batch:
            w[:] = (1.0 - weight) * w + weight * reached
        return [None] * len(batch)
