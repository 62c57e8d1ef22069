"""FedRep: shared trunk and private heads; a terminal first fits its heads to the trunk, then the trunk to them.

L. Collins, H. Hassani, A. Mokhtari, S. Shakkottai, "Exploiting shared representations for personalized federated
learning", ICML 2021.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.descent import Descend
from learning.hard_sharing import HardSharing, SharingParameters
from learning.messages import Plan
from learning.methods.base import IntArray


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
        return np.where(self._trains_trunk, super().steps(plan), self.parameters.head_iterations)

    def schedule(self, model: Any) -> Descend:
        """Heads first, then the trunk."""
        return partial(model.descend_in_turn, head_steps=self.parameters.head_iterations)
