"""PersA-FL: asynchronous learning of a model that every terminal adapts to its own rows before it is used.

The cloud steps along every report as it arrives: w = w - beta (w_received - w_reached). Option A, AFL, adapts nothing;
B, MAML, learns a model that is good after one gradient step; C, Moreau envelope, one that is near what each terminal
prefers. Toghani, Lee and Uribe, "PersA-FL: personalized asynchronous federated learning", arXiv 2210.01176.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.asynchronous import Asynchronous, AsynchronousParameters
from learning.deferred import ALL, Pending
from learning.descent import Descent
from learning.evaluation import Measurement
from learning.methods.base import IntArray, Node
from learning.personal_descent import ALL_ROWS, LocalLoss, Meta, Moreau, Personal, personal_descent
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class PersonalParameters(AsynchronousParameters):
    """Parameters of PersA-FL.

    Attributes:
        option: afl, no adaptation; maml, one step of ``adaptation_rate``; moreau, ``adaptation_steps`` of it towards
            the minimum of the terminal's loss + ``pull`` / 2 ||theta - w||^2.
        server_rate: beta, share of a reported change that the cloud takes over.
        adaptation_rate: alpha of maml, and step size of the descent of moreau.
        adaptation_steps: of moreau.
        pull: lambda of moreau; a huge one leaves the terminals no preference.
        first_order: maml without the Hessian; halves its work.
    """

    option: Literal["afl", "maml", "moreau"] = "maml"
    server_rate: float = Field(default=0.5, gt=0)
    adaptation_rate: float = Field(default=0.05, gt=0)
    adaptation_steps: int = Field(default=5, ge=1)
    pull: float = Field(default=2.0, gt=0)
    first_order: bool = False


class PersAFL(Asynchronous):
    """Learns what to adapt, without rounds."""

    label = "PersA-FL"
    Parameters: ClassVar[Any] = PersonalParameters
    personal = True

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._way = _way(parameters)
        self._descent = Descent(setting, parameters)
        self._everybody = np.arange(setting.terminals)
        self._adapted = State(np.tile(self.cloud.values[0], (setting.terminals, 1)))

    def learn(self, terminals: IntArray, models: State, rows: IntArray, steps: int, numbers: IntArray) -> Pending:
        """Submit steps along the gradient of the option's objective."""
        if self._way is None:
            return self._descent.submit(terminals, models, rows, steps, numbers)
        arguments = (self._way, terminals, models, rows, steps, numbers)
        return self.queue.submit(self._learn, arguments, reads=[(models, rows)], weight=len(terminals))

    def visits(self, steps: int) -> Any:
        """Return (terminals,) rows visited for a report; every gradient of MAML draws rows of its own."""
        if self._way is None:
            return self._descent.visits(steps)
        if isinstance(self._way, Moreau):
            return steps * self._descent.visits(self._way.steps)
        return steps * self._way.gradients * self._descent.visits(1)

    def weigh(self, staleness: int) -> tuple[float, int]:
        """Return beta; every report makes a version."""
        return float(self.parameters.server_rate), 1

    def take_in(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """Step."""
        w = self.cloud.values[0]
        for received, reached, rate in batch:
            w -= rate * (received - reached)
        return [None] * len(batch)

    def models(self) -> tuple[State, IntArray]:
        """The terminals' models, as they were when measured last."""
        return self._adapted, self._everybody

    def evaluate(self, node: Node) -> Measurement:
        """Let every terminal adapt the cloud's model with all its rows, and measure that.

        Adapting is done for the measurement: it costs no simulated time, and nothing goes on from it.
        """
        self.queue.submit(self._adapt, (), reads=[(self.cloud, ALL)], writes=[(self._adapted, ALL)])
        return super().evaluate(node)

    def _learn(self, batch: list[tuple[Any, ...]]) -> list[Any]:
        return [self._reached(*arguments) for arguments in batch]

    def _reached(
        self, way: Personal, terminals: IntArray, models: State, rows: IntArray, steps: int, numbers: IntArray
    ) -> Any:
        loss = LocalLoss(self.setting, terminals, self.parameters.batch_size)
        rate = self.parameters.learning_rate / (1.0 + self.parameters.decay * numbers)
        return personal_descent(way, loss, models.values[rows], rate, numbers, steps)

    def _adapt(self, batch: list[tuple[Any, ...]]) -> list[None]:
        w = np.tile(self.cloud.values[0], (self.setting.terminals, 1))
        if self._way is not None:
            loss = LocalLoss(self.setting, self._everybody, ALL_ROWS)
            w = self._way.adapted(loss, w, np.zeros(len(w), np.int64))
        self._adapted.values[:] = w
        return [None] * len(batch)


def _way(p: PersonalParameters) -> Personal | None:
    """Return what the terminals' objective is made of; None for the plain loss."""
    if p.option == "afl":
        return None
    if p.option == "maml":
        return Meta(p.adaptation_rate, p.first_order)
    return Moreau(p.pull, p.adaptation_steps, p.adaptation_rate)
