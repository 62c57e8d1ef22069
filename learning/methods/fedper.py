"""FedPer: shared trunk and private heads, which every local step moves together.

M. G. Arivazhagan, V. Aggarwal, A. K. Singh, S. Choudhary, "Federated learning with personalization layers", arXiv
1912.00818, 2019.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.hard_sharing import HardSharing, SharingParameters


@dataclass(frozen=True, config={"extra": "forbid"})
class JointParameters(SharingParameters):
    """Parameters of FedPer.

    Attributes:
        local_iterations: H, SGD steps per terminal and base-station iteration; 1, with all terminals and all their
            rows, is a step of SGD on the sum of all tasks' losses.
    """

    local_iterations: int = Field(default=5, ge=1)
    weighting: Literal["samples", "equal"] = "samples"


class FedPer(HardSharing):
    """Steps on trunk and heads at once."""

    label = "FedPer"
    Parameters: ClassVar[Any] = JointParameters
