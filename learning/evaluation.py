"""Measures models on the rows kept back: one batched computation for all models that are due at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Evaluation
from learning.deferred import DeferredQueue, Pending
from learning.metrics import evaluate_tasks, evaluate_values
from learning.setting import Setting
from learning.state import State, take
from scenarios.columnar import Chapters, Table

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
SPLITS = ("validation", "test")
UNSEEN = "unseen"
_ROWS_AT_A_TIME = 2_000_000
_CACHED_ROWS = 20_000
MEASURES = ("accuracy", "balanced_accuracy", "auc", "log_loss")
VALUE_MEASURES = ("rmse", "r2")
"""Of tasks whose labels are values, not classes."""


@dataclass
class Measurement:
    """A measurement of one recorded event; its numbers are there once the queue has been flushed.

    Attributes:
        pending_scalars: values that resolve to name -> number.
        pending_tasks: resolves to a table, or a list of rows, with one row per task and split.
        pending_unseen: resolves to those of the tasks that take no part.
    """

    pending_scalars: list[Pending] = field(default_factory=list)
    pending_tasks: Pending | None = None
    pending_unseen: Pending | None = None

    @property
    def scalars(self) -> Mapping[str, float]:
        """Numbers of the whole event."""
        return {name: value for pending in self.pending_scalars for name, value in pending.value.items()}

    @property
    def tasks(self) -> Chapters:
        """One row per task and split."""
        parts = (self.pending_tasks, self.pending_unseen)
        return Chapters([part.value for part in parts if part is not None])


class _Scored(NamedTuple):
    """Held-out rows with their scores, in pieces, and (parts,) how many of them are one model's on one task."""

    scores: list[Array]
    labels: list[Array]
    sizes: list[IntArray]

    def measured(self, values: bool) -> Array:
        """Return (parts, measures), those of ``values`` or of classes."""
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([*self.sizes, np.empty(0, np.int64)]))])
        scores, labels = (np.concatenate([*parts, np.empty(0)]) for parts in (self.scores, self.labels))
        if values:
            return evaluate_values(scores, labels, offsets)
        measured = evaluate_tasks(scores, labels, offsets)
        return np.column_stack([getattr(measured, name) for name in MEASURES])


class ScoreFunction(Protocol):
    """What maps the vectors of parameters of some predictors, and rows, to scores."""

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """Return the (n,) scores of rows ``X[offsets[i]:offsets[i + 1]]`` under ``parameters[i]``, (T, P)."""


