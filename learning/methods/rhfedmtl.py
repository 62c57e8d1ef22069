"""RHFedMTL: HFedMTL with the numbers of local and base-station iterations chosen to make the most of a budget.

Yi et al., "RHFedMTL: resource-aware hierarchical federated multi-task learning", arXiv 2306.00675. Two strategies:
the closed form (:mod:`learning.control.closed_form`), fed with the contraction the terminals measure, and the rule
published with the paper (:mod:`learning.control.reference`).
"""

from __future__ import annotations

from math import log
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.closed_form import ClosedFormControl
from learning.control.observation import Controller, Observation
from learning.control.reference import ReferenceControl
from learning.methods.hfedmtl import DualParameters, HFedMTL, measured_contraction
from learning.parcels import Plan


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
    Parameters = PlannedDualParameters

    @property
    def reports_gap(self) -> bool:  # type: ignore[override]
        """The closed form needs measured gaps; the published rule does not."""
        return bool(self.parameters.controller == "closed_form")

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
        """Measure the contraction of the round that ended and plan the next."""
        contraction = None
        if self._updates:
            self.queue.flush()
            contraction = measured_contraction(self._updates)
            self._updates.clear()
        return self.controller.plan(observation, contraction)
