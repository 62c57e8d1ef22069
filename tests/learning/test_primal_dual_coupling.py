"""Geometry, certificates and aggregation rules of mean-regularised multi-task learning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.primal_dual.aggregation import SafeAggregation
from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.certificate import joint_certificate, task_certificate
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.losses import LOSSES, Loss, make_loss

Array = NDArray[Any]


def random_duals(rng: np.random.Generator, loss: Loss, n: int) -> tuple[Array, Array]:
    """Return labels and duals anywhere in the domain."""
    y = rng.normal(size=n) if loss.name == "squared" else rng.choice([-1.0, 1.0], n)
    return y, rng.normal(0.5, 0.7, n).clip(*loss.domain())


def row_sums(loss: Loss, X: Array, y: Array, a: Array, W: Array, task: Array) -> Array:
    """Return one row of sums per data row, as if each were a terminal of its own."""
    scores = (X * W[task]).sum(axis=1)
    return np.stack([loss.value(scores, y), loss.conjugate(a, y), loss.fenchel_young(scores, a, y)], axis=1)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(LOSSES)), seed=st.integers(0, 2**32 - 1))
def test_primal_minus_dual_is_the_fenchel_young_sum_at_any_dual_point(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss, B, d, n = make_loss(name), 4, 3, 40
    task = rng.integers(0, B - 1, n)  # the last task has no rows
    X, (y, a) = rng.normal(size=(n, d)), random_duals(rng, loss, n)
    coupling = Coupling(10.0 ** rng.uniform(-2, 1), 10.0 ** rng.uniform(-2, 1), B)
    counts = np.bincount(task, minlength=B)
    U = np.zeros((B, d))
    np.add.at(U, task, (loss.sign(y) * a)[:, None] * X / counts[task][:, None])

    W, r = coupling.joint_map(U)
    np.testing.assert_allclose(r, W.mean(axis=0), atol=1e-13 * max(1.0, np.abs(r).max()))
    joint = joint_certificate(coupling, U, row_sums(loss, X, y, a, W, task), task, counts)
    scale = max(1.0, abs(joint.primal), abs(joint.dual))
    assert joint.gap >= -1e-12
    assert joint.primal - joint.dual == pytest.approx(joint.gap, abs=1e-10 * scale)

    r = rng.normal(size=d)
    w, mine = coupling.primal_map(U[0], r), task == 0
    sums = row_sums(loss, X, y, a, w[None], 0 * task)[mine]
    own = task_certificate(coupling, U[0], r, sums, int(counts[0]))
    scale = max(1.0, abs(own.primal), abs(own.dual))
    assert own.gap >= -1e-12
    assert own.primal - own.dual == pytest.approx(own.gap, abs=1e-10 * scale)


def test_the_joint_gap_bounds_the_distance_to_the_optimum() -> None:
    rng = np.random.default_rng(9)
    loss, task = make_loss("logistic"), np.repeat([0, 1], 15)
    X, (y, a) = rng.normal(size=(30, 3)), random_duals(rng, loss, 30)
    coupling, counts = Coupling(0.2, 0.5, 2), np.array([15, 15])
    best = solve_joint(X, y, task, 2, loss, 0.2, 0.5, tolerance=1e-14)
    U = np.stack([(y * a)[task == b] @ X[task == b] / 15 for b in range(2)])
    W, _ = coupling.joint_map(U)
    found = joint_certificate(coupling, U, row_sums(loss, X, y, a, W, task), task, counts)
    assert found.dual <= best.primal <= found.primal
    assert found.gap >= 0.1 * np.sum((W - best.W) ** 2)


def test_the_objective_without_r_uses_the_best_r_and_sums_over_tasks() -> None:
    rng = np.random.default_rng(0)
    coupling, W, losses = Coupling(0.3, 0.7, 3), rng.normal(size=(3, 4)), rng.random(3)
    value = coupling.objective(losses, W)
    mean = W.mean(axis=0)
    by_hand = sum(losses[b] + 0.15 * W[b] @ W[b] + 0.35 * (W[b] - mean) @ (W[b] - mean) for b in range(3))
    assert value == pytest.approx(by_hand, rel=1e-14)
    assert all(coupling.objective(losses, W, mean + 0.1 * rng.normal(size=4)) > value for _ in range(20))
    parts = [coupling.task_objective(losses[b], W[b], mean) for b in range(3)]
    assert sum(parts) == pytest.approx(value, rel=1e-14)


def test_the_quadratic_form_of_the_joint_dual_is_the_inverse_of_the_primal_one() -> None:
    coupling, B = Coupling(0.3, 0.7, 5), 5
    centring = np.eye(B) - np.full((B, B), 1 / B)
    omega = 0.3 * np.eye(B) + 0.7 * centring
    U = np.random.default_rng(1).normal(size=(B, 2))
    expected = 0.5 * np.trace(U.T @ np.linalg.inv(omega) @ U)
    assert coupling.joint_dual(np.zeros(B), U) == pytest.approx(-expected, rel=1e-13)
    np.testing.assert_allclose(coupling.joint_map(U)[0], np.linalg.inv(omega) @ U, atol=1e-13)


def test_the_tasks_dual_is_the_minimum_of_its_lagrangian() -> None:
    rng = np.random.default_rng(2)
    coupling, u, r = Coupling(0.3, 0.7, 5), rng.normal(size=3), rng.normal(size=3)
    w = coupling.primal_map(u, r)
    np.testing.assert_allclose(w, (u + 0.7 * r) / 1.0, atol=1e-15)
    lagrangian = 0.15 * w @ w + 0.35 * (w - r) @ (w - r) - u @ w
    assert coupling.task_dual(0.4, u, r) == pytest.approx(lagrangian - 0.4, rel=1e-13)


def test_without_coupling_tasks_are_separate_and_with_infinite_coupling_one() -> None:
    rng = np.random.default_rng(3)
    U, r = rng.normal(size=(3, 2)), rng.normal(size=2)
    apart, together = Coupling(0.5, 0.0, 3), Coupling(0.5, math.inf, 3)
    np.testing.assert_allclose(apart.primal_map(U, r), U / 0.5)
    np.testing.assert_allclose(apart.joint_map(U)[0], U / 0.5)
    np.testing.assert_allclose(together.primal_map(U, r), np.tile(r, (3, 1)))
    W, centre = together.joint_map(U)
    np.testing.assert_allclose(W, np.tile(U.mean(axis=0) / 0.5, (3, 1)))
    assert together.objective(np.zeros(3), W, centre) == pytest.approx(0.25 * np.sum(W**2))
    assert together.objective(np.zeros(3), U) == math.inf
    assert together.joint_dual(np.zeros(3), U) == pytest.approx(-0.25 * np.sum(W**2))
    strong = Coupling(0.5, 1e9, 3)
    assert together.task_dual(0.1, U[0], r) == pytest.approx(strong.task_dual(0.1, U[0], r), abs=1e-7)


@pytest.mark.parametrize("arguments", [(0.0, 1.0, 2), (math.inf, 1.0, 2), (1.0, -0.1, 2), (1.0, 1.0, 0)])
def test_weights_outside_their_range_are_refused(arguments: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Coupling(*arguments)


@given(terminals=st.integers(1, 10_000))
def test_adding_and_averaging_are_safe_for_their_own_terminal_count_and_not_for_more(terminals: int) -> None:
    adding, averaging = SafeAggregation.adding(terminals), SafeAggregation.averaging(terminals)
    assert (adding.gamma, adding.sigma_prime) == (1.0, terminals)
    assert (averaging.gamma, averaging.sigma_prime) == (1.0 / terminals, 1.0)
    for rule in (adding, averaging):
        assert rule.require_safe(terminals) is rule
        with pytest.raises(ValueError, match="sigma_prime >= gamma"):
            rule.require_safe(terminals + 1)


@pytest.mark.parametrize("arguments", [(0.0, 1.0), (1.5, 2.0), (1.0, 0.0), (math.nan, 1.0), (1.0, math.nan)])
def test_aggregation_outside_its_range_is_refused(arguments: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="allowed: above 0"):
        SafeAggregation(*arguments)
