"""Edge FedEM: FedEM among the terminals of every base station, gossip of its models among base stations, no cloud.

FedEM's mixtures (Marfoq, Neglia, Bellet, Kameni and Vidal, NeurIPS 2021) on the hierarchy of Castiglia, Das and
Patterson, "Multi-level local SGD", ICLR 2021: what D-FedEM does between terminals happens between base stations, over
the wires.
"""

from __future__ import annotations

from learning.deferred import Pending
from learning.edge_mixing import EdgeMixing
from learning.evaluation import Measurement
from learning.methods.base import IntArray, Node
from learning.methods.fedem import FedEM
from learning.state import State


class EdgeFedEM(EdgeMixing, FedEM):
    """M models per base station, each mixed with those of its neighbours."""

    label = "Edge FedEM"

    def served(self) -> tuple[State, IntArray]:
        """The models of each terminal's base station."""
        return self._sites, self.setting.federation.terminal_task

    def newcomers(self) -> Pending | None:
        """None: there is no base station whose models they would use."""
        return None

    def evaluate(self, node: Node) -> Measurement:
        """Measure the terminals' mixtures, and how far the models are apart."""
        measured = super().evaluate(node)
        return measured if node.tier == "base_station" else self.and_disagreement(measured)
