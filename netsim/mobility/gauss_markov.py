"""Gauss-Markov motion: speed and heading remember what they were, and borders reflect.

At every step x <- a x + (1 - a) mean + sqrt(1 - a^2) sigma w, for the speed about the terminal's mean speed and for the
heading about its mean direction (Camp, Boleng & Davies, "A survey of mobility models for ad hoc network research",
Wireless Communications and Mobile Computing 2(5), 2002). Velocities know nothing of places: a terminal walks in a plane
that is folded at the borders of its rectangle, which leaves the uniform law of its place as it is. Drawn from that law
and from the normal laws of speed and heading, the motion is stationary from time 0.
"""

from __future__ import annotations

import numpy as np

from netsim.mobility.area import Area, FloatArray, IntArray
from netsim.mobility.paths import Legs, Paths
from scenarios.mobility import Mobility
from scenarios.streams import Streams


class GaussMarkov(Paths):
    """Terminals with inertia. A negative speed counts as its magnitude.

    Args:
        area: where they move.
        mean_mps: (terminals,) mean speeds.
        law: memory, deviations and length of a step.
        entity: (terminals,) indices in the random streams.
        streams: the run's randomness.
    """

    def __init__(self, area: Area, mean_mps: FloatArray, law: Mobility, entity: IntArray, streams: Streams) -> None:
        super().__init__(len(entity))
        self._area, self._law, self._entity, self._streams = area, law, entity, streams
        self._state = np.zeros((len(entity), 2))
        direction = 2.0 * np.pi * streams.uniform("mean heading", entity)
        self._mean = np.stack([mean_mps, direction], axis=1)
        self._sigma = np.array([law.speed_deviation_mps, law.heading_deviation_rad])

    def _first(self) -> Legs:
        u = self._streams.uniform("walk start", self._entity[:, None], draw=np.arange(3))
        w = self._streams.normal("walk", self._entity[:, None], 0, np.arange(2))
        self._state = self._mean + self._sigma * w
        # The first step has begun somewhere before time 0.
        return Legs(self._area.at(u[:, :2]), self._velocity(self._all), self._law.step_s * u[:, 2])

    def _next(self, rows: IntArray, leg: IntArray, here_m: FloatArray) -> Legs:
        a = self._law.memory
        w = self._streams.normal("walk", self._entity[rows, None], leg[:, None], np.arange(2))
        self._state[rows] = (
            a * self._state[rows] + (1.0 - a) * self._mean[rows] + np.sqrt(1.0 - a * a) * self._sigma * w
        )
        return Legs(here_m, self._velocity(rows), np.full(len(rows), self._law.step_s))

    def _velocity(self, rows: IntArray) -> FloatArray:
        speed, heading = np.abs(self._state[rows, 0]), self._state[rows, 1]
        return np.stack([speed * np.cos(heading), speed * np.sin(heading)], axis=1)

    def _place(self, xy_m: FloatArray) -> FloatArray:
        return self._area.fold(xy_m)
