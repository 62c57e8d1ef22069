"""RHFedMTL's strategy, derived exactly: how many local iterations make the most of a budget.

With H local iterations a terminal solves its sub-problem up to a share Theta(H) = e^(-q H) of its gap, and a
base-station iteration makes progress in proportion to 1 - Theta(H). Under a budget the guaranteed progress is
K (1 - Theta(H)) with K = budget / (C_bs + H C_dev). Its maximiser does not depend on the budget:

    e^x = 1 + kappa + x,   x = q H,   kappa = q C_bs / C_dev,

that is x = -(1 + kappa) - W_{-1}(-e^{-(1 + kappa)}) with the lower branch of Lambert's W.
(C_dev: one more local iteration at all terminals; C_bs: one more iteration at all base stations.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import expm1, floor, log1p

from learning.control.observation import Observation, Price, Reading
from learning.messages import Plan

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
        step = (expm1(x) - x - kappa) / expm1(x)
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
        return 2**31 if K * price.bs_iteration <= budget * (1.0 + _SLACK) else -1
    return floor((budget / K - price.bs_iteration) / price.local_iteration * (1.0 + _SLACK))


@dataclass(frozen=True)
class ClosedFormControl:
    """Plans every cloud round anew from what is left of all resources.

    Of the numbers H* that suit one resource each, it takes the one with which all resources together allow the
    greatest progress K (1 - e^(-q H)).

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

    def measures_gap(self, cloud_round: int) -> bool:
        """Measure in rounds 1, 2, 4, 8, ...

        What is learned changes ever more slowly, and measuring costs terminals more than a short round of work.
        """
        return (cloud_round + 1) & cloud_round == 0

    def plan(
        self, observation: Observation, contraction: float | None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return K and H for the next cloud round, or None when nothing more is affordable."""
        rounds_left = self.cloud_rounds - observation.cloud_round
        if rounds_left < 1:
            return None
        left, q = observation.remaining, contraction or self.first_contraction
        prices = {name: price for name, price in observation.prices.items() if name in left and _costs(price)}
        if not prices:
            return Plan(self._first_guess(), 1)
        wishes = {name: self._local_iterations(q, price) for name, price in prices.items()}
        for rounds in range(rounds_left, 0, -1):  # fewer rounds only if one local iteration each is too much
            shares = {name: left[name] / rounds for name in prices}
            fitting = [self._fit(H, shares, prices, wishes, rounds_left == 1) for H in wishes.values()]
            plans = [plan for plan in fitting if plan.local_iterations >= 1]
            if plans:
                best = max(plans, key=lambda plan: plan.bs_iterations * -expm1(-q * plan.local_iterations))
                # While a price is unknown a long round could overspend: measure it in a short one.
                unknown = rounds_left > 1 and not left.keys() <= observation.prices.keys()
                return Plan(best.local_iterations, 1) if unknown else best
        return None

    def _fit(
        self, H: int, shares: Mapping[str, float], prices: Mapping[str, Price], wishes: Mapping[str, int], last: bool
    ) -> Plan:
        """Return as many base-station iterations as allow about H local ones; H < 1 in it if not even one fits."""
        iterations = {name: affordable_iterations(shares[name], prices[name], H) for name in prices}
        scarce = min(iterations, key=iterations.__getitem__)
        K = max(1, iterations[scarce])
        most = min(affordable_local_iterations(shares[name], prices[name], K) for name in prices)
        # What a round leaves over goes to the rounds after it; only the last one spends it on local work.
        return Plan(min(most, self.max_local_iterations if last else max(H, wishes[scarce])), K)

    def _local_iterations(self, q: float, price: Price) -> int:
        if price.local_iteration <= 0.0 or price.bs_iteration <= 0.0:
            return 1 if price.bs_iteration <= 0.0 else self.max_local_iterations
        return min(self.max_local_iterations, max(1, round(optimal_local_iterations(q, price))))

    def _first_guess(self) -> int:
        """One pass over a terminal's samples: 1 / (1 - e^-q)."""
        return max(1, round(-1.0 / expm1(-self.first_contraction)))


def _costs(price: Price) -> bool:
    return price.local_iteration > 0.0 or price.bs_iteration > 0.0
