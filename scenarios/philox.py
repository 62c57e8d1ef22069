"""The words of :mod:`scenarios.streams` in compiled code, for whoever draws there.

A cached kernel is renewed only when its own file changes: files with such kernels name this file's digest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _SHIFT, _ZERO = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0)


@njit(forceinline=True, nogil=True, error_model="numpy")
def philox_words(block: int, round_: int, entity: int, key0: int, key1: int) -> tuple[Any, Any, Any, Any]:
    """Return the four words of ``scenarios.streams.philox((block, round_, entity, 0), (key0, key1))``."""
    c0, c1, c2, c3 = np.uint64(block), np.uint64(round_), np.uint64(entity), _ZERO
    k0, k1 = np.uint64(key0), np.uint64(key1)
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3
