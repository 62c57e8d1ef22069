"""Random waypoint, stationary from the start.

A terminal goes straight to a place drawn uniformly from its rectangle, at a speed uniform between two limits, pauses
for a time uniform between 0 and a limit, and goes on. Seen at a random time, it is on a long way more often than on a
short one, and slow more often than fast. The state at time 0 is drawn from exactly that law (Le Boudec & Vojnovic,
"Perfect simulation and stationarity of a class of mobility models", INFOCOM 2005): on the move with the share of time
that legs take, on a leg whose density is proportional to its length, anywhere along it alike, at a speed whose density
is proportional to 1/v.
"""

from __future__ import annotations

import numpy as np

from netsim.mobility.area import Area, FloatArray, IntArray
from netsim.mobility.paths import Legs, Paths
from scenarios.streams import Streams

_MAX_TRIES = 400  # a pair of places is accepted with probability > 0.33: all fail with one below 1e-69


class RandomWaypoint(Paths):
    """Terminals between random waypoints; odd and even legs are moves and pauses in turn.

    Args:
        area: where they move.
        lowest_mps, highest_mps: (terminals,) limits of their speeds, 0 < lowest <= highest.
        pause_s: longest pause.
        entity: (terminals,) indices in the random streams.
        streams: the run's randomness.
    """

    def __init__(
        self,
        area: Area,
        lowest_mps: FloatArray,
        highest_mps: FloatArray,
        pause_s: float,
        entity: IntArray,
        streams: Streams,
    ) -> None:
        super().__init__(len(entity))
        self._area, self._lowest, self._highest, self._pause_s = area, lowest_mps, highest_mps, pause_s
        self._entity, self._streams = entity, streams
        self._goal_m = np.zeros((len(entity), 2))
        self._starts_moving = np.zeros(len(entity), np.bool_)

    def _first(self) -> Legs:
        u = self._streams.uniform("waypoint start", self._entity[:, None], draw=np.arange(3))
        moving = u[:, 0] < self._share_moving()
        from_m, goal_m = self._long_legs()
        place_m = from_m + u[:, 1, None] * (goal_m - from_m)
        speed = self._lowest * (self._highest / self._lowest) ** u[:, 2]
        way_s, velocity = _straight(place_m, goal_m, speed)
        rest_s = self._pause_s * (1.0 - np.sqrt(u[:, 2]))
        self._starts_moving = moving
        # While it pauses it is at a plain waypoint; the start of a length-biased leg is not one.
        plain_m = self._area.at(self._streams.uniform("waypoint pause", self._entity[:, None], draw=np.arange(2)))
        self._goal_m = np.where(moving[:, None], goal_m, plain_m)
        return Legs(
            np.where(moving[:, None], place_m, plain_m),
            np.where(moving[:, None], velocity, 0.0),
            np.where(moving, way_s, rest_s),
        )

    def _share_moving(self) -> FloatArray:
        """Return (terminals,) the share of time that is spent on the move."""
        slowness = np.full(len(self), np.nan)
        same = self._highest <= self._lowest * (1.0 + 1e-9)
        slowness[same] = 1.0 / self._lowest[same]
        ratio = self._highest[~same] / self._lowest[~same]
        slowness[~same] = np.log(ratio) / (self._highest[~same] - self._lowest[~same])
        leg_s = mean_distance_m(self._area.size_m[:, 0], self._area.size_m[:, 1]) * slowness
        return np.asarray(leg_s / (leg_s + self._pause_s / 2.0))

    def _long_legs(self) -> tuple[FloatArray, FloatArray]:
        """Return ends of legs (terminals, 2) each, with a density proportional to the distance between them."""
        from_m, to_m = np.zeros((len(self), 2)), np.zeros((len(self), 2))
        longest_m = np.hypot(self._area.size_m[:, 0], self._area.size_m[:, 1])
        pending = self._all
        for attempt in range(_MAX_TRIES):
            if not len(pending):
                break
            u = self._streams.uniform("waypoint leg", self._entity[pending, None], attempt, np.arange(5))
            from_m[pending], to_m[pending] = self._area.at(u[:, :2], pending), self._area.at(u[:, 2:4], pending)
            length_m = np.hypot(*(to_m[pending] - from_m[pending]).T)
            pending = pending[u[:, 4] * longest_m[pending] >= length_m]
        return from_m, to_m

    def _next(self, rows: IntArray, leg: IntArray, here_m: FloatArray) -> Legs:
        moves = (leg % 2 == 0) == self._starts_moving[rows]
        u = self._streams.uniform("waypoint", self._entity[rows, None], leg[:, None], np.arange(3))
        here_m = self._goal_m[rows]  # not rounded
        goal_m = np.where(moves[:, None], self._area.at(u[:, :2], rows), here_m)
        speed = self._lowest[rows] + u[:, 2] * (self._highest[rows] - self._lowest[rows])
        way_s, velocity = _straight(here_m, goal_m, speed)
        self._goal_m[rows] = goal_m
        return Legs(here_m, velocity, np.where(moves, way_s, self._pause_s * u[:, 2]))


def _straight(from_m: FloatArray, to_m: FloatArray, speed_mps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (m,) how long ways take and (m, 2) the velocities on them, 0 where there is no way to go."""
    way_s = np.hypot(*(to_m - from_m).T) / speed_mps
    velocity = (to_m - from_m) / np.where(way_s > 0.0, way_s, np.inf)[:, None]
    return way_s, velocity


def mean_distance_m(east_m: FloatArray, north_m: FloatArray) -> FloatArray:
    """Return the mean distance of two uniform points in rectangles of sides ``east_m`` and ``north_m``.

    Closed form after Ghosh, "Random distances within a rectangle and between two rectangles", Bulletin of the Calcutta
    Mathematical Society 43, 1951; 0.5214 for the unit square.
    """
    a, b = east_m, north_m
    d = np.hypot(a, b)
    plain = a**3 / b**2 + b**3 / a**2 + d * (3.0 - a**2 / b**2 - b**2 / a**2)
    curved = b**2 / a * np.log((a + d) / b) + a**2 / b * np.log((b + d) / a)
    return np.asarray((plain + 2.5 * curved) / 15.0)
