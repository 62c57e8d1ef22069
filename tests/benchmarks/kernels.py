"""Dual steps per second of the compiled kernel, against a plain loop and against what the machine can deliver.

One pass of dual ascent (H = rows per terminal) over more data than fits any cache. Three bounds, of the same run:

- read: the rows read once, nothing else;
- pass: all that a pass must move, so also labels, norms and duals read and new duals written, 40 bytes a step in
  float64 (of 144 at d = 13, of 840 at d = 100);
- cached: the kernel's own steps on a few terminals over and over, whose rows stay in the caches. It says what memory
  costs the kernel, not what a better kernel could do.

The least of the last two is called roof. Besides the steps our kernel draws its rows at random and adds up the update
exactly, a second time over the rows; the plain loop does neither. Gaps are not measured here.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import njit, prange

from learning.primal_dual import kernels
from tests.benchmarks.timing import best_s, table

ROWS = 100  # per terminal
CACHED = 8  # terminals whose rows are at most 640 kB
REPEATS = 5
BYTES = 6e8


@njit(parallel=True, fastmath={"reassoc"})
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


@njit(parallel=True, fastmath={"reassoc"})
def move_everything(X: np.ndarray, y: np.ndarray, norms: np.ndarray, alpha: np.ndarray, out: np.ndarray) -> float:
    """Read and write all that a pass must read and write, terminal by terminal."""
    total = 0.0
    for t in prange(X.shape[0] // ROWS):
        part = 0.0
        for i in range(t * ROWS, (t + 1) * ROWS):
            out[i] = alpha[i] + y[i] * norms[i]
        for i in range(t * ROWS, (t + 1) * ROWS):
            for j in range(X.shape[1]):
                part += X[i, j]
        total += part
    return total


def main() -> dict[str, Any]:
    """Measure and return figures, one entry per (dimension, precision)."""
    return {f"d={d} {np.dtype(dtype).name}": measure(d, dtype) for d in (13, 100) for dtype in (np.float64, np.float32)}


def measure(d: int, dtype: type) -> dict[str, float]:
    """Return steps per second of the bounds, the plain loop and the kernel."""
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
    work = (np.full(terminals, ROWS), np.ones(terminals), np.full(terminals, 0.1 * ROWS), np.zeros(terminals, np.int64))

    def ascend(jobs: np.ndarray) -> None:
        data = (0, 0.0, X, y, norms, alpha, offsets, jobs, w, who, *work)
        kernels.local_dual_ascent(*data, 1, 2, 1, False, out_alpha, offsets, du, gap)

    actions = {
        "read": lambda: read_everything(X),
        "pass": lambda: move_everything(X, y, norms, alpha, out_alpha),
        "cached": lambda: ascend(who * CACHED // terminals),  # a thread stays with its terminals
        "plain": lambda: plain_hinge_pass(X, y, alpha, du, ROWS, scale),
        "kernel": lambda: ascend(who),
    }
    for action in actions.values():
        action()  # compile
    rates = {name: n / best_s(action, REPEATS)[0] for name, action in actions.items()}
    return {
        "bandwidth_gb_s": rates["read"] * d * np.dtype(dtype).itemsize / 1e9,
        **{f"{name}_steps_s": rate for name, rate in rates.items()},
        "kernel_over_plain": rates["kernel"] / rates["plain"],
        "kernel_over_read": rates["kernel"] / rates["read"],
        "kernel_over_pass": rates["kernel"] / rates["pass"],
        "kernel_over_roof": rates["kernel"] / min(rates["pass"], rates["cached"]),
        "threads": float(numba.get_num_threads()),
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    rates, ratios = ("read", "pass", "cached", "plain", "kernel"), ("plain", "read", "pass", "roof")
    columns = ["", "read GB/s", *(f"{name} M/s" for name in rates), *(f"kernel/{name}" for name in ratios)]
    rows = [
        [
            name,
            f"{f['bandwidth_gb_s']:.1f}",
            *(f"{f[f'{rate}_steps_s'] / 1e6:.1f}" for rate in rates),
            *(f"{f[f'kernel_over_{ratio}']:.2f}" for ratio in ratios),
        ]
        for name, f in figures.items()
    ]
    return table("Dual steps per second, one pass over data larger than the caches", columns, rows)


if __name__ == "__main__":
    print(text(main()))
