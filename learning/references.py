"""Lines to compare with: what one computer holding all rows could reach, and what needs no learning at all.

Centralised optima of the same objective; the tuned ones take the weights that score best on the validation rows from
a fixed grid, so that no method is compared with a badly tuned rival.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Evaluation, Federation
from learning.data.targets import head_name
from learning.metrics import TaskMetrics, evaluate_tasks, evaluate_values, majority_baseline
from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.losses import Loss

LAMBDA1_GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
LAMBDA2_GRID = (0.01, 0.03, 0.1, 0.3, 1.0)
TOLERANCE = 1e-7

Array = NDArray[np.float64]
Row = dict[str, Any]


def references(federation: Federation, loss: Loss, lambda1: float, lambda2: float) -> list[Row]:
    """Return one row per reference line, scored on the test rows; the tuned ones need validation rows.

    Args:
        federation: the data.
        loss: of a score against a label.
        lambda1, lambda2: the scenario's own weights, for the line named "multi-task optimum".
    """
    rows = [_constant_answer(federation)]
    W, primal = _solve(federation, loss, lambda1, lambda2)
    weights = {"lambda1": lambda1, "lambda2": lambda2, "primal": primal}
    rows.append(_row("multi-task optimum", weights, _score(W, federation, federation.test)))
    if len(federation.validation.y) == 0:
        return rows
    families = {"multi-task, tuned": LAMBDA2_GRID, "per-task, tuned": (0.0,), "pooled, tuned": (inf,)}
    for name, couplings in families.items():
        rows.append(_tuned(name, federation, loss, couplings))
    return rows


def chance_levels(federation: Federation) -> dict[str, float]:
    """Return the balanced accuracy of always answering one class, by recorded task, where that is not one half.

    It is 1 / C for the C classes among a task's test rows (validation rows, if there is no test), as balanced accuracy
    is the mean recall of the classes there are.
    """
    held_out, levels = federation.test if len(federation.test.y) else federation.validation, {}
    for b, targets in enumerate(federation.targets):
        labels = held_out.labels[held_out.task_offsets[b] : held_out.task_offsets[b + 1]]
        for target, column in zip(targets, labels.T, strict=False):
            found = len(np.unique(column)) if target.kind == "classes" else 2
            if found > 2:
                levels[head_name(federation.task_names[b], target, targets)] = 1.0 / found
    return levels


def _tuned(name: str, federation: Federation, loss: Loss, couplings: tuple[float, ...]) -> Row:
    best: tuple[float, Array, Mapping[str, float]] | None = None
    measure = "r2" if federation.holds_values else "balanced_accuracy"
    for lambda1 in LAMBDA1_GRID:
        for lambda2 in couplings:
            W, primal = _solve(federation, loss, lambda1, lambda2)
            score = _score(W, federation, federation.validation)[measure]
            if best is None or score > best[0]:
                best = (score, W, {"lambda1": lambda1, "lambda2": lambda2, "primal": primal})
    assert best is not None
    return _row(name, best[2], _score(best[1], federation, federation.test))


def _solve(federation: Federation, loss: Loss, lambda1: float, lambda2: float) -> tuple[Array, float]:
    task_of_row = np.repeat(federation.terminal_task, np.diff(federation.terminal_offsets))
    tasks = len(federation.task_names)
    optimum = solve_joint(federation.X, federation.y, task_of_row, tasks, loss, lambda1, lambda2, tolerance=TOLERANCE)
    return optimum.W, optimum.primal


def _score(W: Array, federation: Federation, held_out: Evaluation) -> Row:
    task = np.repeat(np.arange(len(W)), np.diff(held_out.task_offsets))
    scores = np.einsum("nd,nd->n", held_out.X, W[task])
    if federation.holds_values:
        return _of_values(scores, held_out)
    return _of_classes(evaluate_tasks(scores, held_out.y, held_out.task_offsets))


def _constant_answer(federation: Federation) -> Row:
    """The answer that ignores the features: of each task, what its training labels say on average."""
    first, test = np.searchsorted(federation.terminal_task, np.arange(1, len(federation.task_names))), federation.test
    train = np.split(federation.y, federation.terminal_offsets[first])
    if federation.holds_values:
        means = np.array([labels.mean() if len(labels) else 0.0 for labels in train])
        return _row("training mean", {}, _of_values(np.repeat(means, np.diff(test.task_offsets)), test))
    return _row("majority class", {}, _of_classes(majority_baseline(train, np.split(test.y, test.task_offsets[1:-1]))))


def _row(name: str, weights: Mapping[str, float], scores: Row) -> Row:
    return {"reference": name, **{key: weights.get(key) for key in ("lambda1", "lambda2", "primal")}, **scores}


def _of_classes(scores: TaskMetrics) -> Row:
    return {
        "accuracy": _mean(scores.accuracy),
        "balanced_accuracy": _mean(scores.balanced_accuracy),
        "auc": _mean(scores.auc),
        "worst_balanced_accuracy": float(np.fmin.reduce(scores.balanced_accuracy)),
    }


def _of_values(predictions: Array, held_out: Evaluation) -> Row:
    rmse, r2 = evaluate_values(predictions, held_out.y, held_out.task_offsets).T
    return {"rmse": _mean(rmse), "r2": _mean(r2), "worst_r2": float(np.fmin.reduce(r2))}


def _mean(values: Array) -> float:
    """Mean over the tasks that define the measure; NaN if none does."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else nan
