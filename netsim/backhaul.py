"""The wires between base stations and the cloud: latency, rate and energy along the shortest path of a graph.

A wire that all base stations share is a processor-sharing queue, like a cell whose uploads take turns.
"""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
from simpy import Environment

from netsim.cell import TimeShared
from netsim.energy import Meter


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


def shared_wires(env: Environment, backhaul: Backhaul, sites: int, meter: Meter) -> tuple[TimeShared, TimeShared]:
    """Return a wire from the cloud and one to it for all sites; each draws the power of the bits it gets through."""
    full_w = [backhaul.power_w(site) for site in range(sites)]

    def duty(senders: Iterable[int], share: float) -> None:
        meter.set_shares("backhaul", senders, full_w, share)

    return TimeShared(env, backhaul.rate_bps, duty), TimeShared(env, backhaul.rate_bps, duty)


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
