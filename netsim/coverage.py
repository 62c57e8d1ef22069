"""How well the network reaches every place: the downlink of the best base station over a grid, as planners draw it.

Places see a landscape: the one of the run where its channels are spatially consistent, otherwise one with the same
statistics, as channels drawn link by link belong to terminals and not to places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channel_models.sinr import downlink_sinr
from channel_models.units import dbm_to_watt, linear_to_db, thermal_noise_dbm
from netsim.air import Air
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
MOST_SITES = 100
"""Larger networks are not drawn: their cells would be a few pixels."""
_POINTS = 8000  # places of a map: two a millimetre in a column of print


@dataclass(frozen=True)
class Coverage:
    """What places receive.

    Attributes:
        xy_m: (places, 2) metres.
        base_station: (places,) the one that is received best.
        downlink_sinr: (places,) linear, without small-scale fading.
    """

    xy_m: FloatArray
    base_station: NDArray[np.int64]
    downlink_sinr: FloatArray


def coverage_map(network: Network, sites: int, streams: Streams) -> Coverage | None:
    """Return what an outdoor terminal would receive over the ground of ``sites`` base stations.

    Other sites interfere with the scenario's ``downlink.neighbour_activity``. None for networks too large to draw.

    Raises:
        ScenarioError: see :meth:`Air.of`.
    """
    if sites > MOST_SITES:
        return None
    outdoors = {"spatial_consistency": True, "indoor_share": 0.0}
    propagation = network.propagation.model_copy(update=outdoors)
    air = Air.of(network.model_copy(update={"propagation": propagation}), sites, streams)
    xy_m = _grid_m(air)
    everywhere = np.broadcast_to(np.arange(sites), (len(xy_m), sites))
    gain = air.links(xy_m, everywhere, np.zeros(len(xy_m), np.int64)).gain
    best = gain.argmax(axis=1)
    serving = gain[np.arange(len(xy_m)), best]
    down = network.downlink
    sinr = downlink_sinr(
        dbm_to_watt(down.tx_power_dbm),
        serving,
        gain.sum(axis=1) - serving,
        dbm_to_watt(thermal_noise_dbm(down.bandwidth_hz, down.noise_figure_db)),
        down.neighbour_activity,
    )
    return Coverage(xy_m, best, sinr)


def coverage_columns(coverage: Coverage) -> dict[str, NDArray[np.generic]]:
    """Return the columns of the coverage table."""
    return {
        "x_m": coverage.xy_m[:, 0],
        "y_m": coverage.xy_m[:, 1],
        "base_station": np.array([f"bs-{site:02d}" for site in coverage.base_station.tolist()], object),
        "downlink_sinr_db": linear_to_db(coverage.downlink_sinr),
    }


def _grid_m(air: Air) -> FloatArray:
    """Places on a square grid over the base stations and half a cell around them."""
    margin_m = 0.6 * air.sites.spacing_m
    low, high = air.sites.xy_m.min(axis=0) - margin_m, air.sites.xy_m.max(axis=0) + margin_m
    step_m = np.sqrt(np.prod(high - low) / _POINTS)
    east, north = (np.arange(low[axis] + step_m / 2.0, high[axis], step_m) for axis in (0, 1))
    return np.stack([part.ravel() for part in np.meshgrid(east, north)], axis=1)
