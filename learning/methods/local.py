"""Local training: every terminal fits a model to its own rows and never sends anything.

What a federation has to beat. A task's scores are the mean over the models of its terminals. One that trains heads only
does so on the trunk that all start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.deferred import Pending
from learning.descent import Descent
from learning.distortion import Distortion
from learning.kept import Kept
from learning.messages import Cohort, Plan, Sizes
from learning.methods.base import BoolArray, IntArray, Method
from learning.models import starts
from learning.momentum import MomentumParameters, velocities
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class ChunkParameters:
    """How local training goes on, in chunks.

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


@dataclass(frozen=True, config={"extra": "forbid"})
class LocalParameters(MomentumParameters, ChunkParameters):
    """Parameters of local training; a round is a chunk."""


class Local(Method):
    """One model per terminal, no communication."""

    label = "Local"
    Parameters = LocalParameters
    protocols = ("isolated",)
    personal = True
    obstacles: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("hierarchical", "asynchronous", "decentralised"), "it has nothing to send"
    )
    mixes_heads = False
    knows_heads_only = True

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._models = State(starts(setting.model, setting.streams, setting.federation.terminal_task))
        self._descent = Descent(setting, parameters)
        self._velocities = velocities(parameters, setting.terminals, setting.model.size)
        self._kept = Kept(setting.queue, setting.model.size, [self._velocities])

    def make_controller(self) -> FixedControl:
        """Return H steps per chunk, K chunks."""
        return FixedControl(self.parameters.local_iterations, self.parameters.chunks)

    def models(self) -> tuple[State, IntArray]:
        """The terminals' models; a task has as many as terminals."""
        return self._models, np.arange(self.setting.terminals)

    def sizes(self, plan: Plan) -> Sizes:
        """Nothing travels."""
        visits = self._descent.visits(plan.everybodys)
        return Sizes(0.0, 0.0, 0.0, 0.0, visits, np.zeros_like(visits))

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit one chunk of SGD on each terminal's own rows."""
        who, numbers = cohort.terminals, self.next_rounds(cohort.terminals)
        return self._descent.submit(who, self._models, who, plan.steps(who), numbers, self._velocities)

    def merge(self, cohort: Cohort, work: Pending, arrived: BoolArray, distortion: Distortion | None = None) -> None:
        """Keep the new models of the terminals that finished."""
        who, models = cohort.terminals[arrived], self._kept.part(cohort.terminals, work, arrived)
        self.queue.submit(self._keep, (who, models, arrived), writes=[(self._models, who)])

    def _keep(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for who, models, finished in batch:
            self._models.values[who] = models[finished]
        return [None] * len(batch)
