"""Train, validation and test as contiguous blocks of each recording, the way a device meets its data in time.

Neighbouring windows of a recording resemble each other, so a random split lets a model look up its test rows;
blocks keep them apart. Where the blocks begin is drawn from the run's seed, which gives the spread over seeds
its meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

_UNUSED, _TRAIN, _VALIDATION, _TEST = -1, 0, 1, 2


@dataclass(frozen=True)
class BlockSplit:
    """Shares of each recording's rows; what they leave of 1 is not used.

    Args:
        train_fraction: above 0. At least one row of each recording is trained on.
        validation_fraction: 0 gives no validation block.
        test_fraction: above 0. Rows left over by rounding go here when the shares add up to 1.

    Raises:
        ScenarioError: a share out of range, or a sum above 1.
    """

    train_fraction: float = 0.15
    validation_fraction: float = 0.15
    test_fraction: float = 0.7

    def __post_init__(self) -> None:
        for name in ("train_fraction", "test_fraction"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ScenarioError(f"data.split.{name}", getattr(self, name), "above 0 and below 1")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ScenarioError("data.split.validation_fraction", self.validation_fraction, "0 or more, below 1")
        if self._total > 1.0 + 1e-9:
            raise ScenarioError("data.split", self._total, "fractions that add up to at most 1")

    @property
    def _total(self) -> float:
        return self.train_fraction + self.validation_fraction + self.test_fraction

    def sizes(self, rows: int) -> tuple[int, int, int]:
        """Return how many of a recording's ``rows`` go to (train, validation, test).

        When there are too few for all, train is served first, then test, then validation.
        """
        train = min(rows, max(1, round(self.train_fraction * rows)))
        test = min(rows - train, max(1, round(self.test_fraction * rows)))
        wanted = max(1, round(self.validation_fraction * rows)) if self.validation_fraction > 0 else 0
        validation = min(rows - train - test, wanted)
        if self._total > 1.0 - 1e-9:
            test = rows - train - validation
        return train, validation, test


@dataclass(frozen=True, eq=False)
class Blocks:
    """Row numbers of one task's three blocks, each ``(k,)`` int64 in order of recording and time."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def stable_index(*parts: object) -> int:
    """Return a 32-bit number for a name, the same on every machine and whatever other names there are."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def cut_blocks(task: TaskRecords, split: BlockSplit, streams: Streams) -> Blocks:
    """Cut each recording of a task into train, validation and test blocks.

    A recording's rows, in time order and closed to a ring, are cut into the three blocks from a drawn offset
    on. A row whose span overlaps that of a row in an earlier block (train before validation before test) is
    dropped, at the seam of the ring as anywhere else. When labels are -1/+1 and some class is missing from
    train or test, all offsets move on by one row until both hold both: with a single recording that finds a
    way if there is one.

    Args:
        task: the rows.
        split: the shares.
        streams: the run's randomness; the offset is a function of seed, task name and recording only.

    Returns:
        Disjoint blocks; validation may be empty, train and test are not.

    Raises:
        ScenarioError: no offset leaves both classes (or, for regression, any row) in train and in test.
    """
    order = np.lexsort((task.stop, task.start, task.recording))
    recording, labels = task.recording[order], task.labels[order]
    start, stop = task.start[order], task.stop[order]
    # One row of a class cannot stand on both sides, whatever the offset.
    hopeless = _are_classes(labels) and np.unique(labels, return_counts=True)[1].min() < 2
    for block in () if hopeless else _rings(task.name, recording, split, streams):
        if not _complete(block, labels):
            continue
        block = _without_leaks(block, start, stop, recording)
        if _complete(block, labels):
            return Blocks(*(order[block == kind] for kind in (_TRAIN, _VALIDATION, _TEST)))
    raise ScenarioError("data.split", _thin(task), _REMEDY)


def _rings(name: str, recording: NDArray[np.int64], split: BlockSplit, streams: Streams) -> Iterator[NDArray[np.int64]]:
    """Yield the block of every row for the drawn offsets, then for these moved on by 1, 2, ... rows.

    Args:
        name: the task's name.
        recording: ``(n,)`` ascending; the rows of a recording stand in time order.
        split: the shares.
        streams: the run's randomness.
    """
    ids, first, counts = np.unique(recording, return_index=True, return_counts=True)
    entities = np.array([stable_index(name, identity) for identity in ids], dtype=np.uint64)
    offsets = np.floor(streams.uniform("split", entity=entities) * counts).astype(np.int64)
    edges = np.cumsum([split.sizes(int(count)) for count in counts], axis=1)  # (recordings, 3)
    from_offset = np.arange(len(recording)) - np.repeat(first + offsets, counts)
    ring, row_edges = np.repeat(counts, counts), np.repeat(edges, counts, axis=0)
    for shift in range(int(counts.max())):
        place = (from_offset - shift) % ring
        block = np.sum(place[:, None] >= row_edges, axis=1)
        yield np.where(block == len(row_edges[0]), _UNUSED, block)


_REMEDY = (
    "rows of every class in both train and test: change train_fraction or test_fraction, "
    "use windows that overlap less, or leave this task out"
)


def _thin(task: TaskRecords) -> str:
    recordings = len(np.unique(task.recording))
    if not _are_classes(task.labels):
        return f"task {task.name!r}: {len(task)} rows in {recordings} recordings"
    positive = np.count_nonzero(task.labels > 0)
    return f"task {task.name!r}: {positive} rows of +1, {len(task) - positive} of -1, {recordings} recordings"


def _complete(block: NDArray[np.int64], labels: NDArray[np.float64]) -> bool:
    """Return whether train and test hold rows, and, if labels are -1/+1, rows of both classes."""
    if not _are_classes(labels):
        return bool(np.any(block == _TRAIN) and np.any(block == _TEST))
    return all(np.any((block == kind) & (labels == sign)) for kind in (_TRAIN, _TEST) for sign in (-1.0, 1.0))


def _are_classes(labels: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(labels) == 1.0))


def _without_leaks(
    block: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64], recording: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return ``block`` with every row marked unused whose span overlaps an earlier block's row."""
    # Recordings are laid end to end on one axis, so that spans of different recordings cannot meet.
    length = int(stop.max() - start.min())
    _, lane = np.unique(recording, return_inverse=True)
    shift = lane * length - start.min()
    start, stop, kept = start + shift, stop + shift, block.copy()
    for kind in (_VALIDATION, _TEST):
        earlier = (kept >= _TRAIN) & (kept < kind)
        later = kept == kind
        kept[later] = np.where(overlaps(start[later], stop[later], start[earlier], stop[earlier]), _UNUSED, kept[later])
    return kept


def overlaps(
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    other_start: NDArray[np.int64],
    other_stop: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return for each half-open span ``[start, stop)`` whether it shares a sample with any other span.

    A span meets another exactly if, among the others that begin before it ends, one ends after it begins.
    """
    if len(other_start) == 0:
        return np.zeros(len(start), dtype=bool)
    order = np.argsort(other_start, kind="stable")
    reach = np.maximum.accumulate(other_stop[order])
    before = np.searchsorted(other_start[order], stop, side="left")
    return np.asarray((before > 0) & (reach[np.maximum(before, 1) - 1] > start))
