"""Draws in compiled code: the same numbers as :class:`scenarios.streams.Streams` gives, from the same keys."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
from numba import njit

from netsim.cohort.plant import BIMODAL, LOGNORMAL, PARETO, SHIFTED_EXPONENTIAL, Rules

COMPILED: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
LEAN = COMPILED | {"_nrt": False}
"""For what makes no arrays: counting the references to a dozen arrays at every call takes longer than most calls do."""
PART = LEAN | {"forceinline": True}
"""For a part of one longer function."""
CACHED = COMPILED | {"cache": True}
"""For what Python calls. A cached function is renewed only when its own file changes, so such a file names the digest
of all files it is compiled from, and a test compares."""
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _SHIFT, _SIX, _ZERO = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(6), np.uint64(0)


@njit(**LEAN)
def uniform(key: tuple[int, int], entity: int, round_: int, draw: int) -> float:
    """Return :meth:`scenarios.streams.Streams.number` of the purpose that has this key."""
    c0, c1, c2, c3 = np.uint64(draw), np.uint64(round_), np.uint64(entity), _ZERO
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    high, low = np.float64(c0 >> _SIX), np.float64(c1 >> _SIX)
    return (high * 67108864.0 + low + 0.5) / 4503599627370496.0


@njit(**LEAN)
def slowdown_factor(rules: Rules, entity: int, round_: int, normal: float) -> float:
    """Return the factor on a terminal's compute time in a round, see :func:`netsim.compute.slowdown_factor`.

    ``normal`` is the standard normal of the draw, which only the lognormal law uses.
    """
    law, a = rules.slowdown, rules.slowdown_a
    if law == LOGNORMAL:
        return np.exp(a * normal)
    u = uniform(rules.slowdown_key, entity, round_, 0)
    if law == SHIFTED_EXPONENTIAL:
        return 1.0 - a * log(1.0 - u)
    if law == PARETO:
        return (1.0 - u) ** (-1.0 / a)
    if law == BIMODAL:
        return rules.slowdown_b if u > 1.0 - a else 1.0
    return 1.0


@njit(**LEAN)
def period_s(rules: Rules, entity: int, period: int, on: bool) -> float:
    """Return the length of a terminal's on or off period number ``period``."""
    mean_s = rules.mean_on_s if on else rules.mean_off_s
    if mean_s == np.inf:
        return np.inf
    return -mean_s * log(uniform(rules.presence_key, entity, period, 0))
