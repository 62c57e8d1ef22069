"""Measured behaviour of devices from CSV files, checked row by row: speeds, presence, and rates of the uplink.

A file has a header and one row a line; columns may stand in any order, further ones are ignored. Rows of one trace are
ascending in time. docs/traces.md describes the formats.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from scenarios.equipment import Traces
from scenarios.errors import ScenarioError

Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TraceSet:
    """The traces of a scenario, in the order in which the files name them first; None where there is no file.

    Attributes:
        speeds: relative speed of each trace.
        presences: (on_s, off_s) intervals of each trace.
        bandwidths: (time_s, factor) steps of each trace; the first is at 0.
    """

    speeds: tuple[float, ...] | None = None
    presences: tuple[Pairs, ...] | None = None
    bandwidths: tuple[Pairs, ...] | None = None


@dataclass(frozen=True)
class _Row:
    """One line of a file, and how to complain about it."""

    path: str
    line: int
    values: dict[str, str]

    def number(self, column: str) -> float:
        text = self.values[column]
        try:
            value = float(text)
        except ValueError:
            value = inf
        self.require(isfinite(value), column, "a finite number")
        return value

    def require(self, holds: bool, column: str, allowed: str) -> None:
        if not holds:
            raise ScenarioError(column, self.values[column], allowed, f"{self.path}, row {self.line}")


def read_traces(section: Traces | None) -> TraceSet:
    """Read what a scenario names.

    Raises:
        ScenarioError: a file or a row is bad; one line that names file, row, value and what is allowed.
    """
    if section is None:
        return TraceSet()
    return TraceSet(
        _read_speeds(section.speed_csv) if section.speed_csv else None,
        _read_presences(section.availability_csv, section.repeat_s or inf) if section.availability_csv else None,
        _read_bandwidths(section.bandwidth_csv, section.repeat_s or inf) if section.bandwidth_csv else None,
    )


def trace_bytes(section: Traces | None) -> list[bytes]:
    """Return the contents of the files a scenario names: results depend on them."""
    names = ("speed_csv", "availability_csv", "bandwidth_csv")
    paths = {name: getattr(section, name) for name in names} if section else {}
    return [_text(f"terminals.traces.{name}", path).encode() for name, path in paths.items() if path]


def _text(field: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "").lower() or "not UTF-8 text"
        raise ScenarioError(field, path, f"a readable CSV file ({reason})") from None


def _rows(field: str, path: str, columns: tuple[str, ...]) -> list[_Row]:
    """Return all rows of a file that has ``columns``, at least one."""
    lines = csv.DictReader(_text(field, path).splitlines(), skipinitialspace=True)
    for column in columns:
        if column not in (lines.fieldnames or ()):
            header = ",".join(lines.fieldnames or ())
            raise ScenarioError("header", header, "columns " + ", ".join(columns), path)
    rows = []
    for values in lines:
        row = _Row(path, lines.line_num, {column: (values[column] or "").strip() for column in columns})
        for column in columns:
            row.require(row.values[column] != "", column, "a value")
        rows.append(row)
    if not rows:
        raise ScenarioError("rows", 0, "at least one row", path)
    return rows


def _by_trace(rows: list[_Row]) -> Iterator[list[_Row]]:
    grouped: dict[str, list[_Row]] = {}
    for row in rows:
        grouped.setdefault(row.values["trace"], []).append(row)
    yield from grouped.values()


def _read_speeds(path: str) -> tuple[float, ...]:
    speeds = []
    for row in _rows("terminals.traces.speed_csv", path, ("speed",)):
        speeds.append(row.number("speed"))
        row.require(speeds[-1] > 0.0, "speed", "a number > 0")
    return tuple(speeds)


def _read_presences(path: str, repeat_s: float) -> tuple[Pairs, ...]:
    traces = []
    for rows in _by_trace(_rows("terminals.traces.availability_csv", path, ("trace", "on_s", "off_s"))):
        trace, before_s = [], 0.0
        for row in rows:
            on_s, off_s = row.number("on_s"), row.number("off_s")
            row.require(on_s >= before_s, "on_s", f"a time >= {before_s:g}, where this trace's interval before ends")
            row.require(off_s > on_s, "off_s", f"a time > on_s = {on_s:g}")
            row.require(off_s <= repeat_s, "off_s", f"a time <= terminals.traces.repeat_s = {repeat_s:g}")
            trace.append((on_s, off_s))
            before_s = off_s
        traces.append(tuple(trace))
    return tuple(traces)


def _read_bandwidths(path: str, repeat_s: float) -> tuple[Pairs, ...]:
    traces = []
    for rows in _by_trace(_rows("terminals.traces.bandwidth_csv", path, ("trace", "time_s", "factor"))):
        trace: list[tuple[float, float]] = []
        for row in rows:
            time_s, factor = row.number("time_s"), row.number("factor")
            row.require(bool(trace) or time_s == 0.0, "time_s", "0 in the first row of a trace")
            row.require(not trace or time_s > trace[-1][0], "time_s", "a time after that of this trace's row before")
            row.require(time_s < repeat_s, "time_s", f"a time < terminals.traces.repeat_s = {repeat_s:g}")
            row.require(factor >= 0.0, "factor", "a number >= 0")
            trace.append((time_s, factor))
        lasting = [factor for _, factor in trace] if repeat_s < inf else [trace[-1][1]]
        rows[-1].require(max(lasting) > 0.0, "factor", "a number > 0, or the link would be dead for good")
        traces.append(tuple(trace))
    return tuple(traces)
