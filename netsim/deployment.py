"""A network put down: where sites and terminals stand, and the channels between them at the start.

A terminal hears its serving site and that site's nearest neighbours; sites further away add nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from netsim.air import Air
from netsim.placement import AsListed, Placement, build_placement
from netsim.sites import MAX_SITES
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_MAX_PLACES = 2**32 // MAX_SITES  # an entity is one 32-bit word of the random streams
_MAX_ATTEMPTS = 200  # a site is the strongest in most of its hexagon
_BATCH = 4096  # terminals at a time: arrays of all their links are about 1 MB each
_RING = 6  # neighbours that touch a cell; one of them is the rival in nearly every lost try


@dataclass(frozen=True)
class Deployment:
    """Positions and large-scale channels of one network; 75 bytes a terminal.

    Attributes:
        entity: (terminals,) index of each terminal in the random streams: its place among its site's terminals
            and its site, so that a terminal more or less elsewhere changes nothing here.
        site_xy_m: (sites, 2) positions, metres; the sectors of a site stand at the same place.
        boresight_deg: (sites,) azimuth that a directional antenna there faces, counter-clockwise from east.
        terminal_xy_m: (terminals, 2) positions, metres.
        serving: (terminals,) site of each terminal.
        indoor: (terminals,) whether it is inside a building.
        distance_m: (terminals,) horizontal distance to the serving site, metres.
        los: (terminals,) whether the serving link has line of sight.
        path_loss_db: (terminals,) of the serving link, dB, walls included, without shadowing.
        shadowing_db: (terminals,) of the serving link, dB, as a loss.
        serving_gain: (terminals,) linear power gain from the serving site, antennas and shadowing included.
        neighbour_gain: (terminals,) sum of the same over the modelled neighbours of the serving site.
        attempt: (terminals,) which try at placing each terminal was kept: with it :class:`netsim.air.Air` gives the
            same channels again.
    """

    entity: IntArray
    site_xy_m: FloatArray
    boresight_deg: FloatArray
    terminal_xy_m: FloatArray
    serving: IntArray
    indoor: NDArray[np.bool_]
    distance_m: FloatArray
    los: NDArray[np.bool_]
    path_loss_db: FloatArray
    shadowing_db: FloatArray
    serving_gain: FloatArray
    neighbour_gain: FloatArray
    attempt: NDArray[np.uint8]

    @property
    def dominant_path(self) -> NDArray[np.bool_]:
        """(terminals,) whether a direct path stands out of the serving link: line of sight, not through a wall."""
        return self.los & ~self.indoor

    def copy(self) -> Deployment:
        """Return the same in arrays of its own, for a run in which terminals move."""
        return Deployment(**{name: array.copy() for name, array in vars(self).items()})


def deploy(network: Network, serving: IntArray, sites: int, streams: Streams) -> Deployment:
    """Put every terminal down by the scenario's law of places, given that its serving site is its strongest.

    Terminals attach to the site they receive best. A terminal of a site is therefore drawn, channels and all, until
    that holds: e.g. uniform users of the hexagon, conditioned on being attached to its site. Places from a file stay
    as they are, whichever site is the strongest there.

    Args:
        network: layout and propagation.
        serving: (terminals,) site each terminal belongs to.
        sites: number of base stations; on the grid they are filled in spiral order from the centre.
        streams: the run's randomness.

    Raises:
        ValueError: more than 4096 sites, or more than 1,048,576 terminals at one of them.
        ScenarioError: the laws of propagation do not cover what the scenario asks for, or a file of places is no good.
    """
    entity = _entities(serving, sites)
    air = Air.of(network, sites, streams)
    placement = build_placement(air, np.bincount(serving, minlength=sites), streams)
    drop = _Drop(_unplaced(entity, air, serving), air, placement, air.sites.neighbours(network.layout.neighbour_sites))
    pending, attempts = np.arange(len(serving)), 1 if isinstance(placement, AsListed) else _MAX_ATTEMPTS
    for attempt in range(attempts):
        if len(pending) == 0:
            break
        batches = np.split(pending, np.arange(_BATCH, len(pending), _BATCH))
        pending = np.concatenate([drop.place(batch, attempt, attempt == attempts - 1) for batch in batches])
    return drop.deployment


def _entities(serving: IntArray, sites: int) -> IntArray:
    """Number the terminals of each site in their order and put the number and the site into one word."""
    counts = np.bincount(serving, minlength=sites)
    if len(counts) > MAX_SITES or counts.max() > _MAX_PLACES:
        raise ValueError(
            f"at most {MAX_SITES} sites with {_MAX_PLACES} terminals each, "
            f"got {len(counts)} sites with up to {counts.max()}"
        )
    place = np.empty(len(serving), np.int64)
    place[np.argsort(serving, kind="stable")] = np.arange(len(serving)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place * MAX_SITES + serving


def _unplaced(entity: IntArray, air: Air, serving: IntArray) -> Deployment:
    """Return a deployment whose terminals still have to be placed."""
    n = len(serving)
    return Deployment(
        entity=entity,
        site_xy_m=air.sites.xy_m,
        boresight_deg=air.sites.boresight_deg,
        terminal_xy_m=np.empty((n, 2)),
        serving=serving,
        indoor=air.indoors(entity),
        distance_m=np.empty(n),
        los=np.empty(n, np.bool_),
        path_loss_db=np.empty(n),
        shadowing_db=np.empty(n),
        serving_gain=np.empty(n),
        neighbour_gain=np.empty(n),
        attempt=np.empty(n, np.uint8),
    )


@dataclass(frozen=True, eq=False)
class _Drop:
    """Terminals being put down: ``neighbours`` (sites, k) are the sites each one may lose a terminal to."""

    deployment: Deployment
    air: Air
    placement: Placement
    neighbours: IntArray

    def place(self, rows: IntArray, attempt: int, last: bool) -> IntArray:
        """Draw the terminals ``rows`` once, keep those that receive their site best, and return the others.

        The touching neighbours are asked first: they settle most lost tries without the links to all the others. In
        the ``last`` attempt all terminals are kept as they are.
        """
        deployment, air = self.deployment, self.air
        site, entity = deployment.serving[rows], deployment.entity[rows]
        xy, ring = self.placement.positions_m(site, entity, attempt), air.sites.sectors * (_RING + 1) - 1
        own = air.links(xy, site[:, None], entity, attempt)
        near = air.links(xy, self.neighbours[site, :ring], entity, attempt).gain
        ahead = np.flatnonzero(np.all(near <= own.gain, axis=1) | last)
        far = air.links(xy[ahead], self.neighbours[site[ahead], ring:], entity[ahead], attempt).gain
        best = np.all(far <= own.gain[ahead], axis=1) | last
        kept = ahead[best]
        there = rows[kept]
        deployment.terminal_xy_m[there] = xy[kept]
        deployment.distance_m[there] = own.distance_m[kept, 0]
        deployment.los[there] = own.los[kept, 0]
        deployment.path_loss_db[there] = own.path_loss_db[kept, 0]
        deployment.shadowing_db[there] = own.shadowing_db[kept, 0]
        deployment.serving_gain[there] = own.gain[kept, 0]
        deployment.attempt[there] = attempt
        deployment.neighbour_gain[there] = near[kept].sum(axis=1) + far[best].sum(axis=1)
        return np.delete(rows, kept)


def backbone(deployment: Deployment, latency_s: float, rate_bps: float) -> nx.Graph:
    """Return the graph of cloud and base stations with what is known of every wire."""
    graph = nx.Graph()
    graph.add_node("cloud", tier="cloud")
    for site, (x, y) in enumerate(deployment.site_xy_m):
        graph.add_node(f"bs-{site:02d}", tier="base_station", x_m=float(x), y_m=float(y))
        graph.add_edge("cloud", f"bs-{site:02d}", latency_s=latency_s, rate_bps=rate_bps)
    return graph
