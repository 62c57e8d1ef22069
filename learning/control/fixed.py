"""The same H and K in every cloud round: what every method does that does not plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learning.control.observation import Observation, Reading
from learning.messages import Plan


@dataclass(frozen=True)
class FixedControl:
    """Repeats one plan until the budget is met.

    Args:
        local_iterations: H.
        bs_iterations: K.
        cloud_rounds: number of cloud rounds after which to stop; None goes on until the budget is met.
    """

    local_iterations: int
    bs_iterations: int
    cloud_rounds: int | None = None

    def measures_gap(self, cloud_round: int) -> bool:
        """Never: nothing would come of it."""
        return False

    def plan(
        self, observation: Observation, contraction: float | None = None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return the plan, or None after the last round."""
        if self.cloud_rounds is not None and observation.cloud_round >= self.cloud_rounds:
            return None
        return Plan(self.local_iterations, self.bs_iterations)
