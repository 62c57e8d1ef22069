"""The wires between base stations and the cloud: latency, rate and energy along the shortest path of a graph.

A wire that all base stations share is a processor-sharing queue, like a cell whose uploads take turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial

import networkx as nx
from simpy import Environment, Event

from netsim.cell import TimeShared
from netsim.energy import Meter

DOWN, UP = 0, 1
"""Ways of a wire: from the cloud, and to it."""


class Backhaul:
    """Transfer times over a networkx graph whose edges carry ``latency_s`` and ``rate_bps``.

    Args:
        graph: topology with a node ``"cloud"`` and nodes ``"bs-00"``, ...
        sites: number of base stations.
        energy_j_per_bit: energy a bit costs on its way, joules.

    Raises:
        ValueError: a base station has no path to the cloud.
    """

    def __init__(self, graph: nx.Graph, sites: int, energy_j_per_bit: float) -> None:
        self.energy_j_per_bit = energy_j_per_bit
        paths = nx.single_source_dijkstra_path(graph, "cloud", weight="latency_s")
        self._latency_s, self._rate_bps = [], []
        for site in range(sites):
            path = paths.get(f"bs-{site:02d}")
            if path is None:
                raise ValueError(f"base station bs-{site:02d} has no path to the cloud")
            edges = [graph.edges[edge] for edge in nx.utils.pairwise(path)]
            self._latency_s.append(sum(edge["latency_s"] for edge in edges))
            self._rate_bps.append(min(edge["rate_bps"] for edge in edges))

    def rate_bps(self, site: int) -> float:
        """Rate of the slowest wire on the way, bit/s."""
        return float(self._rate_bps[site])

    def sending_s(self, site: int, bits: float) -> float:
        """Time the bits occupy the slowest wire, seconds."""
        return bits / self._rate_bps[site]

    def latency_s(self, site: int) -> float:
        """One-way propagation and switching delay, seconds."""
        return self._latency_s[site]

    def power_w(self, site: int) -> float:
        """Power while bits are being sent, watts: energy per bit times rate."""
        return self.energy_j_per_bit * self._rate_bps[site]


class SharedWires:
    """A wire from the cloud and one to it that all base stations share: n transfers get an n-th of a wire each.

    A base station may have several transfers at once, on either wire; it draws the power of the bits of all of them.

    Args:
        env: the clock.
        backhaul: rates and energies.
        sites: number of base stations.
        meter: where their energy is counted, as ``"backhaul"``.
    """

    def __init__(self, env: Environment, backhaul: Backhaul, sites: int, meter: Meter) -> None:
        self._meter = meter
        self._full_w = [backhaul.power_w(site) for site in range(sites)]
        self._wires = [TimeShared(env, backhaul.rate_bps, partial(self._follow, way)) for way in (DOWN, UP)]
        self._transfers = [Counter[int](), Counter[int]()]
        self._share = [0.0, 0.0]

    def send(self, site: int, bits: float, way: int) -> Event:
        """Send ``bits`` > 0 one way, :data:`DOWN` or :data:`UP`; the event comes with the last of them."""
        return self._wires[way].start(site, bits).done

    def _follow(self, way: int, senders: Iterable[int], share: float) -> None:
        """One of the ``senders``' transfers has left a wire, or these are all who are on it, with equal shares."""
        told = list(senders)
        if share > 0.0:
            self._transfers[way], self._share[way] = Counter(told), share
        else:
            self._transfers[way].subtract(told)
        power_w = {site: self._full_w[site] * self._wires_of(site) for site in told}
        self._meter.set_shares("backhaul", power_w, power_w, 1.0)

    def _wires_of(self, site: int) -> float:
        """Return how much of the two wires a base station has."""
        return sum(self._transfers[way][site] * self._share[way] for way in (DOWN, UP))


class Wire:
    """The wire of one base station in use. Transfers do not slow each other down; their powers add up.

    Args:
        meter: where its energy is counted, as ``"backhaul"``.
        site: which base station.
        power_w: power of one transfer.
    """

    def __init__(self, meter: Meter, site: int, power_w: float) -> None:
        self._meter, self._site, self._power_w = meter, site, power_w
        self._transfers = 0

    def change(self, difference: int) -> None:
        """Count a transfer more (+1) or less (-1)."""
        self._transfers += difference
        self._meter.set_power(self._site, "backhaul", self._transfers * self._power_w)
