"""Arrays that a method changes in place, through the queue."""

from __future__ import annotations

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
