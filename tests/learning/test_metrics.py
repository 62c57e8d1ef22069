"""Measures against scikit-learn, against their definitions, and at the edges."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from learning.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    evaluate_tasks,
    evaluate_values,
    log_loss,
    majority_baseline,
    rmse,
)

Floats = NDArray[np.float64]


def rows(seed: int, n: int, levels: int | None = None) -> tuple[Floats, Floats]:
    """Scores without zeros (ties on ``levels`` values if given) and labels with both classes."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.3, 1.0, -1.0)
    y[:2] = (1.0, -1.0)
    scores = rng.normal(size=n) + 0.7 * y if levels is None else rng.integers(levels, size=n) + 0.5 - levels // 2
    return np.asarray(scores, dtype=np.float64), y


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 80), levels=st.sampled_from([None, 2, 3, 8]))
def test_measures_agree_with_scikit_learn(seed: int, n: int, levels: int | None) -> None:
    scores, y = rows(seed, n, levels)
    decided = np.where(scores > 0, 1.0, -1.0)
    assert accuracy(scores, y) == pytest.approx(reference.accuracy_score(y, decided), abs=1e-12)
    assert balanced_accuracy(scores, y) == pytest.approx(reference.balanced_accuracy_score(y, decided), abs=1e-12)
    assert auc(scores, y) == pytest.approx(reference.roc_auc_score(y, scores), abs=1e-12)
    assert log_loss(scores, y) == pytest.approx(reference.log_loss(y, 1 / (1 + np.exp(-scores))), rel=1e-10)
    assert rmse(scores, y) == pytest.approx(reference.root_mean_squared_error(y, scores), rel=1e-12)


@given(seed=st.integers(0, 10**6), levels=st.integers(2, 6))
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_half(seed: int, levels: int) -> None:
    scores, y = rows(seed, 25, levels)
    pairs = [np.sign(a - b) / 2 + 0.5 for a in scores[y > 0] for b in scores[y < 0]]
    assert auc(scores, y) == pytest.approx(np.mean(pairs), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    seed=st.integers(0, 10**6),
    special=st.sampled_from([0.0, math.inf, -math.inf, math.nan]),
)
def test_all_tasks_at_once_equal_one_task_at_a_time(sizes: list[int], seed: int, special: float) -> None:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    scores, y = rng.integers(-3, 4, size=n).astype(float), rng.choice([-1.0, 1.0], size=n)
    scores[rng.random(n) < 0.1] = special
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    together = evaluate_tasks(scores, y, offsets)
    for b in range(len(sizes)):
        part = slice(offsets[b], offsets[b + 1])
        for name, single in (
            ("balanced_accuracy", balanced_accuracy),
            ("auc", auc),
            ("accuracy", accuracy),
            ("log_loss", log_loss),
        ):
            expected = single(scores[part], y[part])
            np.testing.assert_allclose(getattr(together, name)[b], expected, rtol=1e-12, err_msg=name)


def test_a_model_that_knows_nothing_scores_one_half() -> None:
    y = np.array([1.0, -1.0, -1.0, -1.0])
    assert accuracy(np.zeros(4), y) == 0.5
    assert balanced_accuracy(np.zeros(4), y) == 0.5
    assert auc(np.zeros(4), y) == 0.5
    assert log_loss(np.zeros(4), y) == pytest.approx(math.log(2))


def test_a_score_that_is_not_a_number_is_wrong_and_has_no_rank() -> None:
    scores, y = np.array([np.nan, 1.0, -1.0, np.nan]), np.array([1.0, 1.0, -1.0, -1.0])
    assert accuracy(scores, y) == 0.5
    assert balanced_accuracy(scores, y) == 0.5
    assert math.isnan(auc(scores, y))
    assert math.isnan(log_loss(scores, y))


def test_rows_of_one_class_define_accuracy_only_and_no_rows_define_nothing() -> None:
    one = np.ones(3)
    assert accuracy(one, one) == 1.0
    assert math.isnan(balanced_accuracy(one, one))
    assert math.isnan(auc(one, one))
    none = np.empty(0)
    for measure in (accuracy, balanced_accuracy, auc, log_loss, rmse):
        assert math.isnan(measure(none, none))


def test_log_loss_of_huge_margins_is_linear_and_never_overflows() -> None:
    assert log_loss(np.array([-1e300]), np.array([1.0])) == 1e300
    assert log_loss(np.array([1e300]), np.array([1.0])) == 0.0


def test_the_majority_answer_has_half_balanced_accuracy_and_the_entropy_as_loss() -> None:
    train = [np.array([1.0] * 3 + [-1.0] * 9), np.array([1.0, -1.0]), np.array([1.0, 1.0])]
    test = [np.array([1.0, -1.0, -1.0, -1.0]), np.array([1.0, -1.0]), np.array([1.0, -1.0, 1.0])]
    baseline = majority_baseline(train, test)
    np.testing.assert_allclose(baseline.balanced_accuracy, 0.5)
    np.testing.assert_allclose(baseline.auc, 0.5)
    np.testing.assert_allclose(baseline.accuracy, [0.75, 0.5, 2 / 3])
    shares = np.array([4 / 14, 1 / 2, 3 / 4])  # Laplace's rule
    observed = np.array([1 / 4, 1 / 2, 2 / 3])
    entropy = -observed * np.log(shares) - (1 - observed) * np.log(1 - shares)
    np.testing.assert_allclose(baseline.log_loss, entropy)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    seed=st.integers(0, 10**6),
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(1e-2, 1e2),
)
def test_values_are_measured_against_their_own_mean_in_any_unit(
    sizes: list[int], seed: int, shift: float, scale: float
) -> None:
    rng, n = np.random.default_rng(seed), sum(sizes)
    y, predictions = rng.normal(size=(2, n))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    found = evaluate_values(predictions, y, offsets)
    for b, size in enumerate(sizes):
        part = slice(offsets[b], offsets[b + 1])
        assert found[b, 0] == pytest.approx(rmse(predictions[part], y[part]), rel=1e-12, nan_ok=True)
        if size > 1:  # Kvalseth's first formula
            assert found[b, 1] == pytest.approx(1.0 - found[b, 0] ** 2 / y[part].var(), rel=1e-9, abs=1e-9)
        else:
            assert np.isnan(found[b, 1])
    moved = evaluate_values(shift + scale * predictions, shift + scale * y, offsets)
    np.testing.assert_allclose(moved, found * [scale, 1.0], rtol=1e-6, atol=1e-6)
    means = np.repeat([y[a:b].mean() if b > a else 0.0 for a, b in pairwise(offsets)], sizes)
    exact, level = evaluate_values(y, y, offsets), evaluate_values(means, y, offsets)
    several = np.array(sizes) > 1
    assert (exact[several] == [0.0, 1.0]).all() and np.allclose(level[several, 1], 0.0, atol=1e-12)


def test_a_prediction_that_is_not_a_number_is_infinitely_wrong_and_no_warning() -> None:
    y = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 4.0])
    for wrong in (np.nan, np.inf, 1e200):
        found = evaluate_values(np.array([wrong, 2.0, 3.0, 1.0, 2.0, 4.0]), y, np.array([0, 3, 6]))
        assert found[0].tolist() == [np.inf, -np.inf] and found[1].tolist() == [0.0, 1.0]
