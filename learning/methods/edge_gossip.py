"""Edge gossip: FedAvg among the terminals of every base station, gossip among base stations instead of a cloud.

Castiglia, Das and Patterson, "Multi-level local SGD", ICLR 2021: hubs average their workers' models now and then, and
mix with neighbouring hubs in a graph; here by Metropolis weights. On a complete graph, with tasks of equally many rows,
it is hierarchical FedAvg.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from learning.deferred import Pending
from learning.evaluation import Measurement
from learning.messages import Contacts
from learning.methods.base import IntArray, Method, Node
from learning.methods.fedavg import FedAvg
from learning.mixer import Mixer
from learning.mixing import Mixing
from learning.setting import Setting
from learning.state import State, take


class EdgeGossip(FedAvg):
    """One model per base station, mixed with those of its neighbours."""

    label = "Edge gossip"
    protocols = ("decentralised",)
    nodes = "base_stations"

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._mixer = Mixer(setting.queue, self._sites)

    def models(self) -> tuple[State, IntArray]:
        """The base stations' models."""
        return self._sites, np.arange(self.setting.tasks)

    def offer(self, node: int) -> Pending:
        """Put a base station's model aside."""
        rows = np.array([node])
        return self.queue.submit(take, (self._sites, rows), reads=[(self._sites, rows)])

    def contacts(self, node: int, round_: int, neighbours: IntArray) -> Contacts:
        """All neighbours, a model to each."""
        return Contacts(neighbours, np.full(len(neighbours), self.setting.message_bits(self.setting.model.size)))

    def mix(self, mixing: Mixing) -> None:
        """Submit the weighted mean of the base station's model and those it has received."""
        self._mixer.submit(mixing)

    def evaluate(self, node: Node) -> Measurement:
        """Measure scores, and how far the models are apart: the root mean square distance from their mean."""
        measured = Method.evaluate(self, node)
        if node.tier != "base_station":
            measured.pending_scalars.append(self._mixer.disagreement())
        return measured
