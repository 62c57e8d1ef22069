"""Motion as a file says: places at given times, straight lines in between, standing still before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from netsim.mobility.area import FloatArray, IntArray
from netsim.mobility.paths import Legs, Paths
from scenarios.csv_rows import read_rows


def read_traces(path: str, terminals: int) -> dict[int, FloatArray]:
    """Return for every terminal in a CSV file its (points, 3) times, x and y, in order of time.

    Raises:
        ScenarioError: the file cannot be read, lacks a column, holds something else than finite numbers, a terminal
            that is not there, or two places of a terminal at one time.
    """
    points: defaultdict[int, dict[float, FloatArray]] = defaultdict(dict)
    for row in read_rows("mobility.trace_path", path, ("terminal", "time_s", "x_m", "y_m")):
        terminal, time_s = row.whole("terminal", terminals), row.number("time_s")
        row.require(time_s not in points[terminal], "time_s", "one place of a terminal at a time")
        points[terminal][time_s] = np.array([time_s, row.number("x_m"), row.number("y_m")])
    return {
        terminal: np.array([there[time_s] for time_s in sorted(there)]) for terminal, there in sorted(points.items())
    }


class Traces(Paths):
    """Terminals that go where their traces say.

    Args:
        points: (points, 3) times, x and y of every terminal, in the order of the terminals.
    """

    def __init__(self, points: Mapping[int, FloatArray]) -> None:
        super().__init__(len(points))
        lengths = np.array([len(rows) for rows in points.values()])
        self._points = np.concatenate(list(points.values()))
        self._last = np.cumsum(lengths) - 1
        self._begin = self._last - lengths + 1

    def at_rest_from_s(self) -> float:
        """Return the time of the last point of all."""
        return float(self._points[self._last, 0].max())

    def _first(self) -> Legs:
        """Stand until the first point after time 0, or be on the way to it already."""
        return self._leg_to(np.array([self._ahead(i) for i in self._all.tolist()]))

    def _ahead(self, row: int) -> int:
        """Return the first point of a terminal after time 0, one past its last if there is none."""
        times_s = self._points[self._begin[row] : self._last[row] + 1, 0]
        return int(self._begin[row] + np.searchsorted(times_s, 0.0, side="right"))

    def _next(self, rows: IntArray, leg: IntArray, here_m: FloatArray) -> Legs:
        return self._leg_to(self._goal[rows] + 1, rows)

    def _leg_to(self, goal: IntArray, rows: IntArray | slice = slice(None)) -> Legs:
        """Return the legs that lead to the points ``goal``."""
        if isinstance(rows, slice):
            self._goal = goal
        else:
            self._goal[rows] = goal
        before = np.maximum(goal - 1, self._begin[rows])
        after = np.minimum(goal, self._last[rows])
        start, end = self._points[before], self._points[after]
        gap_s = end[:, 0] - start[:, 0]
        velocity = (end[:, 1:] - start[:, 1:]) / np.where(gap_s > 0.0, gap_s, np.inf)[:, None]
        since_s = self._since_s[rows]
        from_m = start[:, 1:] + velocity * (since_s - start[:, 0])[:, None]
        lasts_s = np.where(goal > self._last[rows], np.inf, end[:, 0] - since_s)
        return Legs(from_m, velocity, lasts_s)