class Evaluator:
    """Scores models on validation and test rows and on those of unseen tasks, and the training objective.

    Args:
        setting: data, loss, model.
        predictor: what the parameters that are measured belong to; None is the setting's model.
    """

    def __init__(self, setting: Setting, predictor: ScoreFunction | None = None) -> None:
        data, self._model, scored = setting.federation, setting.model, predictor or setting.model
        self._loss, self._coupling = setting.loss, setting.coupling
        held_out = dict(zip(SPLITS, (data.validation, data.test), strict=True))
        self._scores = Scores(scored, data.task_names, held_out, data.holds_values)
        if data.unseen is not None:
            self._unseen = Scores(scored, data.unseen.task_names, {UNSEEN: data.unseen.test}, data.holds_values)
            self._newcomers = data.unseen.terminal_task
        first = np.searchsorted(data.terminal_task, np.arange(setting.tasks + 1))
        self._training_offsets = data.terminal_offsets[first]
        self._training_rows, self._labels = data.X, data.y
        self._blocks = _blocks(self._training_offsets, _CACHED_ROWS)

    def measure(self, queue: DeferredQueue, tasks: IntArray, models: State, rows: IntArray) -> Pending:
        """Submit scores of ``models.values[rows[i]]`` on ``tasks[i]``; a task that comes up again is averaged."""
        return self.score(queue, tasks, copied(queue, models, rows))

    def score(self, queue: DeferredQueue, tasks: IntArray, models: Pending) -> Pending:
        """Submit scores of the i-th of the (T, P) ``models`` to come on ``tasks[i]``, as :meth:`measure`."""
        return queue.submit(self._scores.measure, (tasks, models), last=True)

    def score_unseen(self, queue: DeferredQueue, models: Pending) -> Pending:
        """Submit scores of the (V, P) models to come of all terminals of the unseen tasks, if there are any."""
        return queue.submit(self._unseen.measure, (self._newcomers, models), last=True)

    def objective(self, queue: DeferredQueue, models: Pending) -> Pending:
        """Submit P of the (B, P) models to come: sum of mean training losses, ridge and coupling to the mean."""
        return queue.submit(self._objective, (models,), last=True)

    def _objective(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        return [{"objective": self._primal(models)} for (models,) in batch]

    def _primal(self, models: Array) -> float:
        """P of (B, P) models, from the losses of as many tasks at a time as fit into a cache."""
        offsets, means = self._training_offsets, np.empty(len(models))
        for a, b in self._blocks:
            rows, edges = slice(offsets[a], offsets[b]), offsets[a : b + 1] - offsets[a]
            scores = self._model.scores_each(models[a:b], self._training_rows[rows], edges)
            losses = self._loss.value(scores, self._labels[rows])
            means[a:b] = np.add.reduceat(losses, edges[:-1]) / (edges[1:] - edges[:-1])
        return self._coupling.objective(means, models)


class Scores:
    """Scores predictors on the rows kept back of some tasks.

    Args:
        predictor: what the parameters belong to.
        names: (B,) of the tasks.
        held_out: their rows, by the name of the split.
        values: whether labels are values rather than classes.
    """

    def __init__(
        self, predictor: ScoreFunction, names: Sequence[str], held_out: Mapping[str, Evaluation], values: bool = False
    ) -> None:
        self._values, self._measures = values, VALUE_MEASURES if values else MEASURES
        self._predictor, self._names, self._held_out = predictor, np.array(names, object), held_out
        self._splits = np.array(list(held_out), object)
        self._samples = np.stack([np.diff(each.task_offsets) for each in held_out.values()], axis=1)

    def measure(self, batch: list[tuple[Any, ...]]) -> list[Table]:
        """Score everything and compute all measures together, as many rows at a time as are worth keeping."""
        scored = _Scored([], [], [])
        parts: list[Array] = []
        for tasks, models in batch:
            for held_out in self._held_out.values():
                self._score(held_out, tasks, models, scored)
            if sum(map(len, scored.labels)) > _ROWS_AT_A_TIME:
                parts.append(scored.measured(self._values))
                scored = _Scored([], [], [])
        measured = np.concatenate([*parts, scored.measured(self._values)])
        tables, at, splits = [], 0, len(self._held_out)
        for tasks, _ in batch:
            of_splits = measured[at : at + len(tasks) * splits].reshape(splits, len(tasks), len(self._measures))
            tables.append(self._table(tasks, of_splits.swapaxes(0, 1)))
            at += len(tasks) * splits
        return tables

    def _score(self, held_out: Evaluation, tasks: IntArray, models: Array, scored: _Scored) -> None:
        """Score ``models[i]`` on the rows of ``tasks[i]``: those of tasks that lie side by side are one piece."""
        breaks = np.flatnonzero(tasks[1:] - tasks[:-1] != 1) + 1
        for a, b in pairwise([0, *breaks.tolist(), len(tasks)]):
            offsets = held_out.task_offsets[tasks[a] : tasks[a] + b - a + 1]
            scored.sizes.append(offsets[1:] - offsets[:-1])
            rows = slice(offsets[0], offsets[-1])
            if offsets[-1] > offsets[0]:
                scored.scores.append(self._predictor.scores_each(models[a:b], held_out.X[rows], offsets - offsets[0]))
                scored.labels.append(held_out.y[rows])

    def _table(self, tasks: IntArray, measured: Array) -> Table:
        """Return a row per task and split from (tasks, splits, measures) numbers, averaged where a task comes again."""
        different = np.array(list(dict.fromkeys(tasks.tolist())), np.int64)
        if len(different) < len(tasks):
            measured = np.stack([measured[tasks == task].mean(axis=0) for task in different])
        columns = {"task": self._names[different].repeat(len(self._splits))}
        columns |= {"split": np.tile(self._splits, len(different))}
        columns |= dict(zip(self._measures, measured.reshape(-1, len(self._measures)).T.copy(), strict=True))
        return Table(columns | {"samples": self._samples[different].ravel()})


def _blocks(offsets: IntArray, most: int) -> list[tuple[int, int]]:
    """Return ranges of tasks with at most ``most`` rows each, or of one task."""
    ranges, a = [], 0
    while a < len(offsets) - 1:
        b = max(a + 1, int(np.searchsorted(offsets, offsets[a] + most, side="right")) - 1)
        ranges.append((a, b))
        a = b
    return ranges


def copied(queue: DeferredQueue, models: State, rows: IntArray) -> Pending:
    """Put aside the models as they are now, so that all measurements of a run can be made in one call."""
    return queue.submit(take, (models, rows), reads=[(models, rows)])
