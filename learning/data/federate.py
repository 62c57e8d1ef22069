"""A federation's data: each task's training rows dealt to its terminals, its other rows kept for measuring.

Three ways of dealing: at random; in runs of neighbouring rows, so that a terminal holds one stretch of time;
or by class with Dirichlet shares (M. Yurochkin et al., "Bayesian nonparametric federated learning of neural
networks", ICML 2019), which skews both sizes and classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords, check, holds_classes
from learning.data.split import BlockSplit, cut_blocks, stable_index
from learning.data.targets import Targets
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

Partition = Literal["iid", "contiguous", "dirichlet"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Rows kept for measuring, task after task.

    Args:
        X: ``(n, d)`` float64, prepared like the training rows.
        y: ``(n,)`` float64.
        task_offsets: ``(B + 1,)`` int64, task ``b`` owns rows ``offsets[b]:offsets[b + 1]``.
        further: ``(n, L - 1)`` float64, labels of targets after the first; 0 where a task has fewer than others.
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    task_offsets: NDArray[np.int64]
    further: NDArray[np.float64] | None = None

    @property
    def labels(self) -> NDArray[np.float64]:
        """``(n, L)`` all labels."""
        return _side_by_side(self.y, self.further)


@dataclass(frozen=True, eq=False)
class Unseen:
    """Tasks that take no part in training: ``U`` of them, with ``V`` terminals that come when it is over.

    Args:
        X, y, terminal_offsets, terminal_task, task_names: as in :class:`Federation`; to these rows a newcomer may
            fit what it needs to know of itself.
        test: rows for reporting.
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    terminal_offsets: NDArray[np.int64]
    terminal_task: NDArray[np.int64]
    task_names: tuple[str, ...]
    test: Evaluation


