"""Sums over runs of rows: how the updates of a base station's terminals become one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def segment_sums(values: Array, offsets: NDArray[np.int64]) -> Array:
    """Return (S, ...) sums of ``values[offsets[s]:offsets[s + 1]]``, zero for an empty run.

    A sum has the same last bit whatever other runs there are.

    Args:
        values: (n, ...) rows.
        offsets: (S + 1,) non-decreasing, from 0 to n.
    """
    filled, numbers = offsets[1:] > offsets[:-1], values.astype(np.float64, copy=False)
    if len(values) and filled.all():  # as a rule
        return np.add.reduceat(numbers, offsets[:-1], axis=0)
    sums = np.zeros((len(filled), *values.shape[1:]))
    if filled.any():
        sums[filled] = np.add.reduceat(numbers, offsets[:-1][filled], axis=0)
    return sums


def within(mask: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (S + 1,) ranges that remain of ``offsets`` when only the rows in ``mask`` (n,) are kept."""
    kept = np.concatenate([[0], np.cumsum(mask)])
    return np.asarray(kept[offsets], np.int64)


def rows_of(offsets: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the ``chosen`` (T,) runs of ``offsets`` end to end, and the (T + 1,) ranges of each there."""
    sizes = offsets[chosen + 1] - offsets[chosen]
    cuts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return np.arange(cuts[-1]) + np.repeat(offsets[chosen] - cuts[:-1], sizes), cuts
