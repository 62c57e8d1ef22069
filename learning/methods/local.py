"""Local training: every terminal fits a model to its own rows and never sends anything.

What a federation has to beat. A task's scores are the mean over the models of its terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.descent import Descent
from learning.evaluation import Measurement
from learning.methods.base import Method, Node
from learning.parcels import Effort, Parcel, Plan
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class LocalParameters:
    """Parameters of local training.

    Attributes:
        local_iterations: SGD steps per chunk of work, between two measurements.
        chunks: chunks after which a terminal stops.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: step size eta at the start.
        decay: the step size is eta / (1 + decay x chunks done); 0 keeps it.
    """

    local_iterations: int = Field(default=10, ge=1)
    chunks: int = Field(default=50, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)


class Local(Method):
    """One model per terminal, no communication."""

    label = "Local"
    Parameters = LocalParameters
    protocol = "isolated"

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._models: list[Any] = [setting.model.initial(setting.streams)] * setting.terminals
        self._descent = Descent(setting, parameters)

    def make_controller(self) -> FixedControl:
        """Return H steps per chunk, K chunks."""
        return FixedControl(self.parameters.local_iterations, self.parameters.chunks)

    def models(self) -> list[Any]:
        """The terminals' models."""
        return self._models

    def broadcast(self, node: Node, audience: Sequence[int]) -> Parcel:
        """Return the terminal's own model."""
        return Parcel(self._models[node.index], 0.0, node.index)

    def train(self, terminal: int, parcel: Parcel, plan: Plan) -> tuple[Parcel, Effort]:
        """Submit one chunk of SGD on the terminal's own rows."""
        number = self.next_round(terminal)
        model, effort = self._descent.submit(terminal, parcel.content, plan.local_iterations, number)
        return Parcel(model, 0.0, terminal), effort

    def merge(self, node: Node, parcels: Sequence[Parcel]) -> Parcel:
        """Keep the terminal's new model."""
        self._models[node.index] = parcels[0].content
        return parcels[0]

    def evaluate(self, node: Node) -> Measurement:
        """Submit the scores of all terminals on their own tasks."""
        tasks = [int(task) for task in self.setting.federation.terminal_task]
        return Measurement([], self.evaluator.measure(self.queue, tasks, list(self._models)))
