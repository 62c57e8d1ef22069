"""The GPU's terminals against the CPU's: on a GPU if there is one, and always in Triton's interpreter.

Triton chooses between compiler and interpreter when a kernel is defined, so the interpreted tests are this same file
run in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

triton = pytest.importorskip("triton")
torch = pytest.importorskip("torch")

import triton.language as tl  # noqa: E402
from triton import compiler  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.runtime import interpreter  # noqa: E402

from learning.primal_dual import triton_kernels, triton_solver  # noqa: E402
from learning.primal_dual.jobs import AscentJobs, Sampling, SgdJobs  # noqa: E402
from learning.primal_dual.kernel_solver import KernelSolver  # noqa: E402
from learning.primal_dual.losses import LOSSES, make_loss  # noqa: E402
from scenarios.streams import philox  # noqa: E402

Array = NDArray[Any]
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
NAMES = sorted(LOSSES)
PRECISIONS = [(np.float64, 1e-10), (np.float32, 1e-5)]
ROOT = Path(__file__).parents[2]

if INTERPRETED:
    patch_tensor = interpreter._patch_lang_tensor

    def patch_tensor_and_index(tensor: Any, *scope: Any) -> None:
        """Let a one-element tensor bound a loop, which older interpreters no longer can with NumPy 2.4."""
        patch_tensor(tensor, *scope)
        tensor.__index__ = lambda self: self.handle.data.item()

    interpreter._patch_lang_tensor = patch_tensor_and_index


def on_device(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that runs kernels: in the interpreter, or on a GPU."""
    if INTERPRETED:
        return test
    absent = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    marked: Callable[..., None] = pytest.mark.cuda(absent(test))
    return marked


def pair(name: str, dtype: Any = np.float64, d: int = 5, seed: int = 0) -> tuple[KernelSolver, Any]:
    """Return the same ragged terminals, an empty one and an all-zero row among them, on both devices."""
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, 5, 0, 7, 3, 1])
    X = rng.normal(size=(offsets[-1], d))
    X[2] = 0.0
    y = rng.normal(size=len(X)) if name == "squared" else rng.choice([-1.0, 1.0], len(X))
    arguments = (X, y, offsets, make_loss(name), dtype)
    return KernelSolver(*arguments), triton_solver.TritonSolver(*arguments, device=DEVICE)


def ascent_jobs(terminals: list[int], d: int = 5, seed: int = 1, **changes: Any) -> AscentJobs:
    rng, T = np.random.default_rng(seed), len(terminals)
    numbers = (rng.uniform(1, 5, T), rng.uniform(0.5, 9, T), rng.integers(2**31, 2**32, T))
    key = (int(rng.integers(2**31, 2**32)), int(rng.integers(2**31, 2**32)))
    jobs = AscentJobs(np.array(terminals, int), rng.normal(size=(T, d)), rng.integers(0, 12, T), *numbers, key)
    return replace(jobs, **changes)


