"""Planted tasks: their weights correlate as asked and their labels follow them."""

from __future__ import annotations

import numpy as np
import pytest

from learning.data.synthetic import planted_weights, synthetic_tasks
from scenarios.errors import ScenarioError
from scenarios.streams import Streams


@pytest.mark.parametrize("relatedness", [0.0, 0.4, 0.9, 1.0])
def test_weights_of_two_tasks_correlate_by_the_relatedness(relatedness: float) -> None:
    weights = planted_weights(tasks=8, features=20_000, relatedness=relatedness, streams=Streams(3))
    correlation = np.asarray(np.corrcoef(weights))[np.triu_indices(8, 1)]
    np.testing.assert_allclose(correlation, relatedness, atol=0.04)  # four standard errors
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1.0, atol=0.04)


def test_without_noise_the_planted_weights_separate_every_task() -> None:
    weights = planted_weights(5, 10, 0.5, Streams(1))
    for task, w in zip(synthetic_tasks(5, 200, 10, 0.5, 0.0, Streams(1)), weights, strict=True):
        assert np.all(task.labels * (task.features @ w) > 0)


def test_noise_flips_the_share_of_labels_that_the_arc_cosine_law_says() -> None:
    tasks = synthetic_tasks(tasks=4, samples_per_task=5000, features=6, relatedness=0.5, noise=0.7, streams=Streams(2))
    for task, w in zip(tasks, planted_weights(4, 6, 0.5, Streams(2)), strict=True):
        flipped = np.mean(task.labels * (task.features @ w) < 0)
        assert flipped == pytest.approx(np.arctan(0.7 / np.linalg.norm(w)) / np.pi, abs=0.025)


def test_features_are_standard_normal() -> None:
    x = np.concatenate([task.features for task in synthetic_tasks(4, 5000, 5, 0.5, 0.1, Streams(0))])
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), np.eye(5), atol=0.04)


def test_a_task_does_not_depend_on_how_many_others_there_are_and_seeds_differ() -> None:
    few, many = synthetic_tasks(2, 30, 4, 0.5, 0.2, Streams(7)), synthetic_tasks(9, 30, 4, 0.5, 0.2, Streams(7))
    np.testing.assert_array_equal(few[1].features, many[1].features)
    np.testing.assert_array_equal(few[1].labels, many[1].labels)
    other = synthetic_tasks(2, 30, 4, 0.5, 0.2, Streams(8))
    assert not np.any(other[1].features == few[1].features)


@pytest.mark.parametrize(
    ("field", "value"),
    [("tasks", 0), ("samples_per_task", 1), ("features", 0), ("relatedness", 1.2), ("relatedness", -0.1),
     ("noise", -1.0), ("noise", float("nan"))],
)  # fmt: skip
def test_arguments_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    arguments = {"tasks": 3, "samples_per_task": 20, "features": 4, "relatedness": 0.5, "noise": 0.1, field: value}
    with pytest.raises(ScenarioError, match=f"data.{field} = {value}"):
        synthetic_tasks(**arguments, streams=Streams(0))  # type: ignore[arg-type]
