"""What becomes of updates that arrive: committed duals move to those proposed, and changes of sums add up."""

from __future__ import annotations

from typing import Any

from numba import njit, prange
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


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def add_up(du: Array, arrived: Array, offsets: Array, out: Array) -> None:
    """Write (S, d) float64 sums of the rows of ``du`` (T, d) that ``arrived``, those in ``offsets`` (S + 1,) together.

    Rows are added in their order: a sum has the same last bit whatever other sums there are.
    """
    for s in prange(len(out)):
        for c in range(out.shape[1]):
            out[s, c] = 0.0
        for t in range(offsets[s], offsets[s + 1]):
            if arrived[t]:
                for c in range(out.shape[1]):
                    out[s, c] += du[t, c]
