"""Places that users bring along: CSV files of sites and of terminals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.csv_rows import Row, read_rows
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
    rows = read_rows("network.layout.sites_csv", path, ("x_m", "y_m"), ("azimuth_deg",))
    if len(rows) < count:
        raise ScenarioError("rows", len(rows), f"at least {count}, one for each site", path)
    sites = rows[:count]
    facing = "azimuth_deg" in sites[0].values
    azimuth_deg = [row.number("azimuth_deg") if facing else math.nan for row in sites]
    return _places(sites), np.array(azimuth_deg)


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
    rows, sites = read_rows("network.layout.terminals_csv", path, ("base_station", "x_m", "y_m"), ()), len(wanted)
    owner = np.array([row.whole("base_station", sites) for row in rows])
    offered = np.bincount(owner, minlength=sites)
    for station in np.flatnonzero(offered < wanted).tolist():
        allowed = f"at least {wanted[station]}, one for each of its terminals"
        raise ScenarioError(f"rows of base_station {station}", int(offered[station]), allowed, path)
    order = np.argsort(owner, kind="stable")
    return _places(rows)[order], np.cumsum(offered) - offered


def _places(rows: list[Row]) -> FloatArray:
    """(rows, 2) metres."""
    return np.array([[row.number("x_m"), row.number("y_m")] for row in rows])
