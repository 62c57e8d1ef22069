"""RHFedMTL: HFedMTL with the numbers of local and base-station iterations chosen to make the most of a budget.

Yi et al., "RHFedMTL: resource-aware hierarchical federated multi-task learning", arXiv 2306.00675. Two strategies:
the closed form (:mod:`learning.control.closed_form`), fed with the contraction the terminals measure, and the rule
published with the paper (:mod:`learning.control.reference`).
"""

from __future__ import annotations

from math import log
from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.closed_form import ClosedFormControl
from learning.control.observation import Controller, Observation
from learning.control.reference import ReferenceControl
from learning.messages import Plan
from learning.methods.hfedmtl import DualParameters, HFedMTL, measured_contraction
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class PlannedDualParameters(DualParameters):
    """Parameters of RHFedMTL.

    Attributes:
        controller: closed_form, planned anew in every cloud round from what is left of the budget and the measured
            contraction; or reference, the published rule, which knows the cost budget only.
        cloud_rounds: T, cloud rounds the budget is spread over.
    """

    controller: Literal["closed_form", "reference"] = "closed_form"
    cloud_rounds: int = Field(default=10, ge=1)


class RHFedMTL(HFedMTL):
    """Primal-dual updates with K and H from the budget."""

    label = "RHFedMTL"
    Parameters: ClassVar[Any] = PlannedDualParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._contraction: float | None = None
        self._planned = 0

    def make_controller(self) -> Controller:
        """Return the strategy asked for."""
        p, data = self.parameters, self.setting.federation
        local_samples = len(data.y) / self.setting.terminals
        if p.controller == "reference":
            return ReferenceControl(p.cloud_rounds, len(data.y), self.setting.tasks, max(local_samples, 1.0 + 1e-9))
        # One coordinate step settles one sample's share of the gap: what to assume before anything is measured.
        first = -log(1.0 - 1.0 / max(local_samples, 1.5))
        return ClosedFormControl(p.cloud_rounds, first)

    def plan(self, observation: Observation) -> Plan | None:
        """Take the contraction of the round that ended, if it was measured, and plan the next.

        Gaps are measured in cloud rounds 1, 2, 4, 8, ...: what is learned changes ever more slowly, and measuring
        costs terminals more than a short round of work.
        """
        if self._measured:
            self.queue.flush()
            updates = [(work.value, arrived) for work, arrived in self._measured]
            self._contraction = measured_contraction(self._planned, updates) or self._contraction
            self._measured.clear()
        number = observation.cloud_round + 1
        self.measures_gap = self.parameters.controller == "closed_form" and number & (number - 1) == 0
        plan = self.controller.plan(observation, self._contraction)
        self._planned = plan.local_iterations if plan else 0
        return plan
