"""Hierarchical FedAvg: one global model, averaged over terminals at base stations and over base stations at the cloud.

McMahan et al., "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017; the
hierarchy as in Liu et al., "Client-edge-cloud hierarchical federated learning", ICC 2020. With one base-station
iteration per cloud round it is plain FedAvg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.deferred import Pending
from learning.descent import Descent
from learning.evaluation import Measurement
from learning.methods.base import Array, Method, Node
from learning.parcels import Effort, Parcel, Plan
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class AveragingParameters:
    """Parameters of FedAvg and its kin.

    Attributes:
        local_iterations: H, SGD steps per terminal and base-station iteration.
        bs_iterations: K, base-station iterations per cloud round.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: step size eta at the start.
        decay: the step size is eta / (1 + decay x the terminal's rounds so far); 0 keeps it.
        cloud_rounds: stop after so many; absent: go on until the budget is met.
    """

    local_iterations: int = Field(default=5, ge=1)
    bs_iterations: int = Field(default=2, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)
    cloud_rounds: int | None = Field(default=None, ge=1)


class FedAvg(Method):
    """Averages whole models, weighted by training rows."""

    label = "FedAvg"
    Parameters: ClassVar[Any] = AveragingParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        start = setting.model.initial(setting.streams)
        self._sites: list[Any] = [start] * setting.tasks
        self._cloud: Any = start
        self._descent = Descent(setting, parameters, self.proximal)

    def make_controller(self) -> FixedControl:
        """Return fixed H and K."""
        p = self.parameters
        return FixedControl(p.local_iterations, p.bs_iterations, p.cloud_rounds)

    @property
    def proximal(self) -> float:
        """Weight of the pull towards the model that was broadcast; none here."""
        return 0.0

    def models(self) -> list[Any]:
        """The global model, for every task: a base station's own model is on its way to the next average."""
        return [self._cloud] * self.setting.tasks

    def evaluate(self, node: Node) -> Measurement:
        """Measure the global model, which only the cloud changes."""
        return Measurement() if node.tier == "base_station" else super().evaluate(node)

    def broadcast(self, node: Node, audience: Sequence[int]) -> Parcel:
        """Send the model of the cloud or of a base station."""
        state = self._cloud if node.tier == "cloud" else self._sites[node.index]
        return self._parcel(state, node.index)

    def adopt(self, node: Node, parcel: Parcel) -> None:
        """Continue from the global model."""
        self._sites[node.index] = parcel.content

    def train(self, terminal: int, parcel: Parcel, plan: Plan) -> tuple[Parcel, Effort]:
        """Submit H SGD steps from the model received."""
        number = self.next_round(terminal)
        model, effort = self._descent.submit(terminal, parcel.content, plan.local_iterations, number)
        return self._parcel(model, terminal, self.samples(terminal)), effort

    def merge(self, node: Node, parcels: Sequence[Parcel]) -> Parcel:
        """Submit the weighted mean of the models that arrived; with none, keep the model."""
        if node.tier == "cloud":
            self._cloud = self._mean(parcels, self._cloud)
            self._sites = [self._cloud] * self.setting.tasks
            return self._parcel(self._cloud, -1)
        site = node.index
        self._sites[site] = self._mean(parcels, self._sites[site])
        return self._parcel(self._sites[site], site, int(self.setting.federation.task_samples[site]))

    def _mean(self, parcels: Sequence[Parcel], otherwise: Any) -> Any:
        if not parcels:
            return otherwise
        weights = tuple(parcel.samples for parcel in parcels)
        return self.queue.submit(_weighted_means, ([parcel.content for parcel in parcels], weights))

    def _parcel(self, content: Pending | Array, sender: int, samples: int = 0) -> Parcel:
        return Parcel(content, self.setting.message_bits(self.setting.model.size), sender, samples)


def _weighted_means(batch: list[tuple[Any, ...]]) -> list[Array]:
    """Weighted mean of each operation's models, in float64."""
    return [np.average(np.stack(models), axis=0, weights=weights) for models, weights in batch]
