"""Planted mixtures: shares, rules and numbers of rows follow their laws."""

from __future__ import annotations

import numpy as np
import pytest

from learning.data.mixture import mixture_rows, mixture_tasks, planted_components, planted_shares
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

ARGUMENTS = {
    "tasks": 12,
    "features": 5,
    "components": 3,
    "concentration": 0.4,
    "noise": 0.1,
    "least_rows": 50,
    "most_rows": 1000,
}


def test_without_noise_every_label_is_that_of_a_rule_met_as_often_as_its_share() -> None:
    weights, shares = planted_components(3, 40, Streams(1)), np.array([0.6, 0.3, 0.1])
    X, y = mixture_rows(0, 4000, weights, shares, 0.0, Streams(1))
    agrees = y[:, None] * (X @ weights.T) > 0.0
    assert np.all(agrees.any(axis=1))
    # A rule agrees with its own rows, and with others by the angle between the two rules.
    cosines = weights @ weights.T / np.outer(*(2 * [np.linalg.norm(weights, axis=1)]))
    expected = (1.0 - np.arccos(np.clip(cosines, -1.0, 1.0)) / np.pi) @ shares
    np.testing.assert_allclose(agrees.mean(axis=0), expected, atol=0.03)


def test_features_and_rules_are_uniform() -> None:
    X, _ = mixture_rows(3, 5000, planted_components(2, 4, Streams(0)), np.array([0.5, 0.5]), 0.1, Streams(0))
    assert -1.0 < X.min() < -0.99 and 0.99 < X.max() < 1.0
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(np.cov(X.T), np.eye(4) / 3.0, atol=0.02)
    rules = planted_components(50, 100, Streams(0))
    assert rules.min() > -1.0 and rules.max() < 1.0 and rules.var() == pytest.approx(1.0 / 3.0, abs=0.02)


def test_shares_have_the_mean_and_the_spread_of_their_law() -> None:
    shares = np.array([planted_shares(task, 3, 0.4, Streams(0)) for task in range(3000)])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares.mean(axis=0), 1.0 / 3.0, atol=0.03)
    np.testing.assert_allclose(shares.var(axis=0), (1 / 3) * (2 / 3) / (3 * 0.4 + 1.0), rtol=0.1)


def test_numbers_of_rows_have_a_long_tail_between_their_limits() -> None:
    sizes = np.array([len(task) for task in mixture_tasks(**ARGUMENTS | {"tasks": 200}, streams=Streams(0))])  # type: ignore[arg-type]
    assert sizes.min() >= 50 and sizes.max() == 1000
    assert np.median(sizes) == pytest.approx(50 + np.exp(4.0), rel=0.4)
    assert np.mean(sizes == 1000) == pytest.approx(0.0731, abs=0.06)  # P(log N(4, 2) > 950)


def test_a_task_does_not_depend_on_how_many_others_there_are_and_seeds_differ() -> None:
    few, many = (mixture_tasks(**ARGUMENTS | {"tasks": n}, streams=Streams(7)) for n in (2, 5))  # type: ignore[arg-type]
    np.testing.assert_array_equal(few[1].features, many[1].features)
    np.testing.assert_array_equal(few[1].labels, many[1].labels)
    other = mixture_tasks(**ARGUMENTS | {"tasks": 2}, streams=Streams(8))  # type: ignore[arg-type]
    assert not np.any(other[1].features[:50] == few[1].features[:50])


@pytest.mark.parametrize(
    ("field", "value"),
    [("tasks", 0), ("features", 0), ("components", 0), ("least_rows", 1), ("most_rows", 49),
     ("concentration", 0.0), ("concentration", float("nan")), ("noise", -1.0), ("noise", float("inf"))],
)  # fmt: skip
def test_arguments_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ScenarioError, match=rf"data\.arguments\.{field} = {value}"):
        mixture_tasks(**ARGUMENTS | {field: value}, streams=Streams(0))  # type: ignore[arg-type]
