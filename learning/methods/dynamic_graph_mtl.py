"""Decentralised multi-task learning on a graph that follows the tasks: only neighbours who pull the same way mix.

After Mortaheb and Ulukus, "Personalized decentralized multi-task learning over dynamic communication graphs",
arXiv:2212.11268: shared trunks and local heads without a server; correlations of what the trunks learn decide who stays
connected. Every so many rounds all neighbours exchange the running means of their updates besides their trunks, and
learn a_ij = max(cos(g_i, g_j), 0); until the next time they exchange trunks with those alone where it is above 0.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.deferred import ALL, Pending
from learning.evaluation import Measurement
from learning.messages import Cohort, Contacts, Plan
from learning.methods.base import Array, BoolArray, IntArray, Node
from learning.methods.gossip import Gossip, MeetingParameters
from learning.mixer import gathered
from learning.mixing import Mixing, affinity_weights, cosines, metropolis, mixed
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class DynamicGraphParameters(MeetingParameters):
    """Parameters of gossip on a graph that follows the tasks.

    Attributes:
        probe_every: T_g, rounds from one exchange of updates between all neighbours to the next; those who have never
            exchanged them do so when they first meet.
        memory: share of the running mean of updates that a round keeps; 0 compares single rounds.
        weights: row: a_ij over the sum of its row, 1 for itself included; metropolis: a_ij times the Metropolis
            weight, which is symmetric.
        head: how many numbers at the end of the model are a terminal's own, neither sent nor mixed nor compared.
    """

    probe_every: int = Field(default=5, ge=1)
    memory: float = Field(default=0.9, ge=0, lt=1)
    weights: Literal["row", "metropolis"] = "row"
    head: int = Field(default=0, ge=0)


@plain_dataclass(frozen=True, eq=False)
class _Edges:
    """The edges of a node in a round, (k,) each: to whom, if they met, if they compared, Metropolis weights."""

    others: IntArray
    met: BoolArray
    compared: BoolArray
    weights: Array


class DynamicGraphMTL(Gossip):
    """Mixes trunks along the edges whose ends learn alike."""

    label = "Dynamic graph MTL"
    Parameters: ClassVar[Any] = DynamicGraphParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        n = setting.terminals
        self._trunk = setting.model.size - min(parameters.head, setting.model.size)
        self._means = State(np.zeros((n, self._trunk)))
        self._affinity = State(np.full((n, n), np.nan))
        self._compares: list[IntArray] = [np.zeros(0, np.int64)] * n
        self._learned: list[Pending | None] = [None] * n

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit H SGD steps and the running means of updates; the value has a model and a mean a row."""
        who, models = cohort.terminals, super().train(cohort, plan)
        return self.queue.submit(self._follow, (who, models), reads=[(self._models, who), (self._means, who)])

    def contacts(self, node: int, round_: int, neighbours: IntArray) -> Contacts:
        """Everybody when updates are compared, else those with a_ij > 0 and those not known yet."""
        compares = np.full(len(neighbours), True)
        if round_ % self.parameters.probe_every:
            learned = self._learned[node]
            if learned is not None and not learned.ready:
                self.settle()
            compares = np.isnan(self._affinity.values[node, neighbours])
        asked = compares | (self._affinity.values[node, neighbours] > 0.0) if not compares.all() else compares
        self._compares[node] = neighbours[compares]
        plain, double = (self.setting.message_bits(copies * self._trunk) for copies in (1, 2))
        return Contacts(neighbours[asked], np.where(compares[asked], double, plain))

    def mix(self, mixing: Mixing) -> None:
        """Submit what the node learns of its neighbours, and the weighted mean of trunks."""
        compared = np.isin(mixing.neighbours, self._compares[mixing.node])
        weights = metropolis(mixing.degree, mixing.degrees)
        edges, row = _Edges(mixing.neighbours, mixing.met, compared, weights), np.array([mixing.node])
        writes = [(state, row) for state in (self._models, self._means, self._affinity)]
        arguments = (row, edges, mixing.work, *mixing.works)
        self._learned[mixing.node] = self.queue.submit(self._mix, arguments, writes=writes)

    def evaluate(self, node: Node) -> Measurement:
        """Measure the share of known pairs that stay connected, too."""
        measured = super().evaluate(node)
        if node.tier != "base_station":
            measured.pending_scalars.append(self.queue.submit(self._kept, (), reads=[(self._affinity, ALL)]))
        return measured

    # What the queue runs ------------------------------------------------------------------------------------

    def _follow(self, batch: list[tuple[Any, ...]]) -> list[Array]:
        memory, trunk, works = self.parameters.memory, self._trunk, []
        for who, models in batch:
            updates = models[:, :trunk] - self._models.values[who, :trunk]
            works.append(np.hstack([models, memory * self._means.values[who] + (1.0 - memory) * updates]))
        return works

    def _mix(self, batch: list[tuple[Any, ...]]) -> list[None]:
        size, trunk = self.setting.model.size, self._trunk
        rows, own = (np.concatenate([arguments[part] for arguments in batch]) for part in (0, 2))
        received, offsets = gathered([works for _, _, _, *works in batch], own.shape[1])
        edges = [arguments[1] for arguments in batch]
        met, compared, others, fixed = (
            np.concatenate([getattr(each, name) for each in edges]) for name in ("met", "compared", "others", "weights")
        )
        ends = np.cumsum([0, *(len(each.others) for each in edges)])
        at = np.repeat(np.arange(len(batch)), np.diff(ends))
        known = compared & met
        alike = cosines(own[at[known], size:], received[compared[met], size:])
        self._affinity.values[rows[at[known]], others[known]] = np.maximum(alike, 0.0)
        a = np.nan_to_num(self._affinity.values[rows[at], others])
        weights = a * fixed if self.parameters.weights == "metropolis" else affinity_weights(a, ends)
        own[:, :trunk] = mixed(own[:, :trunk], received[:, :trunk], weights[met], offsets)
        self._models.values[rows], self._means.values[rows] = own[:, :size], own[:, size:]
        return [None] * len(batch)

    def _kept(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        known = self._affinity.values[~np.isnan(self._affinity.values)]
        return [{"links_kept": float(np.mean(known > 0.0))} if len(known) else {}] * len(batch)
