"""Time never waits for maths: operations are submitted as events happen and run, batched, when a value is needed.

Operations form a graph in event order. An operation depends on the pending values among its arguments, and on the
*slots* it reads and writes: names of state that is changed in place, such as one terminal's dual variables. Ranks
follow the hazards of a scoreboard (read after write, write after read, write after write), so running rank by rank,
all operations of a kind together, gives exactly what running each at once would give.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

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


class DeferredQueue:
    """Operations waiting to be run.

    Args:
        eager: run every operation at once, alone; the results are the same, slower.
        capacity: run what waits when it has become this much, so that a long run needs no more memory than that.
    """

    def __init__(self, eager: bool = False, capacity: int = 100_000) -> None:
        self.eager = eager
        self._capacity = 1 if eager else capacity
        self._count = 0
        self._waiting: dict[tuple[int, Kernel], list[tuple[tuple[Any, ...], Pending]]] = {}
        self._written: dict[Hashable, int] = {}
        self._read: dict[Hashable, int] = {}

    def submit(
        self,
        kernel: Kernel,
        arguments: tuple[Any, ...],
        reads: Sequence[Hashable] = (),
        writes: Sequence[Hashable] = (),
    ) -> Pending:
        """Add an operation.

        Args:
            kernel: what runs it; operations of equal rank with the same kernel run in one call.
            arguments: values; a :class:`Pending`, alone or inside a list, is replaced by its value. The list must
                not change afterwards.
            reads: slots whose state the kernel uses.
            writes: slots whose state the kernel changes.

        Returns:
            The operation's value, pending unless the queue is eager.
        """
        rank = 1 + _highest_rank(arguments)
        for slot in reads:
            rank = max(rank, self._written.get(slot, 0) + 1)
        for slot in writes:
            rank = max(rank, self._written.get(slot, 0) + 1, self._read.get(slot, 0) + 1)
        for slot in reads:
            self._read[slot] = max(rank, self._read.get(slot, 0))
        for slot in writes:
            self._written[slot] = rank
        result = Pending(rank)
        self._waiting.setdefault((rank, kernel), []).append((arguments, result))
        self._count += 1
        if self._count >= self._capacity:
            self.flush()
        return result

    def flush(self) -> None:
        """Run everything that waits, lower ranks first."""
        for key in sorted(self._waiting, key=lambda key: key[0]):  # stable: kinds stay in order of submission
            batch = self._waiting[key]
            values = key[1]([tuple(map(_resolved, arguments)) for arguments, _ in batch])
            for (_, result), value in zip(batch, values, strict=True):
                result.resolve(value)
                result.rank = 0
        self._waiting.clear()
        self._count = 0
        self._written.clear()
        self._read.clear()


def _highest_rank(arguments: Sequence[Any]) -> int:
    """Return the largest rank among the pending values in the arguments; plain loops, as this is done per operation."""
    highest = 0
    for argument in arguments:
        if isinstance(argument, Pending):
            if argument.rank > highest:
                highest = argument.rank
        elif isinstance(argument, list):
            for item in argument:
                if isinstance(item, Pending) and item.rank > highest:
                    highest = item.rank
    return highest


def _resolved(argument: Any) -> Any:
    if isinstance(argument, Pending):
        return argument.value
    if isinstance(argument, list):
        return [item.value if isinstance(item, Pending) else item for item in argument]
    return argument
