"""Dual steps per second of the compiled kernel, against a plain loop and against what memory can deliver.

One pass of dual ascent (H = rows per terminal) over more data than fits any cache. A step reads one row from memory and
touches it again in cache, so reading all rows once bounds it. Besides the steps our kernel draws its rows at random and
adds up the update exactly, a second pass; gaps are not measured here.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import njit, prange

from learning.primal_dual import kernels
from tests.benchmarks.timing import best_s, table

ROWS = 100  # per terminal
BYTES = 6e8


@njit(parallel=True)
def read_everything(X: np.ndarray) -> float:
    """Sum an array with all threads: the read bandwidth of this machine."""
    total = 0.0
    for i in prange(X.shape[0]):
        row = 0.0
        for j in range(X.shape[1]):
            row += X[i, j]
        total += row
    return total


@njit(parallel=True)
def plain_hinge_pass(X: np.ndarray, y: np.ndarray, alpha: np.ndarray, out: np.ndarray, rows: int, scale: float) -> None:
    """One cyclic pass of hinge dual ascent per terminal, written as one would in C: no sampling, no gaps."""
    for t in prange(out.shape[0]):
        d = X.shape[1]
        w = np.zeros(d)
        for i in range(t * rows, (t + 1) * rows):
            norm = 0.0
            score = 0.0
            for j in range(d):
                norm += X[i, j] * X[i, j]
                score += X[i, j] * w[j]
            a = min(1.0, max(0.0, alpha[i] + (1.0 - y[i] * score) / (scale * norm)))
            step = scale * y[i] * (a - alpha[i])
            for j in range(d):
                w[j] += step * X[i, j]
        out[t] = w / scale


def main() -> dict[str, Any]:
    """Measure and return figures, one entry per (dimension, precision)."""
    return {f"d={d} {np.dtype(dtype).name}": measure(d, dtype) for d in (13, 100) for dtype in (np.float64, np.float32)}


def measure(d: int, dtype: type) -> dict[str, float]:
    """Return steps per second of the bound, the plain loop and the kernel."""
    terminals = int(BYTES / (ROWS * d * np.dtype(dtype).itemsize))
    n = terminals * ROWS
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n, d), dtype=dtype)
    y = np.where(X[:, 0] > 0, 1.0, -1.0).astype(dtype)
    alpha, scale = np.zeros(n, dtype), 1.0 / (0.1 * ROWS)
    offsets, who = np.arange(terminals + 1) * ROWS, np.arange(terminals)
    w, du = np.zeros((terminals, d), dtype), np.empty((terminals, d), dtype)
    out_alpha, gap, norms = np.empty(n, dtype), np.empty((terminals, 2)), np.empty(n)
    kernels.squared_norms(X, norms)

    def kernel() -> None:
        kernels.local_dual_ascent(
            *(0, 0.0, X, y, norms, alpha, offsets, who, w),
            *(
                np.full(terminals, ROWS),
                np.ones(terminals),
                np.full(terminals, 0.1 * ROWS),
                np.zeros(terminals, np.int64),
            ),
            *(1, 2, 1, False, out_alpha, offsets, du, gap),
        )

    actions = {
        "bandwidth": lambda: read_everything(X),
        "plain": lambda: plain_hinge_pass(X, y, alpha, du, ROWS, scale),
        "kernel": kernel,
    }
    for action in actions.values():
        action()  # compile
    seconds = {name: best_s(action)[0] for name, action in actions.items()}
    return {
        "bandwidth_gb_s": X.nbytes / seconds["bandwidth"] / 1e9,
        "bound_steps_s": n / seconds["bandwidth"],
        "plain_steps_s": n / seconds["plain"],
        "kernel_steps_s": n / seconds["kernel"],
        "kernel_over_plain": seconds["plain"] / seconds["kernel"],
        "kernel_over_bound": seconds["bandwidth"] / seconds["kernel"],
        "threads": float(numba.get_num_threads()),
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    columns = ["", "read GB/s", "bound M/s", "plain M/s", "kernel M/s", "kernel/plain", "kernel/bound"]
    rows = [
        [
            name,
            f"{f['bandwidth_gb_s']:.1f}",
            *(f"{f[k] / 1e6:.1f}" for k in ("bound_steps_s", "plain_steps_s", "kernel_steps_s")),
            f"{f['kernel_over_plain']:.2f}",
            f"{f['kernel_over_bound']:.2f}",
        ]
        for name, f in figures.items()
    ]
    return table("Dual steps per second, one pass over data larger than the caches", columns, rows)


if __name__ == "__main__":
    print(text(main()))
