"""How good the scores of several classes are on held-out rows, with the conventions of :mod:`learning.metrics`.

A tie for the highest score is a fair draw among those that tie. A class that no row of a task has does not count, and
measures that need two classes are NaN where rows are of one. For two classes they are those of the difference of the
scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from learning.metrics import TaskMetrics, evaluate_tasks
from learning.segments import segment_sums

Floats = NDArray[np.float64]


def evaluate_class_tasks(scores: Floats, y: Floats, task_offsets: NDArray[np.int64]) -> TaskMetrics:
    """Measure every task at once.

    Args:
        scores: ``(n, C)``.
        y: ``(n,)`` classes 0 to C - 1.
        task_offsets: ``(B + 1,)``, task ``b`` owns rows ``task_offsets[b]:task_offsets[b + 1]``.

    Returns:
        Balanced accuracy is the mean recall of the classes there are; AUC the mean over them of that of the class
        against all others, rows ranked by the odds of its softmax probability; log loss is under the softmax.
    """
    with np.errstate(invalid="ignore"):  # infinite scores of a model that has diverged: their measures are NaN
        likely = log_softmax(scores, axis=1)
    member = y[:, None] == np.arange(scores.shape[1])
    tops = scores == scores.max(axis=1, keepdims=True, initial=-np.inf)
    right = (tops & member).any(axis=1) / np.maximum(tops.sum(axis=1), 1)
    rows = segment_sums(member, task_offsets)
    recalls = _ratio(segment_sums(right[:, None] * member, task_offsets), rows)
    one_class = (rows > 0).sum(axis=1) < 2
    count = rows.sum(axis=1)
    return TaskMetrics(
        balanced_accuracy=np.where(one_class, np.nan, _mean_defined(recalls)),
        auc=np.where(one_class, np.nan, _mean_defined(_aucs(likely, member, task_offsets, rows))),
        accuracy=_ratio(segment_sums(right, task_offsets), count),
        log_loss=_ratio(segment_sums(-np.where(member, likely, 0.0).sum(axis=1), task_offsets), count),
    )


def _aucs(likely: Floats, member: NDArray[np.bool_], offsets: NDArray[np.int64], rows: Floats) -> Floats:
    """Return (B, C) areas of each class against the others, NaN for a class without rows."""
    signs = np.where(member, 1.0, -1.0)
    areas = []
    for c in range(likely.shape[1]):
        odds = likely[:, c] - logsumexp(np.delete(likely, c, axis=1), axis=1)
        areas.append(evaluate_tasks(odds, signs[:, c], offsets).auc)
    return np.where(rows > 0, np.stack(areas, axis=1), np.nan)


def _mean_defined(values: Floats) -> Floats:
    """Return (B,) means of the (B, C) values that are numbers, NaN where there are none."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
