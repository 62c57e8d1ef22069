"""Who is a task: the base stations, whose terminals hold parts of one task, or every terminal on its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.messages import Cohort

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TaskPartition:
    """Tasks, their terminals and rows.

    Args:
        owner: (terminals,) task of each terminal, ascending.
        rows: (m,) training rows of each task.
        personal: whether every terminal is a task.
        per_site: tasks of a base station, the most of any.
    """

    owner: IntArray
    rows: Array
    personal: bool
    per_site: int

    @classmethod
    def of_base_stations(cls, data: Federation) -> TaskPartition:
        """One task for all terminals of a base station."""
        return cls(data.terminal_task, data.task_samples.astype(np.float64), False, 1)

    @classmethod
    def of_terminals(cls, data: Federation) -> TaskPartition:
        """A task for every terminal."""
        rows = np.diff(data.terminal_offsets).astype(np.float64)
        return cls(np.arange(len(rows)), rows, True, int(np.bincount(data.terminal_task).max()))

    def parts(self, cohort: Cohort) -> tuple[IntArray, IntArray]:
        """Return the (S,) tasks at work in a cohort, and the (S + 1,) ranges of the cohort's terminals that do each."""
        if self.personal:
            return cohort.terminals, np.arange(len(cohort.terminals) + 1)
        return cohort.sites, cohort.offsets

    def means(self, sums: Array) -> Array:
        """Return (m, ...) sums over all (terminals, ...) of each task, per row of the task."""
        totals = np.zeros((len(self.rows), *sums.shape[1:]))
        np.add.at(totals, self.owner, sums)
        return totals / self.rows.reshape(-1, *[1] * (sums.ndim - 1))
