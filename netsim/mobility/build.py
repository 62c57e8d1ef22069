"""From a scenario to the paths of its moving terminals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.compute import Fleet
from netsim.mobility.area import Area, FloatArray, IntArray, box_of_cells, squares
from netsim.mobility.gauss_markov import GaussMarkov
from netsim.mobility.manhattan import Manhattan
from netsim.mobility.paths import Paths
from netsim.mobility.traces import Traces, read_traces
from netsim.mobility.waypoint import RandomWaypoint
from scenarios.mobility import Mobility
from scenarios.streams import Streams


def build_paths(
    law: Mobility,
    entity: IntArray,
    devices: Fleet,
    home_xy_m: FloatArray,
    site_xy_m: FloatArray,
    spacing_m: float,
    streams: Streams,
) -> tuple[IntArray, Paths]:
    """Return which terminals move, ascending, and how.

    Args:
        law: the scenario's section.
        entity: (terminals,) indices in the random streams.
        devices: the terminals' hardware, which may set their speeds.
        home_xy_m: (terminals, 2) places of their base stations.
        site_xy_m: (sites, 2) places of all base stations.
        spacing_m: distance between neighbouring sites.
        streams: the run's randomness.

    Raises:
        ScenarioError: a trace cannot be used.
    """
    if law.model == "trace":
        points = read_traces(str(law.trace_path), len(entity))
        return np.array(list(points), np.int64), Traces(points)
    lowest_mps, highest_mps = _speeds(law, devices)
    movers = np.flatnonzero(_drawn(law, entity, streams) & (highest_mps > 0.0))
    own, low, high = entity[movers], lowest_mps[movers], highest_mps[movers]
    area = _area(law, home_xy_m[movers], site_xy_m, spacing_m)
    if law.model == "random_waypoint":
        return movers, RandomWaypoint(area, low, high, law.pause_s, own, streams)
    mean_mps = low + (high - low) * streams.uniform("speed", own)
    if law.model == "gauss_markov":
        return movers, GaussMarkov(area, mean_mps, law, own, streams)
    return movers, Manhattan(area, mean_mps, law.block_m, law.turn_probability, own, streams)


def _drawn(law: Mobility, entity: IntArray, streams: Streams) -> NDArray[np.bool_]:
    """(terminals,) whether a terminal is among those that move."""
    return np.asarray(streams.uniform("moves", entity) < law.moving_share)


def _speeds(law: Mobility, devices: Fleet) -> tuple[FloatArray, FloatArray]:
    """(terminals,) lowest and highest speed of every terminal."""
    low, high = (
        devices.each(lambda device, end=end: law.class_speed_mps.get(device.name, law.speed_mps)[end])  # type: ignore[misc]
        for end in (0, 1)
    )
    return low, high


def _area(law: Mobility, home_xy_m: FloatArray, site_xy_m: FloatArray, spacing_m: float) -> Area:
    if law.roaming_m is None:
        return box_of_cells(site_xy_m, spacing_m, len(home_xy_m))
    return squares(home_xy_m, law.roaming_m)
