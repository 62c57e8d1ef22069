"""How good a linear score is on held-out rows: measures that survive unbalanced classes, one number a task.

Conventions, the same everywhere below: labels are -1/+1; a score of exactly 0 is a coin toss and counts as
half right, so that a model that knows nothing has balanced accuracy and AUC of one half; a score that is not
a number counts as wrong; a measure that the rows cannot define is NaN, without a warning: any measure of no
rows, and balanced accuracy and AUC of rows of one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.segments import segment_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TaskMetrics:
    """Measures of each of ``B`` tasks, all ``(B,)`` float64.

    Args:
        balanced_accuracy: mean of the two classes' recalls, 0 to 1, a constant answer gives 0.5.
        auc: area under the receiver operating curve, 0 to 1.
        accuracy: share of rows right, 0 to 1.
        log_loss: mean negative log likelihood under the logistic link, nats.
    """

    balanced_accuracy: Floats
    auc: Floats
    accuracy: Floats
    log_loss: Floats


def evaluate_tasks(scores: Floats, y: Floats, task_offsets: NDArray[np.int64]) -> TaskMetrics:
    """Measure every task at once.

    Args:
        scores: ``(n,)`` margins, positive for +1.
        y: ``(n,)`` labels -1/+1.
        task_offsets: ``(B + 1,)``, task ``b`` owns rows ``task_offsets[b]:task_offsets[b + 1]``.
    """
    tasks = len(task_offsets) - 1
    task = np.repeat(np.arange(tasks), np.diff(task_offsets))

    rows = np.diff(task_offsets).astype(np.float64)
    right, positive = _rightness(scores, y), y > 0
    n_positive = segment_sums(positive, task_offsets)
    right_positive = segment_sums(right * positive, task_offsets)
    right_all = segment_sums(right, task_offsets)
    losses = np.bincount(task, _logistic_losses(scores * y), tasks).astype(np.float64)  # a sum of nothing is an integer
    n_negative = rows - n_positive
    recall = _ratio(right_positive, n_positive)
    specificity = _ratio(right_all - right_positive, n_negative)
    return TaskMetrics(
        balanced_accuracy=(recall + specificity) / 2.0,
        auc=_auc(scores, positive, task_offsets, n_positive, n_negative),
        accuracy=_ratio(right_all, rows),
        log_loss=_ratio(losses, rows),
    )


def evaluate_values(predictions: Floats, y: Floats, task_offsets: NDArray[np.int64]) -> Floats:
    """Return (B, 2) root mean square errors, in the targets' unit, and coefficients of determination of every task.

    R^2 = 1 - sum of squared errors / sum of squared deviations from the mean of the task's own rows: 1 is perfect, 0 as
    good as that mean; NaN where all targets are the same. A prediction that is not a number is infinitely wrong.

    Args:
        predictions: ``(n,)``.
        y: ``(n,)`` targets.
        task_offsets: ``(B + 1,)``, task ``b`` owns rows ``task_offsets[b]:task_offsets[b + 1]``.
    """
    sizes = np.diff(task_offsets)
    rows = sizes.astype(np.float64)
    means = _ratio(segment_sums(y, task_offsets), rows)
    with np.errstate(over="ignore"):  # a model that has diverged
        squares = np.square(predictions - y)
    errors = segment_sums(np.where(np.isnan(squares), np.inf, squares), task_offsets)
    spread = segment_sums(np.square(y - np.repeat(means, sizes)), task_offsets)
    return np.stack([np.sqrt(_ratio(errors, rows)), 1.0 - _ratio(errors, spread)], axis=1)


def accuracy(scores: Floats, y: Floats) -> float:
    """Return the share of ``(n,)`` scores on the side of their ``(n,)`` labels."""
    return float(_rightness(scores, y).mean()) if len(y) else float("nan")


def balanced_accuracy(scores: Floats, y: Floats) -> float:
    """Return the mean of the share right among the +1 rows and the share right among the -1 rows."""
    right, positive = _rightness(scores, y), y > 0
    n_positive = np.count_nonzero(positive)
    if n_positive == 0 or n_positive == len(y):
        return float("nan")
    return float(right[positive].mean() + right[~positive].mean()) / 2.0


def auc(scores: Floats, y: Floats) -> float:
    """Return the chance that a random +1 row scores above a random -1 row, ties counting half.

    This is the Mann-Whitney statistic from ranks (J. Hanley, B. McNeil, Radiology 143, 1982); NaN if a score
    is.
    """
    n = len(y)
    positive = y > 0
    n_positive = np.count_nonzero(positive)
    if n_positive in (0, n):
        return float("nan")
    order = scores.argsort()
    ordered = scores[order]
    if np.isnan(ordered[-1]):  # sorting puts what is not a number last
        return float("nan")
    ranks = _tied_ranks(ordered[1:] != ordered[:-1])
    statistic = ranks[positive[order]].sum() - n_positive * (n_positive + 1) / 2.0
    return float(statistic / (n_positive * (n - n_positive)))


def log_loss(scores: Floats, y: Floats) -> float:
    """Return the mean of ``log(1 + exp(-y * score))`` over ``(n,)`` rows, nats; NaN if a score is."""
    return float(_logistic_losses(scores * y).mean()) if len(y) else float("nan")


def rmse(predictions: Floats, y: Floats) -> float:
    """Return the root mean squared difference of ``(n,)`` predictions and targets, in the targets' unit."""
    return float(np.sqrt(np.square(predictions - y).mean())) if len(y) else float("nan")


