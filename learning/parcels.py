"""What a method hands to the network: a parcel to carry, the effort of local work, a plan for a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Parcel:
    """Something that travels.

    Attributes:
        content: what the receiver will need; may still be pending.
        bits: size on the air.
        sender: index of the terminal or base station it comes from; -1 for the cloud.
        samples: training rows behind the content, for weighted means.
    """

    content: Any
    bits: float
    sender: int
    samples: int = 0


@dataclass(frozen=True)
class Effort:
    """What local work costs.

    Attributes:
        iterations: local iterations the abstract cost C_dev is charged for.
        samples: visits of a training row, certificates included; CPU time and energy follow from them.
        fixed_samples: those of them that do not grow with H.
    """

    iterations: int
    samples: float
    fixed_samples: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One cloud round: K base-station iterations of H local iterations each."""

    local_iterations: int
    bs_iterations: int
