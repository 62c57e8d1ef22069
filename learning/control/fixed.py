"""The same H and K in every cloud round: what every method does that does not plan."""

from __future__ import annotations

from dataclasses import dataclass

from learning.control.blind import Blind
from learning.control.observation import Observation
from learning.messages import Plan


@dataclass(frozen=True)
class FixedControl(Blind):
    """Repeats one plan until the budget is met.

    Args:
        local_iterations: H.
        bs_iterations: K.
        cloud_rounds: number of cloud rounds after which to stop; None goes on until the budget is met.
    """

    local_iterations: int
    bs_iterations: int
    cloud_rounds: int | None = None

    def next_plan(self, observation: Observation) -> Plan:
        """Return the plan."""
        return Plan(self.local_iterations, self.bs_iterations)