def assert_close(found: Array, expected: Array, tolerance: float) -> None:
    """Compare within a share of the largest number."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max(initial=0.0)))


@pytest.mark.skipif(INTERPRETED, reason="this is the process of its own")
def test_everything_below_holds_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-rs", str(Path(__file__))]
    hidden = os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def compiled(kernel: Any, dtype: str, **fixed: Any) -> Any:
    """Return a kernel compiled for a GPU of compute capability 9.0, which need not be there."""
    fixed |= triton_kernels.shape_options(100)
    warps = fixed.pop("num_warps")
    types = dict.fromkeys(kernel.arg_names, f"*{dtype}")
    types |= dict.fromkeys(("orders", "key", "terminals", "places", "starts", "offsets", "sent"), "*i64")
    types |= dict.fromkeys(("scales", "numbers", "scores", "weights", "out"), "*fp64")
    types |= {"order": "*i32", "batch": "i32", "before": "i32"} | dict.fromkeys(fixed, "constexpr")
    names = list(kernel.arg_names)
    source = compiler.ASTSource(
        kernel,
        {name: types[name] for name in names},
        {(names.index(name),): value for name, value in fixed.items() if name in names},
        {(place,): [["tt.divisibility", 16]] for place, name in enumerate(names) if types[name].startswith("*")},
    )
    return compiler.compile(source, GPUTarget("cuda", 90, 32), {"num_warps": warps})


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_compiles_and_reads_its_rows_sixteen_bytes_a_thread(
    name: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    loss = make_loss(name)
    fixed = {"CODE": loss.code, "MU": loss.smoothness}
    kernels = [(triton_kernels.local_dual_ascent, fixed | {"SAMPLING": int(sampling)}) for sampling in Sampling]
    kernels += [(triton_kernels.terminal_sums, fixed), (triton_kernels.dual_image, fixed)]
    for weighted, heavy in ((False, False), (True, False), (False, True)):
        descent = fixed | {"WEIGHTED": weighted, "HEAVY": heavy}
        kernels += [(triton_kernels.local_sgd, descent)]
        kernels += [(triton_kernels.local_sgd, descent | {"batch": 1, "before": 1})]
    wide = "ld.global.v4.b32" if dtype == "fp32" else "ld.global.v2.b64"
    for kernel, values in kernels:
        assert wide in compiled(kernel, dtype, **values).asm["ptx"]


@triton.jit
def write_words(counters: tl.tensor, seed: tl.tensor, out: tl.tensor) -> None:
    """Write the four words at each counter (block, round, terminal)."""
    at = tl.program_id(0)
    block, round_, terminal = tl.load(counters + 3 * at), tl.load(counters + 3 * at + 1), tl.load(counters + 3 * at + 2)
    words = triton_kernels._words(tl.load(seed), block, round_, terminal)
    for lane in tl.static_range(4):
        tl.store(out + 4 * at + lane, words[lane].to(tl.int64))


@on_device
def test_the_words_are_the_scenario_streams_words() -> None:
    rng = np.random.default_rng(0)
    counters = np.concatenate([rng.integers(0, 2**32, (20, 3)), [[0, 0, 0], [2**32 - 1] * 3]])
    key = (2**32 - 5, 2**31 + 7)
    seed = np.array([key[0] | key[1] << 32], np.uint64).view(np.int64)
    room = np.zeros((len(counters), 4), np.int64)
    where, given, out = triton_solver.upload(torch.device(DEVICE), counters, seed, room)
    write_words[(len(counters),)](where, given, out)
    expected = [philox((block, round_, terminal, 0), key).tolist() for block, round_, terminal in counters.tolist()]
    assert out.tolist() == expected


@on_device
@pytest.mark.parametrize("sampling", list(Sampling))
def test_rows_are_drawn_in_the_order_of_the_processor(sampling: Sampling) -> None:
    # rows are orthogonal: the duals that have moved after h steps are the rows drawn
    n = 13
    arguments = (np.eye(n), np.ones(n), [0, 0, n], make_loss("logistic"))
    host, card = KernelSolver(*arguments), triton_solver.TritonSolver(*arguments, device=DEVICE)
    steps = np.array([*range(1, n + 2), 2 * n + 5])
    T = len(steps)
    jobs = ascent_jobs([1] * T, d=n, w=np.ones((T, n)), steps=steps, rounds=np.full(T, 3), sampling=sampling)
    found, expected = card.ascend(jobs).alpha.cpu().numpy(), host.ascend(jobs).alpha
    np.testing.assert_array_equal(found != 0.5, expected != 0.5)
    if sampling != Sampling.UNIFORM:
        np.testing.assert_array_equal((found.reshape(T, n) != 0.5).sum(axis=1), steps.clip(max=n))
    assert_close(found, expected, 1e-12)


@on_device
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_a_hundred_rounds_of_safely_added_updates_end_where_the_processor_ends(
    name: str, dtype: Any, tolerance: float
) -> None:
    solvers, who, lam_n = pair(name, dtype), np.array([0, 2, 3]), 0.3 * 15
    models = [solver.dual_image(who).sum(axis=0) / lam_n for solver in solvers]
    one = np.ones(3)
    for round_ in range(100):
        for solver, w in zip(solvers, models, strict=True):
            numbers = (np.array([2, 3, 1]), 3 * one, lam_n * one, np.full(3, round_))
            sampling = Sampling(round_ % 3)
            jobs = AscentJobs(who, np.tile(w, (3, 1)), *numbers, (1, 2), sampling, measures_gap=False)
            updates = solver.ascend(jobs)
            assert np.isnan(updates.gap).all()
            solver.commit(updates, np.full(3, True), one)
            w += solver.add_up(updates, np.full(3, True), [0, 3])[0] / lam_n
    (host, card), sent = solvers, np.tile(models[0], (3, 1))
    assert_close(models[1], models[0], tolerance)
    assert_close(card.duals(), host.duals(), tolerance)
    assert_close(card.sums(who, sent), host.sums(who, sent), tolerance)
    assert_close(card.dual_image(who), host.dual_image(who), tolerance)


@on_device
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_updates_and_gaps_of_ragged_idle_and_repeated_terminals_agree(name: str, dtype: Any, tolerance: float) -> None:
    host, card = pair(name, dtype)
    first, second = ascent_jobs([0, 1, 2, 3, 4]), ascent_jobs([2, 4, 2, 0, 1], seed=2, sampling=Sampling.PERMUTATION)
    for solver in (host, card):
        solver.commit(solver.ascend(first), np.array([True, True, False, True, True]), np.full(5, 0.7))
    a, b = host.ascend(second), card.ascend(second)
    assert b.du.cpu().numpy().dtype == dtype and b.gap.dtype == np.float64
    np.testing.assert_array_equal(b.offsets, a.offsets)
    assert_close(b.alpha.cpu().numpy(), a.alpha, tolerance)
    assert_close(b.du.cpu().numpy(), a.du, tolerance)
    assert_close(b.gap, a.gap, tolerance)
    assert np.all(b.gap >= 0.0)
    arrived, together = np.array([True, False, True, True, True]), np.array([0, 3, 3, 5])
    assert_close(card.add_up(b, arrived, together), host.add_up(a, arrived, together), tolerance)
    np.testing.assert_array_equal(b.split([2, 3])[1].alpha.cpu().numpy(), b.alpha[b.offsets[2] :].cpu().numpy())


@on_device
@pytest.mark.parametrize("d", [1, 16, 33, 700])
def test_any_number_of_features_is_padded_without_a_trace(d: int) -> None:
    host, card = pair("smoothed_hinge", d=d)
    jobs = ascent_jobs([0, 2, 3], d=d)
    a, b = host.ascend(jobs), card.ascend(jobs)
    assert_close(b.alpha.cpu().numpy(), a.alpha, 1e-10)
    assert_close(b.du.cpu().numpy(), a.du, 1e-10)
    assert_close(b.gap, a.gap, 1e-10)


@on_device
def test_a_terminal_longer_than_any_tile_agrees() -> None:
    rng = np.random.default_rng(3)
    X, y, offsets = rng.normal(size=(1201, 3)), rng.choice([-1.0, 1.0], 1201), [0, 1, 1201]
    arguments = (X, y, offsets, make_loss("logistic"))
    host, card = KernelSolver(*arguments), triton_solver.TritonSolver(*arguments, device=DEVICE)
    jobs = ascent_jobs([1], d=3, steps=np.array([30]), sampling=Sampling.PERMUTATION)
    a, b = host.ascend(jobs), card.ascend(jobs)
    assert_close(b.alpha.cpu().numpy(), a.alpha, 1e-10)
    assert_close(b.gap, a.gap, 1e-10)
    assert_close(card.dual_image([1, 0]), host.dual_image([1, 0]), 1e-10)


@on_device
@pytest.mark.parametrize("name", NAMES)
def test_steps_of_extreme_curvature_and_margin_agree(name: str) -> None:
    # one row a terminal, norms from 1e-6 to 1e6
    rng = np.random.default_rng(5)
    X, y = 10.0 ** np.linspace(-3, 3, 12)[:, None], rng.choice([-1.0, 1.0], 12)
    arguments = (X, y, np.arange(13), make_loss(name, 0.3))
    host, card = KernelSolver(*arguments), triton_solver.TritonSolver(*arguments, device=DEVICE)
    jobs = ascent_jobs(list(range(12)), d=1, steps=np.ones(12, int), w=rng.normal(0, 20, (12, 1)) / X)
    a, b = host.ascend(jobs), card.ascend(jobs)
    np.testing.assert_allclose(b.alpha.cpu().numpy(), a.alpha, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(b.gap, a.gap, rtol=1e-8, atol=1e-12)
    losses, expected = (solver.sums(np.arange(12), jobs.w)[:, 0] for solver in (card, host))
    np.testing.assert_allclose(losses, expected, rtol=1e-10)


@on_device
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 3, 2**40])
def test_minibatch_descent_agrees(name: str, batch: int, dtype: Any, tolerance: float) -> None:
    host, card = pair(name, dtype)
    rng, who = np.random.default_rng(6), np.arange(5)
    w, anchor, rates = rng.normal(size=(5, 5)), rng.normal(size=(5, 5)), rng.uniform(0.01, 0.1, 5)
    jobs = SgdJobs(who, w, anchor, np.array([6, 5, 9, 0, 2]), rates, who + 2**31, (3, 4), batch, 0.3, 0.8)
    assert_close(card.sgd(jobs), host.sgd(jobs), tolerance)
    later = replace(jobs, proximal=rates * 9.0, before=3)
    assert_close(card.sgd(later), host.sgd(later), tolerance)
    twice = np.array([3, 0, 3, 1, 2])  # one terminal's rows count differently in its two jobs
    weighted = replace(jobs, terminals=twice, weights=rng.uniform(0, 2, 3 + 5 + 3 + 7))
    assert_close(card.sgd(weighted), host.sgd(weighted), tolerance)
    one, other = (replace(later, momentum=0.8, velocity=w[::-1].copy()) for _ in range(2))
    assert_close(card.sgd(one), host.sgd(other), tolerance)
    assert one.velocity is not None and other.velocity is not None
    assert_close(one.velocity, other.velocity, tolerance)
    assert not np.array_equal(other.velocity[:3], w[::-1][:3])


@on_device
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_jobs_that_were_sent_one_of_a_few_models_start_from_it(dtype: Any, tolerance: float) -> None:
    host, card = pair("smoothed_hinge", dtype)
    few, sent = np.random.default_rng(3).normal(size=(2, 5)), np.array([1, 0, 1, 1])
    each = ascent_jobs([0, 2, 3, 4], w=few[sent])
    shared = replace(each, w=few, sent=sent)
    for solver in (host, card):
        own, found = solver.ascend(each), solver.ascend(shared)
        assert bool((found.alpha == own.alpha).all()) and bool((found.du == own.du).all())
        np.testing.assert_array_equal(found.gap, own.gap)
        np.testing.assert_array_equal(solver.sums([0, 2, 3, 4], few, sent), solver.sums([0, 2, 3, 4], few[sent]))
    assert_close(card.sums([4, 1], few, np.array([0, 0])), host.sums([4, 1], few, np.array([0, 0])), tolerance)


@on_device
def test_an_empty_batch_of_jobs_is_no_work_and_bad_input_is_refused() -> None:
    _, solver = pair("hinge")
    assert solver.ascend(ascent_jobs([])).du.shape == (0, 5)
    assert solver.sums(np.array([], int), np.zeros((0, 5))).shape == (0, 3)
    nothing = solver.ascend(ascent_jobs([]))
    np.testing.assert_array_equal(solver.add_up(nothing, np.zeros(0, bool), [0, 0, 0]), np.zeros((2, 5)))
    assert solver.dual_image(np.array([], int)).shape == (0, 5)
    with pytest.raises(ValueError, match="from 0 to 4"):
        solver.ascend(ascent_jobs([5]))
    with pytest.raises(ValueError, match=r"models \(1, 2\)"):
        solver.sums([0], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="at most one of each"):
        solver.commit(solver.ascend(ascent_jobs([2, 2])), np.full(2, True), np.ones(2))


@on_device
def test_a_terminal_that_proposes_nothing_uploads_exactly_zero() -> None:
    _, solver = pair("logistic")
    updates = solver.ascend(ascent_jobs([0, 1], steps=np.array([0, 5])))
    assert not updates.du.any()
    np.testing.assert_array_equal(updates.alpha.cpu().numpy(), solver.duals()[:5])
