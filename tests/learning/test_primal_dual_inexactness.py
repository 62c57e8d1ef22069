"""The relative quality of local work: 0 of an exact solution, 1 of none, and what it takes to reach a given one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.primal_dual.inexactness import SolvedSubproblems, chosen, subproblem_values
from learning.primal_dual.jobs import AscentJobs, Sampling
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import LOSSES, make_loss
from learning.primal_dual.torch_solver import TorchSolver
from tests.learning.driving import random_federation

Array = NDArray[Any]


def problems(seed: int, loss: str = "hinge", kind: Any = KernelSolver) -> tuple[Federation, Any, AscentJobs]:
    """Return terminals in the middle of a run with orders for all of them."""
    data, rng = random_federation(seed, loss=loss), np.random.default_rng(seed)
    solver = kind(data.X, data.y, data.terminal_offsets, make_loss(loss))
    jobs = AscentJobs(
        terminals=np.arange(9),
        w=rng.normal(size=(9, 4)),
        steps=rng.integers(0, 6, 9),
        sigma_prime=np.full(9, 1.7),
        lam_n=0.2 * np.diff(data.terminal_offsets),
        rounds=np.arange(9),
        key=(3, 4),
        sampling=Sampling.PERMUTATION,
        measures_gap=False,
    )
    solver.commit(solver.ascend(jobs), np.full(9, True), np.ones(9))
    return data, solver, jobs


@settings(max_examples=25, deadline=None)
@given(loss=st.sampled_from(sorted(LOSSES)), seed=st.integers(0, 10**6))
def test_theta_is_one_without_work_never_grows_and_comes_to_nothing(loss: str, seed: int) -> None:
    data, solver, jobs = problems(seed, loss)
    solved = SolvedSubproblems(solver, data, jobs, 1e-9)
    assert np.all((none := solved.theta(solved.values(np.zeros(9, np.int64)))) >= 0.0)
    assert np.all((none == 1.0) | (none == 0.0))
    thetas = [solved.theta(solved.values(np.full(9, steps))) for steps in (0, 1, 2, 5, 20, 4000)]
    assert np.diff(thetas, axis=0).max() <= 1e-6
    assert thetas[-1].max() <= 1e-2
    everything = chosen(jobs, np.arange(9), np.full(9, 4000))
    np.testing.assert_array_equal(solved.theta_of(solver.ascend(everything)), thetas[-1])


def test_theta_of_a_quadratic_is_that_of_its_exact_solution() -> None:
    data, solver, jobs = problems(5, "squared")
    solved = SolvedSubproblems(solver, data, jobs, 1e-12)
    updates = solver.ascend(jobs)
    for j in range(9):
        rows = slice(*data.terminal_offsets[j : j + 2])
        X, y, old, c = data.X[rows], data.y[rows], solver.alpha[rows], 1.7 / jobs.lam_n[j]

        def worth(a: Array, X: Array = X, y: Array = y, old: Array = old, c: float = c, w: Array = jobs.w[j]) -> float:
            du = X.T @ (a - old)
            return float(-np.sum(0.5 * a**2 - a * y) - w @ du - 0.5 * c * du @ du)

        gram = c * X @ X.T
        best = np.linalg.solve(np.eye(len(y)) + gram, y - X @ jobs.w[j] + gram @ old)
        after = updates.alpha[updates.offsets[j] : updates.offsets[j + 1]]
        known = (worth(best) - worth(after)) / (worth(best) - worth(old))
        assert solved.theta_of(updates)[j] == pytest.approx(known, abs=1e-7)
        assert subproblem_values(solver, data, jobs, updates)[j] == pytest.approx(worth(after), abs=1e-12)


@pytest.mark.parametrize("theta", [0.7, 0.2, 0.01])
def test_the_steps_that_reach_a_quality_are_the_fewest_that_do(theta: float) -> None:
    data, solver, jobs = problems(8)
    solved = SolvedSubproblems(solver, data, jobs, 1e-6)
    steps = solved.steps_to(theta, 500)
    assert steps.min() >= 1 and steps.max() > 1
    assert np.all(solved.theta(solved.values(steps)) <= theta)
    fewer = solved.theta(solved.values(steps - 1))
    assert np.all((fewer > theta) | (steps == 1))
    assert solved.steps_to(theta, 2).max() == 2


def test_tensors_are_rated_as_arrays_are() -> None:
    data, solver, jobs = problems(8)
    _, other, _ = problems(8, kind=TorchSolver)
    thetas = [SolvedSubproblems(each, data, jobs, 1e-9).theta_of(each.ascend(jobs)) for each in (solver, other)]
    np.testing.assert_allclose(thetas[0], thetas[1], atol=1e-9)
    assert 0.0 < thetas[0].max() <= 1.0
