"""Sorting and selecting in compiled code that makes no arrays."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

from netsim.cohort.luck import LEAN

Array = NDArray[Any]
_RUN = 16  # so many are sorted one by one; longer runs are merged


@njit(**LEAN)
def smallest(values: Array, n: int, k: int) -> float:
    """Return the k-th smallest, from 0, of ``values[:n]``, which is rearranged (C. A. R. Hoare's selection)."""
    low, high = 0, n - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if j < k < i:
            break
        if k <= j:
            high = j
        else:
            low = i
    return values[k]


@njit(**LEAN)
def rank_by(values: Array, order: Array, spare: Array) -> None:
    """Write into ``order`` (m,) what sorts ``values`` (m,), equals in their order; ``spare`` (m,) is room for it."""
    m = len(order)
    for i in range(m):
        run, j = i - i % _RUN, i
        while j > run and values[order[j - 1]] > values[i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
    width = _RUN
    while width < m:
        for first in range(0, m, 2 * width):
            _merge(values, order, spare, first, min(first + width, m), min(first + 2 * width, m))
        for i in range(m):
            order[i] = spare[i]
        width *= 2


@njit(**LEAN)
def _merge(values: Array, order: Array, spare: Array, first: int, middle: int, last: int) -> None:
    """Write two sorted runs of ``order`` into ``spare`` as one."""
    i, j = first, middle
    for place in range(first, last):
        if j == last or (i < middle and values[order[i]] <= values[order[j]]):
            spare[place] = order[i]
            i += 1
        else:
            spare[place] = order[j]
            j += 1
