"""FedAvg with fine-tuning: where the global model is used, every terminal first trains it on its own rows for a while.

Known as FedAvg+; Y. Jiang et al., "Improving federated learning personalization via model agnostic meta learning",
arXiv 1909.12488. Tuned models are made for measurements and go nowhere, and their making is not charged: it happens
once, where a model is deployed.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.deferred import ALL
from learning.descent import Descent
from learning.evaluation import Measurement
from learning.methods.base import IntArray, Node
from learning.methods.fedavg import FedAvg, FedAvgParameters
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class TuningParameters(FedAvgParameters):
    """Parameters of FedAvg with fine-tuning.

    Attributes:
        tuning_epochs: E, passes over a terminal's rows before its model is measured; 0 is FedAvg.
    """

    tuning_epochs: int = Field(default=1, ge=0)


class FedAvgFinetune(FedAvg):
    """FedAvg, measured after local epochs."""

    label = "FedAvg + fine-tuning"
    Parameters: ClassVar[Any] = TuningParameters
    personal = True

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._tuned = State(np.repeat(self._cloud.values, setting.terminals, axis=0))
        self._tuning = Descent(setting, parameters, purpose="fine-tuning rows")
        rows = np.diff(setting.federation.terminal_offsets)
        self._tuning_steps = parameters.tuning_epochs * -(-rows // parameters.batch_size)

    def models(self) -> tuple[State, IntArray]:
        """The terminals' models as they were last measured."""
        return self._tuned, np.arange(self.setting.terminals)

    def evaluate(self, node: Node) -> Measurement:
        """Tune the global model everywhere and measure what comes of it."""
        if node.tier != "base_station":
            everybody = np.arange(self.setting.terminals)
            tuned = self._tuning.submit(everybody, self._cloud, 0 * everybody, self._tuning_steps, self._trained.copy())
            self.queue.submit(self._keep, (tuned,), writes=[(self._tuned, ALL)])
        return super().evaluate(node)

    def _keep(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for (models,) in batch:
            self._tuned.values[:] = models
        return [None] * len(batch)
