"""Measures models on the rows kept back: one batched computation for all models that are due at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.deferred import DeferredQueue, Pending
from learning.metrics import evaluate_tasks
from learning.models import Model
from learning.setting import Setting
from learning.state import State, take

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
SPLITS = ("validation", "test")
_ROWS_AT_A_TIME = 2_000_000
MEASURES = ("accuracy", "balanced_accuracy", "auc", "log_loss")


@dataclass
class Measurement:
    """A measurement of one recorded event; its numbers are there once the queue has been flushed.

    Attributes:
        pending_scalars: values that resolve to name -> number.
        pending_tasks: resolves to a list of rows, one per task and split.
    """

    pending_scalars: list[Pending] = field(default_factory=list)
    pending_tasks: Pending | None = None

    @property
    def scalars(self) -> Mapping[str, float]:
        """Numbers of the whole event."""
        return {name: value for pending in self.pending_scalars for name, value in pending.value.items()}

    @property
    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """One row per task and split."""
        return [] if self.pending_tasks is None else self.pending_tasks.value


class Evaluator:
    """Scores models on validation and test rows, and the training objective.

    Args:
        setting: data, loss, model.
    """

    def __init__(self, setting: Setting) -> None:
        self._names = setting.federation.task_names
        self._model: Model = setting.model
        self._loss, self._coupling = setting.loss, setting.coupling
        data = setting.federation
        parts = (data.validation, data.test)
        self._held_out = [[_slice(p.X, p.y, p.task_offsets, b) for p in parts] for b in range(setting.tasks)]
        first = np.searchsorted(data.terminal_task, np.arange(setting.tasks + 1))
        training_offsets = data.terminal_offsets[first]
        self._training = [data.X[training_offsets[b] : training_offsets[b + 1]] for b in range(setting.tasks)]
        self._labels = data.y

    def measure(self, queue: DeferredQueue, tasks: IntArray, models: State, rows: IntArray) -> Pending:
        """Submit scores of ``models.values[rows[i]]`` on ``tasks[i]``; a task that comes up again is averaged."""
        return queue.submit(self._measure, (tasks, _copied(queue, models, rows)), last=True)

    def objective(self, queue: DeferredQueue, models: State, rows: IntArray) -> Pending:
        """Submit P of one model per task: sum of mean training losses, ridge and coupling to the mean."""
        return queue.submit(self._objective, (_copied(queue, models, rows),), last=True)

    def _objective(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        return [{"objective": self._primal(models)} for (models,) in batch]

    def _primal(self, models: Array) -> float:
        scores = [self._model.scores(w, X) for w, X in zip(models, self._training, strict=True)]
        losses = self._loss.value(np.concatenate(scores), self._labels)
        sizes = [len(part) for part in scores]
        mean = np.add.reduceat(losses, np.cumsum([0, *sizes[:-1]])) / sizes
        return self._coupling.objective(mean, models)

    def _measure(self, batch: list[tuple[Any, ...]]) -> list[list[dict[str, Any]]]:
        """Score everything and compute all measures together, as many rows at a time as are worth keeping."""
        parts: list[Array] = []
        scores: list[Array] = []
        labels: list[Array] = []
        rows = 0
        for task, w in ((task, w) for tasks, models in batch for task, w in zip(tasks, models, strict=True)):
            for X, y in self._held_out[task]:
                scores.append(self._model.scores(w, X))
                labels.append(y)
                rows += len(y)
            if rows > _ROWS_AT_A_TIME:
                parts.append(_measured(scores, labels))
                scores, labels, rows = [], [], 0
        if labels:
            parts.append(_measured(scores, labels))
        measured = np.concatenate(parts)
        tables, at = [], 0
        for tasks, _ in batch:
            tables.append(self._rows(tasks.tolist(), measured[at : at + len(tasks) * len(SPLITS)]))
            at += len(tasks) * len(SPLITS)
        return tables

    def _rows(self, tasks: Sequence[int], measured: Array) -> list[dict[str, Any]]:
        """Return a row per task and split from (tasks x splits, measures) numbers."""
        values = measured.reshape(len(tasks), len(SPLITS), len(MEASURES))
        different = list(dict.fromkeys(tasks))
        if len(different) < len(tasks):
            owner = np.asarray(tasks)
            values = np.stack([values[owner == task].mean(axis=0) for task in different])
        rows = []
        for task, of_splits in zip(different, values.tolist(), strict=True):
            for (_, y), name, numbers in zip(self._held_out[task], SPLITS, of_splits, strict=True):
                measured_here = dict(zip(MEASURES, numbers, strict=True))
                rows.append({"task": self._names[task], "split": name, **measured_here, "samples": len(y)})
        return rows


def _measured(scores: list[Array], labels: list[Array]) -> Array:
    """Return (parts, measures) of lists of scores and labels."""
    offsets = np.concatenate([[0], np.cumsum([len(y) for y in labels])]).astype(np.int64)
    measured = evaluate_tasks(np.concatenate(scores), np.concatenate(labels), offsets)
    return np.column_stack([getattr(measured, name) for name in MEASURES])


def _copied(queue: DeferredQueue, models: State, rows: IntArray) -> Pending:
    """Put aside the models as they are now, so that all measurements of a run can be made in one call."""
    return queue.submit(take, (models, rows), reads=[(models, rows)])


def _slice(X: Array, y: Array, offsets: NDArray[np.int64], index: int) -> tuple[Array, Array]:
    return X[offsets[index] : offsets[index + 1]], y[offsets[index] : offsets[index + 1]]