def majority_baseline(y_train: Sequence[Floats], y_test: Sequence[Floats]) -> TaskMetrics:
    """Measure the answer that ignores the features: each task's log odds of the classes it saw in training.

    The odds are ``(positives + 1) / (negatives + 1)``: Laplace's rule, so that an unseen class is not
    impossible.

    Args:
        y_train: one ``(n_b,)`` array of labels -1/+1 a task.
        y_test: likewise, the rows to answer.

    Returns:
        Balanced accuracy and AUC are 0.5 wherever defined; accuracy and log loss are what a model has to
        beat.
    """
    odds = [np.log((np.count_nonzero(y > 0) + 1.0) / (np.count_nonzero(y < 0) + 1.0)) for y in y_train]
    sizes = [len(y) for y in y_test]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return evaluate_tasks(np.repeat(odds, sizes), np.concatenate([*y_test, np.empty(0)]), offsets)


def _rightness(scores: Floats, y: Floats) -> Floats:
    margins = scores * y
    return (margins > 0) + 0.5 * (margins == 0)


def _logistic_losses(margins: Floats) -> Floats:
    """Return ``log(1 + exp(-margin))`` without overflow, and NaN for NaN without the warning of ``logaddexp``."""
    return np.log1p(np.exp(-np.abs(margins))) + np.maximum(-margins, 0.0)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)


def _tied_ranks(changes: NDArray[np.bool_]) -> Floats:
    """Return ``(n,)`` ranks 1..n, averaged over runs of equals.

    Args:
        changes: ``(n - 1,)``, whether each sorted entry but the first differs from the one before it.
    """
    n = len(changes) + 1
    if changes.all():
        return np.arange(1.0, n + 1.0)
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    stops = np.append(starts[1:], n)
    return np.repeat((starts + stops + 1) / 2.0, stops - starts)


def _order(scores: Floats, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what sorts each task's scores, task after task: tasks of one size in one call, equals in any order."""
    order = np.empty(len(scores), np.int64)
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]).tolist():
        first = starts[sizes == size, None]
        rows = first + np.arange(size)
        order[rows] = first + scores[rows].argsort(axis=1)
    return order


def _auc(
    scores: Floats,
    positive: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    n_positive: Floats,
    n_negative: Floats,
) -> Floats:
    """Return :func:`auc` of every task from the ranks of all rows laid out by task; sums of ranks are exact."""
    if len(scores) == 0:
        return np.full(len(n_positive), np.nan)
    order = _order(scores, offsets[1:] - offsets[:-1])
    ordered = scores[order]
    changes = ordered[1:] != ordered[:-1]
    edges = offsets[(offsets > 0) & (offsets < len(scores))]
    changes[edges - 1] = True
    ahead = segment_sums(np.where(positive[order], _tied_ranks(changes), 0.0), offsets)
    statistic = ahead - n_positive * offsets[:-1] - n_positive * (n_positive + 1.0) / 2.0
    undefined = segment_sums(np.isnan(scores), offsets) > 0
    return np.where(undefined, np.nan, _ratio(statistic, n_positive * n_negative))
