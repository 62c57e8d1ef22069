"""H and K with the least bound on the gap that the budget can buy.

An exact iteration of the shared vector r contracts the distance from the optimum as a linear map with eigenvalues in
[0, lambda2/lam] does, relaxed by omega. Base-station iterations that leave (1 - s (1 - Theta(H)))^K of the tasks' gaps
get as much of its decrease as they close of these, so that a cloud round leaves at most

    1 - (1 - (1 - s (1 - e^(-q H)))^K) (1 - rho)

of the joint gap. rho follows from the problem, q from the gaps of the terminals' sub-problems before and after their
work, s from the joint gaps at the beginnings of two rounds. Worst-case values of q and s are far too small to plan
with; with measured ones the bound is a forecast, and only the gap itself is certified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from learning.control.forecast import Array, Ledger, affordable_rounds
from learning.control.observation import Observation, Reading
from learning.messages import Plan

_ITERATIONS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
_FIRST_SHARE = 0.5
_SAFE = 1.15  # how many times over what was measured must pay for the last round


def outer_contraction(share: float, relaxation: float) -> float:
    """Return what an exact iteration of r leaves of the joint gap at most.

    Args:
        share: lambda2 / lam, the largest eigenvalue of plain alternation.
        relaxation: omega.
    """
    return float(max(abs(1.0 - relaxation), abs(1.0 - relaxation * (1.0 - share))) ** 2)


def remaining_gap(H: Array, K: Array, q: float, share: float, outer: float) -> Array:
    """Return the bound on what a cloud round leaves of the joint gap.

    Args:
        H, K: local and base-station iterations, of equal shape.
        q: contraction of the terminals' sub-problems by a local iteration.
        share: s, part of the tasks' gaps that a base-station iteration closes if sub-problems are solved exactly.
        outer: rho, what is left if the tasks are solved exactly.
    """
    inner = (1.0 + share * np.expm1(-q * H)) ** K
    return np.asarray(1.0 - (1.0 - inner) * (1.0 - outer), np.float64)


@dataclass
class ConvergenceBoundControl:
    """Plans every cloud round anew.

    Args:
        first_contraction: q assumed until gaps have been measured.
        outer: rho, see :func:`outer_contraction`.
        max_local_iterations: upper bound on H.
    """

    first_contraction: float
    outer: float
    max_local_iterations: int = 1000
    _ledger: Ledger = field(default_factory=Ledger, init=False)
    _last: Plan | None = field(default=None, init=False)

    def measures_gap(self, cloud_round: int) -> bool:
        """Measure in rounds 1, 2, 4, 8, ..."""
        return (cloud_round + 1) & cloud_round == 0

    def plan(
        self, observation: Observation, contraction: float | None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return H and K of the next cloud round; None when it cannot be paid for."""
        if self._last is not None and (
            observation.cloud_round < 3 or not self.measures_gap(observation.cloud_round - 1)
        ):
            self._ledger.take(observation, self._last, dict.fromkeys(_RESOURCES, float(self._last.local_iterations)))
        tariffs, q = self._ledger.tariffs(observation), contraction or self.first_contraction
        H, K = self._candidates()
        rounds = affordable_rounds(observation.remaining, tariffs, dict.fromkeys(_RESOURCES, H), K)
        if self._last is None and len(tariffs) < len(observation.remaining):
            self._last = Plan(max(1, round(-1.0 / np.expm1(-q))), 1)  # prices are found out in a short round
            return self._last
        if not np.any(rounds >= 1.0):
            return None
        decrease = -np.log(remaining_gap(H, K, q, self._share(q, readings), self.outer))
        best = int(np.argmax(np.where(rounds >= 1.0, rounds, 0.0) * decrease))
        if rounds[best] < 2.0:
            fits = rounds >= (_SAFE if np.any(rounds >= _SAFE) else 1.0)
            best = int(np.argmax(np.where(fits, decrease, -1.0)))
        self._last = Plan(int(H[best]), int(K[best]))
        return self._last

    def _candidates(self) -> tuple[Array, Array]:
        most = np.log(self.max_local_iterations)
        local = np.unique(np.rint(np.exp(np.arange(0.0, most + 1e-9, 0.1))))
        H, K = np.meshgrid(local, _ITERATIONS, indexing="ij")
        return H.ravel(), K.ravel()

    def _share(self, q: float, readings: Sequence[Reading]) -> float:
        """Return s from the last two readings between which the gap fell."""
        for before, after in reversed(list(pairwise(readings))):
            if 0.0 < after.gap < before.gap:
                left = (after.gap / before.gap) ** (1.0 / (after.cloud_round - before.cloud_round))
                inner = max(1.0 - (1.0 - left) / max(1.0 - self.outer, 1e-9), 1e-3)
                plan = before.plan
                share = (1.0 - inner ** (1.0 / plan.bs_iterations)) / -np.expm1(-q * plan.local_iterations)
                return float(np.clip(share, 1e-3, 1.0))
        return _FIRST_SHARE


_RESOURCES = ("time_s", "energy_j", "bytes", "cost")
