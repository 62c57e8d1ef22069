"""How sure a mean over a few seeds is: Student's t interval (Student, Biometrika 6, 1908)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

CONFIDENCE = 0.95
"""Two-sided coverage of every interval in this room."""


@dataclass(frozen=True)
class MeanInterval:
    """Mean and two-sided interval along one axis; every field has the shape of the other axes.

    `low` and `high` are NaN where fewer than two values are there, `mean` where none is.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]


def mean_interval(values: ArrayLike, axis: int = 0, confidence: float = CONFIDENCE) -> MeanInterval:
    """Mean ± t_{n-1} s/√n of independent values, NaN left out and counted.

    Args:
        values: any shape, float; NaN stands for "no value".
        axis: the axis of the independent repetitions (seeds).
        confidence: two-sided coverage, in (0, 1).
    """
    array = np.asarray(values, dtype=float)
    there = ~np.isnan(array)
    count = there.sum(axis=axis)
    divisor = np.maximum(count, 1)
    mean = np.where(there, array, 0.0).sum(axis=axis) / divisor
    with np.errstate(invalid="ignore"):  # inf - inf: an infinite mean has no interval
        deviations = np.where(there, array - np.expand_dims(mean, axis), 0.0)
    variance = (deviations**2).sum(axis=axis) / np.maximum(count - 1, 1)
    half = stdtrit(np.maximum(count - 1, 1), 0.5 + confidence / 2) * np.sqrt(variance / divisor)
    half = np.where(count >= 2, half, np.nan)
    mean = np.where(count >= 1, mean, np.nan)
    with np.errstate(invalid="ignore"):
        return MeanInterval(mean, mean - half, mean + half, count)
