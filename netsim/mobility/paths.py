"""The way of terminals through the plane: straight legs at constant speed, one after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netsim.mobility.area import FloatArray, IntArray


class Legs(NamedTuple):
    """The next legs of m terminals: (m, 2) where they start, (m, 2) metres a second, (m,) seconds they last."""

    from_m: FloatArray
    velocity_mps: FloatArray
    lasts_s: FloatArray


class Paths:
    """What all models have in common: the present leg of every terminal, and the steps to the next.

    Legs are made when time comes to them. Leg i of a terminal depends on the legs before it and on draws that
    belong to (seed, terminal, i) alone, so where a terminal is at a time does not depend on what else is asked, or in
    which order: going back in time starts all over.

    Args:
        terminals: how many.
    """

    def __init__(self, terminals: int) -> None:
        self._all = np.arange(terminals)
        self._leg = np.zeros(terminals, np.int64)
        self._from_m = np.zeros((terminals, 2))
        self._velocity_mps = np.zeros((terminals, 2))
        self._since_s = np.zeros(terminals)
        self._until_s = np.zeros(terminals)

    def __len__(self) -> int:
        return len(self._all)

    def positions(self, time_s: float) -> FloatArray:
        """Return (terminals, 2) places at a time >= 0, metres."""
        self._forward(time_s)
        return self._place(self._from_m + self._velocity_mps * (time_s - self._since_s)[:, None])

    def speeds(self, time_s: float) -> FloatArray:
        """Return (terminals,) speeds at a time >= 0, m/s."""
        self._forward(time_s)
        return np.asarray(np.hypot(self._velocity_mps[:, 0], self._velocity_mps[:, 1]))

    def at_rest_from_s(self) -> float:
        """Return the time after which nobody moves any more."""
        return np.inf

    def _forward(self, time_s: float) -> None:
        """Make the legs up to a time."""
        if np.any(time_s < self._since_s) or not self._until_s.any():
            self._since_s[:] = 0.0
            self._take(self._all, 0, self._first())
        behind = self._all[self._until_s <= time_s]
        while len(behind):
            lasted_s = self._until_s[behind] - self._since_s[behind]
            here_m = self._from_m[behind] + self._velocity_mps[behind] * lasted_s[:, None]
            self._since_s[behind] = self._until_s[behind]
            leg = self._leg[behind] + 1
            self._take(behind, leg, self._next(behind, leg, here_m))
            behind = behind[self._until_s[behind] <= time_s]

    def _take(self, rows: IntArray, leg: IntArray | int, legs: Legs) -> None:
        self._leg[rows] = leg
        self._from_m[rows], self._velocity_mps[rows] = legs.from_m, legs.velocity_mps
        self._until_s[rows] = self._since_s[rows] + legs.lasts_s

    # What a model defines -------------------------------------------------------------------------------------

    def _first(self) -> Legs:
        """Return what is left of the legs that everybody is on at time 0."""
        raise NotImplementedError

    def _next(self, rows: IntArray, leg: IntArray, here_m: FloatArray) -> Legs:
        """Return leg number ``leg`` >= 1 of the terminals ``rows``, which have come to ``here_m``."""
        raise NotImplementedError

    def _place(self, xy_m: FloatArray) -> FloatArray:
        """Return (terminals, 2) where terminals really are, whose legs have brought them to ``xy_m``."""
        return xy_m
