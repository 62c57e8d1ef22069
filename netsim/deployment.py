"""Where sites and terminals stand and what the air between them does to a signal.

Hexagonal layouts and large-scale propagation of 3GPP TR 38.901; every random quantity is drawn once per
(site, terminal) from its named stream, so a terminal keeps its channel whatever else is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from channel_models.layout import hexagonal_sites, uniform_in_hexagon
from channel_models.path_loss import ENVIRONMENTS
from channel_models.units import db_to_linear
from scenarios.schema import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
_MAX_SITES = 4096
_MAX_ATTEMPTS = 200  # a site is the strongest in most of its hexagon


@dataclass(frozen=True)
class Deployment:
    """Positions and large-scale channels of one network.

    Attributes:
        entity: (terminals,) index of each terminal in the random streams: its place among its site's terminals
            and its site, so that a terminal more or less elsewhere changes nothing here.
        site_xy_m: (sites, 2) positions, metres.
        terminal_xy_m: (terminals, 2) positions, metres.
        serving: (terminals,) site of each terminal.
        distance_m: (terminals,) horizontal distance to the serving site, metres.
        los: (terminals,) whether the serving link has line of sight.
        path_loss_db: (terminals,) of the serving link, dB, without shadowing.
        shadowing_db: (terminals,) of the serving link, dB, as a loss.
        gain: (terminals, sites) linear power gain, antennas and shadowing included.
    """

    entity: NDArray[np.int64]
    site_xy_m: FloatArray
    terminal_xy_m: FloatArray
    serving: NDArray[np.int64]
    distance_m: FloatArray
    los: NDArray[np.bool_]
    path_loss_db: FloatArray
    shadowing_db: FloatArray
    gain: FloatArray


def deploy(network: Network, serving: NDArray[np.int64], sites: int, streams: Streams) -> Deployment:
    """Drop every terminal uniformly in the hexagon of its serving site, given that this site is its strongest.

    Terminals attach to the site they receive best. A terminal of a site is therefore drawn, channels and all, until
    that holds: uniform users of the hexagon, conditioned on being attached to its site.

    Args:
        network: layout and propagation.
        serving: (terminals,) site each terminal belongs to.
        sites: number of sites, filled in spiral order from the centre.
        streams: the run's randomness.
    """
    environment = ENVIRONMENTS[network.layout.environment]
    spacing_m = network.layout.inter_site_distance_m or environment.inter_site_distance_m
    site_xy = hexagonal_sites(sites, spacing_m)
    entity = _entities(serving, sites)
    rows = np.arange(len(serving))
    drop = _drop(network, site_xy, serving, entity, 0, streams)
    for attempt in range(1, _MAX_ATTEMPTS):
        again = np.flatnonzero(drop.gain.argmax(axis=1) != serving)
        if len(again) == 0:
            break
        new = _drop(network, site_xy, serving[again], entity[again], attempt, streams)
        for old, better in zip(drop, new, strict=True):
            old[again] = better
    return Deployment(
        entity=entity,
        site_xy_m=site_xy,
        terminal_xy_m=drop.xy_m,
        serving=serving,
        distance_m=drop.distance_m[rows, serving],
        los=drop.los[rows, serving],
        path_loss_db=drop.path_loss_db[rows, serving],
        shadowing_db=drop.shadowing_db[rows, serving],
        gain=drop.gain,
    )


def _entities(serving: NDArray[np.int64], sites: int) -> NDArray[np.int64]:
    place = np.zeros(len(serving), np.int64)
    for site in range(sites):
        mine = serving == site
        place[mine] = np.arange(mine.sum())
    return place * _MAX_SITES + serving


class _Drop(NamedTuple):
    """One try at placing terminals: positions (n, 2) and large-scale channels to every site, (n, sites)."""

    xy_m: FloatArray
    distance_m: FloatArray
    los: NDArray[np.bool_]
    path_loss_db: FloatArray
    shadowing_db: FloatArray
    gain: FloatArray


def _drop(
    network: Network,
    site_xy_m: FloatArray,
    serving: NDArray[np.int64],
    entity: NDArray[np.int64],
    attempt: int,
    streams: Streams,
) -> _Drop:
    layout, propagation = network.layout, network.propagation
    environment = ENVIRONMENTS[layout.environment]
    spacing_m = layout.inter_site_distance_m or environment.inter_site_distance_m
    nearest_m = layout.min_distance_m or environment.min_placement_d2d_m
    u = streams.uniform("position", entity[:, None], attempt, draw=np.arange(3))
    xy = site_xy_m[serving] + uniform_in_hexagon(u, spacing_m, nearest_m)
    d2d = np.linalg.norm(xy[:, None, :] - site_xy_m[None, :, :], axis=2)
    site_height = layout.base_station_height_m or environment.h_bs_m
    height, fc_hz = layout.terminal_height_m, propagation.carrier_frequency_hz
    site = np.arange(len(site_xy_m))
    u = streams.uniform("line of sight", entity[:, None], attempt, draw=site)
    los = u < environment.los_probability(d2d, height)
    # Only far interferers lie beyond the fitted range: the spacing keeps serving links inside it.
    loss_db = environment.path_loss_db(los, d2d, fc_hz, site_height, height, extrapolate=True)
    shadowing_db = np.zeros_like(loss_db)
    if propagation.shadowing:
        drawn = streams.normal("shadowing", entity[:, None], attempt, draw=site)
        shadowing_db = environment.shadowing_sigma_db(los, d2d, fc_hz) * drawn
    antennas_dbi = propagation.base_station_antenna_gain_dbi + propagation.terminal_antenna_gain_dbi
    return _Drop(xy, d2d, los, loss_db, shadowing_db, db_to_linear(antennas_dbi - loss_db - shadowing_db))


def topology(deployment: Deployment, latency_s: float, rate_bps: float) -> nx.Graph:
    """Return the graph cloud - base stations - terminals with what is known of every link."""
    graph = nx.Graph()
    graph.add_node("cloud", tier="cloud")
    for site, (x, y) in enumerate(deployment.site_xy_m):
        graph.add_node(f"bs-{site:02d}", tier="base_station", x_m=float(x), y_m=float(y))
        graph.add_edge("cloud", f"bs-{site:02d}", latency_s=latency_s, rate_bps=rate_bps)
    for terminal, (x, y) in enumerate(deployment.terminal_xy_m):
        name = f"terminal-{terminal}"
        graph.add_node(name, tier="terminal", x_m=float(x), y_m=float(y))
        distance_m = float(deployment.distance_m[terminal])
        graph.add_edge(name, f"bs-{deployment.serving[terminal]:02d}", distance_m=distance_m)
    return graph
