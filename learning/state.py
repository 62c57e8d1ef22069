"""Arrays that a method changes in place, through the queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from learning.deferred import Slots


class State(Slots):
    """One row per base station, terminal or task.

    Args:
        values: (n, ...) array; only operations of the queue may read or change it before the queue is flushed.
    """

    __slots__ = ("values",)

    def __init__(self, values: NDArray[Any]) -> None:
        super().__init__(len(values))
        self.values = values

    def columns(self, columns: slice) -> State:
        """Return a view of some columns; to the queue, whoever uses one column of a row uses all of it."""
        part = State(self.values[:, columns])
        part.read, part.written = self.read, self.written
        return part


def take(batch: list[tuple[State, NDArray[Any]]]) -> Sequence[NDArray[Any]]:
    """Return copies of some rows of states, as a kernel of the queue."""
    return [state.values[rows] for state, rows in batch]
