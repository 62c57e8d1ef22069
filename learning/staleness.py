"""What an update is worth that was computed from an old model: s(tau), 1 for a fresh one.

Xie et al., "Asynchronous federated optimization", arXiv 1903.03934, section 5.2.
"""

from __future__ import annotations

from typing import Literal, Protocol

Law = Literal["constant", "polynomial", "hinge"]


class Discounting(Protocol):
    """The parameters of a method that trusts old updates less.

    Attributes:
        discount: constant, 1; polynomial, (1 + tau)^-a; hinge, 1 up to b and 1 / (a (tau - b) + 1) beyond.
        discount_power: a of polynomial; 0 is constant.
        hinge_slope, hinge_from: a and b of hinge.
    """

    discount: Law
    discount_power: float
    hinge_slope: float
    hinge_from: float


def discounted(rule: Discounting, staleness: float) -> float:
    """Return s(tau) of an update that is ``staleness`` versions old."""
    if rule.discount == "polynomial":
        return float((1.0 + staleness) ** -rule.discount_power)
    if rule.discount == "hinge" and staleness > rule.hinge_from:
        return 1.0 / (rule.hinge_slope * (staleness - rule.hinge_from) + 1.0)
    return 1.0
