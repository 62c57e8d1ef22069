"""Measures models with heads: a row for every task, or for every head of a task that has several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from learning.class_metrics import evaluate_class_tasks
from learning.data.federate import Evaluation
from learning.data.targets import Target, Targets, head_name
from learning.deferred import DeferredQueue, Pending
from learning.evaluation import MEASURES, SPLITS, VALUE_MEASURES, Evaluator, copied
from learning.metrics import evaluate_tasks, evaluate_values
from learning.models import Model
from learning.primal_dual.losses import Loss
from learning.segments import segment_sums
from learning.setting import Setting
from learning.state import State

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@runtime_checkable
class HeadedModel(Model, Protocol):
    """A model whose tasks have heads of their own, see :class:`learning.shared_trunk.SharedTrunkModel`."""

    targets: tuple[Targets, ...]
    """What the heads of each task predict."""
    trunk_size: int
    """How many of the parameters, the first ones, are the trunk's."""

    def outputs_each(self, parameters: Array, tasks: IntArray, runs: IntArray, X: Array, offsets: IntArray) -> Array:
        """Return the (rows, outputs) scores of T models, each on a run of rows, job after job.

        Args:
            parameters: (T, P).
            tasks: (T,) whose heads they have; all tasks have the same targets.
            runs: (T,) which rows each scores: ``X[offsets[run]:offsets[run + 1]]``.
            X, offsets: (n, d) rows and where runs of them begin and end.
        """


class HeadEvaluator(Evaluator):
    """Scores models with heads on validation and test rows, and their training objective.

    A task with several targets has a row for each, named after both. Values have ``rmse``, in their own unit, and
    ``r2``, and no other measure; those columns are there only if some task has values.

    Args:
        setting: data and a :class:`HeadedModel`.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        assert isinstance(setting.model, HeadedModel)
        self._heads = setting.model
        self._kinds = list(dict.fromkeys(self._heads.targets))
        self._kind_of_task = np.array([self._kinds.index(each) for each in self._heads.targets])
        values = any(target.kind == "values" for each in self._kinds for target in each)
        self._measures = (*MEASURES, *VALUE_MEASURES) if values else MEASURES
        self._names, self._held_out = (
            setting.federation.task_names,
            (setting.federation.validation, setting.federation.test),
        )
        self._data, self._training_labels = setting.federation, setting.federation.labels
        self._owners = setting.federation.terminal_task
        self._counts = [np.diff(held_out.task_offsets).tolist() for held_out in self._held_out]

    def score(self, queue: DeferredQueue, tasks: IntArray, models: Pending) -> Pending:
        """See :meth:`~learning.evaluation.Evaluator.score`."""
        return queue.submit(self._measure, (tasks, models), last=True)

    def own_objective(self, queue: DeferredQueue, models: State, weights: Array) -> Pending:
        """Submit the weighted sum over terminals of the mean loss of each one's model on its own rows, with its ridge.

        Args:
            models: (terminals, P).
            weights: (terminals,); those of a task's terminals sum to 1.
        """
        every = np.arange(len(weights))
        return queue.submit(self._own_objective, (copied(queue, models, every), weights), last=True)

    def _own_objective(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        offsets, lambda1 = self._data.terminal_offsets, self._coupling.lambda1
        found = []
        for models, weights in batch:
            means = self._mean_losses(models, self._owners, offsets)
            found.append({"objective": float(weights @ (means + 0.5 * lambda1 * (models**2).sum(axis=1)))})
        return found

    def _primal(self, models: Array) -> float:
        everyone = np.arange(len(models))
        return self._coupling.objective(self._mean_losses(models, everyone, self._training_offsets), models)

    def _mean_losses(self, models: Array, tasks: IntArray, offsets: IntArray) -> Array:
        """Return (T,) mean losses of each model on training rows ``offsets[i]:offsets[i + 1]``, of ``tasks[i]``."""
        means = np.empty(len(models))
        for chosen in self._alike(tasks):
            of = self._kinds[self._kind_of_task[tasks[chosen[0]]]]
            scores = self._heads.outputs_each(models[chosen], tasks[chosen], chosen, self._data.X, offsets)
            rows, pieces = _laid_out(chosen, offsets)
            losses = losses_of(of, scores, self._training_labels[rows], self._loss)
            means[chosen] = segment_sums(losses, pieces) / np.diff(pieces)
        return means

    def _alike(self, tasks: IntArray) -> list[IntArray]:
        """Return which of (T,) tasks have the same targets, in groups."""
        kinds = self._kind_of_task[tasks]
        return [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]

    def _measure(self, batch: list[tuple[Any, ...]]) -> list[list[dict[str, Any]]]:
        return [self._table(tasks, models) for tasks, models in batch]

    def _table(self, tasks: IntArray, models: Array) -> list[dict[str, Any]]:
        rows: dict[int, list[dict[str, Any]]] = {task: [] for task in tasks.tolist()}
        for chosen in self._alike(tasks):
            owners = tasks[chosen]
            order = np.argsort(owners, kind="stable")
            different, first, counts = np.unique(owners[order], return_index=True, return_counts=True)
            splits = [self._measured(held_out, owners, models[chosen])[:, order] for held_out in self._held_out]
            means = np.stack([np.add.reduceat(measured, first, axis=1) for measured in splits]) / counts[:, None]
            for number, target in enumerate(self._kinds[self._kind_of_task[owners[0]]]):
                for task, of_splits in zip(different.tolist(), means[:, number].swapaxes(0, 1).tolist(), strict=True):
                    rows[task] += self._rows_of(task, target, of_splits)
        return [row for of_task in rows.values() for row in of_task]

    def _rows_of(self, task: int, target: Target, of_splits: list[list[float]]) -> list[dict[str, Any]]:
        """Return one head's row of each split."""
        name, rows = head_name(self._names[task], target, self._heads.targets[task]), []
        for split, counts, numbers in zip(SPLITS, self._counts, of_splits, strict=True):
            measured = dict(zip(self._measures, numbers, strict=True))
            rows.append({"task": name, "split": split, **measured, "samples": counts[task]})
        return rows

    def _measured(self, held_out: Evaluation, tasks: IntArray, models: Array) -> Array:
        """Return (targets, T, measures) of models of the same targets."""
        rows, pieces = _laid_out(tasks, held_out.task_offsets)
        scores = self._heads.outputs_each(models, tasks, tasks, held_out.X, held_out.task_offsets)
        targets, count = self._kinds[self._kind_of_task[tasks[0]]], len(self._measures)
        parts = _columns(targets, scores, held_out.labels[rows])
        return np.stack([measures_of(target, part, y, pieces, count) for target, part, y in parts])


