"""What terminals keep of their works and never send: heads, shares of a mixture, what momentum has built up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.deferred import DeferredQueue, Pending
from learning.state import State

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Kept:
    """Parts works, (n, P + ...), into what is sent, the first P columns, and what states of the terminals take in.

    A lost update is forgotten, and what its terminal would have kept with it.

    Args:
        queue: where the work is deferred to.
        sent: P.
        states: (terminals, ...) each; their columns follow in this order in a work.
    """

    def __init__(self, queue: DeferredQueue, sent: int, states: Sequence[State | None]) -> None:
        self._queue, self._sent = queue, sent
        self._states = [state for state in states if state is not None]

    def part(self, terminals: IntArray, work: Pending, arrived: BoolArray) -> Pending:
        """Let the senders keep their own, and return the (n, P) models they have sent.

        Args:
            terminals: (n,) whose work it is.
            work: of all of them.
            arrived: (n,) whose update arrived.
        """
        if not self._states:
            return work
        who = terminals[arrived]
        self._queue.submit(self._keep, (who, work, arrived), writes=[(state, who) for state in self._states])
        return self._queue.submit(self._models, (work,))

    def _keep(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for who, work, arrived in batch:
            first = self._sent
            for state in self._states:
                last = first + state.values.shape[1]
                state.values[who] = work[arrived, first:last]
                first = last
        return [None] * len(batch)

    def _models(self, batch: list[tuple[Array]]) -> list[Array]:
        return [work[:, : self._sent] for (work,) in batch]
