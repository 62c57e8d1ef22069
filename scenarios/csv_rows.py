"""CSV files that users bring along, read row by row, so that whatever is wrong is told with its row.

A file has a header and at least one row of values; columns may stand in any order. Rows count from the header, row 1.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from scenarios.errors import ScenarioError


@dataclass(frozen=True)
class Row:
    """One line of a file, and how to complain about it."""

    path: str
    line: int
    values: dict[str, str]

    def number(self, column: str) -> float:
        """Return a finite number, or raise ScenarioError."""
        text = self.values[column]
        try:
            value = float(text)
        except ValueError:
            value = inf
        self.require(isfinite(value), column, "a finite number")
        return value

    def whole(self, column: str, below: int) -> int:
        """Return a whole number from 0 to ``below`` - 1, or raise ScenarioError."""
        value = self.number(column)
        self.require(value.is_integer() and 0 <= value < below, column, f"a whole number from 0 to {below - 1}")
        return int(value)

    def require(self, holds: bool, column: str, allowed: str) -> None:
        """Raise ScenarioError unless what is in a column ``holds``."""
        if not holds:
            raise ScenarioError(column, self.values[column], allowed, f"{self.path}, row {self.line}")


def read_text(field: str, path: str) -> str:
    """Return what is in a file.

    Raises:
        ScenarioError: ``field`` names a file that cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "").lower() or "not UTF-8 text"
        raise ScenarioError(field, path, f"a readable CSV file ({reason})") from None


def read_rows(field: str, path: str, columns: tuple[str, ...], optional: tuple[str, ...] | None = None) -> list[Row]:
    """Return all rows of a file.

    Args:
        field: the scenario's field that names the file.
        path: where it is.
        columns: those it must have, with a value in every row.
        optional: those it may have besides, no others; None: any, which are ignored.

    Raises:
        ScenarioError: the file cannot be read, has other columns, no row, or a row without a value.
    """
    lines = csv.DictReader(read_text(field, path).splitlines(), skipinitialspace=True)
    header = [name.strip() for name in lines.fieldnames or ()]
    lines.fieldnames = header
    wanted = columns + tuple(name for name in optional or () if name in header)
    strangers = [] if optional is None else [name for name in header if name not in wanted]
    twice = [name for name in wanted if header.count(name) > 1]
    if strangers or twice or not set(columns) <= set(header):
        allowed = "columns " + ", ".join(columns) + (f" and perhaps {', '.join(optional)}" if optional else "")
        raise ScenarioError("header", ",".join(header), f"{allowed}, each once", path)
    rows = []
    for values in lines:
        row = Row(path, lines.line_num, {column: (values[column] or "").strip() for column in wanted})
        for column in wanted:
            row.require(row.values[column] != "", column, "a value")
        rows.append(row)
    if not rows:
        raise ScenarioError("rows", 0, "at least one row", path)
    return rows
