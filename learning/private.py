"""Averaging beside private models: what personalised methods share.

A terminal keeps private vectors, the first of which is the model it uses. What it sends up is averaged as in FedAvg.
The network reports whose update arrived, not how far the others came, so private vectors advance with updates that
are merged, and a terminal that dropped out or came too late for that goes on from what it had.

What a paper calls the global model is here the present model of the base station, which the cloud's replaces at the
beginning of a cloud round. With one base-station iteration per cloud round the methods are the flat ones of the papers.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from learning.deferred import Pending, Rows
from learning.messages import Cohort, Plan, owners
from learning.methods.base import Array, BoolArray, IntArray
from learning.methods.fedavg import FedAvg
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, eq=False)
class LocalRound:
    """What n terminals work on at the same time.

    Attributes:
        terminals: (n,) who.
        received: (n, P) models they were sent.
        private: (vectors, n, P) what they have kept.
        steps: (n,) local iterations.
        numbers: (n,) rounds they have done before.
        details: (n,) arrays, what else of the plan they go by.
    """

    terminals: IntArray
    received: Array
    private: Array
    steps: IntArray
    numbers: IntArray
    details: tuple[Array, ...] = ()


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of it: (n, P) models to send up, and (vectors, n, P) to keep."""

    update: Array
    private: Array

    def part(self, a: int, b: int) -> Trained:
        """Return what came of terminals a to b - 1."""
        return Trained(self.update[a:b], self.private[:, a:b])


class PersonalAveraging(FedAvg):
    """FedAvg whose terminals keep vectors of their own: row ``v * terminals + m`` of the state is terminal m's v-th."""

    personal = True
    vectors: ClassVar[int] = 1
    """How many each terminal keeps; the first is its model."""

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        start = setting.model.initial(setting.streams)
        self._private = State(np.tile(start, (self.vectors * setting.terminals, 1)))

    @abstractmethod
    def local(self, work: LocalRound) -> Trained:
        """Do local rounds, batched over terminals."""

    def details(self, plan: Plan, terminals: IntArray) -> tuple[Array, ...]:
        """Return :attr:`LocalRound.details` of a plan; none as a rule."""
        return ()

    def models(self) -> tuple[State, IntArray]:
        """The terminals' own models."""
        return self._private, np.arange(self.setting.terminals)

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit the local round of the cohort, from the models received and its private vectors."""
        who, sites = cohort.terminals, owners(cohort)
        arguments = (who, sites, plan.steps(who), self.next_rounds(who), *self.details(plan, who))
        reads = [(self._sites, sites), (self._private, self._places(who))]
        return self.queue.submit(self._work, arguments, reads=reads, weight=2 * len(who))

    def written(self, sites: IntArray, senders: IntArray) -> list[Rows]:
        """The sites' models, and the private vectors of who sent something to average."""
        return [*super().written(sites, senders), (self._private, self._places(senders))]

    def _places(self, terminals: IntArray) -> IntArray:
        """Return (vectors * n,) rows of some terminals' private vectors, vector after vector."""
        first = np.arange(self.vectors)[:, None] * self.setting.terminals
        return np.asarray((first + terminals).ravel(), np.int64)

    # What the queue runs ------------------------------------------------------------------------------------

    def _work(self, batch: list[tuple[Any, ...]]) -> list[Trained]:
        who, sites, steps, numbers, *details = (np.concatenate(column) for column in zip(*batch, strict=True))
        private = self._private.values[self._places(who)].reshape(self.vectors, len(who), self.setting.model.size)
        done = self.local(LocalRound(who, self._sites.values[sites], private, steps, numbers, tuple(details)))
        ends = np.cumsum([len(terminals) for terminals, *_ in batch]).tolist()
        return [done.part(a, b) for a, b in zip([0, *ends], ends, strict=False)]

    def _average(self, batch: list[tuple[Any, ...]]) -> list[None]:
        super()._average([(cohort, done.update, arrived, air) for cohort, done, arrived, air in batch])
        for cohort, done, arrived, _ in batch:
            self._keep(cohort, done, arrived)
        return [None] * len(batch)

    def _average_late(self, batch: list[tuple[Any, ...]]) -> list[None]:
        super()._average_late([(parts, *(done.update for done in works)) for parts, *works in batch])
        for parts, *works in batch:
            for (cohort, here, _), done in zip(parts, works, strict=True):
                self._keep(cohort, done, here)
        return [None] * len(batch)

    def _keep(self, cohort: Cohort, done: Trained, arrived: BoolArray) -> None:
        """Let the senders keep their new private vectors."""
        places = self._places(cohort.terminals[arrived])
        self._private.values[places] = done.private[:, arrived].reshape(len(places), self.setting.model.size)
