"""Rows of a supervised task, each with its stretch of recording: a task is one person, sensor or site.

A window of a time series and a line of a table are both rows; the span says which other rows share its
samples, which is what decides whether two rows may stand on different sides of a train/test split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.data.targets import Targets, check_labels
from scenarios.errors import ScenarioError


@dataclass(frozen=True, eq=False)
class TaskRecords:
    """All rows of one task.

    Args:
        name: what the task is called in every table and figure, unique in a data set.
        features: ``(n, d)`` float64.
        labels: ``(n,)`` float64, -1 or +1 for classification, any finite number for regression, or of the kind of
            the first of ``targets``.
        recording: ``(n,)`` int64, which uninterrupted recording of the task a row comes from.
        start: ``(n,)`` int64, first sample of the row's span inside its recording.
        stop: ``(n,)`` int64, one past the last sample of that span.
        targets: what the labels are, one for each label of a row; none if the loss says it.
        further: ``(n, len(targets) - 1)`` float64, the other labels of each row.
    """

    name: str
    features: NDArray[np.float64]
    labels: NDArray[np.float64]
    recording: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    targets: Targets = ()
    further: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def all_labels(self) -> NDArray[np.float64]:
        """``(n, targets)``, of a task that declares targets."""
        return self.labels[:, None] if len(self.targets) == 1 else np.column_stack([self.labels, self.further])


def plain_records(name: str, features: ArrayLike, labels: ArrayLike, field: str = "data") -> TaskRecords:
    """Return the task of a plain table: one recording, each row a span of its own.

    Args:
        name: name of the task.
        features: ``(n, d)`` numbers.
        labels: ``(n,)``, ``(n, 1)`` or ``(1, n)`` numbers.
        field: what an error message points at.

    Raises:
        ScenarioError: something is not a number, or there is not one label a row.
    """
    try:
        table = np.array(features, dtype=np.float64)
        targets = np.array(labels, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise ScenarioError(
            field, f"task {name!r}: {error}", "features (n, d) and labels (n,) made of numbers"
        ) from error
    if table.ndim != 2 or len(table) != len(targets):
        found = f"task {name!r}: features of shape {table.shape}, {len(targets)} labels"
        raise ScenarioError(field, found, "features (n, d) with one label a row")
    rows = np.arange(len(targets), dtype=np.int64)
    return TaskRecords(name, table, targets, np.zeros_like(rows), rows, rows + 1)


def holds_classes(tasks: Sequence[TaskRecords]) -> bool:
    """Return whether all labels together take at most two values: classes rather than measurements."""
    values: NDArray[np.float64] = np.unique(np.concatenate([np.unique(task.labels) for task in tasks]))
    return len(values) <= 2


def leave_out_thin(tasks: Sequence[TaskRecords], minimum_per_class: int) -> list[TaskRecords]:
    """Return the tasks with at least ``minimum_per_class`` rows of each label -1 and +1 (0 keeps all)."""
    return [
        task
        for task in tasks
        if min(np.count_nonzero(task.labels > 0), np.count_nonzero(task.labels < 0)) >= minimum_per_class
    ]


def check(tasks: Sequence[TaskRecords], field: str, *, classification: bool = True) -> None:
    """Refuse a data set that no method could learn from.

    Args:
        tasks: the tasks of one data set.
        field: dotted path of the scenario field they came from, e.g. ``"data.path"``.
        classification: whether labels must be -1/+1 with both present in every task; otherwise finite is
            enough.

    Raises:
        ScenarioError: no tasks, two of one name, an empty task, arrays that do not fit each other, unequal
            feature counts, a feature or label that is not finite, labels outside {-1, +1}, a task with one
            class only.
    """
    if not tasks:
        raise ScenarioError(field, "no tasks", "at least one task with rows")
    names = [task.name for task in tasks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise ScenarioError(field, f"task {name!r} occurs {names.count(name)} times", "a name of its own for each task")
    for task in tasks:
        _check_shapes(task, field)
        if task.features.shape[1] != tasks[0].features.shape[1]:
            found = (
                f"task {task.name!r} has {task.features.shape[1]} features, "
                f"task {tasks[0].name!r} has {tasks[0].features.shape[1]}"
            )
            raise ScenarioError(field, found, "the same features in every task")
        _check_finite(task, field)
        if bool(task.targets) != bool(tasks[0].targets):
            raise ScenarioError(field, f"task {task.name!r}", "targets declared by all tasks or by none")
        if task.targets:
            _check_targets(task, field)
        elif classification:
            _check_classes(task, field)


def _check_shapes(task: TaskRecords, field: str) -> None:
    n = len(task.labels)
    if n == 0:
        raise ScenarioError(field, f"task {task.name!r} has no rows", "at least one row in every task")
    if task.features.ndim != 2 or task.features.shape[0] != n or task.features.shape[1] == 0:
        found = f"task {task.name!r}: features of shape {task.features.shape}, {n} labels"
        raise ScenarioError(field, found, "features (n, d) with d >= 1 and one label a row")
    spans = (task.labels, task.recording, task.start, task.stop)
    if any(array.shape != (n,) for array in spans) or np.any(task.start >= task.stop):
        found = f"task {task.name!r}: labels, recording, start, stop do not describe {n} spans"
        raise ScenarioError(field, found, "arrays of shape (n,) with start < stop")


def _check_finite(task: TaskRecords, field: str) -> None:
    rows, columns = np.nonzero(~np.isfinite(task.features))
    if len(rows):
        found = f"task {task.name!r}, row {rows[0]}, column {columns[0]}: {task.features[rows[0], columns[0]]}"
        raise ScenarioError(field, found, "finite features (rows and columns count from 0)")
    bad = np.flatnonzero(~np.isfinite(task.labels))
    if len(bad):
        found = f"task {task.name!r}, row {bad[0]}: label {task.labels[bad[0]]}"
        raise ScenarioError(field, found, "finite labels (rows count from 0)")


def _check_targets(task: TaskRecords, field: str) -> None:
    expected = (len(task), len(task.targets) - 1)
    if task.further.shape != expected and (expected[1] or task.further.size):
        found = f"task {task.name!r}: further labels of shape {task.further.shape}"
        raise ScenarioError(field, found, f"shape {expected}: a label of a row for each target after the first")
    if not np.all(np.isfinite(task.further)):
        raise ScenarioError(field, f"task {task.name!r}: a further label is not finite", "finite labels")
    names = [target.name for target in task.targets]
    if len(set(names)) < len(names):
        raise ScenarioError(field, f"task {task.name!r}: targets {names}", "targets of different names")
    check_labels(task.name, task.targets, task.all_labels, field)


def _check_classes(task: TaskRecords, field: str) -> None:
    bad = np.flatnonzero(np.abs(task.labels) != 1.0)
    if len(bad):
        found = f"task {task.name!r}, row {bad[0]}: label {task.labels[bad[0]]:g}"
        raise ScenarioError(field, found, "labels -1 and +1, any number with learning.loss squared (rows count from 0)")
    if np.all(task.labels == task.labels[0]):
        found = f"task {task.name!r}: all {len(task)} labels are {task.labels[0]:+g}"
        raise ScenarioError(
            field, found, "both classes, -1 and +1, in every task (minimum_per_class leaves such tasks of a file out)"
        )
