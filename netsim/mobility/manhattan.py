"""Manhattan motion: along the streets of a grid, with a choice at every crossing (block sizes of TR 36.885).

A terminal keeps its speed, and at a crossing goes on straight or turns left or right. At the border of the grid it
turns back: it walks in an endless grid that is folded there, so the uniform law along the streets, from which it
starts, stays true. A street along the border therefore carries half as many as the others.
"""

from __future__ import annotations

import numpy as np

from netsim.mobility.area import Area, FloatArray, IntArray
from netsim.mobility.paths import Legs, Paths
from scenarios.streams import Streams

_HEADINGS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
"""East, north, west, south: a turn to the left is one row on."""


class Manhattan(Paths):
    """Terminals in the streets of a grid.

    Args:
        area: where they move; whole blocks from its south-western corner on are used, at least one.
        speed_mps: (terminals,) their speeds, above 0.
        block_m: distance between streets, east and north.
        turn_probability: chance to turn at a crossing.
        entity: (terminals,) indices in the random streams.
        streams: the run's randomness.
    """

    def __init__(
        self,
        area: Area,
        speed_mps: FloatArray,
        block_m: tuple[float, float],
        turn_probability: float,
        entity: IntArray,
        streams: Streams,
    ) -> None:
        super().__init__(len(entity))
        self._block_m = np.array(block_m)
        self._blocks = np.maximum(1.0, np.floor(area.size_m / self._block_m))
        self._area = Area(area.low_m, self._blocks * self._block_m)
        self._speed, self._turn_probability = speed_mps, turn_probability
        self._entity, self._streams = entity, streams
        self._heading = np.zeros(len(entity), np.int64)
        self._crossing = np.zeros((len(entity), 2))

    def _first(self) -> Legs:
        u = self._streams.uniform("street", self._entity[:, None], draw=np.arange(5))
        along = np.where(u[:, 0] * self._block_m.sum() < self._block_m[0], 0, 1)  # axis, as streets are long
        back = u[:, 1] < 0.5
        # The endless grid repeats itself after twice as many blocks.
        crossing = np.floor(2.0 * self._blocks * u[:, 2:4])
        self._heading = along + 2 * back
        step = _HEADINGS[self._heading]
        done = u[:, 4, None]
        from_m = self._area.low_m + (crossing + done * step) * self._block_m
        self._crossing = crossing + step
        return Legs(from_m, step * self._speed[:, None], self._block_m[along] * (1.0 - u[:, 4]) / self._speed)

    def _next(self, rows: IntArray, leg: IntArray, here_m: FloatArray) -> Legs:
        u = self._streams.uniform("crossing", self._entity[rows], leg)
        half = self._turn_probability / 2.0
        turn = np.where(u < half, 1, np.where(u < 2.0 * half, 3, 0))
        heading = (self._heading[rows] + turn) % 4
        from_m = self._area.low_m[rows] + self._crossing[rows] * self._block_m
        step = _HEADINGS[heading]
        self._heading[rows] = heading
        self._crossing[rows] += step
        return Legs(from_m, step * self._speed[rows, None], self._block_m[heading % 2] / self._speed[rows])

    def _place(self, xy_m: FloatArray) -> FloatArray:
        return self._area.fold(xy_m)
