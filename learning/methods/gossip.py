"""Gossip: terminals train models of their own and average them with their neighbours' in a graph, without a centre.

Decentralised SGD: Lian et al., "Can decentralized algorithms outperform centralized algorithms?", NeurIPS 2017, with
several local steps a round and Metropolis weights; a neighbour that is not there leaves its weight to the node itself.
On a complete graph a round ends with the plain average of all models; without edges it is local training.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.deferred import Pending
from learning.descent import Descent
from learning.distortion import Distortion
from learning.evaluation import Measurement
from learning.messages import Cohort, Contacts, Plan, Sizes
from learning.methods.base import Array, BoolArray, IntArray, Method, Node
from learning.mixer import Mixer
from learning.mixing import Mixing
from learning.momentum import MomentumParameters, velocity_size
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class MeetingParameters:
    """Parameters that gossip and its kin have in common.

    Attributes:
        local_iterations: SGD steps per round.
        rounds: rounds after which a terminal stops.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: step size eta at the start.
        decay: the step size is eta / (1 + decay x the terminal's rounds so far); 0 keeps it.
    """

    local_iterations: int = Field(default=5, ge=1)
    rounds: int = Field(default=50, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)


@dataclass(frozen=True, config={"extra": "forbid"})
class GossipParameters(MomentumParameters, MeetingParameters):
    """Parameters of gossip."""


class Gossip(Method):
    """One model per terminal, mixed with those of its neighbours."""

    label = "Gossip"
    Parameters: ClassVar[Any] = GossipParameters
    protocols = ("decentralised",)
    nodes = "terminals"
    personal = True

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        start = self.initial()
        kept = velocity_size(parameters, len(start) - self.private)
        state = State(np.tile(np.append(start, np.zeros(kept)), (setting.terminals, 1)))
        self._models = state.columns(slice(len(start)))
        self._velocities = state.columns(slice(len(start), None)) if kept else None
        self._mixer = Mixer(setting.queue, state, self.private + kept)
        self._descent = Descent(setting, parameters)

    def initial(self) -> Array:
        """Return the (P,) values that every terminal starts from."""
        return self.setting.model.initial(self.setting.streams)

    @property
    def private(self) -> int:
        """How many of them, the last, no terminal sends."""
        return 0

    def make_controller(self) -> FixedControl:
        """Return H steps per round, K rounds."""
        return FixedControl(self.parameters.local_iterations, self.parameters.rounds)

    def models(self) -> tuple[State, IntArray]:
        """The terminals' models; a task has as many as terminals."""
        return self._models, np.arange(self.setting.terminals)

    def sizes(self, plan: Plan) -> Sizes:
        """A model to every neighbour."""
        visits = self._descent.visits(plan.everybodys)
        bits = self.setting.message_bits(self._mixer.shared)
        return Sizes(0.0, 0.0, bits, 0.0, visits, np.zeros_like(visits))

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit H SGD steps from the terminals' own models."""
        who, numbers = cohort.terminals, self.next_rounds(cohort.terminals)
        return self._descent.submit(who, self._models, who, plan.steps(who), numbers, self._velocities)

    def merge(self, cohort: Cohort, work: Pending, arrived: BoolArray, distortion: Distortion | None = None) -> None:
        """Nothing is merged at base stations."""

    def contacts(self, node: int, round_: int, neighbours: IntArray) -> Contacts:
        """All neighbours, a model to each."""
        return Contacts(neighbours, np.full(len(neighbours), self.setting.message_bits(self._mixer.shared)))

    def mix(self, mixing: Mixing) -> None:
        """Submit the weighted mean of the terminal's new model and those it has received."""
        self._mixer.submit(mixing)

    def evaluate(self, node: Node) -> Measurement:
        """Measure scores, and how far the models are apart: the root mean square distance from their mean."""
        measured = super().evaluate(node)
        if node.tier != "base_station":
            measured.pending_scalars.append(self._mixer.disagreement())
        return measured
