"""The compiled kernels against their definitions and their readable twin, and their reproducibility."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from learning.primal_dual import kernel_maths, kernels, linear_scores, side_by_side, vector_rows
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling, SgdJobs
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import LOSSES, make_loss
from learning.primal_dual.torch_solver import TorchSolver
from scenarios import philox as compiled_philox
from scenarios.streams import philox

Array = NDArray[Any]
WORD = st.integers(0, 2**32 - 1)
NAMES = sorted(LOSSES)


def random_data(rng: np.random.Generator, name: str, terminals: int = 6) -> tuple[Array, Array, Array]:
    """Return ragged terminals, an empty one and an all-zero row among them."""
    sizes = rng.integers(0, 9, terminals)
    sizes[0] = 5
    X = rng.normal(size=(sizes.sum(), int(rng.integers(1, 20))))
    X[2] = 0.0
    y = rng.normal(size=len(X)) if name == "squared" else rng.choice([-1.0, 1.0], len(X))
    return X, y, np.concatenate([[0], np.cumsum(sizes)])


def random_jobs(rng: np.random.Generator, solver: KernelSolver, count: int, sampling: Sampling) -> AscentJobs:
    """Return jobs of random terminals, idle ones among them."""
    return AscentJobs(
        rng.integers(0, len(solver.offsets) - 1, count),
        rng.normal(size=(count, solver.X.shape[1])),
        rng.integers(0, 14, count),
        rng.uniform(1, 5, count),
        rng.uniform(0.5, 20, count),
        rng.integers(0, 2**32, count),
        (int(rng.integers(2**32)), int(rng.integers(2**32))),
        sampling,
    )


def ascend_twice(solver: KernelSolver, jobs: AscentJobs, second: AscentJobs) -> AscentUpdates:
    """Commit one batch, then return the updates of another, so that duals are in the interior."""
    first = solver.ascend(jobs)
    once = np.isin(np.arange(len(jobs.terminals)), np.unique(jobs.terminals, return_index=True)[1])
    solver.commit(first, once, np.full(len(once), 0.7))
    return solver.ascend(second)


@settings(deadline=None)
@given(block=WORD, round_=WORD, entity=WORD, key0=WORD, key1=WORD)
def test_the_compiled_words_are_the_scenario_streams_words(
    block: int, round_: int, entity: int, key0: int, key1: int
) -> None:
    words = compiled_philox.philox_words(block, round_, entity, key0, key1)
    assert [int(word) for word in words] == philox((block, round_, entity, 0), (key0, key1)).tolist()


def visited(n: int, steps: int, sampling: Sampling, round_: int, key: tuple[int, int]) -> list[int]:
    """Return the distinct rows terminal 1 of n rows visits, in order, read off longer and longer ascents."""
    solver = KernelSolver(np.eye(n), np.ones(n), [0, 0, n], make_loss("squared"))
    one, w = np.ones(1), np.zeros((1, n))
    who, rounds = np.array([1]), np.array([round_])
    duals = np.array(
        [
            solver.ascend(AscentJobs(who, w, np.array([h]), one, one, rounds, key, sampling)).alpha
            for h in range(steps + 1)
        ]
    )
    return np.argwhere(duals[1:] != duals[:-1])[:, 1].tolist()


def words_of(steps: int, round_: int, terminal: int, key: tuple[int, int]) -> list[int]:
    """Return the stream's words straight from the scenario's generator."""
    return [int(philox((step // 4, round_, terminal, 0), key)[step % 4]) for step in range(steps)]


def test_uniform_rows_are_the_high_half_of_word_times_row_count() -> None:
    # a second visit finds its row at the optimum and leaves no trace
    expected = list(dict.fromkeys(word * 50 >> 32 for word in words_of(30, 3, 1, (11, 12))))
    assert visited(50, 30, Sampling.UNIFORM, 3, (11, 12)) == expected


def test_permuted_rows_are_drawn_without_replacement_from_the_same_words() -> None:
    left, expected = list(range(9)), []
    for position, word in enumerate(words_of(9, 4, 1, (7, 8))):
        other = position + (word * (9 - position) >> 32)
        left[position], left[other] = left[other], left[position]
        expected.append(left[position])
    assert visited(9, 9, Sampling.PERMUTATION, 4, (7, 8)) == expected
    assert sorted(expected) == list(range(9))


def test_every_epoch_is_a_fresh_order_of_all_rows_and_all_orders_are_alike() -> None:
    n, epochs, order = 7, 400, np.empty(7, np.int64)
    words = words_of(n * epochs, 0, 0, (5, 6))
    rows = [
        int(kernel_maths.draw(int(Sampling.PERMUTATION), step % n, n, np.uint64(word), order))
        for step, word in enumerate(words)
    ]
    table = np.array(rows).reshape(epochs, n)
    np.testing.assert_array_equal(np.sort(table, axis=1), np.tile(np.arange(n), (epochs, 1)))
    counts = np.array([np.bincount(table[:, position], minlength=n) for position in range(n)])
    chi_squared = ((counts - epochs / n) ** 2 / (epochs / n)).sum()
    assert chi_squared < 36 + 4 * np.sqrt(2 * 36)  # 36 degrees of freedom


def test_cyclic_rows_follow_the_stored_order() -> None:
    assert visited(5, 5, Sampling.CYCLIC, 0, (0, 0)) == [0, 1, 2, 3, 4]


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(NAMES), sampling=st.sampled_from(list(Sampling)), seed=st.integers(0, 2**32 - 1))
def test_compiled_ascent_equals_the_tensor_ascent(name: str, sampling: Sampling, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data, loss = random_data(rng, name), make_loss(name, rng.uniform(0.1, 1.2))
    compiled, tensors = KernelSolver(*data, loss), TorchSolver(*data, loss)
    first, second = (random_jobs(rng, compiled, 8, sampling) for _ in range(2))
    a, b = ascend_twice(compiled, first, second), ascend_twice(tensors, first, second)  # type: ignore[arg-type]
    np.testing.assert_array_equal(a.offsets, b.offsets)
    np.testing.assert_allclose(a.alpha, b.alpha.numpy(), atol=1e-12)
    np.testing.assert_allclose(a.du, b.du, atol=1e-12 * max(1.0, np.abs(a.du).max()))
    np.testing.assert_allclose(a.gap, b.gap, rtol=1e-12, atol=1e-12 * max(1.0, a.gap.max()))
    assert np.all(a.gap >= 0.0)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
def test_compiled_sums_equal_the_tensor_sums_and_the_losses_own(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, offsets = random_data(rng, name)
    loss = make_loss(name, rng.uniform(0.1, 1.2))
    compiled, tensors = KernelSolver(X, y, offsets, loss), TorchSolver(X, y, offsets, loss)
    jobs = random_jobs(rng, compiled, 6, Sampling.UNIFORM)
    for solver in (compiled, tensors):
        ascend_twice(solver, jobs, jobs)  # type: ignore[arg-type]
    who, w = rng.permutation(6), rng.normal(size=(6, X.shape[1]))
    sums = compiled.sums(who, w)
    scale = max(1.0, np.abs(sums).max())
    np.testing.assert_allclose(sums, tensors.sums(who, w), atol=1e-12 * scale)
    a = compiled.duals()
    for t, j in enumerate(who):
        mine = slice(offsets[j], offsets[j + 1])
        scores = X[mine] @ w[t]
        terms = (
            loss.value(scores, y[mine]),
            loss.conjugate(a[mine], y[mine]),
            loss.fenchel_young(scores, a[mine], y[mine]),
        )
        np.testing.assert_allclose(sums[t], [term.sum() for term in terms], atol=1e-12 * scale)
    np.testing.assert_allclose(compiled.dual_image(who), tensors.dual_image(who), atol=1e-12 * scale)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(NAMES), batch=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_compiled_sgd_equals_the_tensor_sgd(name: str, batch: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data, loss = random_data(rng, name), make_loss(name)
    d = data[0].shape[1]
    jobs = SgdJobs(
        rng.permutation(6),
        rng.normal(size=(6, d)),
        rng.normal(size=(6, d)),
        rng.integers(0, 9, 6),
        rng.uniform(0.001, 0.1, 6),
        rng.integers(0, 2**32, 6),
        (int(rng.integers(2**32)), int(rng.integers(2**32))),
        batch,
        rng.uniform(0, 1),
        rng.uniform(0, 1, 6),
        int(rng.integers(0, 5)),
    )
    weights = rng.uniform(0, 2, len(data[0]))
    heavy: dict[str, Any] = {"momentum": rng.uniform(0, 0.95), "velocity": rng.normal(size=(6, d))}
    for each in (jobs, replace(jobs, weights=weights), replace(jobs, **heavy)):
        velocities = [None if each.velocity is None else each.velocity.copy() for _ in range(2)]
        pair = zip((KernelSolver, TorchSolver), velocities, strict=True)
        a, b = (kind(*data, loss).sgd(replace(each, velocity=velocity)) for kind, velocity in pair)
        np.testing.assert_allclose(a, b, atol=1e-12 * max(1.0, np.abs(a).max()))
        if velocities[0] is not None and velocities[1] is not None:
            scale = max(1.0, np.abs(velocities[0]).max())
            np.testing.assert_allclose(velocities[0], velocities[1], atol=1e-12 * scale)
            moved = (jobs.steps > 0) & (np.diff(data[2])[jobs.terminals] > 0)
            np.testing.assert_array_equal((velocities[0] != each.velocity).any(axis=1), moved)


@pytest.mark.parametrize("name", NAMES)
def test_every_compiled_step_equals_the_losses_own_over_a_wide_range(name: str) -> None:
    rng = np.random.default_rng(8)
    loss, size = make_loss(name, 0.3), 3000
    a, m, q = rng.uniform(-0.3, 1.3, size).clip(0, 1), rng.normal(0, 8, size), 10.0 ** rng.uniform(-6, 6, size)
    y = rng.choice([-1.0, 1.0], size)
    mu = kernel_maths.curvature(loss.code, loss.smoothing)
    found = [kernel_maths.coordinate_step(loss.code, mu, *row) for row in zip(a, m, y, q, strict=True)]
    np.testing.assert_allclose(found, loss.step(a, m, y, q), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", [KernelSolver, TorchSolver])
def test_jobs_that_were_sent_one_of_a_few_models_start_from_it(kind: Any) -> None:
    rng = np.random.default_rng(3)
    data, loss = random_data(rng, "logistic"), make_loss("logistic")
    solver, jobs = kind(*data, loss), random_jobs(rng, KernelSolver(*data, loss), 8, Sampling.UNIFORM)
    few, sent = rng.normal(size=(3, jobs.w.shape[1])), rng.integers(0, 3, 8)
    own, shared = solver.ascend(replace(jobs, w=few[sent])), solver.ascend(replace(jobs, w=few, sent=sent))
    np.testing.assert_array_equal(shared.alpha, own.alpha)
    np.testing.assert_array_equal(shared.du, own.du)
    np.testing.assert_array_equal(shared.gap, own.gap)
    np.testing.assert_array_equal(solver.sums(jobs.terminals, few, sent), solver.sums(jobs.terminals, few[sent]))
    for wrong in (sent - sent.max() - 1, sent - sent.max() + 3):
        with pytest.raises(ValueError, match=r"models sent .* from 0 to 2"):
            solver.ascend(replace(jobs, w=few, sent=wrong))
    with pytest.raises(ValueError, match="sent has shape"):
        replace(jobs, w=few, sent=sent[:7])
    with pytest.raises(ValueError, match=r"sent \(7,\): allowed"):
        solver.sums(jobs.terminals, few, sent[:7])


@pytest.mark.parametrize("sampling", list(Sampling))
@pytest.mark.parametrize("name", ["hinge", "squared"])
def test_long_ascents_of_unequal_length_equal_the_tensor_ascent(name: str, sampling: Sampling) -> None:
    rng = np.random.default_rng(4)
    data, loss = random_data(rng, name, terminals=11), make_loss(name)
    compiled, tensors = KernelSolver(*data, loss), TorchSolver(*data, loss)
    block = side_by_side.BLOCK
    steps = np.array([0, 1, block - 1, block, block + 1, 2 * block, 2 * block + 3, 0, 3 * block, 5, 7])
    jobs = replace(random_jobs(rng, compiled, 11, sampling), terminals=rng.permutation(11), steps=steps)
    a, b = compiled.ascend(jobs), tensors.ascend(jobs)
    np.testing.assert_allclose(a.alpha, b.alpha.numpy(), atol=1e-10)
    np.testing.assert_allclose(a.du, b.du, atol=1e-10 * max(1.0, np.abs(a.du).max()))


def parts_of(jobs: Any, fields: tuple[str, ...], edges: list[int]) -> list[Any]:
    """Return jobs cut into batches at the edges."""
    cuts = [slice(a, b) for a, b in pairwise(edges)]
    return [replace(jobs, **{field: getattr(jobs, field)[cut] for field in fields}) for cut in cuts]


def with_threads(count: int, action: Callable[[], Any]) -> Any:
    """Return what the action does on a number of threads, or on as many as there are."""
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(min(count, threads))
        return action()
    finally:
        numba.set_num_threads(threads)


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_ascents_have_the_same_bits_on_any_number_of_threads_and_in_any_batches(name: str, precision: type) -> None:
    rng = np.random.default_rng(1)
    solver = KernelSolver(*random_data(rng, name, terminals=40), make_loss(name), precision)
    # enough work that the solver does not keep it on one thread
    jobs = replace(random_jobs(rng, solver, 40, Sampling.UNIFORM), steps=rng.integers(2000, 9000, 40))
    one, two = (with_threads(count, lambda: solver.ascend(jobs)) for count in (1, 2))
    fields = ("terminals", "w", "steps", "sigma_prime", "lam_n", "rounds")
    # a job alone, in groups that are not full, and beside other neighbours than before
    batches = [solver.ascend(batch) for batch in parts_of(jobs, fields, [0, 1, 2, 4, 7, 12, 25, 40])]
    for field in ("alpha", "du", "gap"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
        np.testing.assert_array_equal(np.concatenate([getattr(batch, field) for batch in batches]), getattr(one, field))


@pytest.mark.parametrize("name", NAMES)
def test_sgd_has_the_same_bits_on_any_number_of_threads_and_in_any_batches(name: str) -> None:
    rng = np.random.default_rng(3)
    solver = KernelSolver(*random_data(rng, name, terminals=40), make_loss(name))
    w, steps, rate = rng.normal(size=(40, solver.X.shape[1])), rng.integers(1000, 9000, 40), rng.uniform(0.001, 0.1, 40)
    jobs = SgdJobs(rng.permutation(40), w, -w, steps, rate, rng.integers(0, 2**32, 40), (5, 6), 3, 0.1, 0.2)
    fields = ("terminals", "w", "anchor", "steps", "learning_rate", "rounds")
    for heavy in (False, True):
        velocities = [w[::-1].copy() if heavy else None for _ in range(3)]
        one, two, parts = (replace(jobs, momentum=0.7 * heavy, velocity=velocity) for velocity in velocities)
        first, second = (with_threads(count, partial(solver.sgd, each)) for count, each in ((1, one), (2, two)))
        cuts = parts_of(parts, (*fields, *["velocity"] * heavy), [0, 1, 2, 4, 7, 12, 25, 40])
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(np.concatenate([solver.sgd(batch) for batch in cuts]), first)
        for other in velocities[1:]:
            np.testing.assert_array_equal(velocities[0], other)


@njit
def _use_rows(X: Array, W: Array, total: Array, rows: Array, scales: Array) -> float:
    vector_rows.prefetch(X, 2)
    vector_rows.prefetch(scales, 10**6)  # does not exist
    vector_rows.add_row(X, 1, 0.25, W, 2)
    vector_rows.add_rows(X, rows, scales, 1, total, 0)
    return vector_rows.dot(X, 2, W, 1)


@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_rows_of_every_width_are_multiplied_and_added_as_arrays_are_and_nothing_else_is_touched(
    precision: type,
) -> None:
    rng = np.random.default_rng(6)
    for d in range(1, 50):
        X, W = rng.normal(size=(5, d)).astype(precision), rng.normal(size=(4, d + 3)).astype(precision)
        total, rows, scales = rng.normal(size=(2, d)), np.array([0, 4, 2, 2, 1]), rng.normal(size=5)
        expected_W, expected_total = W.copy(), total.copy()
        expected_W[2, :d] += precision(0.25) * X[1]
        expected_total[0] += scales[1:] @ X[rows[1:]].astype(float)
        tolerance = 8 * d * float(np.finfo(precision).eps)
        score = _use_rows(X, W, total, rows, scales)
        assert score == pytest.approx(float(X[2].astype(float) @ W[1, :d].astype(float)), abs=10 * tolerance)
        np.testing.assert_allclose(W, expected_W, rtol=0, atol=tolerance)
        np.testing.assert_array_equal(np.delete(W, 2, axis=0), np.delete(expected_W, 2, axis=0))
        np.testing.assert_array_equal(W[2, d:], expected_W[2, d:])
        np.testing.assert_allclose(total, expected_total, rtol=0, atol=1e-13 * d)
        np.testing.assert_array_equal(total[1], expected_total[1])


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_agrees_with_double_to_its_own_rounding(name: str) -> None:
    rng = np.random.default_rng(2)
    data = random_data(rng, name)
    double, single = KernelSolver(*data, make_loss(name)), KernelSolver(*data, make_loss(name), np.float32)
    tensors = TorchSolver(*data, make_loss(name), np.float32)
    jobs = random_jobs(rng, double, 6, Sampling.PERMUTATION)
    expected = double.ascend(jobs)
    for solver in (single, tensors):
        found = solver.ascend(jobs)
        assert np.asarray(found.du).dtype == np.float32
        np.testing.assert_allclose(found.du, expected.du, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.gap, expected.gap, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("module", [compiled_philox, kernel_maths, side_by_side, vector_rows])
def test_the_kernels_name_the_current_code_they_call_so_that_no_stale_cache_survives(module: ModuleType) -> None:
    digest = hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    name = f"{module.__name__.rpartition('.')[2].upper()}_SHA256"
    for cached in (kernels, linear_scores):
        assert getattr(cached, name, digest) == digest, f"set {name} in {cached.__file__} to {digest}"
