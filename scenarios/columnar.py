"""Tables kept as columns, which can still be read row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length.

    Attributes:
        columns: name -> (n,) array.
    """

    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, row: int) -> Row:
        return {name: values[row : row + 1].tolist()[0] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[Row]:
        names = list(self.columns)
        for values in zip(*(column.tolist() for column in self.columns.values()), strict=True):
            yield dict(zip(names, values, strict=True))

    def __repr__(self) -> str:
        return f"Table({list(self)})"


Part = Table | list[Row]


class Chapters(Sequence[Row]):
    """Rows one part after the other: a row has the columns of its part.

    Args:
        parts: tables, or lists of rows.
    """

    def __init__(self, parts: Sequence[Part] = ()) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        left = range(len(self))[index]
        for part in self.parts:
            if left < len(part):
                return part[left]
            left -= len(part)
        raise AssertionError("a range has just said that there is such a row")

    def __iter__(self) -> Iterator[Row]:
        for part in self.parts:
            yield from part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chapters) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Chapters({list(self)})"

    @property
    def columns(self) -> dict[str, list[Any]]:
        """All columns in the order in which they first occur; NaN where a row has none."""
        parts = [part.columns if isinstance(part, Table) else _columns(part) for part in self.parts]
        names = dict.fromkeys(name for part in parts for name in part)
        merged: dict[str, list[Any]] = {name: [] for name in names}
        for part, length in zip(parts, map(len, self.parts), strict=True):
            for name, values in merged.items():
                own = part.get(name)
                values += [nan] * length if own is None else own if isinstance(own, list) else own.tolist()
        return merged


def stamped(rows: Sequence[Mapping[str, Any]], stamp: Row) -> list[Part]:
    """Return rows, in parts if they are chapters, with the same columns in front of every one."""
    parts = rows.parts if isinstance(rows, Chapters) else [rows]
    return [_stamped(part, stamp) for part in parts if len(part)]


def _stamped(part: Table | Sequence[Mapping[str, Any]], stamp: Row) -> Part:
    if isinstance(part, Table):
        return Table({name: np.full(len(part), value) for name, value in stamp.items()} | part.columns)
    return [stamp | dict(row) for row in part]


def _columns(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row.get(name, nan) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
