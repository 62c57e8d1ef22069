"""What a controller is told before it plans a cloud round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.messages import Plan


class Price(Protocol):
    """What one more local iteration everywhere, or one more base-station iteration everywhere, costs."""

    @property
    def local_iteration(self) -> float:
        """Cost of one local iteration at every terminal."""

    @property
    def bs_iteration(self) -> float:
        """Cost of one aggregation at every base station, communication included."""

    @property
    def cloud_round(self) -> float:
        """What of all base-station iterations of the round before would have been spent on a single one."""

    @property
    def waiting(self) -> float:
        """The part of ``cloud_round`` that is waiting for the base station that is last."""


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

    @property
    def seconds_per_sample(self) -> NDArray[np.float64] | None:
        """(terminals,) least time of one visit of a training row so far, NaN where unknown; None before any was."""

    @property
    def slowdown(self) -> float:
        """How many times as long as that visits have taken on average."""

    @property
    def deadline_s(self) -> float | None:
        """How long base stations wait for updates unless a plan says otherwise; None if they have no deadline."""

    @property
    def upload_s(self) -> float:
        """What the update of an iteration that needs longest takes to arrive once it is computed, on average."""

    @property
    def computed(self) -> int:
        """How many updates were seen to be computed."""

    @property
    def excess(self) -> float:
        """Sum of logarithms of how many times as long as the least these, and at least those given up before, took."""


@dataclass(frozen=True)
class Reading:
    """What a cloud round in which gaps were measured has told.

    Attributes:
        cloud_round: index of the round.
        gap: certified distance of all tasks' models from the joint optimum when the round began.
        left: share of the terminals' sub-problem gaps that their local iterations left, below 1; None if none shrank.
        plan: the round's plan.
    """

    cloud_round: int
    gap: float
    left: float | None
    plan: Plan


class Controller(Protocol):
    """Chooses H and K."""

    def measures_gap(self, cloud_round: int) -> bool:
        """Return whether terminals should measure their gaps in a round that is about to be planned."""

    def plan(
        self, observation: Observation, contraction: float | None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return the plan of the next cloud round, or None to end the run.

        Args:
            observation: budget left and prices.
            contraction: measured rate q at which H local iterations shrink a terminal's sub-problem gap,
                e^(-q H); None before anything was measured.
            readings: all that was measured, in order.
        """
