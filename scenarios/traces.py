"""Measured behaviour of devices from CSV files, checked row by row: speeds, presence, and rates of the uplink.

A file has a header and one row a line; columns may stand in any order, further ones are ignored. Rows of one trace are
ascending in time. docs/traces.md describes the formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from scenarios.csv_rows import Row, read_rows, read_text
from scenarios.equipment import Traces

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
    return [read_text(f"terminals.traces.{name}", path).encode() for name, path in paths.items() if path]


def _by_trace(rows: list[Row]) -> Iterator[list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.values["trace"], []).append(row)
    yield from grouped.values()


def _read_speeds(path: str) -> tuple[float, ...]:
    speeds = []
    for row in read_rows("terminals.traces.speed_csv", path, ("speed",)):
        speeds.append(row.number("speed"))
        row.require(speeds[-1] > 0.0, "speed", "a number > 0")
    return tuple(speeds)


def _read_presences(path: str, repeat_s: float) -> tuple[Pairs, ...]:
    traces = []
    for rows in _by_trace(read_rows("terminals.traces.availability_csv", path, ("trace", "on_s", "off_s"))):
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
    for rows in _by_trace(read_rows("terminals.traces.bandwidth_csv", path, ("trace", "time_s", "factor"))):
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
