"""Mini-batches: rows without replacement, dual steps that know nothing of each other, sums of gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.primal_dual.jobs import AscentJobs
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import LOSSES, make_loss
from learning.primal_dual.mini_batch import RandomRows, frozen_ascent, gradient_sums
from learning.primal_dual.torch_solver import TorchSolver
from scenarios.streams import Streams
from tests.learning.driving import random_federation

WHO, ROUNDS = np.array([2, 0, 7, 5]), np.array([4, 0, 1, 1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(0, 9))
def test_a_mini_batch_holds_so_many_different_rows_of_its_terminal(seed: int, size: int) -> None:
    offsets = random_federation(seed).terminal_offsets
    chosen = RandomRows(Streams(seed), offsets).draw(WHO, np.full(4, size), ROUNDS)
    for t, j in enumerate(WHO):
        rows = chosen.rows[chosen.offsets[t] : chosen.offsets[t + 1]]
        assert len(set(rows.tolist())) == len(rows) == min(size, offsets[j + 1] - offsets[j])
        assert np.all((rows >= offsets[j]) & (rows < offsets[j + 1]))
    alone = RandomRows(Streams(seed), offsets).draw(WHO[2:3], np.array([size]), ROUNDS[2:3])
    np.testing.assert_array_equal(alone.rows, chosen.rows[chosen.offsets[2] : chosen.offsets[3]])


def test_every_row_is_drawn_equally_often() -> None:
    rows = RandomRows(Streams(1), np.array([0, 10]))
    drawn = rows.draw(np.zeros(4000, np.int64), np.full(4000, 3), np.arange(4000)).rows
    np.testing.assert_allclose(np.bincount(drawn), 1200, atol=5 * np.sqrt(1200 * 0.7))


def orders(data: Any, size: int) -> AscentJobs:
    """Return orders for four terminals."""
    w = np.random.default_rng(0).normal(size=(4, 4))
    lam_n = 0.1 * np.diff(data.terminal_offsets)[WHO]
    return AscentJobs(WHO, w, np.full(4, size), np.full(4, 1.3), lam_n, ROUNDS, (0, 0), measures_gap=False)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_step_of_a_batch_is_the_one_that_the_compiled_ascent_would_take_first(loss: str) -> None:
    data = random_federation(11, loss=loss)
    solver = KernelSolver(data.X, data.y, data.terminal_offsets, make_loss(loss))
    jobs, rows = orders(data, 3), RandomRows(Streams(0), data.terminal_offsets)
    chosen = rows.draw(WHO, np.full(4, 3), ROUNDS)
    found = frozen_ascent(solver, data, jobs, chosen)
    known = np.concatenate([solver.alpha[data.terminal_offsets[j] : data.terminal_offsets[j + 1]] for j in WHO])
    before, du = known.copy(), np.zeros((4, 4))
    for row, place, t in zip(chosen.rows, chosen.places, chosen.job, strict=True):
        single = KernelSolver(data.X[row : row + 1], data.y[row : row + 1], [0, 1], make_loss(loss))
        job = AscentJobs(np.array([0]), jobs.w[t : t + 1], np.array([1]), np.array([1.3]), jobs.lam_n[t : t + 1], *END)
        update = single.ascend(job)
        known[place], du[t] = update.alpha[0], du[t] + update.du[0]
    np.testing.assert_allclose(found.alpha, known, atol=1e-12)
    np.testing.assert_allclose(found.du, du, atol=1e-12)
    assert np.count_nonzero(known != before) > 3
    torch = TorchSolver(data.X, data.y, data.terminal_offsets, make_loss(loss))
    tensor = frozen_ascent(torch, data, jobs, chosen)
    np.testing.assert_allclose(tensor.alpha.numpy(), found.alpha, atol=1e-12)
    torch.commit(tensor, np.full(4, True), np.full(4, 0.5))
    solver.commit(found, np.full(4, True), np.full(4, 0.5))
    np.testing.assert_allclose(torch.duals(), solver.duals(), atol=1e-12)


END: Any = (np.array([0]), (0, 0))


def test_gradient_sums_are_those_of_the_chosen_rows() -> None:
    data = random_federation(11, loss="logistic")
    loss = make_loss("logistic")
    solver = KernelSolver(data.X, data.y, data.terminal_offsets, loss)
    W = np.random.default_rng(0).normal(size=(4, 4))
    chosen = RandomRows(Streams(0), data.terminal_offsets).draw(WHO, np.full(4, 2), ROUNDS)
    found = gradient_sums(solver, data, W, chosen)
    for t in range(4):
        rows = chosen.rows[chosen.offsets[t] : chosen.offsets[t + 1]]

        def total(w: Any, rows: Any = rows) -> float:
            return float(loss.value(data.X[rows] @ w, data.y[rows]).sum())

        slopes = [(total(W[t] - 1e-6 * e) - total(W[t] + 1e-6 * e)) / 2e-6 for e in np.eye(4)]
        np.testing.assert_allclose(found[t], slopes, atol=1e-7)
