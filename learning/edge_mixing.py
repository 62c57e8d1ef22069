"""What methods have in common whose base stations mix their models with neighbours' instead of having a cloud."""

from __future__ import annotations

from typing import Any

import numpy as np

from learning.deferred import Pending
from learning.evaluation import Measurement
from learning.messages import Contacts
from learning.methods.base import IntArray
from learning.methods.fedavg import FedAvg
from learning.mixer import Mixer
from learning.mixing import Mixing
from learning.setting import Setting
from learning.state import State, take


class EdgeMixing(FedAvg):
    """Averages in the cell, as FedAvg or a method that is inherited beside this one, and mixes at base stations."""

    protocols = ("decentralised",)
    nodes = "base_stations"

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._mixer = Mixer(setting.queue, self._sites)

    def models(self) -> tuple[State, IntArray]:
        """The base stations' models, one for each task."""
        return self._sites, np.arange(self.setting.tasks)

    def offer(self, node: int) -> Pending:
        """Put a base station's model aside."""
        rows = np.array([node])
        return self.queue.submit(take, (self._sites, rows), reads=[(self._sites, rows)])

    def contacts(self, node: int, round_: int, neighbours: IntArray) -> Contacts:
        """All neighbours, all numbers of the model to each."""
        bits = self.setting.message_bits(self._sites.values.shape[1])
        return Contacts(neighbours, np.full(len(neighbours), bits))

    def mix(self, mixing: Mixing) -> None:
        """Submit the weighted mean of the base station's model and those it has received."""
        self._mixer.submit(mixing)

    def and_disagreement(self, measured: Measurement) -> Measurement:
        """Add how far the models are apart: the root mean square distance from their mean."""
        measured.pending_scalars.append(self._mixer.disagreement())
        return measured
