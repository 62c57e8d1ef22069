"""Draws in compiled code: the same numbers as :class:`scenarios.streams.Streams` gives, from the same keys."""

from __future__ import annotations

from math import ceil, log
from typing import Any

import numpy as np
from numba import njit

from netsim.cohort.plant import BIMODAL, LOGNORMAL, PARETO, SHIFTED_EXPONENTIAL, Rules
from scenarios.philox import philox_words

COMPILED: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
LEAN = COMPILED | {"_nrt": False}
"""For what makes no arrays: counting the references to a dozen arrays at every call takes longer than most calls do."""
PART = LEAN | {"forceinline": True}
"""For a part of one longer function."""
CACHED = COMPILED | {"cache": True}
"""For what Python calls. A cached function is renewed only when its own file changes, so such a file names the digest
of all files it is compiled from, and a test compares."""
_SIX = np.uint64(6)


@njit(**LEAN)
def share_of(share: float, count: int) -> int:
    """Return :func:`netsim.collection.share_of`."""
    return max(1, ceil(share * count - 1e-9))


@njit(**LEAN)
def uniform(key: tuple[int, int], entity: int, round_: int, draw: int) -> float:
    """Return :meth:`scenarios.streams.Streams.number` of the purpose that has this key."""
    words = philox_words(draw, round_, entity, key[0], key[1])
    high, low = np.float64(words[0] >> _SIX), np.float64(words[1] >> _SIX)
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
