"""What all methods have in common, and the defaults a new method starts from.

A method is one file in this folder with one subclass of :class:`Method`. The network calls its port (``plan``,
``broadcast``, ``adopt``, ``train``, ``merge``, ``evaluate``, ``settle``); every call returns at once, with the real
work submitted to the deferred queue.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.control.observation import Controller, Observation
from learning.evaluation import Evaluator, Measurement
from learning.parcels import Effort, Parcel, Plan
from learning.setting import Setting

Array = NDArray[np.float64]


class Node(Protocol):
    """A place in the hierarchy."""

    @property
    def tier(self) -> str:
        """``"cloud"``, ``"base_station"`` or ``"terminal"``."""

    @property
    def index(self) -> int:
        """Index within the tier; base station b serves task b."""


class Method(ABC):
    """A learning method.

    Subclasses say what they are called and what their parameters are, and implement the port.

    Args:
        setting: data, problem, randomness, queue.
        parameters: an instance of the class's own ``Parameters``.
    """

    label: ClassVar[str]
    """Name in figures."""
    Parameters: ClassVar[Any]
    """Frozen pydantic dataclass: each parameter with its meaning, range and limiting case."""
    protocol = "hierarchical"
    """How the network runs it: ``"hierarchical"`` or ``"isolated"``."""

    def __init__(self, setting: Setting, parameters: Any) -> None:
        self.setting = setting
        self.queue = setting.queue
        self.parameters = parameters
        self.evaluator = Evaluator(setting, self.weights)
        self.controller: Controller = self.make_controller()
        self._trained = [0] * setting.terminals

    # What a method defines ----------------------------------------------------------------------------------

    @abstractmethod
    def make_controller(self) -> Controller:
        """Return what chooses H and K."""

    @abstractmethod
    def broadcast(self, node: Node, audience: Sequence[int]) -> Parcel:
        """Return what ``node`` sends to the children whose indices are ``audience``."""

    @abstractmethod
    def train(self, terminal: int, parcel: Parcel, plan: Plan) -> tuple[Parcel, Effort]:
        """Submit the local work of one terminal."""

    @abstractmethod
    def merge(self, node: Node, parcels: Sequence[Parcel]) -> Parcel:
        """Aggregate what arrived at ``node``; return what it sends upwards."""

    @abstractmethod
    def models(self) -> list[Any]:
        """Return the state in use for each task, possibly pending."""

    def adopt(self, node: Node, parcel: Parcel) -> None:
        """Let a base station take in what the cloud sent; by default it needs nothing."""

    def weights(self, state: Any) -> Array:
        """Return the parameter vector of a node's state; by default the state is the vector."""
        return np.asarray(state)

    # What all methods share ---------------------------------------------------------------------------------

    def plan(self, observation: Observation) -> Plan | None:
        """Ask the controller for the next cloud round."""
        return self.controller.plan(observation, None)

    def evaluate(self, node: Node) -> Measurement:
        """Submit a measurement: of one task at its base station, of everything elsewhere."""
        if node.tier == "base_station":
            if not self.setting.edge_metrics:
                return Measurement()
            task = node.index
            return Measurement([], self.evaluator.measure(self.queue, [task], [self.models()[task]]))
        states = list(self.models())  # as they are now: the method goes on replacing them
        scores = self.evaluator.measure(self.queue, range(self.setting.tasks), states)
        return Measurement([self.evaluator.objective(self.queue, states)], scores)

    def settle(self) -> None:
        """Compute everything that is pending."""
        self.queue.flush()

    def next_round(self, terminal: int) -> int:
        """Return how often ``terminal`` has trained before, and count this time."""
        self._trained[terminal] += 1
        return self._trained[terminal] - 1

    def samples(self, terminal: int) -> int:
        """Training rows of a terminal."""
        offsets = self.setting.federation.terminal_offsets
        return int(offsets[terminal + 1] - offsets[terminal])
