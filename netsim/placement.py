"""Where terminals are put down: all over the cell of their base station, in hotspots there, or as a file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from channel_models.antennas import wrapped_deg
from channel_models.irregular_layout import cell_reach_m, uniform_in_ring
from channel_models.layout import uniform_in_hexagon
from netsim.air import Air
from netsim.position_files import read_terminals
from netsim.sites import MAX_SITES, Sites
from netsim.terrain import nearest_m
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CENTRE_TRIES = 32
"""One in three places of a cell is in front of a sector's antenna: 2e-6 of the hotspots end up behind it."""


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
    purpose: str = "position"

    def positions_m(self, site: IntArray, entity: IntArray, attempt: int) -> FloatArray:
        """Return (n, 2) places."""
        u = self.streams.uniform(self.purpose, entity[:, None], attempt, draw=np.arange(3))
        return self.sites.xy_m[site] + uniform_in_hexagon(u, self.sites.spacing_m, self.nearest_m)


@dataclass(frozen=True, eq=False)
class InReach:
    """Uniform around a base station off the grid, from ``nearest_m`` to ``reach_m`` (sites,) away from it.

    Who is put down beyond the own cell hears another site better and is put down again.
    """

    sites: Sites
    nearest_m: float
    reach_m: FloatArray
    streams: Streams
    purpose: str = "position"

    def positions_m(self, site: IntArray, entity: IntArray, attempt: int) -> FloatArray:
        """Return (n, 2) places."""
        u = self.streams.uniform(self.purpose, entity[:, None], attempt, draw=np.arange(2))
        return self.sites.xy_m[site] + uniform_in_ring(u, self.nearest_m, self.reach_m[site])


@dataclass(frozen=True, eq=False)
class InHotspots:
    """Uniform in discs of radius ``radius_m``; a terminal takes any of those of its base station in every try.

    Attributes:
        centre_xy_m: (sites, hotspots, 2) metres.
        radius_m: metres.
        streams: the run's randomness.
    """

    centre_xy_m: FloatArray
    radius_m: float
    streams: Streams

    def positions_m(self, site: IntArray, entity: IntArray, attempt: int) -> FloatArray:
        """Return (n, 2) places."""
        u = self.streams.uniform("position", entity[:, None], attempt, draw=np.arange(3))
        hotspot = (u[:, 2] * self.centre_xy_m.shape[1]).astype(np.int64)
        return self.centre_xy_m[site, hotspot] + uniform_in_ring(u[:, :2], 0.0, self.radius_m)


@dataclass(frozen=True, eq=False)
class AsListed:
    """The places of a file: ``xy_m`` (rows, 2), those of base station s from row ``first[s]`` on."""

    xy_m: FloatArray
    first: IntArray

    def positions_m(self, site: IntArray, entity: IntArray, attempt: int) -> FloatArray:
        """Return (n, 2) places."""
        return self.xy_m[self.first[site] + entity // MAX_SITES]


def build_placement(air: Air, terminals: IntArray, streams: Streams) -> Placement:
    """Return the law that the scenario asks for.

    Args:
        air: the network.
        terminals: (sites,) how many each base station has.
        streams: the run's randomness.

    Raises:
        ScenarioError: the file of terminals is no good.
    """
    layout = air.network.layout
    if layout.terminals_csv is not None:
        return AsListed(*read_terminals(layout.terminals_csv, terminals))
    if layout.terminal_placement == "uniform":
        return _all_over(air, streams, "position")
    radius_m = layout.hotspot_radius_m or air.sites.spacing_m / 10.0
    return InHotspots(_hotspots_m(air, layout.hotspots, streams), radius_m, streams)


def _all_over(air: Air, streams: Streams, purpose: str) -> InHexagon | InReach:
    """Places all over the cell of a base station."""
    sites, close_m = air.sites, nearest_m(air.network, air.environment)
    if sites.on_grid:
        return InHexagon(sites, close_m, streams, purpose)
    reach_m = np.maximum(cell_reach_m(sites.xy_m, sites.spacing_m), 2.0 * close_m)
    return InReach(sites, close_m, reach_m, streams, purpose)


def _hotspots_m(air: Air, count: int, streams: Streams) -> FloatArray:
    """(sites, count, 2) centres of hotspots all over the cells, those of a sector in front of its antenna."""
    sites, law = air.sites, _all_over(air, streams, "hotspot")
    site, number = (index.reshape(-1) for index in np.indices((len(sites.xy_m), count)))
    entity = number * MAX_SITES + site
    centre_xy_m = law.positions_m(site, entity, 0)
    for attempt in range(1, _CENTRE_TRIES):
        if sites.sectors == 1:
            break
        east_m, north_m = (centre_xy_m - sites.xy_m[site]).T
        azimuth_deg = np.rad2deg(np.arctan2(north_m, east_m))
        behind = np.flatnonzero(np.abs(wrapped_deg(azimuth_deg - sites.boresight_deg[site])) > 180.0 / sites.sectors)
        centre_xy_m[behind] = law.positions_m(site[behind], entity[behind], attempt)
    return centre_xy_m.reshape(-1, count, 2)
