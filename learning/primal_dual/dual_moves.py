"""Committed duals on their way to those that terminals propose."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def move_duals(alpha: Array, offsets: Array, terminals: Array, candidate: Array, first: Array, shares: Array) -> None:
    """Move the duals of some terminals a share of the way; a whole share takes what is proposed, unrounded.

    Args:
        alpha: (n,) committed duals, changed in place.
        offsets: (M + 1,) their ranges by terminal.
        terminals: (T,) whose duals, each at most once.
        candidate: proposed duals; ``first`` (T,) says where each terminal's begin.
        shares: (T,) of the way.
    """
    for t in range(len(terminals)):
        start, share = offsets[terminals[t]], shares[t]
        for i in range(offsets[terminals[t] + 1] - start):
            proposed = candidate[first[t] + i]
            old = alpha[start + i]
            alpha[start + i] = proposed if share == 1.0 else old + share * (proposed - old)
