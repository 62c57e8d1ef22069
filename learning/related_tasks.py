"""What MOCHA and the methods it is compared with have in common: related tasks, and a cloud that moves all models.

In a round the models go down, everybody's weighted sum of rows comes up, and the cloud moves the models of all tasks to
where the sums and the relationship put them. A base station adds up what its terminals send, if these hold parts of one
task, and passes it on as it is if every terminal is a task.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.local_work import Workload
from learning.deferred import ALL, Pending
from learning.distortion import Distortion
from learning.evaluation import Measurement
from learning.messages import Cohort, Plan, Sizes
from learning.methods.base import BoolArray, IntArray, Method, Node
from learning.setting import Setting
from learning.state import State
from learning.task_partition import TaskPartition
from learning.task_relation import TaskRelation, grouped_covariance
from scenarios.errors import ScenarioError

Batch = list[tuple[Any, ...]]


@dataclass(frozen=True, config={"extra": "forbid"})
class RelatedParameters:
    """Parameters of every method with related tasks.

    Attributes:
        tasks: base_station, one task for all terminals of a base station; terminal, every terminal is a task and has a
            model of its own.
        relationship: independent; mean_regularised, the pull towards the mean model of learning.lambda1 and lambda2;
            clustered, the same within every cluster.
        clusters: clustered: number of the cluster of every task.
        regularisation: lambda, weight of the penalty tr(W^T Omega W) / 2 with tr Omega^-1 = 1; absent: the one that
            makes the problem that of learning.lambda1 and lambda2, between the tasks that pull each other; a learned
            relationship takes that of mean_regularised.
        cloud_rounds: stop after so many; absent: go on until the budget is met.
    """

    tasks: Literal["base_station", "terminal"] = "base_station"
    relationship: Literal["independent", "mean_regularised", "clustered"] = "independent"
    clusters: tuple[int, ...] = ()
    regularisation: float | None = Field(default=None, gt=0)
    cloud_rounds: int | None = Field(default=None, ge=1)


class RelatedTasks(Method):
    """Rounds of sums up and models down; subclasses say what a terminal sums up and how the cloud moves the models."""

    Parameters: ClassVar[Any] = RelatedParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        if not setting.model.linear:
            raise ScenarioError("learning.model", "a torch module", f"linear: {self.label} needs a linear model")
        super().__init__(setting, parameters)
        self.personal = parameters.tasks == "terminal"
        make = TaskPartition.of_terminals if self.personal else TaskPartition.of_base_stations
        self._tasks = make(setting.federation)
        self._relation = self._first_relation()
        start = np.zeros((len(self._tasks.rows), setting.model.size))
        self._models = State(start.copy())
        # What each task works from. Whoever uses its row uses with it the task's sums, its terminals' duals and the
        # relationship.
        self._views = State(start)
        self._round = 0

    def _first_relation(self) -> TaskRelation:
        """Return the relationship that the parameters name; one that will be learned starts as independence."""
        p, m, share = self.parameters, len(self._tasks.rows), self.setting.coupling.share
        clustered = p.relationship == "clustered"
        if clustered != (len(p.clusters) > 0) or (clustered and len(p.clusters) != m):
            allowed = f"a number for each of the {m} tasks, with relationship clustered and with no other"
            raise ScenarioError("clusters", list(p.clusters), allowed)
        groups = {"clustered": p.clusters, "independent": range(m)}.get(p.relationship, [0] * m)
        pulled = len(set(groups)) * share + m * (1.0 - share)
        weight = p.regularisation or self.setting.coupling.lambda1 / pulled
        return TaskRelation(grouped_covariance(range(m) if p.relationship == "learned" else groups, share), weight)

    def _workload(self, share: float) -> Workload:
        """Return the rule by which every terminal visits the same share of its rows in every round."""
        rows = np.diff(self.setting.federation.terminal_offsets)
        return Workload(rows=rows, bottom=share, top=share, cloud_rounds=self.parameters.cloud_rounds)

    # What subclasses define, as kernels of the queue ----------------------------------------------------------

    @abstractmethod
    def _work(self, batch: Batch) -> list[Any]:
        """Do the local work of (terminals, tasks, partners, steps, numbers): whose, (n,) each."""

    @abstractmethod
    def _take_in(self, batch: Batch) -> list[None]:
        """Add up what arrived of (tasks, offsets, work, arrived)."""

    @abstractmethod
    def _move(self, batch: Batch) -> list[None]:
        """Let the cloud move all models at the end of round (number,), counted from 1."""

    @abstractmethod
    def _certify(self, batch: Batch) -> list[dict[str, float]]:
        """Return the numbers that are recorded of the present models."""

    def _news(self) -> int:
        """Return how many numbers go down with every model of the round to come; by default none."""
        return 0

    # The port -----------------------------------------------------------------------------------------------

    def models(self) -> tuple[State, IntArray]:
        """The models as the cloud last moved them."""
        return self._models, np.arange(len(self._tasks.rows))

    def sizes(self, plan: Plan) -> Sizes:
        """A model down and a sum up for every task of a base station; to a terminal that is a task, its own model."""
        size, tasks = self.setting.model.size, self._tasks.per_site
        down, up = self.setting.message_bits(size + self._news()), self.setting.message_bits(size)
        H = plan.steps(np.arange(self.setting.terminals)).astype(np.float64)
        broadcast, own = (0.0, down) if self.personal else (down, 0.0)
        return Sizes(tasks * down, broadcast, up, tasks * up, H, np.zeros_like(H), personal_bits=own)

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit the local work."""
        who, numbers = cohort.terminals, self.next_rounds(cohort.terminals)
        tasks, offsets = self._tasks.parts(cohort)
        arguments = (who, *self._colleagues(tasks, offsets), plan.steps(who), numbers)
        return self.queue.submit(self._work, arguments, reads=[(self._views, tasks)], weight=len(who))

    def _colleagues(self, tasks: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray]:
        """Return (n,) the task of each terminal of a cohort, and how many were asked to work on it."""
        asked = np.diff(offsets)
        return np.repeat(tasks, asked), np.repeat(asked, asked)

    def merge(self, cohort: Cohort, work: Pending, arrived: BoolArray, distortion: Distortion | None = None) -> None:
        """Submit adding up what arrived; what did not is forgotten."""
        tasks, offsets = self._tasks.parts(cohort)
        self.queue.submit(self._take_in, (tasks, offsets, work, arrived), writes=[(self._views, tasks)])

    def combine(self) -> None:
        """Submit the move of all models."""
        self._round += 1
        self.queue.submit(self._move, (self._round,), writes=[(self._views, ALL), (self._models, ALL)])

    def evaluate(self, node: Node) -> Measurement:
        """Measure the models, which only the cloud moves."""
        if node.tier == "base_station":
            return Measurement()
        measurement = super().evaluate(node)
        certified = self.queue.submit(self._certify, (), reads=[(self._views, ALL)])
        measurement.pending_scalars.append(certified)
        return measurement
