"""What terminals promise: nothing changes until a commit, bad input is refused, SGD is what the papers say."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.primal_dual import torch_solver
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling, SgdJobs
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import LOSSES, make_loss
from learning.primal_dual.solver import make_solver
from learning.primal_dual.torch_solver import TorchSolver
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


def duals_of(updates: AscentUpdates, job: int) -> list[float]:
    """Return the duals that one job proposes."""
    found: list[float] = updates.alpha[updates.offsets[job] : updates.offsets[job + 1]].tolist()
    return found


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
    assert duals_of(updates, 0) == pytest.approx([expected, 0, 0], abs=1e-11)
    if name == "hinge":
        assert (2 / lam_n * updates.du[0]).tolist() == pytest.approx([-0.492643334769, -0.585454927933], abs=1e-11)


@pytest.mark.parametrize("kind", SOLVERS)
def test_an_ascent_changes_no_dual_and_a_dropped_update_leaves_no_trace(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    updates = ascend(solver, [0, 2, 3])
    np.testing.assert_array_equal(solver.duals(), np.full(12, 0.5))
    solver.commit(updates, np.array([True, False, True]), np.ones(3))
    found = solver.duals()
    np.testing.assert_array_equal(found[:4], duals_of(updates, 0))
    np.testing.assert_array_equal(found[9:], duals_of(updates, 2))
    np.testing.assert_array_equal(found[4:9], 0.5)


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_commit_with_gamma_moves_duals_that_share_of_the_way(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    updates = ascend(solver, [2, 3])
    solver.commit(updates, np.array([True, True]), np.array([0.25, 1.0]))
    candidate = np.array(duals_of(updates, 0))
    np.testing.assert_allclose(solver.duals()[4:9], 0.5 + 0.25 * (candidate - 0.5), atol=1e-15)
    np.testing.assert_array_equal(solver.duals()[9:], duals_of(updates, 1))


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_single_precision_stays_single_through_a_commit_and_sums_are_double(kind: Any, name: str) -> None:
    double, single = (kind(*data(name), OFFSETS, make_loss(name), dtype) for dtype in (np.float64, np.float32))
    for solver in (double, single):
        solver.commit(ascend(solver, [0, 2, 3]), np.full(3, True), np.array([1.0, 0.5, 0.7]))
    found, expected = (
        [solver.sums([0, 2, 3], np.ones((3, 3))), solver.dual_image([0, 2, 3])] for solver in (single, double)
    )
    assert single.duals().dtype == np.float32
    assert {part.dtype for part in found} == {np.dtype(np.float64)}
    for a, b in zip([single.duals(), *found], [double.duals(), *expected], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_uploaded_du_is_the_change_of_the_dual_image(kind: Any, name: str) -> None:
    solver = kind(*data(name), OFFSETS, make_loss(name))
    before = solver.dual_image([0, 1, 2, 3])
    updates = ascend(solver, [0, 1, 2, 3])
    solver.commit(updates, np.full(4, True), np.ones(4))
    np.testing.assert_allclose(solver.dual_image([0, 1, 2, 3]) - before, updates.du, atol=1e-13)


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_terminal_without_time_or_without_rows_uploads_zero(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("hinge"))
    assert not ascend(solver, [0, 2], steps=0).du.any()
    empty = ascend(solver, [1])
    assert not empty.du.any()
    assert not empty.gap.any()
    assert len(empty.alpha) == 0
    solver.commit(empty, np.array([True]), np.ones(1))
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
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_a_round_of_sgd_in_pieces_has_the_bits_of_a_round_at_once(kind: Any, batch: int) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    jobs = sgd_jobs([0, 2, 3], 9, batch, ridge=0.1, proximal=0.5)
    w = jobs.w
    for before, steps in ((0, 4), (4, 1), (5, 4)):
        w = solver.sgd(replace(jobs, w=w, steps=np.full(3, steps), before=before))
    np.testing.assert_array_equal(w, solver.sgd(jobs))
    assert np.abs(w - solver.sgd(replace(jobs, w=w))).max() > 1e-3


@pytest.mark.parametrize("kind", SOLVERS)
def test_every_job_may_have_its_own_proximal_weight(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    weights = np.array([0.0, 0.7, 3.0])
    found = solver.sgd(replace(sgd_jobs([0, 2, 3], 5, 2), proximal=weights))
    for t, weight in enumerate(weights.tolist()):
        np.testing.assert_array_equal(found[t], solver.sgd(sgd_jobs([0, 2, 3], 5, 2, proximal=weight))[t])
    with pytest.raises(ValueError, match="one entry for each of the 3 jobs"):
        replace(sgd_jobs([0, 2, 3], 5, 2), proximal=weights[:2])


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_rows_weight_multiplies_its_loss_in_the_job_that_states_it(kind: Any) -> None:
    X, y = data("squared")
    solver, who = kind(X, y, OFFSETS, make_loss("squared")), [2, 0, 1, 2]
    weights = np.random.default_rng(7).uniform(0.0, 2.0, 5 + 4 + 0 + 5)
    jobs = replace(sgd_jobs(who, 7, 100, ridge=0.3), weights=weights)
    found, own = solver.sgd(jobs), np.split(weights, [5, 9, 9])
    for t, j in enumerate(who):
        A, b, w = X[OFFSETS[j] : OFFSETS[j + 1]], y[OFFSETS[j] : OFFSETS[j + 1]], jobs.w[t].copy()
        for _ in range(7 if len(b) else 0):
            w -= 0.05 * (A.T @ (own[t] * (A @ w - b)) / len(b) + 0.3 * w)
        np.testing.assert_allclose(found[t], w, atol=1e-14)


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 100])
@pytest.mark.parametrize("kind", SOLVERS)
def test_weights_of_one_are_no_weights_to_the_last_bit(kind: Any, batch: int, precision: Any) -> None:
    for name in LOSSES:
        solver, jobs = kind(*data(name), OFFSETS, make_loss(name), precision), sgd_jobs([0, 1, 2, 3], 9, batch)
        np.testing.assert_array_equal(solver.sgd(replace(jobs, weights=np.ones(12))), solver.sgd(jobs))


@pytest.mark.parametrize("kind", SOLVERS)
def test_weights_of_too_few_rows_are_refused(kind: Any) -> None:
    solver = kind(*data(), OFFSETS, make_loss("logistic"))
    with pytest.raises(ValueError, match=r"weights \(11,\): allowed: \(12,\)"):
        solver.sgd(replace(sgd_jobs([0, 1, 2, 3], 1, 2), weights=np.ones(11)))


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
    with pytest.raises(ValueError, match="at most one of each"):
        solver.commit(ascend(solver, [2, 2]), np.full(2, True), np.ones(2))
    with pytest.raises(ValueError, match="a dual for every row"):
        solver.commit(replace(updates, terminals=np.array([2, 0])), np.full(2, True), np.ones(2))
    for arrived, gamma in ((np.array([True]), np.ones(2)), (np.full(2, True), np.ones(1)), (np.ones(2), np.ones(2))):
        with pytest.raises(ValueError, match="one of each for 2 jobs"):
            solver.commit(updates, arrived, gamma)
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


def test_a_graphics_card_gets_compiled_kernels_if_triton_imports_and_tensors_if_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: Any = ModuleType("learning.primal_dual.triton_solver")
    compiled.TritonSolver = lambda *arguments: ("triton", arguments[5])
    monkeypatch.setitem(sys.modules, compiled.__name__, compiled)
    monkeypatch.setattr(torch_solver, "TorchSolver", lambda *arguments: ("tensors", arguments[5]))
    arguments: Any = (*data(), OFFSETS, make_loss("hinge"))
    for installed, expected in ((ModuleType("triton"), "triton"), (None, "tensors")):
        monkeypatch.setitem(sys.modules, "triton", installed)
        found: Any = make_solver("cuda", *arguments)
        assert found == (expected, "cuda")


@pytest.mark.cuda
def test_a_graphics_card_computes_the_same_updates() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    arguments = (*data(), OFFSETS, make_loss("logistic"))
    host, card = make_solver("cpu", *arguments), make_solver("cuda", *arguments)
    a, b = ascend(host, [0, 1, 2, 3]), ascend(card, [0, 1, 2, 3])
    np.testing.assert_allclose(a.du, b.du.cpu(), atol=1e-12)
    np.testing.assert_allclose(a.gap, b.gap, atol=1e-12)
    for solver, updates in ((host, a), (card, b)):
        solver.commit(updates, np.array([True, False, False, True]), np.array([0.5, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(host.duals(), card.duals(), atol=1e-12)
    jobs = sgd_jobs([0, 2, 3], 9, 2, proximal=0.5)
    np.testing.assert_allclose(host.sgd(jobs), card.sgd(jobs), atol=1e-12)
