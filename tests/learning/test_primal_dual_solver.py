"""What terminals promise: nothing changes until a commit, bad input is refused, SGD is what the papers say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling, SgdJobs
from learning.primal_dual.losses import LOSSES, make_loss
from learning.primal_dual.solver import KernelSolver, TorchSolver, make_solver
from scenarios.streams import philox

Array = NDArray[Any]
SOLVERS = [KernelSolver, TorchSolver]
OFFSETS = np.array([0, 4, 4, 9, 12])


def data(name: str = "logistic") -> tuple[Array, Array]:
    rng = np.random.default_rng(4)
    y = rng.normal(size=12) if name == "squared" else rng.choice([-1.0, 1.0], 12)
    return rng.normal(size=(12, 3)), y


def ascend(solver: Any, terminals: list[int], steps: int = 6) -> AscentUpdates:
    T = len(terminals)
    w = np.full((T, 3), 0.1)
    updates: AscentUpdates = solver.ascend(
        AscentJobs(
            np.array(terminals),
            w,
            np.full(T, steps),
            np.full(T, 2.0),
            np.full(T, 1.2),
            np.arange(T),
            (1, 2),
        )
    )
    return updates


def sgd_jobs(terminals: list[int], steps: int, batch: int, **weights: float) -> SgdJobs:
    T = len(terminals)
    rng = np.random.default_rng(6)
    w, anchor = rng.normal(size=(T, 3)), rng.normal(size=(T, 3))
    return SgdJobs(
        np.array(terminals), w, anchor, np.full(T, steps), np.full(T, 0.05), np.arange(T), (3, 4), batch, **weights
    )


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hinge", 0.263454717570),
        ("smoothed_hinge", 0.232789916692),
        ("squared_hinge", 0.208519319218),
        ("squared", -0.208519319218),
    ],
)
def test_one_dual_step_gives_the_known_dual_and_local_model(kind: Any, name: str, expected: float) -> None:
    i = np.arange(3)
    X, y, one = np.stack([np.sin(1 + i), np.cos(2 * i)], axis=1), -np.ones(3), np.ones(1)
    lam_n = 0.15 * 6  # the task has three more rows elsewhere
    assert X[0] @ X[0] == pytest.approx(1.708073418274, abs=1e-11)
    assert 2 * (X[0] @ X[0]) / lam_n == pytest.approx(3.795718707275, abs=1e-11)
    solver = kind(X, y, [0, 3], make_loss(name))
    zero = np.zeros(1, int)
    updates = solver.ascend(
        AscentJobs(zero, np.zeros((1, 2)), zero + 1, 2 * one, lam_n * one, zero, (0, 0), Sampling.CYCLIC)
    )
    assert updates.candidate(0).tolist() == pytest.approx([expected, 0, 0], abs=1e-11)
    if name == "hinge":
        assert (2 / lam_n * updates.du[0]).tolist() == pytest.approx([-0.492643334769, -0.585454927933], abs=1e-11)


@pytest.mark.parametrize("kind", SOLVERS)
def test_an_ascent_changes_no_dual_and_a_dropped_update_leaves_no_trace(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    updates = ascend(solver, [0, 2, 3])
    np.testing.assert_array_equal(solver.duals(), np.full(12, 0.5))
    solver.commit([0, 3], [updates.candidate(0), updates.candidate(2)], 1.0)
    found = solver.duals()
    np.testing.assert_array_equal(found[:4], updates.candidate(0))
    np.testing.assert_array_equal(found[9:], updates.candidate(2))
    np.testing.assert_array_equal(found[4:9], 0.5)


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_commit_with_gamma_moves_duals_that_share_of_the_way(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    updates = ascend(solver, [2])
    candidate = np.asarray(updates.candidate(0).tolist())
    solver.commit([2], updates.candidates(), 0.25)
    np.testing.assert_allclose(solver.duals()[4:9], 0.5 + 0.25 * (candidate - 0.5), atol=1e-15)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_uploaded_du_is_the_change_of_the_dual_image(kind: Any, name: str) -> None:
    solver = kind(*data(name), OFFSETS, make_loss(name))
    before = solver.dual_image([0, 1, 2, 3])
    updates = ascend(solver, [0, 1, 2, 3])
    solver.commit([0, 1, 2, 3], updates.candidates(), 1.0)
    np.testing.assert_allclose(solver.dual_image([0, 1, 2, 3]) - before, updates.du, atol=1e-13)


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_terminal_without_time_or_without_rows_uploads_zero(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("hinge"))
    assert not ascend(solver, [0, 2], steps=0).du.any()
    empty = ascend(solver, [1])
    assert not empty.du.any()
    assert not empty.gap.any()
    assert len(empty.candidate(0)) == 0
    np.testing.assert_array_equal(solver.sums([1], np.ones((1, 3))), 0.0)


@pytest.mark.parametrize("kind", SOLVERS)
def test_an_empty_batch_of_jobs_is_no_work(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("hinge"))
    assert ascend(solver, []).du.shape == (0, 3)
    assert solver.sums(np.array([], int), np.zeros((0, 3))).shape == (0, 3)
    assert solver.dual_image(np.array([], int)).shape == (0, 3)
    assert solver.sgd(sgd_jobs([], 3, 2)).shape == (0, 3)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_rows_of_zeros_start_at_their_optimum_so_that_the_gap_can_close(kind: Any, name: str) -> None:
    X, y = data(name)
    X[:] = 0.0
    solver = kind(X, y, OFFSETS, make_loss(name))
    np.testing.assert_allclose(solver.sums([0, 2, 3], np.ones((3, 3)))[:, 2], 0.0, atol=1e-15)
    np.testing.assert_array_equal(ascend(solver, [0, 2, 3]).alpha, solver.duals())


@pytest.mark.parametrize("kind", SOLVERS)
def test_full_batch_sgd_is_gradient_descent_on_the_ridged_and_anchored_mean_loss(kind: Any) -> None:
    X, y = data("squared")
    solver = kind(X, y, OFFSETS, make_loss("squared"))
    jobs = sgd_jobs([0, 2, 3], 7, 100, ridge=0.3, proximal=0.8)
    found = solver.sgd(jobs)
    for t, j in enumerate([0, 2, 3]):
        A, b, w = X[OFFSETS[j] : OFFSETS[j + 1]], y[OFFSETS[j] : OFFSETS[j + 1]], jobs.w[t].copy()
        for _ in range(7):
            w -= 0.05 * (A.T @ (A @ w - b) / len(b) + 0.3 * w + 0.8 * (w - jobs.anchor[t]))
        np.testing.assert_allclose(found[t], w, atol=1e-14)


@pytest.mark.parametrize("kind", SOLVERS)
def test_minibatches_walk_through_fresh_permutations_and_end_each_epoch_with_what_is_left(kind: Any) -> None:
    X, y = data()
    solver = kind(X, y, OFFSETS, make_loss("logistic"))
    jobs = sgd_jobs([2], 9, 2)  # five rows: batches of 2, 2 and 1, three epochs
    A, b, w = X[4:9], y[4:9], jobs.w[0].copy()
    words = [int(philox((s // 4, 0, 2, 0), (3, 4))[s % 4]) for s in range(15)]
    for epoch in range(3):
        order = list(range(5))
        for p in range(5):
            other = p + (words[5 * epoch + p] * (5 - p) >> 32)
            order[p], order[other] = order[other], order[p]
        for rows in (order[:2], order[2:4], order[4:]):
            margins = b[rows] * (A[rows] @ w)
            w += 0.05 * A[rows].T @ (b[rows] / (1 + np.exp(margins))) / len(rows)
    np.testing.assert_allclose(solver.sgd(jobs)[0], w, atol=1e-14)


@pytest.mark.parametrize("kind", SOLVERS)
def test_sgd_leaves_terminals_without_rows_and_jobs_without_steps_alone(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("hinge"))
    for terminals, steps in (([1, 1], 5), ([0, 2], 0)):
        jobs = sgd_jobs(terminals, steps, 2, ridge=1.0)
        np.testing.assert_array_equal(solver.sgd(jobs), jobs.w)


@pytest.mark.parametrize("kind", SOLVERS)
def test_bad_terminals_models_and_commits_are_refused(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("hinge"))
    updates = ascend(solver, [0, 2])
    with pytest.raises(ValueError, match="one for each, once"):
        solver.commit([0, 0], updates.candidates(), 1.0)
    with pytest.raises(ValueError, match="one for each, once"):
        solver.commit([0], updates.candidates(), 1.0)
    for terminal in (-1, 4):
        with pytest.raises(ValueError, match="from 0 to 3"):
            solver.sums([terminal], np.zeros((1, 3)))
        with pytest.raises(ValueError, match="from 0 to 3"):
            ascend(solver, [terminal])
    with pytest.raises(ValueError, match=r"models \(1, 2\)"):
        solver.sums([0], np.zeros((1, 2)))


def test_bad_data_is_refused_in_one_line() -> None:
    X, y = data()
    loss = make_loss("hinge")
    with pytest.raises(ValueError, match="labels other than"):
        KernelSolver(X, 0.5 * y, OFFSETS, loss)
    with pytest.raises(ValueError, match="rising sequence"):
        KernelSolver(X, y, [0, 5, 4, 12], loss)
    with pytest.raises(ValueError, match="rising sequence"):
        KernelSolver(X, y, [0, 11], loss)
    with pytest.raises(ValueError, match="allowed: \\(n, d\\) and \\(n,\\)"):
        KernelSolver(X, y[:-1], OFFSETS, loss)
    with pytest.raises(ValueError, match="not finite"):
        KernelSolver(np.where(X > 1, np.nan, X), y, OFFSETS, loss)


def test_jobs_of_uneven_length_or_negative_steps_are_refused() -> None:
    one, w = np.ones(1), np.zeros((1, 3))
    zero = np.zeros(1, int)
    with pytest.raises(ValueError, match="rounds has shape"):
        AscentJobs(zero, w, zero, one, one, np.zeros(2, int), (0, 0))
    with pytest.raises(ValueError, match="negative"):
        AscentJobs(zero, w, zero - 1, one, one, zero, (0, 0))
    with pytest.raises(ValueError, match="not above 0"):
        AscentJobs(zero, w, zero, one, 0 * one, zero, (0, 0))
    with pytest.raises(ValueError, match="batch below 1"):
        SgdJobs(zero, w, w, zero, one, zero, (0, 0), 0)


def test_the_processor_gets_compiled_kernels_and_any_other_device_tensors() -> None:
    arguments = (*data(), OFFSETS, make_loss("hinge"))
    assert isinstance(make_solver("cpu", *arguments), KernelSolver)
    assert isinstance(make_solver("meta", *arguments), TorchSolver)


@pytest.mark.cuda
def test_a_graphics_card_computes_the_same_updates() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    arguments = (*data(), OFFSETS, make_loss("logistic"))
    host, card = make_solver("cpu", *arguments), make_solver("cuda", *arguments)
    a, b = ascend(host, [0, 1, 2, 3]), ascend(card, [0, 1, 2, 3])
    np.testing.assert_allclose(a.du, b.du, atol=1e-12)
    np.testing.assert_allclose(a.gap, b.gap, atol=1e-12)
    card.commit([0, 3], [b.candidate(0), b.candidate(3)], 0.5)
    host.commit([0, 3], [a.candidate(0), a.candidate(3)], 0.5)
    np.testing.assert_allclose(host.duals(), card.duals(), atol=1e-12)
    jobs = sgd_jobs([0, 2, 3], 9, 2, proximal=0.5)
    np.testing.assert_allclose(host.sgd(jobs), card.sgd(jobs), atol=1e-12)