@dataclass(frozen=True, eq=False)
class Federation:
    """Who holds which rows: ``B`` tasks, ``M`` terminals, ``d`` features (the bias, if any, comes last).

    Args:
        X: ``(n, d)`` float64, training rows, terminal after terminal.
        y: ``(n,)`` float64, their labels.
        terminal_offsets: ``(M + 1,)`` int64, terminal ``m`` owns rows ``offsets[m]:offsets[m + 1]``.
        terminal_task: ``(M,)`` int64, ascending: the terminals of a task follow each other.
        task_names: ``(B,)`` names.
        task_samples: ``(B,)`` int64, training rows of each task.
        validation: rows for choosing parameters; a task's share may be empty.
        test: rows for reporting.
        unseen: tasks that are not among these, if there are any.
        targets: what the labels of each task are; empty if the loss says it.
        further: ``(n, L - 1)`` float64, labels of targets after the first; 0 where a task has fewer than others.
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    terminal_offsets: NDArray[np.int64]
    terminal_task: NDArray[np.int64]
    task_names: tuple[str, ...]
    task_samples: NDArray[np.int64]
    validation: Evaluation
    test: Evaluation
    unseen: Unseen | None = None
    targets: tuple[Targets, ...] = ()
    further: NDArray[np.float64] | None = None

    @property
    def labels(self) -> NDArray[np.float64]:
        """``(n, L)`` all labels."""
        return _side_by_side(self.y, self.further)

    @property
    def holds_values(self) -> bool:
        """Whether labels are values, not the classes -1 and +1; meant for tasks that declare nothing."""
        return not bool((np.abs(self.y) == 1.0).all())


def _side_by_side(y: NDArray[np.float64], further: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return y[:, None] if further is None else np.column_stack([y, further])


def federate(
    tasks: Sequence[TaskRecords],
    terminals_per_task: int,
    split: BlockSplit,
    partition: Partition,
    streams: Streams,
    standardise: bool = True,
    bias: bool = True,
    dirichlet_alpha: float = 0.5,
    unseen_tasks: int = 0,
) -> Federation:
    """Split every task, deal its training rows to terminals, and prepare the features.

    Args:
        tasks: the data set.
        terminals_per_task: terminals of each task, each with at least one row.
        split: shares of train, validation and test.
        partition: ``"iid"`` deals shuffled rows evenly; ``"contiguous"`` even runs of rows in order of recording and
            time; ``"dirichlet"`` each class in Dirichlet shares, a terminal left empty taking a row from the fullest.
        streams: the run's randomness (purposes ``"split"`` and ``"partition"``).
        standardise: centre features and divide by their standard deviation, both taken over the training rows
            of all tasks together; a feature constant there is only centred.
        bias: append a column of ones.
        dirichlet_alpha: concentration; large values approach even shares, small ones give a class to one terminal.
        unseen_tasks: the last so many tasks take no part; the others are dealt as if these did not exist.

    Raises:
        ScenarioError: data that :func:`check` or :func:`cut_blocks` refuses, fewer training rows than terminals, an
            unknown partition, or an argument out of range.
    """
    check(tasks, "data", classification=bool(tasks) and holds_classes(tasks))
    if terminals_per_task < 1:
        raise ScenarioError("terminals_per_task", terminals_per_task, "a whole number, at least 1")
    if not 0 <= unseen_tasks < len(tasks):
        raise ScenarioError("data.unseen_tasks", unseen_tasks, f"0 or more, and fewer than the {len(tasks)} tasks")
    seen = len(tasks) - unseen_tasks
    dealt = _dealt(tasks[:seen], terminals_per_task, split, partition, streams, dirichlet_alpha)
    mean, scale = feature_scales(dealt.training.X) if standardise else (np.float64(0.0), np.float64(1.0))
    dealt, unseen = dealt.prepared(mean, scale, bias), None
    if unseen_tasks:
        others = _dealt(tasks[seen:], terminals_per_task, split, partition, streams, dirichlet_alpha)
        others = others.prepared(mean, scale, bias)
        unseen = Unseen(*others.terminals(), others.names, others.test)
    common = (*dealt.terminals(), dealt.names, dealt.task_samples, dealt.validation, dealt.test, unseen)
    targets = tuple(task.targets for task in tasks[:seen]) if tasks[0].targets else ()
    return Federation(*common, targets, dealt.training.further)


@dataclass(frozen=True, eq=False)
class _Dealt:
    """The rows of some tasks: ``training`` is terminal after terminal, ``owner`` (M,) says whose task each serves."""

    names: tuple[str, ...]
    owner: NDArray[np.int64]
    task_samples: NDArray[np.int64]
    training: Evaluation
    validation: Evaluation
    test: Evaluation

    def prepared(
        self, mean: NDArray[np.float64] | np.float64, scale: NDArray[np.float64] | np.float64, bias: bool
    ) -> _Dealt:
        """Return the same with features moved, scaled and given a constant."""
        parts = (_prepare(part, mean, scale, bias) for part in (self.training, self.validation, self.test))
        return _Dealt(self.names, self.owner, self.task_samples, *parts)

    def terminals(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of the terminals, their labels, ranges and owners."""
        return self.training.X, self.training.y, self.training.task_offsets, self.owner


def _dealt(
    tasks: Sequence[TaskRecords],
    terminals_per_task: int,
    split: BlockSplit,
    partition: Partition,
    streams: Streams,
    dirichlet_alpha: float,
) -> _Dealt:
    """Split some tasks and deal their training rows, as :func:`federate` says."""
    blocks = [cut_blocks(task, split, streams) for task in tasks]
    owner = np.repeat(np.arange(len(tasks), dtype=np.int64), terminals_per_task)
    dealt: list[NDArray[np.int64]] = []
    for task, block in zip(tasks, blocks, strict=True):
        dealt += _deal(task, block.train, terminals_per_task, partition, streams, dirichlet_alpha)
    each = np.arange(len(tasks), dtype=np.int64)
    return _Dealt(
        tuple(task.name for task in tasks),
        owner,
        np.array([len(block.train) for block in blocks], dtype=np.int64),
        _gather(tasks, owner, dealt),
        _gather(tasks, each, [block.validation for block in blocks]),
        _gather(tasks, each, [block.test for block in blocks]),
    )


