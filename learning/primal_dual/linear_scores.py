"""Scores of rows under linear models, a model for every run of rows, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from learning.primal_dual.threads import threads_for
from learning.primal_dual.vector_rows import dot

Array = NDArray[Any]
# The cached kernel is renewed when this line is; a test keeps it equal to the digest of the file.
VECTOR_ROWS_SHA256 = "e0b61aeb05a934091c6c10fbd1f772f6469fca6a698e1060a371947cc105d9c6"


def linear_scores(X: Array, offsets: NDArray[np.int64], w: Array) -> Array:
    """Return (n,) X[i].w[t] for the rows ``offsets[t]:offsets[t + 1]`` of X (n, d), w (T, d).

    A score has the same bits whatever else is scored with it.

    Raises:
        ValueError: there is no model for every run, or one is of another width, or runs leave the rows.
    """
    if w.shape != (len(offsets) - 1, X.shape[1]) or offsets[0] != 0 or offsets[-1] != len(X):
        raise ValueError(f"models {w.shape}, rows {X.shape}: allowed: one of {X.shape[1]} for each run, 0 to {len(X)}")
    out = np.empty(len(X))
    with threads_for(float(X.size)):
        _write(np.ascontiguousarray(X), offsets, np.ascontiguousarray(w), out)
    return out


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _write(X: Array, offsets: Array, w: Array, out: Array) -> None:
    for t in prange(len(w)):
        for i in range(offsets[t], offsets[t + 1]):
            out[i] = dot(X, i, w, t)
