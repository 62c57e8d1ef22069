"""Where the base stations of a network stand, and how a terminal looks at them.

A base station is what serves one task. Its place is its mast: several base stations may share one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channel_models.layout import hexagonal_sites, nearest_sites
from channel_models.path_loss import Environment
from scenarios.network import Layout

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sites:
    """The base stations of one network.

    Attributes:
        xy_m: (sites, 2) positions, metres.
        mast: (sites,) index of the place a base station shares with others; its own index if it shares none.
        spacing_m: distance between neighbouring places, metres.
    """

    xy_m: FloatArray
    mast: IntArray
    spacing_m: float

    def offsets_m(self, xy_m: FloatArray, site: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return how far east and north of the base stations ``site`` (n, k) terminals at ``xy_m`` (n, 2) stand."""
        east_m, north_m = (xy_m[:, None, axis] - self.xy_m[site, axis] for axis in (0, 1))
        return east_m, north_m

    def neighbours(self, count: int) -> IntArray:
        """Return the base stations at the ``count`` nearest other places of each one: (sites, k), nearest first."""
        return nearest_sites(self.xy_m, count, self.spacing_m)


def build_sites(layout: Layout, environment: Environment, count: int) -> Sites:
    """Return ``count`` base stations that stand as the scenario says."""
    spacing_m = layout.inter_site_distance_m or environment.inter_site_distance_m
    return Sites(hexagonal_sites(count, spacing_m), np.arange(count), spacing_m)
