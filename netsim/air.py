"""What the air between terminals and base stations does to a signal: large-scale channels of 3GPP TR 38.901.

Every random quantity is a function of the terminal, the site and, with a spatially consistent landscape, the place
alone, so a terminal keeps its channel whatever else is simulated, and meets it again where it has been before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from channel_models.antennas import Antenna, array_element, direction_deg
from channel_models.path_loss import Environment
from channel_models.units import FloatLike, db_to_linear
from netsim.obstacles import INDOORS, Ends, Landscape, Obstacles, PerLink
from netsim.sites import Sites, build_sites
from netsim.terrain import environment_of, heights_m, spacing_m
from netsim.walls import Walls, build_walls
from scenarios.network import Network, Propagation
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
_STREET_M = 13.0  # terminals up to here have surroundings of 1 m
_BLOCK = 16_384  # links at a time: their dozen temporaries of 128 KiB stay in a core's cache


class Links(NamedTuple):
    """Large-scale channels of n terminals to k sites each, (n, k).

    Path losses include the walls of buildings, linear gains include everything: antennas and shadowing, too.
    """

    distance_m: FloatArray
    los: BoolArray
    path_loss_db: FloatArray
    shadowing_db: FloatArray
    gain: FloatArray

    def of(self, rows: IntArray) -> Links:
        """Return the channels of some of the terminals."""
        shadowing_db, gain = self.shadowing_db[rows], self.gain[rows]
        return Links(self.distance_m[rows], self.los[rows], self.path_loss_db[rows], shadowing_db, gain)


@dataclass(frozen=True, eq=False)
class Air:
    """The large-scale channels between any place and the base stations.

    Attributes:
        network: layout and propagation.
        environment: the laws that hold.
        sites: the base stations.
        obstacles: what blocks and shadows links.
        walls: the buildings that some terminals are in, if any.
        antenna: of every base station, if it is directional.
        streams: the run's randomness.
    """

    network: Network
    environment: Environment
    sites: Sites
    obstacles: Obstacles
    walls: Walls | None
    antenna: Antenna | None
    streams: Streams

    @classmethod
    def of(cls, network: Network, sites: int, streams: Streams) -> Air:
        """Return the air around ``sites`` base stations.

        Raises:
            ScenarioError: the laws of the environment do not cover what the scenario asks for, the file of sites is no
                good, or the network cannot be wrapped around.
        """
        environment = environment_of(network)
        stations = build_sites(network.layout, spacing_m(network, environment), sites, streams)
        return cls(
            network=network,
            environment=environment,
            sites=stations,
            obstacles=_obstacles(network, environment, stations, streams),
            walls=build_walls(network, environment, streams),
            antenna=_antenna(network.propagation),
            streams=streams,
        )

    def indoors(self, entity: IntArray) -> BoolArray:
        """Return which of the terminals ``entity`` (n,) are inside a building."""
        return np.zeros(len(entity), np.bool_) if self.walls is None else self.walls.inside(entity)

    def links(self, xy_m: FloatArray, site: IntArray, entity: IntArray, attempt: int = 0) -> Links:
        """Return the channels of terminals to base stations.

        Args:
            xy_m: (n, 2) where the terminals stand, metres.
            site: (n, k) base stations.
            entity: (n,) the terminals in the random streams.
            attempt: which try at placing the terminals this is; without spatial consistency every try has channels
                of its own.
        """
        n, k = site.shape
        rows = max(1, _BLOCK // max(1, k))
        if n <= rows:
            return self._links(xy_m, site, entity, attempt)
        links = Links(*(np.empty((n, k), kind) for kind in (float, bool, float, float, float)))
        for first in range(0, n, rows):
            block = slice(first, first + rows)
            for whole, part in zip(links, self._links(xy_m[block], site[block], entity[block], attempt), strict=True):
                whole[block] = part
        return links

    def _links(self, xy_m: FloatArray, site: IntArray, entity: IntArray, attempt: int) -> Links:
        """Return the channels of a block of terminals; see :meth:`links`."""
        environment, propagation = self.environment, self.network.propagation
        heights, fc_hz = heights_m(self.network, environment), propagation.carrier_frequency_hz
        offsets_m = self.sites.offsets_m(xy_m, site)
        ends = Ends(self._seen_at_m(xy_m, site, offsets_m), self.sites.mast[site], entity, attempt)
        d2d = np.sqrt(offsets_m[0] * offsets_m[0] + offsets_m[1] * offsets_m[1])
        wall_db, depth_m = (0.0, 0.0) if self.walls is None else self._behind_walls(entity)
        outdoors_m = d2d if self.walls is None else np.maximum(d2d - depth_m, 0.0)
        los = self.obstacles.line_of_sight(ends, environment.los_probability(outdoors_m, heights[1], heights[0]))
        # Only far interferers lie beyond the fitted range: the spacing keeps serving links inside it.
        roofs_m = self._environment_height_m(ends, d2d)
        loss_db = environment.path_loss_db(los, d2d, fc_hz, *heights, h_e_m=roofs_m, extrapolate=True) + wall_db
        shadowing_db = self._shadowing_db(ends, los, d2d) if propagation.shadowing else np.zeros_like(loss_db)
        antennas_dbi = self._site_antenna_dbi(offsets_m, site) + propagation.terminal_antenna_gain_dbi
        return Links(d2d, los, loss_db, shadowing_db, db_to_linear(antennas_dbi - loss_db - shadowing_db))

    def _seen_at_m(self, xy_m: FloatArray, site: IntArray, offsets_m: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Where each base station sees the terminals: where they are, or, all around, at their nearest image."""
        return self.sites.xy_m[site] + np.stack(offsets_m, axis=-1) if self.sites.wraps_around else xy_m

    def _behind_walls(self, entity: IntArray) -> tuple[FloatArray, FloatArray]:
        """(n, 1) loss and depth inside of every terminal."""
        assert self.walls is not None
        loss_db, depth_m = self.walls.loss_and_depth(entity)
        return loss_db[:, None], depth_m[:, None]

    def _environment_height_m(self, ends: Ends, d2d: FloatArray) -> FloatArray | None:
        """(n, k) effective heights of the surroundings, None where they are 1 m.

        Drawn once for every terminal and place of base stations, whose sectors share it (TR 38.901 Table 7.4.1-1,
        note 1); how likely which height is, its distance says.
        """
        terminal_m = heights_m(self.network, self.environment)[1]
        if self.environment.environment_height_law_m is None or terminal_m <= _STREET_M:
            return None
        u = self.streams.uniform("environment height", ends.entity[:, None], draw=ends.mast)
        return self.environment.environment_height_m(u, d2d, terminal_m)

    def _shadowing_db(self, ends: Ends, los: BoolArray, d2d: FloatArray) -> FloatArray:
        """(n, k) shadowing as a loss."""
        environment, state = self.environment, los.astype(np.int64)
        fc_hz, heights = self.network.propagation.carrier_frequency_hz, heights_m(self.network, self.environment)
        sigma_db = environment.shadowing_sigma_db(los, d2d, fc_hz, *heights)
        if self.walls is not None:
            inside = self.walls.inside(ends.entity)
            state[inside], sigma_db[inside] = INDOORS, environment.sigma_o2i_db
        return sigma_db * self.obstacles.deviation(ends, state)

    def _site_antenna_dbi(self, offsets_m: tuple[FloatArray, FloatArray], site: IntArray) -> FloatLike:
        """Gain of the base stations' antennas towards the terminals."""
        if self.antenna is None:
            return self.network.propagation.base_station_antenna_gain_dbi
        site_m, terminal_m = heights_m(self.network, self.environment)
        azimuth_deg, zenith_deg = direction_deg(*offsets_m, terminal_m - site_m)
        return self.antenna.gain_dbi(azimuth_deg - self.sites.boresight_deg[site], zenith_deg)


def _obstacles(network: Network, environment: Environment, sites: Sites, streams: Streams) -> Obstacles:
    """What blocks and shadows links, drawn as the scenario says."""
    if network.propagation.spatial_consistency:
        return Landscape.of(environment, sites.masts, streams, shared=sites.sectors > 1)
    return PerLink(streams)


def _antenna(propagation: Propagation) -> Antenna | None:
    """The directional antenna of base stations, None if they radiate the same all around."""
    if propagation.antenna == "omni":
        return None
    element = array_element(propagation.downtilt_deg)
    return replace(element, max_gain_dbi=propagation.base_station_antenna_gain_dbi)
