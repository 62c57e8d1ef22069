"""What rows are labelled with: a class of two, one of several, or a value. A row may bear several labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import ScenarioError

Kind = Literal["binary", "classes", "values"]


@dataclass(frozen=True)
class Target:
    """One label of every row of a task: what one head of a model predicts.

    Args:
        kind: ``"binary"``: -1 or +1; ``"classes"``: 0 to ``classes`` - 1; ``"values"``: any finite number.
        name: tells apart the labels of one row.
        classes: size of the label space of ``"classes"``.
    """

    kind: Kind
    name: str = ""
    classes: int = 2

    @property
    def outputs(self) -> int:
        """Scores a head gives for a row: one a class, or a single margin or value."""
        return self.classes if self.kind == "classes" else 1


Targets = tuple[Target, ...]


def plain_targets(loss: str) -> Targets:
    """Return the only target of a task that declares none: the loss says whether it is a class."""
    return (Target("values" if loss == "squared" else "binary"),)


def head_name(task: str, target: Target, of_task: Targets) -> str:
    """Return what records call a head: by its task, and by its target too if the task has several."""
    return f"{task} {target.name}" if len(of_task) > 1 else task


def one_kind(targets: Sequence[Targets]) -> bool:
    """Return whether all tasks have the same label spaces, so that one model can serve them all."""
    return len({tuple((target.kind, target.outputs) for target in each) for each in targets}) <= 1


def check_labels(task: str, targets: Targets, labels: NDArray[np.float64], field: str) -> None:
    """Refuse (n, len(targets)) labels that are not of their kinds.

    Raises:
        ScenarioError: a label outside its label space, or a target all of whose labels are one class.
    """
    for column, target in zip(labels.T, targets, strict=True):
        where = f"task {task!r}" + (f", target {target.name!r}" if target.name else "")
        if target.kind == "values":
            continue
        binary = target.kind == "binary"
        allowed = "-1 and +1" if binary else f"whole numbers from 0 to {target.classes - 1}"
        known = np.abs(column) == 1.0 if binary else np.isin(column, np.arange(target.classes))
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            raise ScenarioError(field, f"{where}, row {row}: label {column[row]:g}", f"labels {allowed}")
        if np.all(column == column[0]):
            raise ScenarioError(field, f"{where}: all {len(column)} labels are {column[0]:g}", "at least two classes")
