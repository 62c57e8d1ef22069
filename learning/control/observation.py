"""What a controller is told before it plans a cloud round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from learning.messages import Plan


class Price(Protocol):
    """What one more local iteration everywhere, or one more base-station iteration everywhere, costs."""

    @property
    def local_iteration(self) -> float:
        """Cost of one local iteration at every terminal."""

    @property
    def bs_iteration(self) -> float:
        """Cost of one aggregation at every base station, communication included."""


class Observation(Protocol):
    """What is left of the budget and what things have cost so far."""

    @property
    def cloud_round(self) -> int:
        """Index of the round to plan, from 0."""

    @property
    def remaining(self) -> Mapping[str, float]:
        """Budget left, by limited resource."""

    @property
    def prices(self) -> Mapping[str, Price]:
        """Prices, by resource; measured ones are absent before the first round."""


class Controller(Protocol):
    """Chooses H and K."""

    def plan(self, observation: Observation, contraction: float | None) -> Plan | None:
        """Return the plan of the next cloud round, or None to end the run.

        Args:
            observation: budget left and prices.
            contraction: measured rate q at which H local iterations shrink a terminal's sub-problem gap,
                e^(-q H); None before anything was measured.
        """
