"""Planners that measure nothing: they say what comes next, and stop after a number of rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from learning.control.observation import Observation, Reading
from learning.messages import Plan


class Blind(ABC):
    """What they share."""

    heeds_pace: ClassVar[bool] = False
    """Whether plans depend on how fast terminals were, which others have measured."""
    cloud_rounds: int | None
    """Number of cloud rounds after which to stop; None goes on until the budget is met."""

    @abstractmethod
    def next_plan(self, observation: Observation) -> Plan:
        """Return the next round."""

    def measures_gap(self, cloud_round: int) -> bool:
        """Never: nothing would come of it."""
        return False

    def plan(
        self, observation: Observation, contraction: float | None = None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return the next round, or None after the last."""
        if self.cloud_rounds is not None and observation.cloud_round >= self.cloud_rounds:
            return None
        return self.next_plan(observation)
