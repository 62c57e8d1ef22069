"""FedBuff: the cloud collects the changes that terminals report, and takes a step when it has K of them.

w = w - eta_g / K sum s(tau) (w_received - w_reported). Nguyen et al., "Federated learning with buffered asynchronous
aggregation", AISTATS 2022, algorithm 1.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.asynchronous import DescendingAsynchronous, DiscountingParameters
from learning.setting import Setting
from learning.staleness import discounted


@dataclass(frozen=True, config={"extra": "forbid"})
class BufferParameters(DiscountingParameters):
    """Parameters of FedBuff.

    Attributes:
        buffer: K, reports in a step; 1 takes every report in by itself.
        server_rate: eta_g, step size of the cloud; with 1 it moves by the mean of the changes.
    """

    buffer: int = Field(default=10, ge=1)
    server_rate: float = Field(default=1.0, gt=0)


class FedBuff(DescendingAsynchronous):
    """Takes reports in K at a time."""

    label = "FedBuff"
    Parameters: ClassVar[Any] = BufferParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._held = 0
        self._sum = np.zeros(setting.model.size)

    def weigh(self, staleness: int) -> tuple[tuple[float, bool], int]:
        """Return s(tau) and whether the buffer is full with this report, which makes a version."""
        self._held = (self._held + 1) % self.parameters.buffer
        return (discounted(self.parameters, staleness), self._held == 0), int(self._held == 0)

    def take_in(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """Add to the buffer, and step when it is full."""
        w, rate = self.cloud.values[0], self.parameters.server_rate / self.parameters.buffer
        for received, reached, (weight, full) in batch:
            self._sum += weight * (received - reached)
            if full:
                w -= rate * self._sum
                self._sum[:] = 0.0
        return [None] * len(batch)
