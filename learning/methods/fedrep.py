"""FedRep: shared trunk and private heads; a terminal first fits its heads to the trunk, then the trunk to them.

L. Collins, H. Hassani, A. Mokhtari, S. Shakkottai, "Exploiting shared representations for personalized federated
learning", ICML 2021.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.descent import Descend
from learning.hard_sharing import HardSharing, SharingParameters
from learning.messages import Plan
from learning.methods.base import Array, IntArray
from learning.primal_dual.jobs import SgdJobs


@dataclass(frozen=True, config={"extra": "forbid"})
class AlternatingParameters(SharingParameters):
    """Parameters of FedRep; H is the sum of both kinds of steps.

    Attributes:
        head_iterations: SGD steps on the heads, the trunk held; 0 leaves heads as they are.
        trunk_iterations: SGD steps on the trunk that follow, the heads held.
    """

    head_iterations: int = Field(default=5, ge=0)
    trunk_iterations: int = Field(default=1, ge=1)


class FedRep(HardSharing):
    """Steps on the heads, then on the trunk."""

    label = "FedRep"
    Parameters: ClassVar[Any] = AlternatingParameters

    def make_controller(self) -> FixedControl:
        """Return fixed H and K."""
        p = self.parameters
        return FixedControl(p.head_iterations + p.trunk_iterations, p.bs_iterations, p.cloud_rounds)

    def steps(self, plan: Plan) -> IntArray:
        """Return (terminals,) H, less the steps on the trunk for terminals that train heads only."""
        steps = super().steps(plan)
        return np.where(self._trains_trunk, steps, self._on_heads(steps))

    def _on_heads(self, steps: IntArray) -> IntArray:
        """Return how many of the steps are on the heads: in proportion to the parameters, whatever H a plan gives."""
        p = self.parameters
        return np.asarray(steps * p.head_iterations // (p.head_iterations + p.trunk_iterations))

    def schedule(self, model: Any) -> Descend:
        """Heads first, then the trunk."""

        def in_turn(jobs: SgdJobs) -> Array:
            return np.asarray(model.descend_in_turn(jobs, self._on_heads(jobs.steps)))

        return in_turn
