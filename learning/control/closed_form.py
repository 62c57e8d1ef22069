"""RHFedMTL's strategy, derived exactly: how many local iterations make the most of a budget.

With H local iterations a terminal solves its sub-problem up to a share Theta(H) = e^(-q H) of its gap, and a
base-station iteration makes progress in proportion to 1 - Theta(H). Under a budget the guaranteed progress is
K (1 - Theta(H)) with K = budget / (C_bs + H C_dev). Its maximiser does not depend on the budget:

    e^x = 1 + kappa + x,   x = q H,   kappa = q C_bs / C_dev,

that is x = -(1 + kappa) - W_{-1}(-e^{-(1 + kappa)}) with the lower branch of Lambert's W.
(C_dev: one more local iteration at all terminals; C_bs: one more iteration at all base stations.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, log1p

from learning.control.observation import Observation, Price
from learning.parcels import Plan

_SLACK = 1e-9  # a budget of exactly K iterations allows K iterations


def optimal_local_iterations(contraction: float, price: Price) -> float:
    """Return H* as a real number.

    Args:
        contraction: q > 0.
        price: what local and base-station iterations cost, in the same unit; both positive.

    Raises:
        ValueError: the contraction or a price is not positive.
    """
    if not (contraction > 0.0 and price.local_iteration > 0.0 and price.bs_iteration > 0.0):
        raise ValueError("contraction and prices must be positive")
    kappa = contraction * price.bs_iteration / price.local_iteration
    # Newton on f(x) = e^x - 1 - kappa - x, convex, from the right of its positive root: monotone, no overflow.
    x = log1p(kappa) + 1.0
    for _ in range(100):
        step = (exp(x) - 1.0 - kappa - x) / (exp(x) - 1.0)
        x -= step
        if abs(step) <= 1e-14 * x:
            break
    return x / contraction


def affordable_iterations(budget: float, price: Price, H: int) -> int:
    """Return the largest K with K (C_bs + H C_dev) <= budget."""
    each = price.bs_iteration + H * price.local_iteration
    return floor(budget / each * (1.0 + _SLACK)) if each > 0.0 else 2**31


def affordable_local_iterations(budget: float, price: Price, K: int) -> int:
    """Return the largest H with K (C_bs + H C_dev) <= budget; negative if not even H = 0 fits."""
    if price.local_iteration <= 0.0:
        return 2**31
    return floor((budget / K - price.bs_iteration) / price.local_iteration * (1.0 + _SLACK))


@dataclass(frozen=True)
class ClosedFormControl:
    """Plans every cloud round anew from what is left, for the resource that will run out first.

    Args:
        cloud_rounds: T, cloud rounds the budget is spread over; fewer if it does not pay for that many.
        first_contraction: q assumed until gaps have been measured; -ln(1 - 1/n) for n samples a terminal is exact
            when every local iteration removes one sample's share of the gap.
        max_local_iterations: upper bound on H, so that a very dear base-station iteration asks no more local work
            than can be useful.
    """

    cloud_rounds: int
    first_contraction: float
    max_local_iterations: int = 1000

    def plan(self, observation: Observation, contraction: float | None) -> Plan | None:
        """Return K and H for the next cloud round, or None when nothing more is affordable."""
        rounds_left = self.cloud_rounds - observation.cloud_round
        known = {name: observation.prices[name] for name in observation.remaining if name in observation.prices}
        if rounds_left < 1 or not known:
            return None if rounds_left < 1 else Plan(self._first_guess(), 1)
        q = contraction or self.first_contraction
        best = {name: self._local_iterations(q, price) for name, price in known.items()}
        left = observation.remaining
        binding = min(known, key=lambda name: affordable_iterations(left[name], known[name], best[name]))
        for rounds in range(rounds_left, 0, -1):  # fewer rounds only if one local iteration each is too much
            share = {name: left[name] / rounds for name in known}
            K = max(1, min(affordable_iterations(share[name], known[name], best[binding]) for name in known))
            H = min(affordable_local_iterations(share[name], known[name], K) for name in known)
            if H >= 1:
                return Plan(min(H, self.max_local_iterations), K)
        return None

    def _local_iterations(self, q: float, price: Price) -> int:
        if price.local_iteration <= 0.0 or price.bs_iteration <= 0.0:
            return 1 if price.bs_iteration <= 0.0 else self.max_local_iterations
        return min(self.max_local_iterations, max(1, round(optimal_local_iterations(q, price))))

    def _first_guess(self) -> int:
        """One pass over a terminal's samples: 1 / (1 - e^-q)."""
        return max(1, round(1.0 / (1.0 - exp(-self.first_contraction))))
