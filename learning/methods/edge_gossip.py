"""Edge gossip: FedAvg among the terminals of every base station, gossip among base stations instead of a cloud.

Castiglia, Das and Patterson, "Multi-level local SGD", ICLR 2021: hubs average their workers' models now and then, and
mix with neighbouring hubs in a graph; here by Metropolis weights. On a complete graph, with tasks of equally many rows,
it is hierarchical FedAvg.
"""

from __future__ import annotations

from learning.edge_mixing import EdgeMixing
from learning.evaluation import Measurement
from learning.methods.base import Method, Node


class EdgeGossip(EdgeMixing):
    """One model per base station, mixed with those of its neighbours."""

    label = "Edge gossip"

    def evaluate(self, node: Node) -> Measurement:
        """Measure scores, and everywhere at once how far the models are apart."""
        measured = Method.evaluate(self, node)
        return measured if node.tier == "base_station" else self.and_disagreement(measured)
