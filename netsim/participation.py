"""What became of every assignment: one row a terminal and base-station iteration, kept as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTCOMES = ("merged", "late", "dropped", "unavailable")
"""merged: its update counts; late: it was no longer wanted; dropped: it left on the way; unavailable: not asked."""

_KINDS: dict[str, Any] = {"int": np.int64, "float": np.float64, "str": object}


@dataclass
class Participation:
    """What became of one assignment.

    Attributes:
        base_station, terminal: who.
        cloud_round, edge_round: when; ``edge_round`` counts the base station's iterations from 0.
        outcome: one of :data:`OUTCOMES`.
        start_s: when the model had been received; for an unavailable terminal, when it was passed over.
        compute_s, upload_s: how long it computed and was busy uploading; NaN for what it did not come to.
        finish_s: when its update arrived, NaN if it did not.
        samples, fixed_samples: rows visited, and those of them that do not grow with H.
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


COLUMNS = {field.name: _KINDS[str(field.type)] for field in fields(Participation)}
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
        """Add many rows: every column of :data:`COLUMNS`."""
        self._close()
        self._blocks.append(block)
        self._length += len(block["terminal"])

    def _close(self) -> None:
        """Turn single rows into a block."""
        if self._rows:
            columns = zip(*(tuple(vars(row).values()) for row in self._rows), strict=True)
            named = zip(COLUMNS.items(), columns, strict=True)
            self._blocks.append({name: np.array(values, kind) for (name, kind), values in named})
            self._rows = []

    def since(self, first: int) -> Columns:
        """Return the columns of all rows from number ``first`` on."""
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
        return {name: np.concatenate([block[name] for block in blocks])[skip:] for name in COLUMNS}
