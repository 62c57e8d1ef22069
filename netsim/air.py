"""What the air between terminals and base stations does to a signal: large-scale channels of 3GPP TR 38.901.

Every random quantity is a function of the terminal, the site and, with a spatially consistent landscape, the place
alone, so a terminal keeps its channel whatever else is simulated, and meets it again where it has been before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from channel_models.path_loss import ENVIRONMENTS, Environment
from channel_models.units import db_to_linear
from netsim.obstacles import Ends, Landscape, Obstacles, PerLink
from netsim.sites import Sites, build_sites
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Links(NamedTuple):
    """Large-scale channels of n terminals to k sites each, (n, k); the linear gain includes antennas and shadowing."""

    distance_m: FloatArray
    los: NDArray[np.bool_]
    path_loss_db: FloatArray
    shadowing_db: FloatArray
    gain: FloatArray


@dataclass(frozen=True, eq=False)
class Air:
    """The large-scale channels between any place and the base stations.

    Attributes:
        network: layout and propagation.
        environment: the laws that hold.
        sites: the base stations.
        obstacles: what blocks and shadows links.
    """

    network: Network
    environment: Environment
    sites: Sites
    obstacles: Obstacles

    @classmethod
    def of(cls, network: Network, sites: int, streams: Streams) -> Air:
        """Return the air around ``sites`` base stations."""
        environment = ENVIRONMENTS[network.layout.environment]
        stations = build_sites(network.layout, environment, sites)
        masts = int(stations.mast.max(initial=-1)) + 1
        consistent = network.propagation.spatial_consistency
        obstacles = Landscape.of(environment, masts, streams) if consistent else PerLink(streams)
        return cls(network, environment, stations, obstacles)

    def links(self, xy_m: FloatArray, site: IntArray, entity: IntArray, attempt: int = 0) -> Links:
        """Return the channels of terminals to base stations.

        Args:
            xy_m: (n, 2) where the terminals stand, metres.
            site: (n, k) base stations.
            entity: (n,) the terminals in the random streams.
            attempt: which try at placing the terminals this is; without spatial consistency every try has channels
                of its own.
        """
        environment, propagation = self.environment, self.network.propagation
        height_m, fc_hz = self.network.layout.terminal_height_m, propagation.carrier_frequency_hz
        site_height_m = self.network.layout.base_station_height_m or environment.h_bs_m
        east_m, north_m = self.sites.offsets_m(xy_m, site)
        d2d = np.sqrt(east_m * east_m + north_m * north_m)
        ends = Ends(xy_m, self.sites.mast[site], entity, attempt)
        los = self.obstacles.line_of_sight(ends, environment.los_probability(d2d, height_m, site_height_m))
        # Only far interferers lie beyond the fitted range: the spacing keeps serving links inside it.
        loss_db = environment.path_loss_db(los, d2d, fc_hz, site_height_m, height_m, extrapolate=True)
        shadowing_db = np.zeros_like(loss_db)
        if propagation.shadowing:
            sigma_db = environment.shadowing_sigma_db(los, d2d, fc_hz, site_height_m, height_m)
            shadowing_db = sigma_db * self.obstacles.deviation(ends, los)
        antennas_dbi = propagation.base_station_antenna_gain_dbi + propagation.terminal_antenna_gain_dbi
        return Links(d2d, los, loss_db, shadowing_db, db_to_linear(antennas_dbi - loss_db - shadowing_db))
