"""Where the base stations of a network stand, and how a terminal looks at them.

A base station is what serves one task. Its place is its mast; the sectors of a site share one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channel_models.antennas import SECTOR_BORESIGHTS_DEG
from channel_models.irregular_layout import poisson_sites
from channel_models.layout import WRAPPED, hexagonal_sites, nearest_sites, wrap_around_images_m
from netsim.position_files import read_sites
from scenarios.errors import ScenarioError
from scenarios.network import Layout
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_SITES = 4096
"""Base stations that the random streams can tell apart."""


@dataclass(frozen=True, eq=False)
class Sites:
    """The base stations of one network.

    Attributes:
        xy_m: (sites, 2) positions, metres.
        mast: (sites,) index of the place a base station stands at.
        boresight_deg: (sites,) azimuth that a directional antenna there faces, counter-clockwise from east.
        spacing_m: distance between neighbouring masts; off the grid, of the grid with the same density, metres.
        sectors: base stations at a mast.
        on_grid: whether the masts form a hexagonal grid.
        images_m: (copies, 2) displacements of the network and its copies around it, metres; (0, 0) comes first.
    """

    xy_m: FloatArray
    mast: IntArray
    boresight_deg: FloatArray
    spacing_m: float
    sectors: int
    on_grid: bool
    images_m: FloatArray

    @property
    def masts(self) -> int:
        """Number of places."""
        return int(self.mast.max(initial=-1)) + 1

    @property
    def wraps_around(self) -> bool:
        """Whether the network has copies around it."""
        return len(self.images_m) > 1

    def offsets_m(self, xy_m: FloatArray, site: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return how far east and north of the base stations ``site`` (n, k) terminals at ``xy_m`` (n, 2) stand.

        Around a network that wraps, the nearest copy of each base station counts.
        """
        east_m, north_m = (xy_m[:, None, axis] - self.xy_m[site, axis] for axis in (0, 1))
        if not self.wraps_around:
            return east_m, north_m
        east, north = (offset[..., None] - self.images_m[:, axis] for axis, offset in enumerate((east_m, north_m)))
        nearest = np.argmin(east * east + north * north, axis=-1)
        return east_m - self.images_m[nearest, 0], north_m - self.images_m[nearest, 1]

    def neighbours(self, count: int) -> IntArray:
        """Return the base stations that each one has at its own and at the ``count`` nearest other masts.

        Returns:
            (sites, k) indices, nearest first.
        """
        return nearest_sites(self.xy_m, self.sectors * (count + 1) - 1, self.spacing_m, self.images_m)


def build_sites(layout: Layout, spacing_m: float, count: int, streams: Streams) -> Sites:
    """Return ``count`` base stations that stand as the scenario says.

    Raises:
        ScenarioError: the file of sites is no good, or the network cannot be wrapped around.
    """
    mast = np.arange(count) // layout.sectors
    masts = -(-count // layout.sectors)
    azimuth_deg = np.full(masts, np.nan)
    if layout.sites_csv is not None:
        xy_m, azimuth_deg = read_sites(layout.sites_csv, masts)
    elif layout.site_placement == "poisson":
        xy_m = poisson_sites(streams.uniform("site", np.arange(masts)[:, None], draw=np.arange(2)), spacing_m)
    else:
        xy_m = hexagonal_sites(masts, spacing_m)
    first_deg = np.where(np.isnan(azimuth_deg), SECTOR_BORESIGHTS_DEG[0], azimuth_deg)
    turn_deg = np.asarray(SECTOR_BORESIGHTS_DEG)[np.arange(count) % layout.sectors] - SECTOR_BORESIGHTS_DEG[0]
    return Sites(
        xy_m=xy_m[mast],
        mast=_places(xy_m)[mast] if layout.sites_csv is not None else mast,
        boresight_deg=first_deg[mast] + turn_deg,
        spacing_m=spacing_m,
        sectors=layout.sectors,
        on_grid=layout.sites_csv is None and layout.site_placement == "hexagonal",
        images_m=_images_m(layout, spacing_m, count),
    )


def _places(xy_m: FloatArray) -> IntArray:
    """Give sites that a file puts at the same place the index of the first of them."""
    _, first, place = np.unique(xy_m, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[place.reshape(-1)], np.int64)


def _images_m(layout: Layout, spacing_m: float, count: int) -> FloatArray:
    """Displacements of the copies of the network."""
    if not layout.wrap_around:
        return np.zeros((1, 2))
    masts, over = divmod(count, layout.sectors)
    on_grid = layout.sites_csv is None and layout.site_placement == "hexagonal"
    if not on_grid or over or masts not in WRAPPED:
        stations = ", ".join(str(layout.sectors * sites) for sites in WRAPPED)
        allowed = f"false, or a hexagonal grid with one of {stations} base stations; this has {count}"
        raise ScenarioError("network.layout.wrap_around", True, allowed)
    return wrap_around_images_m(masts, spacing_m)