def _laid_out(runs: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows of some runs end to end, and the (T + 1,) pieces they make there."""
    sizes = np.diff(offsets)[runs]
    pieces = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return np.repeat(offsets[runs] - pieces[:-1], sizes) + np.arange(pieces[-1]), pieces


def _columns(targets: Targets, scores: Array, labels: Array) -> Iterator[tuple[Target, Array, Array]]:
    """Yield each target with its (n, outputs) scores and its (n,) labels."""
    at = 0
    for target, y in zip(targets, labels.T, strict=False):
        yield target, scores[:, at : at + target.outputs], y
        at += target.outputs


def losses_of(targets: Targets, scores: Array, labels: Array, loss: Loss) -> Array:
    """Return (n,) losses of rows, summed over their targets, as :class:`learning.heads.Heads` descends on them.

    Args:
        targets: of each row.
        scores: (n, outputs of all targets).
        labels: (n, targets or more).
        loss: of binary targets.
    """
    total = np.zeros(len(scores))
    for target, part, y in _columns(targets, scores, labels):
        if target.kind == "classes":
            total -= np.take_along_axis(log_softmax(part, axis=1), y[:, None].astype(np.int64), axis=1)[:, 0]
        else:
            total += (part[:, 0] - y) ** 2 / 2.0 if target.kind == "values" else loss.value(part[:, 0], y)
    return total


def measures_of(target: Target, scores: Array, y: Array, offsets: IntArray, count: int) -> Array:
    """Return (T, count) measures of runs of rows: those of classes, then those of values.

    Args:
        target: what the labels are.
        scores: (n, outputs).
        y: (n,) labels.
        offsets: (T + 1,) runs.
        count: 4, or 6 with those of values.
    """
    found = np.full((len(offsets) - 1, len(MEASURES) + len(VALUE_MEASURES)), np.nan)
    if target.kind == "values":
        found[:, len(MEASURES) :] = evaluate_values(scores[:, 0], y, offsets)
    else:
        one = target.kind == "binary"
        measured = evaluate_tasks(scores[:, 0], y, offsets) if one else evaluate_class_tasks(scores, y, offsets)
        found[:, : len(MEASURES)] = np.column_stack([getattr(measured, name) for name in MEASURES])
    return found[:, :count]
