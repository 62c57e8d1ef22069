"""What became of every assignment: one row a terminal and base-station iteration, kept as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTCOMES = ("merged", "late", "dropped", "unavailable")
"""merged: its update counts; late: it was no longer wanted; dropped: it left on the way; unavailable: not asked."""
MERGED, LATE, DROPPED, UNAVAILABLE = range(len(OUTCOMES))
"""What columns say for them."""

_NAMES = np.array(OUTCOMES, object)
_CODES = {name: code for code, name in enumerate(OUTCOMES)}
_KINDS: dict[str, Any] = {"int": np.int64, "float": np.float64, "str": np.int8}


@dataclass
class Participation:
    """What became of one assignment.

    Attributes:
        base_station, terminal: who.
        cloud_round, edge_round: when; ``edge_round`` counts the base station's iterations from 0.
        outcome: one of :data:`OUTCOMES`; in columns its index there.
        start_s: when the model had been received; for an unavailable terminal, when it was passed over.
        compute_s, upload_s: how long it computed and was busy uploading; NaN for what it did not come to.
        finish_s: when its update arrived, NaN if it did not.
        samples, fixed_samples: rows visited, and those of them that do not grow with H.
        staleness: by how many versions the model had moved on, NaN where that has no meaning.
    """

    base_station: int
    cloud_round: int
    edge_round: int
    terminal: int
    outcome: str
    start_s: float
    compute_s: float = nan
    upload_s: float = nan
    finish_s: float = nan
    samples: float = 0.0
    fixed_samples: float = 0.0
    staleness: float = nan


SOMETIMES = ("staleness",)
"""Columns that are there only if some row says something in them."""
COLUMNS = {field.name: _KINDS[str(field.type)] for field in fields(Participation) if field.name not in SOMETIMES}
Columns = dict[str, NDArray[Any]]


class ParticipationLog:
    """Rows in the order in which they were written, one at a time or many."""

    def __init__(self) -> None:
        self._blocks: list[Columns] = []
        self._rows: list[Participation] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, row: Participation) -> None:
        """Add a row."""
        self._rows.append(row)
        self._length += 1

    def extend(self, block: Columns) -> None:
        """Add many rows: every column of :data:`COLUMNS`, and of :data:`SOMETIMES` if they say something."""
        self._close()
        self._blocks.append(block)
        self._length += len(block["terminal"])

    def _close(self) -> None:
        """Turn single rows into a block."""
        if self._rows:
            kinds = COLUMNS | dict.fromkeys(SOMETIMES, np.float64)
            columns = dict(
                zip(kinds, zip(*(tuple(vars(row).values()) for row in self._rows), strict=True), strict=True)
            )
            columns["outcome"] = tuple(map(_CODES.__getitem__, columns["outcome"]))
            block = {name: np.array(columns[name], kind) for name, kind in kinds.items()}
            self._blocks.append(
                {name: block[name] for name in block if name in COLUMNS or not _says_nothing(block[name])}
            )
            self._rows = []

    def since(self, first: int) -> Columns:
        """Return the columns of all rows from number ``first`` on, not to be written into."""
        self._close()
        wanted, start = [], self._length
        for block in reversed(self._blocks):
            if start <= first:
                break
            wanted.append(block)
            start -= len(block["terminal"])
        blocks = wanted[::-1]
        skip = max(0, first - start)
        if not blocks:
            return {name: np.zeros(0, kind) for name, kind in COLUMNS.items()}
        names = [*COLUMNS, *(name for name in SOMETIMES if any(name in block for block in blocks))]
        if len(blocks) == 1:
            return {name: blocks[0][name][skip:] for name in names}
        return {name: np.concatenate([_column(block, name) for block in blocks])[skip:] for name in names}


def with_names(columns: Columns) -> Columns:
    """Return columns in which outcomes are called by their names."""
    return columns | {"outcome": _NAMES[columns["outcome"]]}


def count(columns: Columns) -> list[int]:
    """Return how many assignments came to each of :data:`OUTCOMES`."""
    return np.bincount(columns["outcome"], minlength=len(OUTCOMES)).tolist()


def _says_nothing(column: NDArray[Any]) -> bool:
    return bool(np.isnan(column).all())


def _column(block: Columns, name: str) -> NDArray[Any]:
    return block[name] if name in block else np.full(len(block["terminal"]), nan)
