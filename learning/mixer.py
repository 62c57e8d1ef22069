"""Mixing through the queue: what methods on a graph share, whatever the state of a node is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.deferred import DeferredQueue, Pending
from learning.mixing import Mixing, disagreement, metropolis, mixed
from learning.state import State, take

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Mixer:
    """Mixes rows of a state by Metropolis weights; a neighbour that was not met leaves its weight to the node.

    Args:
        queue: where the work is deferred to.
        values: (nodes, P), a row for every node of the graph.
        private: the last so many columns are a node's own: they are neither sent nor mixed.
    """

    def __init__(self, queue: DeferredQueue, values: State, private: int = 0) -> None:
        self._queue, self._values = queue, values
        self.shared = values.values.shape[1] - private

    def submit(self, mixing: Mixing) -> Pending:
        """Submit a node's new row: a weighted mean of its own work and of those it has received, (1, P) each."""
        row, weights = np.array([mixing.node]), metropolis(mixing.degree, mixing.degrees[mixing.met])
        arguments = (row, weights, mixing.work, *mixing.works)
        return self._queue.submit(self._mix, arguments, writes=[(self._values, row)])

    def disagreement(self) -> Pending:
        """Submit the root mean square distance of the rows from their mean."""
        everybody = np.arange(len(self._values.values))
        values = self._queue.submit(take, (self._values, everybody), reads=[(self._values, everybody)])
        return self._queue.submit(_apart, (values, self.shared), last=True)

    def _mix(self, batch: list[tuple[Any, ...]]) -> list[None]:
        rows, weights, own = (np.concatenate([arguments[part] for arguments in batch]) for part in range(3))
        received, offsets = gathered([works for _, _, _, *works in batch], own.shape[1])
        own[:, : self.shared] = mixed(own, received, weights, offsets)[:, : self.shared]
        self._values.values[rows] = own
        return [None] * len(batch)


def gathered(works: list[list[Array]], width: int) -> tuple[Array, IntArray]:
    """Return all works that some nodes have received, (m, width), and the (n + 1,) ranges of each node."""
    offsets = np.cumsum([0, *map(len, works)])
    return np.concatenate([np.empty((0, width)), *(work for received in works for work in received)]), offsets


def _apart(batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
    return [{"disagreement": disagreement(values[:, :shared])} for values, shared in batch]
