"""Where terminals are put down: uniform in the hexagon of their base station."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from channel_models.layout import uniform_in_hexagon
from netsim.air import Air
from netsim.sites import Sites
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Placement(Protocol):
    """A law of the places of terminals."""

    def positions_m(self, site: IntArray, entity: IntArray, attempt: int) -> FloatArray:
        """Return (n, 2) places of the terminals ``entity`` of the base stations ``site``, the same every time."""
        ...


@dataclass(frozen=True, eq=False)
class InHexagon:
    """Uniform in the hexagon around the base station, at least ``nearest_m`` away from it."""

    sites: Sites
    nearest_m: float
    streams: Streams

    def positions_m(self, site: IntArray, entity: IntArray, attempt: int) -> FloatArray:
        """Return (n, 2) places."""
        u = self.streams.uniform("position", entity[:, None], attempt, draw=np.arange(3))
        return self.sites.xy_m[site] + uniform_in_hexagon(u, self.sites.spacing_m, self.nearest_m)


def build_placement(air: Air, streams: Streams) -> Placement:
    """Return the law that the scenario asks for."""
    nearest_m = air.network.layout.min_distance_m or air.environment.min_placement_d2d_m
    return InHexagon(air.sites, nearest_m, streams)
