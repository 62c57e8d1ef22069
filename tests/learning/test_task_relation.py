"""Covariances of tasks: valid whatever they are made of, and the project's own coupling where both mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.primal_dual.coupling import Coupling
from learning.task_relation import TaskRelation, grouped_covariance, learned_covariance

Array = NDArray[Any]
SHAPES = {"tasks": st.integers(1, 9), "features": st.integers(1, 6), "seed": st.integers(0, 10**6)}


def proper(covariance: Array) -> None:
    """Check that a covariance is symmetric, of trace 1 and positive semidefinite, with no 0 on its diagonal."""
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.trace(covariance) == pytest.approx(1.0, abs=1e-12)
    assert np.linalg.eigvalsh(covariance).min() >= -1e-15
    assert np.diagonal(covariance).min() > 0.0


@settings(max_examples=50, deadline=None)
@given(**SHAPES, scale=st.sampled_from([0.0, 1e-6, 1.0, 1e3]))
def test_a_learned_covariance_is_proper_even_of_models_that_never_moved(
    tasks: int, features: int, seed: int, scale: float
) -> None:
    W = scale * np.random.default_rng(seed).normal(size=(tasks, features))
    W[:: max(2, tasks // 2)] = 0.0
    covariance = learned_covariance(W)
    proper(covariance)
    assert np.linalg.eigvalsh(covariance).min() > 0.0
    if scale == 0.0:
        np.testing.assert_allclose(covariance, np.eye(tasks) / tasks, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_learned_covariance_has_the_least_penalty_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(4, 6))
    best = TaskRelation(learned_covariance(W), 1.0).penalty_of(W)
    assert best == pytest.approx(0.5 * np.linalg.svd(W, compute_uv=False).sum() ** 2, rel=1e-9)  # nuclear norm
    other = (root := rng.normal(size=(4, 4))) @ root.T
    assert TaskRelation(other / np.trace(other), 1.0).penalty_of(W) >= best * (1.0 - 1e-9)


@settings(max_examples=50, deadline=None)
@given(**SHAPES, share=st.floats(0.0, 1.0))
def test_tasks_that_are_as_cautious_as_told_never_underestimate_all_moving_together(
    tasks: int, features: int, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, tasks)
    for covariance in (grouped_covariance(groups, share), learned_covariance(rng.normal(size=(tasks, features)))):
        relation = TaskRelation(covariance, 0.3)
        proper(covariance)
        slack = relation.caution * np.diag(np.diagonal(covariance)) - covariance
        assert np.linalg.eigvalsh(slack).min() >= -1e-12
    independent = TaskRelation(grouped_covariance(range(tasks), share), 0.3)
    assert independent.caution == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(independent.covariance, np.eye(tasks) / tasks, atol=1e-15)


@pytest.mark.parametrize("lambda2", [0.0, 0.07, 5.0, np.inf])
def test_one_group_of_all_is_the_projects_pull_towards_the_mean_model(lambda2: float) -> None:
    coupling, B = Coupling(0.02, lambda2, 5), np.random.default_rng(1).normal(size=(5, 3))
    covariance = grouped_covariance([0] * 5, coupling.share)
    weight = coupling.lambda1 / (coupling.share + 5 * (1.0 - coupling.share))
    relation = TaskRelation(covariance, weight)
    W, _ = coupling.joint_map(B)
    np.testing.assert_allclose(relation.models(B), W, rtol=1e-10, atol=1e-12)
    assert -relation.penalty(B) == pytest.approx(coupling.joint_dual(np.zeros(5), B), rel=1e-10)
    if np.isfinite(lambda2):
        assert relation.penalty(B) == pytest.approx(coupling.objective(np.zeros(5), W), rel=1e-10)
        assert relation.penalty_of(W) == pytest.approx(relation.penalty(B), rel=1e-10)


def test_permuting_the_tasks_permutes_the_covariance() -> None:
    rng = np.random.default_rng(3)
    W, groups, order = rng.normal(size=(5, 4)), np.array([0, 1, 0, 2, 1]), rng.permutation(5)
    here = np.ix_(order, order)
    np.testing.assert_allclose(learned_covariance(W[order]), learned_covariance(W)[here], atol=1e-14)
    np.testing.assert_array_equal(grouped_covariance(groups[order], 0.6), grouped_covariance(groups, 0.6)[here])


def test_tasks_of_a_cluster_pull_each_other_and_no_one_else() -> None:
    covariance = grouped_covariance([7, 7, 2], 0.5)
    np.testing.assert_allclose(covariance * 2.5, [[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]], atol=1e-15)
