"""The image of the duals is summed in double precision, block by block, and no block boundary shows."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.primal_dual import kernel_solver
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import LOSSES, make_loss


def solver_of(sizes: list[int], loss: str, dtype: Any, d: int = 3) -> KernelSolver:
    """Return terminals with random rows and random duals."""
    n, rng = sum(sizes), np.random.default_rng(len(sizes))
    y = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    solver = KernelSolver(rng.normal(size=(n, d)), y, offsets, make_loss(loss), dtype)
    solver.alpha[:] = rng.random(n)
    return solver


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    chosen=st.lists(st.integers(0, 5), max_size=8),
    block=st.sampled_from([1, 3, 7, 24, 10**6]),
    loss=st.sampled_from(sorted(LOSSES)),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_it_is_the_sum_of_signed_duals_times_rows_however_it_is_cut(
    sizes: list[int], chosen: list[int], block: int, loss: str, dtype: Any
) -> None:
    solver = solver_of(sizes, loss, dtype)
    terminals = [j % len(sizes) for j in chosen]  # in any order, some several times
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_solver, "_BLOCK", block)
        found = solver.dual_image(terminals)
    beta = (solver.loss.sign(solver.y) * solver.alpha).astype(np.float64)
    terms, cuts = beta[:, None] * solver.X.astype(np.float64), solver.offsets
    expected = np.array([terms[cuts[j] : cuts[j + 1]].sum(axis=0) for j in terminals]).reshape(-1, 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


def test_it_needs_little_memory_however_many_rows_there_are() -> None:
    solver = solver_of([30_000, 5, 70_000], "hinge", np.float64, d=100)
    tracemalloc.start()
    try:
        solver.dual_image([0, 1, 2])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64e6 < solver.X.nbytes


def test_no_terminal_and_no_feature_give_nothing() -> None:
    assert solver_of([3, 2], "hinge", np.float64).dual_image([]).shape == (0, 3)
    assert solver_of([3, 2], "hinge", np.float64, d=0).dual_image([1, 0, 0]).shape == (3, 0)
