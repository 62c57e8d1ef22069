"""Arithmetic of one data row, compiled: random row indices, losses, conjugates and dual steps.

The coordinate steps are the closed forms of SDCA (Shalev-Shwartz and Zhang, JMLR 2013); the random words come from
``scenarios.philox``. ``losses`` says the rest in plain arrays; ``mu`` below is :func:`curvature` of the loss, not its
raw smoothing.

A cached kernel is only renewed when its own file changes, so ``kernels`` names this file's digest and a test
compares the two: whoever edits here is made to renew the callers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
HINGE, SMOOTHED_HINGE, SQUARED_HINGE, LOGISTIC, SQUARED = range(5)
UNIFORM, PERMUTATION, CYCLIC = range(3)

UNCACHED: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_SHIFT = np.uint64(32)
_EPS = 2.220446049250313e-16


@njit(**UNCACHED)
def draw(sampling: int, position: int, n: int, word: Any, order: Array) -> Any:
    """Return the row at a position of an epoch; ``order`` carries its permutation (lazy Fisher-Yates)."""
    if sampling == UNIFORM:
        return np.int64((word * np.uint64(n)) >> _SHIFT)
    if sampling == CYCLIC:
        return position
    if position == 0:
        for i in range(n):
            order[i] = i
    other = position + np.int64((word * np.uint64(n - position)) >> _SHIFT)
    row = order[other]
    order[other] = order[position]
    order[position] = row
    return row


@njit(**UNCACHED)
def _softplus(x: float) -> float:
    return max(x, 0.0) + np.log1p(np.exp(-abs(x)))


@njit(**UNCACHED)
def curvature(code: int, smoothing: float) -> float:
    """Return the mu that makes one formula of the three hinges: 0 plain, 1 squared (with no linear part)."""
    return 0.0 if code == HINGE else (1.0 if code == SQUARED_HINGE else smoothing)


@njit(**UNCACHED)
def loss(code: int, mu: float, score: float, y: float) -> float:
    """Return the loss of one row, see :class:`learning.primal_dual.losses.Loss`."""
    if code == SQUARED:
        return 0.5 * (score - y) ** 2
    if code == LOGISTIC:
        return _softplus(-y * score)
    short = max(0.0, 1.0 - y * score)
    return 0.5 * short * short / mu if code == SQUARED_HINGE or short < mu else short - 0.5 * mu


@njit(**UNCACHED)
def slope(code: int, mu: float, score: float, y: float) -> float:
    """Return d loss / d score of one row (0 at the hinge's kink)."""
    if code == SQUARED:
        return score - y
    m = y * score
    if code == LOGISTIC:
        tail = np.exp(-abs(m))
        return -y / (1.0 + tail) if m < 0.0 else -y * tail / (1.0 + tail)
    short = max(0.0, 1.0 - m)
    if code == SQUARED_HINGE or short < mu:
        return -y * short / mu
    return -y if short > 0.0 else 0.0


@njit(**UNCACHED)
def conjugate(code: int, mu: float, a: float, y: float) -> float:
    """Return loss*(-beta) of one row at a dual inside its domain."""
    if code == SQUARED:
        return 0.5 * a * a - a * y
    if code != LOGISTIC:
        return -a + 0.5 * mu * a * a
    value = a * np.log(a) if a > 0.0 else 0.0
    return value + (1.0 - a) * np.log1p(-a) if a < 1.0 else value


@njit(**UNCACHED)
def fenchel_young(code: int, mu: float, score: float, a: float, y: float) -> float:
    """Return loss + conjugate + beta * score >= 0, written without cancellation."""
    if code == SQUARED:
        return 0.5 * (score - y + a) ** 2
    m = y * score
    if code == LOGISTIC:
        return max(0.0, conjugate(code, mu, a, y) + a * _softplus(m) + (1.0 - a) * _softplus(-m))
    short = 1.0 - m
    if short <= 0.0:
        return -a * short + 0.5 * mu * a * a
    if code == SQUARED_HINGE or short < mu:
        return 0.5 * (short - mu * a) ** 2 / mu
    return (1.0 - a) * (short - 0.5 * mu * (1.0 + a))


@njit(**UNCACHED)
def _logistic_step(a: float, m: float, q: float) -> float:
    """Return the root c of m + q (c - a) + logit(c) = 0 by Newton in z = logit(c).

    The left side is convex in z below 0 and concave above. Clipping to the side that holds the root makes Newton
    monotone after one step, where a mere bracket would let it cycle for ever.
    """
    low, high = -m - q * (1.0 - a), -m + q * a
    if m + q * (0.5 - a) >= 0.0:
        high = min(high, 0.0)
    else:
        low = max(low, 0.0)
    z, noise = min(max(-m, low), high), 2.0 * _EPS * (1.0 + abs(m) + q)
    for _ in range(100):
        tail = np.exp(-abs(z))
        c = 1.0 / (1.0 + tail) if z >= 0.0 else tail / (1.0 + tail)
        f = m + q * (c - a) + z
        z = min(max(z - f / (1.0 + q * tail / ((1.0 + tail) * (1.0 + tail))), low), high)
        if abs(f) <= noise:
            break
    tail = np.exp(-abs(z))
    return 1.0 / (1.0 + tail) if z >= 0.0 else tail / (1.0 + tail)


@njit(forceinline=True, **UNCACHED)
def coordinate_step(code: int, mu: float, a: float, score: float, y: float, q: float) -> float:
    """Return the dual that maximises the local sub-problem along one coordinate, q > 0."""
    if code == SQUARED:
        return a + (y - score - a) / (q + 1.0)
    if code == LOGISTIC:
        return _logistic_step(a, y * score, q)
    best = max(0.0, a + (1.0 - y * score - mu * a) / (q + mu))
    return best if code == SQUARED_HINGE else min(best, 1.0)
