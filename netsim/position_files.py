"""Places that users bring along: CSV files of sites and of terminals."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import ScenarioError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def read_sites(path: str, count: int) -> tuple[FloatArray, FloatArray]:
    """Return positions (count, 2) in metres and azimuths (count,) in degrees of the first ``count`` sites in a file.

    Args:
        path: CSV with the columns x_m, y_m and, if antennas shall face other ways than usual, azimuth_deg.
        count: number of sites wanted; further rows are not used.

    Raises:
        ScenarioError: the file cannot be read, has other columns, a value that is no number, or too few rows.
    """
    table = _read("sites_csv", path, ("x_m", "y_m"), ("azimuth_deg",))
    if len(table["x_m"]) < count:
        raise ScenarioError("rows", len(table["x_m"]), f"at least {count}, one for each site", path)
    xy_m = np.stack([table["x_m"], table["y_m"]], axis=1)[:count]
    return xy_m, table["azimuth_deg"][:count] if "azimuth_deg" in table else np.full(count, np.nan)


def read_terminals(path: str, wanted: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the positions of terminals, those of each base station together and in the order of their rows.

    Args:
        path: CSV with the columns base_station (0, 1, ...), x_m and y_m.
        wanted: (sites,) number of terminals of each base station; its further rows are not used.

    Returns:
        (rows, 2) positions in metres, and (sites,) the first row of each base station among them.

    Raises:
        ScenarioError: the file cannot be read, has other columns, a value that is no number, a base station that does
            not exist, or too few rows for one of them.
    """
    table, sites = _read("terminals_csv", path, ("base_station", "x_m", "y_m"), ()), len(wanted)
    for row, station in enumerate(table["base_station"].tolist(), 2):
        if not (station.is_integer() and 0 <= station < sites):
            raise ScenarioError(f"row {row}, base_station", station, f"a whole number from 0 to {sites - 1}", path)
    owner = table["base_station"].astype(np.int64)
    offered = np.bincount(owner, minlength=sites)
    for station in np.flatnonzero(offered < wanted).tolist():
        allowed = f"at least {wanted[station]}, one for each of its terminals"
        raise ScenarioError(f"rows of base_station {station}", int(offered[station]), allowed, path)
    order = np.argsort(owner, kind="stable")
    return np.stack([table["x_m"], table["y_m"]], axis=1)[order], np.cumsum(offered) - offered


def _read(field: str, path: str, needed: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, FloatArray]:
    """Return the columns of a CSV file of finite numbers; rows count from the header, which is row 1."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not CSV text"
        raise ScenarioError(f"network.layout.{field}", path, f"a readable CSV file ({reason.lower()})") from None
    while lines and not lines[-1]:
        lines.pop()
    header = [name.strip() for name in lines[0]] if lines else []
    if missing := [name for name in needed if name not in header]:
        raise ScenarioError("columns", ",".join(header), f"columns {_listed(needed)}; {missing[0]} is missing", path)
    if unknown := [name for name in header if name not in needed + optional or header.count(name) > 1]:
        raise ScenarioError("column", unknown[0], f"{_listed(needed + optional)}, each once", path)
    columns: dict[str, list[float]] = {name: [] for name in header}
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(header):
            raise ScenarioError(f"row {number}", ",".join(line), f"{len(header)} values", path)
        for name, text in zip(header, line, strict=True):
            columns[name].append(_number(text, f"row {number}, {name}", path))
    return {name: np.array(values, np.float64) for name, values in columns.items()}


def _number(text: str, field: str, path: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ScenarioError(field, text, "a finite number", path)
    return value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
