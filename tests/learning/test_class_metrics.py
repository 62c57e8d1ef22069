"""Measures of several classes: their definitions row by row, and those of two classes where there are two."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.class_metrics import evaluate_class_tasks
from learning.evaluation import MEASURES
from learning.metrics import auc, evaluate_tasks

Array = NDArray[Any]


def drawn(seed: int, classes: int, sizes: list[int]) -> tuple[Array, Array, Array]:
    """Return scores on a coarse grid, so that ties are common, labels and offsets."""
    rng, n = np.random.default_rng(seed), sum(sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return rng.integers(-3, 4, (n, classes)) / 2.0, rng.integers(0, classes, n).astype(float), offsets


def by_definition(scores: Array, y: Array) -> dict[str, float]:
    """Return the measures of one task."""
    classes, n = scores.shape[1], len(y)
    tops = [np.flatnonzero(row == row.max()) for row in scores]
    right = np.array([(label in top) / len(top) for label, top in zip(y, tops, strict=True)])
    likely = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    present = [c for c in range(classes) if np.any(y == c)]
    recalls = [right[y == c].mean() for c in present]
    areas = [auc(np.round(np.log(likely[:, c] / (1 - likely[:, c])), 9), np.where(y == c, 1.0, -1.0)) for c in present]
    several = len(present) > 1
    return {
        "accuracy": float(right.mean()) if n else np.nan,
        "balanced_accuracy": float(np.mean(recalls)) if several else np.nan,
        "auc": float(np.mean(areas)) if several else np.nan,
        "log_loss": float(-np.log(likely[np.arange(n), y.astype(int)]).mean()) if n else np.nan,
    }


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), classes=st.integers(2, 5), sizes=st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_measures_are_their_definitions(seed: int, classes: int, sizes: list[int]) -> None:
    scores, y, offsets = drawn(seed, classes, sizes)
    found = evaluate_class_tasks(scores, y, offsets)
    for task, (a, b) in enumerate(pairwise(offsets)):
        expected = by_definition(scores[a:b], y[a:b])
        for name in ("accuracy", "balanced_accuracy", "log_loss"):
            assert getattr(found, name)[task] == pytest.approx(expected[name], rel=1e-9, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_two_classes_are_measured_like_a_margin(seed: int, sizes: list[int]) -> None:
    scores, y, offsets = drawn(seed, 2, sizes)
    found = evaluate_class_tasks(scores, y, offsets)
    expected = evaluate_tasks(scores[:, 1] - scores[:, 0], 2.0 * y - 1.0, offsets)
    for name in MEASURES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-12)


def test_area_is_the_mean_of_each_class_against_the_others() -> None:
    rng = np.random.default_rng(0)
    scores, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60).astype(float)  # nobody is of the last class
    expected = by_definition(scores, y)["auc"]
    found = evaluate_class_tasks(scores, y, np.array([0, 60]))
    assert found.auc[0] == pytest.approx(expected, rel=1e-12)
    perfect = evaluate_class_tasks(9.0 * (y[:, None] == np.arange(4)), y, np.array([0, 60]))
    assert (perfect.auc[0], perfect.accuracy[0], perfect.balanced_accuracy[0]) == (1.0, 1.0, 1.0)


def test_scores_that_say_nothing_are_worth_a_fair_draw_and_no_numbers_nothing() -> None:
    y = np.array([0.0, 1.0, 2.0, 2.0])
    flat = evaluate_class_tasks(np.zeros((4, 3)), y, np.array([0, 4]))
    assert flat.accuracy[0] == flat.balanced_accuracy[0] == pytest.approx(1.0 / 3.0)
    assert (flat.auc[0], flat.log_loss[0]) == (0.5, pytest.approx(np.log(3.0)))
    lost = evaluate_class_tasks(np.full((4, 3), np.nan), y, np.array([0, 4]))
    assert lost.accuracy[0] == lost.balanced_accuracy[0] == 0.0
    assert np.isnan(lost.auc[0]) and np.isnan(lost.log_loss[0])