def feature_scales(X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(d,)`` means and standard deviations of ``(n, d)`` rows, 1 for the deviation of a constant.

    A column counts as constant when its deviation is no more than the rounding of its own values.
    """
    mean, scale = X.mean(axis=0), X.std(axis=0)
    return mean, np.where(scale <= 1e-13 * np.abs(X).max(axis=0), 1.0, scale)


def _prepare(
    part: Evaluation,
    mean: NDArray[np.float64] | np.float64,
    scale: NDArray[np.float64] | np.float64,
    bias: bool,
) -> Evaluation:
    X = (part.X - mean) / scale
    if bias:
        X = np.column_stack([X, np.ones(len(X))])
    return Evaluation(np.ascontiguousarray(X), part.y, part.task_offsets, part.further)


def _gather(tasks: Sequence[TaskRecords], owner: NDArray[np.int64], groups: Sequence[NDArray[np.int64]]) -> Evaluation:
    """Lay groups of rows end to end, group ``g`` taken from task ``owner[g]``."""
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in groups])]).astype(np.int64)
    X = np.concatenate([tasks[b].features[rows] for b, rows in zip(owner, groups, strict=True)])
    y = np.concatenate([tasks[b].labels[rows] for b, rows in zip(owner, groups, strict=True)])
    return Evaluation(X, y, offsets, _gather_further(tasks, owner, groups))


def _gather_further(
    tasks: Sequence[TaskRecords], owner: NDArray[np.int64], groups: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64] | None:
    """Lay the labels of further targets end to end likewise, if there are any."""
    width = max(len(task.targets) for task in tasks) - 1
    if width < 1:
        return None
    wide = [np.pad(task.all_labels[:, 1:], ((0, 0), (0, width - len(task.targets) + 1))) for task in tasks]
    return np.concatenate([wide[b][rows] for b, rows in zip(owner, groups, strict=True)])


def _deal(
    task: TaskRecords,
    rows: NDArray[np.int64],
    terminals: int,
    partition: str,
    streams: Streams,
    dirichlet_alpha: float,
) -> list[NDArray[np.int64]]:
    """Return one non-empty array of row numbers for each terminal of a task."""
    if len(rows) < terminals:
        found = f"{terminals}: task {task.name!r} has {len(rows)} training rows"
        raise ScenarioError("terminals.per_base_station", found, "at most one terminal a training row")
    rows = rows[np.lexsort((task.start[rows], task.recording[rows]))]
    if partition == "contiguous":
        return np.array_split(rows, terminals)
    draws = streams.generator("partition", entity=stable_index(task.name))
    if partition == "iid":
        return np.array_split(draws.permutation(rows), terminals)
    if partition == "dirichlet":
        if not 0.0 < dirichlet_alpha < np.inf:
            raise ScenarioError("dirichlet_alpha", dirichlet_alpha, "a finite number above 0")
        several = bool(task.targets) and task.targets[0].kind == "classes"
        return _deal_by_class(rows, task.labels[rows], terminals, dirichlet_alpha, draws, several)
    raise ScenarioError("partition", partition, "iid, contiguous or dirichlet")


def _deal_by_class(
    rows: NDArray[np.int64],
    labels: NDArray[np.float64],
    terminals: int,
    alpha: float,
    draws: np.random.Generator,
    several: bool,
) -> list[NDArray[np.int64]]:
    classes = np.unique(labels)
    if len(classes) > 2 and not several:  # regression: only the sizes are skewed
        labels, classes = np.zeros_like(labels), np.zeros(1)
    owner = np.empty(len(rows), dtype=np.int64)
    for value in classes:
        members = draws.permutation(np.flatnonzero(labels == value))
        edges = np.cumsum(draws.dirichlet(np.full(terminals, alpha)))[:-1] * len(members)
        owner[members] = np.searchsorted(np.round(edges), np.arange(len(members)), side="right")
    for empty in np.setdiff1d(np.arange(terminals), owner):
        richest = np.bincount(owner, minlength=terminals).argmax()
        owner[np.flatnonzero(owner == richest)[-1]] = empty
    return [rows[owner == terminal] for terminal in range(terminals)]
