"""Hard parameter sharing: all terminals train one trunk, and each keeps the heads on it to itself.

What the schedules of :mod:`learning.methods.fedrep` and :mod:`learning.methods.fedper` have in common. Trunks travel
and are averaged as FedAvg averages models; nothing of a head ever leaves its terminal. Terminals that train heads only
answer with a message that holds nothing but its overhead, and have no part in any average.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.deferred import ALL, Pending
from learning.descent import Descend, Descent
from learning.evaluation import Measurement
from learning.head_evaluation import HeadedModel, HeadEvaluator
from learning.kept import Kept
from learning.messages import Cohort, Plan, Sizes, owners
from learning.methods.base import Array, BoolArray, IntArray, Node
from learning.methods.fedavg import FedAvg
from learning.models import starts
from learning.momentum import HeavyParameters
from learning.setting import Setting
from learning.state import State
from scenarios.errors import ScenarioError


@dataclass(frozen=True, config={"extra": "forbid"})
class SharingParameters(HeavyParameters):
    """Parameters of hard parameter sharing; trunk and heads build up momentum apart, in their own steps.

    Attributes:
        bs_iterations: K, base-station iterations per cloud round.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: step size eta at the start, of trunk and heads.
        decay: the step size is eta / (1 + decay x the terminal's rounds so far); 0 keeps it.
        cloud_rounds: stop after so many; absent: go on until the budget is met.
        weighting: trunks count all alike in all means, or by their terminals' training rows.
        late_power: as in FedAvg, for trunks.
    """

    bs_iterations: int = Field(default=1, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)
    cloud_rounds: int | None = Field(default=None, ge=1)
    weighting: Literal["samples", "equal"] = "equal"
    late_power: float = Field(default=0.5, ge=0)


class HardSharing(FedAvg):
    """One trunk for all; a terminal's heads change with each of its updates that arrives.

    An update that is lost or late is void at both ends: its terminal goes back to the heads it had, for it cannot be
    told from one that never computed.
    """

    Parameters: ClassVar[Any] = SharingParameters
    personal = True
    mixes_heads = False
    knows_heads_only = True

    def __init__(self, setting: Setting, parameters: Any) -> None:
        if not isinstance(setting.model, HeadedModel):
            allowed = "a function of (features, outputs), such as learning.trunks:mlp"
            raise ScenarioError("learning.model", "a model without heads", f"{allowed}, for {self.label}")
        self._trunk_size = setting.model.trunk_size
        heads_only = setting.heads_only
        self._trains_trunk = np.full(setting.terminals, True) if heads_only is None else ~heads_only
        super().__init__(setting, parameters)
        tasks = setting.federation.terminal_task
        self._shares = self._weights / self._site_weights[tasks]
        self._site_weights = np.bincount(tasks, self._weights * self._trains_trunk, setting.tasks).astype(float)
        self._held = State(starts(setting.model, setting.streams, tasks))
        self._kept = Kept(setting.queue, self._trunk_size, [self._held.columns(slice(self._trunk_size, None))])
        self._descent = Descent(setting, parameters, descend=self.schedule(setting.model))

    def initial(self) -> Array:
        """Return the trunk to begin with."""
        return super().initial()[: self._trunk_size]

    def schedule(self, model: Any) -> Descend:
        """Return how a terminal descends: which parts move in which steps."""
        every_part: Descend = model.descend
        return every_part

    def models(self) -> tuple[State, IntArray]:
        """What each terminal holds: its heads, and the trunk that reached it last, or that the cloud has just made."""
        return self._held, np.arange(self.setting.terminals)

    def newcomers(self) -> Pending | None:
        """None: nobody has fitted heads for them."""
        return None

    def evaluate(self, node: Node) -> Measurement:
        """Measure what the terminals hold; the objective is P, each training row under its own terminal's model."""
        measured = super().evaluate(node)
        if measured.pending_tasks is None:
            return measured
        assert isinstance(self.evaluator, HeadEvaluator)
        own = self.evaluator.own_objective(self.queue, self._held, self._shares)
        return Measurement([own], measured.pending_tasks)

    def sizes(self, plan: Plan) -> Sizes:
        """A trunk everywhere. A step counts as one visit of its rows, whichever part it moves."""
        bits, visits = self.setting.message_bits(self._trunk_size), self.visits(plan)
        own = None if self._trains_trunk.all() else np.where(self._trains_trunk, bits, self.setting.overhead_bits)
        fixed = np.zeros_like(visits)
        return Sizes(bits, bits, bits, bits, visits, fixed, self._trunk_size, own_update_bits=own)

    def steps(self, plan: Plan) -> IntArray:
        """Return (terminals,) the steps each takes for an update."""
        return plan.steps(np.arange(self.setting.terminals))

    def visits(self, plan: Plan) -> Array:
        """Return (terminals,) rows visited for an update."""
        return self._descent.visits(self.steps(plan))

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit local steps from the trunk received and the terminals' own heads."""
        who, sites = cohort.terminals, owners(cohort)
        self.queue.submit(self._take_trunk, (who, sites), reads=[(self._sites, sites)], writes=[(self._held, who)])
        return self._descent.submit(who, self._held, who, self.steps(plan)[who], self.next_rounds(who))

    def averaged(self, cohort: Cohort, arrived: BoolArray) -> BoolArray:
        """Those that train the trunk."""
        return arrived & self._trains_trunk[cohort.terminals]

    def combine(self) -> None:
        """Submit the mean of the base stations' trunks, and give it to all terminals to be measured with.

        A base station counts by its terminals that train the trunk; if there are none at all the trunk stays.
        """
        if self._trains_trunk.any():
            super().combine()
        self.queue.submit(self._hand_out, (), reads=[(self._cloud, ALL)], writes=[(self._held, ALL)])

    # What the queue runs ------------------------------------------------------------------------------------

    def _take_trunk(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for who, sites in batch:
            self._held.values[who, : self._trunk_size] = self._sites.values[sites]
        return [None] * len(batch)

    def _hand_out(self, batch: list[tuple[Any, ...]]) -> list[None]:
        self._held.values[:, : self._trunk_size] = self._cloud.values[0]
        return [None] * len(batch)
