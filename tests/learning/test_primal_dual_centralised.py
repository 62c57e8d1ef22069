"""The joint optimum against independent solvers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.losses import LOSSES, Loss, make_loss

Array = NDArray[Any]
NAMES = sorted(LOSSES)
SMOOTH = [name for name in NAMES if name != "hinge"]
B, D = 3, 4


def problem(name: str) -> tuple[Array, Array, Array]:
    """Return three unequal tasks around a common direction, rows of tasks one after the other."""
    rng = np.random.default_rng(12)
    task = np.repeat(np.arange(B), [20, 31, 26])
    X = rng.normal(size=(len(task), D))
    models = np.array([1.0, -1.0, 0.5, 0.0]) + 0.5 * rng.normal(size=(B, D))
    scores = (X * models[task]).sum(axis=1) + 0.5 * rng.normal(size=len(task))
    return X, scores if name == "squared" else np.sign(scores), task


def objective(loss: Loss, X: Array, y: Array, task: Array, coupling: Coupling, W: Array) -> float:
    """Return P(W) with the best r, written out from its definition."""
    losses = loss.value((X * W[task]).sum(axis=1), y)
    means = [losses[task == b].mean() for b in range(B)]
    spread = W - W.mean(axis=0)
    return float(sum(means) + coupling.lambda1 / 2 * np.sum(W**2) + coupling.lambda2 / 2 * np.sum(spread**2))


def scipy_primal(loss: Loss, X: Array, y: Array, task: Array, coupling: Coupling) -> float:
    """Return the optimum of the smooth primal by L-BFGS."""
    weight = 1.0 / np.bincount(task)[task]

    def value_and_slope(flat: Array) -> tuple[float, Array]:
        W = flat.reshape(B, D)
        slopes = weight * loss.derivative((X * W[task]).sum(axis=1), y)
        gradient = coupling.lambda1 * W + coupling.lambda2 * (W - W.mean(axis=0))
        np.add.at(gradient, task, slopes[:, None] * X)
        return objective(loss, X, y, task, coupling, W), gradient.ravel()

    options = {"maxiter": 20_000, "ftol": 0.0, "gtol": 1e-12, "maxcor": 30}
    return float(minimize(value_and_slope, np.zeros(B * D), jac=True, method="L-BFGS-B", options=options).fun)


def hinge_box_dual(X: Array, y: Array, task: Array, coupling: Coupling) -> float:
    """Return the optimum of the hinge's box-constrained dual by L-BFGS-B, written with the matrix Omega."""
    omega = coupling.lambda1 * np.eye(B) + coupling.lambda2 * (np.eye(B) - 1 / B)
    weight = 1.0 / np.bincount(task)[task]
    rows = weight[:, None] * y[:, None] * X
    Q = np.linalg.inv(omega)[task[:, None], task[None, :]] * (rows @ rows.T)
    result = minimize(
        lambda a: (0.5 * a @ Q @ a - weight @ a, Q @ a - weight),
        np.zeros(len(y)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * len(y),
        options={"maxiter": 50_000, "maxfun": 100_000, "ftol": 0.0, "gtol": 1e-12},
    )
    return -float(result.fun)


@pytest.mark.parametrize("weights", [(0.1, 0.1), (0.02, 0.5)])
@pytest.mark.parametrize("name", NAMES)
def test_the_joint_optimum_equals_scipys(name: str, weights: tuple[float, float]) -> None:
    X, y, task = problem(name)
    loss, coupling = make_loss(name), Coupling(*weights, B)
    found = solve_joint(X, y, task, B, loss, *weights, tolerance=1e-11)
    expected = hinge_box_dual(X, y, task, coupling) if name == "hinge" else scipy_primal(loss, X, y, task, coupling)
    assert found.primal == pytest.approx(expected, rel=1e-9)
    assert found.dual <= found.primal + 1e-14
    assert -1e-12 <= found.gap <= 1e-11 * found.primal
    assert found.primal == pytest.approx(objective(loss, X, y, task, coupling, found.W), rel=1e-13)
    np.testing.assert_allclose(found.r, found.W.mean(axis=0), atol=1e-12)


def expanded(X: Array, task: Array, coupling: Coupling) -> Array:
    """Return features in which the joint problem is one plain ridge problem."""
    wide = np.zeros((len(X), (B + 1) * D))
    for b in range(B):
        wide[task == b, b * D : (b + 1) * D] = X[task == b] / np.sqrt(coupling.lam)
    wide[:, B * D :] = np.sqrt((1 / coupling.lambda1 - 1 / coupling.lam) / B) * X
    return wide


def collapsed(v: Array, coupling: Coupling) -> Array:
    """Return the models (B, d) of a solution ``v`` in expanded features."""
    common = np.sqrt((1 / coupling.lambda1 - 1 / coupling.lam) / B) * v[B * D :]
    return v[: B * D].reshape(B, D) / np.sqrt(coupling.lam) + common


@pytest.mark.parametrize("name", ["hinge", "squared_hinge", "logistic", "squared"])
def test_the_joint_optimum_equals_scikit_learns_on_expanded_features(name: str) -> None:
    X, y, task = problem(name)
    coupling = Coupling(0.05, 0.2, B)
    wide, weight = expanded(X, task, coupling), 1.0 / np.bincount(task)[task]
    model: Any
    if name == "hinge":
        model = LinearSVC(loss="hinge", C=1.0, fit_intercept=False, tol=1e-8, max_iter=2_000_000)
    elif name == "squared_hinge":
        model = LinearSVC(loss="squared_hinge", dual=False, C=0.5, fit_intercept=False, tol=1e-14, max_iter=100_000)
    elif name == "logistic":
        model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=100_000)
    else:
        model = Ridge(alpha=1.0, fit_intercept=False)
    model.fit(wide, y, sample_weight=weight)
    W = collapsed(np.ravel(model.coef_), coupling)
    found = solve_joint(X, y, task, B, make_loss(name), 0.05, 0.2, tolerance=1e-12)
    assert found.primal == pytest.approx(objective(make_loss(name), X, y, task, coupling, W), rel=1e-6)
    np.testing.assert_allclose(found.W, W, atol=2e-3 if name == "hinge" else 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_without_coupling_every_task_is_solved_alone(name: str) -> None:
    X, y, task = problem(name)
    joint = solve_joint(X, y, task, B, make_loss(name), 0.1, 0.0, tolerance=1e-12)
    for b in range(B):
        mine = task == b
        alone = solve_joint(X[mine], y[mine], 0 * task[mine], 1, make_loss(name), 0.1, 0.0, tolerance=1e-12)
        np.testing.assert_allclose(joint.W[b], alone.W[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_infinite_coupling_is_one_pooled_model_and_the_limit_of_strong_coupling(name: str) -> None:
    X, y, task = problem(name)
    pooled = solve_joint(X, y, task, B, make_loss(name), 0.1, math.inf, tolerance=1e-11)
    np.testing.assert_allclose(pooled.W, np.tile(pooled.r, (B, 1)), atol=1e-14)
    strong = solve_joint(X, y, task, B, make_loss(name), 0.1, 1e5, tolerance=1e-11)
    np.testing.assert_allclose(pooled.W, strong.W, atol=1e-4)
    assert strong.primal <= pooled.primal * (1 + 1e-10)
    loss, weight = make_loss(name), 1.0 / np.bincount(task)[task]
    if name != "hinge":
        slopes = weight * loss.derivative(X @ pooled.r, y)
        np.testing.assert_allclose(slopes @ X + B * 0.1 * pooled.r, 0.0, atol=1e-4)


def test_a_task_without_rows_takes_its_share_of_the_others() -> None:
    X, y, task = problem("logistic")
    found = solve_joint(X, y, np.where(task == 1, 2, task), B, make_loss("logistic"), 0.1, 0.3)
    np.testing.assert_allclose(found.W[1], 0.75 * found.r, atol=1e-12)


def test_stopping_early_still_returns_a_true_gap_and_bad_tasks_are_refused() -> None:
    X, y, task = problem("hinge")
    rough = solve_joint(X, y, task, B, make_loss("hinge"), 0.01, 0.01, max_epochs=3)
    fine = solve_joint(X, y, task, B, make_loss("hinge"), 0.01, 0.01)
    assert rough.epochs == 3
    assert rough.dual <= fine.primal <= rough.primal
    assert rough.gap >= rough.primal - fine.primal > 0.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        solve_joint(X, y, task, 2, make_loss("hinge"), 0.01, 0.01)
