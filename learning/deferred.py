"""Time never waits for maths: operations are submitted as events happen and run, batched, when a value is needed.

Operations form a graph in event order. An operation depends on the pending values among its arguments, and on the
state it reads and writes: rows of arrays that are changed in place, such as the models of base stations. Ranks follow
the hazards of a scoreboard (read after write, write after read, write after write), so running rank by rank, all
operations of a kind together, gives exactly what running each at once would give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Kernel = Callable[[list[tuple[Any, ...]]], Sequence[Any]]
"""Runs a batch: one tuple of arguments per operation in, one value per operation out."""


class Pending:
    """A value that will be there after the queue is flushed."""

    __slots__ = ("_value", "rank", "ready")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.ready = False
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The value.

        Raises:
            RuntimeError: the queue has not been flushed since the operation was submitted.
        """
        if not self.ready:
            raise RuntimeError("this value is still pending: flush the queue first")
        return self._value

    def resolve(self, value: Any) -> None:
        """Store the value."""
        self._value, self.ready = value, True


class Slots:
    """Rows of state that operations change in place, as far as the queue must know: when each is used.

    Args:
        count: number of rows.
    """

    __slots__ = ("read", "written")

    def __init__(self, count: int) -> None:
        self.written = np.zeros(count, np.int64)
        self.read = np.zeros(count, np.int64)


Rows = tuple[Slots, NDArray[np.int64] | slice]
"""Some rows of some state."""
ALL = slice(None)
_LAST = 2**62  # a rank no other operation comes to


class DeferredQueue:
    """Operations waiting to be run.

    Args:
        eager: run every operation at once, alone; the results are the same, slower.
        capacity: run what waits when it has become this much, so that a long run needs no more memory than that.
    """

    def __init__(self, eager: bool = False, capacity: int = 100_000) -> None:
        self.eager = eager
        self._capacity = 1 if eager else capacity
        self._weight = 0
        self._waiting: dict[tuple[int, Kernel], list[tuple[tuple[Any, ...], Pending]]] = {}
        # Ranks grow for ever: those of earlier flushes are at most this and bind nobody any more.
        self._done = 0

    def submit(
        self,
        kernel: Kernel,
        arguments: tuple[Any, ...],
        reads: Sequence[Rows] = (),
        writes: Sequence[Rows] = (),
        weight: int = 1,
        last: bool = False,
    ) -> Pending:
        """Add an operation.

        Args:
            kernel: what runs it; operations of equal rank with the same kernel run in one call.
            arguments: values; a :class:`Pending` among them is replaced by its value. None may change afterwards.
            reads: state the kernel uses.
            writes: state the kernel changes; what it reads of it need not be named again.
            last: run it after everything else, with all others of its kind in one call: for results that no operation
                uses, such as measurements. It may use pending values, but no state.
            weight: how much of the queue's capacity it takes, e.g. the number of terminals at work; at least 1.

        Returns:
            The operation's value, pending unless the queue is eager.
        """
        result = Pending(_LAST if last else self._rank(arguments, reads, writes))
        self._waiting.setdefault((result.rank, kernel), []).append((arguments, result))
        self._weight += max(weight, 1)
        if self._weight >= self._capacity:
            self.flush()
        return result

    def _rank(self, arguments: tuple[Any, ...], reads: Sequence[Rows], writes: Sequence[Rows]) -> int:
        """Return the first rank at which an operation may run, and note what it uses."""
        rank = 1 + max((a.rank for a in arguments if isinstance(a, Pending)), default=0)
        rank = max(rank, self._done + 1)
        for slots, rows in reads:
            rank = max(rank, 1 + int(slots.written[rows].max(initial=0)))
        for slots, rows in writes:
            rank = max(rank, 1 + int(slots.written[rows].max(initial=0)), 1 + int(slots.read[rows].max(initial=0)))
        for slots, rows in reads:
            slots.read[rows] = np.maximum(slots.read[rows], rank)
        for slots, rows in writes:
            slots.written[rows] = rank
        return rank

    def flush(self) -> None:
        """Run everything that waits, lower ranks first."""
        for key in sorted(self._waiting, key=lambda key: key[0]):  # stable: kinds stay in order of submission
            batch = self._waiting[key]
            values = key[1]([tuple(map(_resolved, arguments)) for arguments, _ in batch])
            for (_, result), value in zip(batch, values, strict=True):
                result.resolve(value)
            if key[0] < _LAST:
                self._done = key[0]
        self._waiting.clear()
        self._weight = 0


def _resolved(argument: Any) -> Any:
    return argument.value if isinstance(argument, Pending) else argument
