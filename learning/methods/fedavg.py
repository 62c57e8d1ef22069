"""Hierarchical FedAvg: one global model, averaged over terminals at base stations and over base stations at the cloud.

McMahan et al., "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017; the
hierarchy as in Liu et al., "Client-edge-cloud hierarchical federated learning", ICC 2020. With one base-station
iteration per cloud round it is plain FedAvg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.control.observation import Controller
from learning.deferred import ALL, Pending, Rows
from learning.descent import Descent, Pull
from learning.distortion import Distortion, distorted_sum
from learning.evaluation import Measurement
from learning.kept import Kept
from learning.messages import Cohort, Late, Plan, Sizes, owners
from learning.methods.base import Array, BoolArray, IntArray, Method, Node
from learning.momentum import MomentumParameters, velocities
from learning.segments import segment_sums, within
from learning.setting import Setting
from learning.state import State, take


@dataclass(frozen=True, config={"extra": "forbid"})
class AveragingParameters:
    """Parameters that FedAvg and its kin have in common.

    Attributes:
        local_iterations: H, SGD steps per terminal and base-station iteration.
        bs_iterations: K, base-station iterations per cloud round.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: step size eta at the start.
        decay: the step size is eta / (1 + decay x the terminal's rounds so far); 0 keeps it.
        cloud_rounds: stop after so many; absent: go on until the budget is met.
        weighting: terminals count by their training rows in all means, or all alike.
        late_power: with ``collection.late: carry``, a model that is tau iterations late counts (1 + tau)^-a as much;
            0 counts it like any other.
    """

    local_iterations: int = Field(default=5, ge=1)
    bs_iterations: int = Field(default=2, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)
    cloud_rounds: int | None = Field(default=None, ge=1)
    weighting: Literal["samples", "equal"] = "samples"
    late_power: float = Field(default=0.5, ge=0)


@dataclass(frozen=True, config={"extra": "forbid"})
class FedAvgParameters(MomentumParameters, AveragingParameters):
    """Parameters of FedAvg."""


class FedAvg(Method):
    """Averages whole models, weighted by training rows or not."""

    label = "FedAvg"
    Parameters: ClassVar[Any] = FedAvgParameters
    sums_updates = True
    takes_late = True

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        start = self.initial()
        self._cloud = State(start[None].copy())
        self._sites = State(np.tile(start, (setting.tasks, 1)))
        rows = np.diff(setting.federation.terminal_offsets).astype(np.float64)
        self._weights = rows if parameters.weighting == "samples" else np.ones_like(rows)
        of_sites = np.bincount(setting.federation.terminal_task, self._weights, setting.tasks)
        self._site_weights = of_sites.astype(np.float64)
        self._descent = Descent(setting, parameters, self.proximal, self.pull)
        self._velocities = velocities(parameters, setting.terminals, len(start))
        self._kept = Kept(setting.queue, len(start), [self._velocities])

    def initial(self) -> Array:
        """Return the (P,) parameters that everybody starts from."""
        return self.setting.model.initial(self.setting.streams)

    def make_controller(self) -> Controller:
        """Return fixed H and K."""
        p = self.parameters
        return FixedControl(p.local_iterations, p.bs_iterations, p.cloud_rounds)

    @property
    def proximal(self) -> float:
        """Weight of the pull towards the model that was broadcast; none here."""
        return 0.0

    @property
    def pull(self) -> Pull:
        """Where in a step that pull is taken."""
        return "implicit"

    def models(self) -> tuple[State, IntArray]:
        """The global model, for every task: a base station's own model is on its way to the next average."""
        return self._cloud, np.zeros(self.setting.tasks, np.int64)

    def newcomers(self) -> Pending | None:
        """Submit the global model, as often as there are newcomers."""
        unseen = self.setting.federation.unseen
        if unseen is None:
            return None
        rows = np.zeros(len(unseen.terminal_task), np.int64)
        return self.queue.submit(take, (self._cloud, rows), reads=[(self._cloud, rows)])

    def evaluate(self, node: Node) -> Measurement:
        """Measure the global model, which only the cloud changes."""
        return Measurement() if node.tier == "base_station" else super().evaluate(node)

    def sizes(self, plan: Plan) -> Sizes:
        """A whole model everywhere."""
        values = self._cloud.values.shape[1]
        bits, visits = self.setting.message_bits(values), self.visits(plan)
        return Sizes(bits, bits, bits, bits, visits, np.zeros_like(visits), values)

    def visits(self, plan: Plan) -> Array:
        """Return (terminals,) rows visited for an update."""
        return self._descent.visits(plan.everybodys)

    def adopt(self, sites: IntArray) -> None:
        """Continue from the global model."""
        self.queue.submit(self._copy_down, (sites,), reads=[(self._cloud, ALL)], writes=[(self._sites, sites)])

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit H SGD steps from the model received."""
        who, numbers = cohort.terminals, self.next_rounds(cohort.terminals)
        return self._descent.submit(who, self._sites, owners(cohort), plan.steps(who), numbers, self._velocities)

    def merge(
        self,
        cohort: Cohort,
        work: Pending,
        arrived: BoolArray,
        distortion: Distortion | None = None,
        late: Sequence[Late] = (),
    ) -> None:
        """Submit the mean of the models that arrived, weighted by training rows; with none, keep the model.

        Over the air it is the weighted changes of the model that are sent, and their sum that is heard.
        """
        parts = [(cohort, self.averaged(cohort, arrived), 1.0)]
        parts += [(each.cohort, self.averaged(each.cohort, each.arrived), self._worth(each)) for each in late]
        writes = self.written(cohort.sites, np.concatenate([each.terminals[here] for each, here, _ in parts]))
        mine = self._kept.part(cohort.terminals, work, arrived)
        if late:
            others = [self._kept.part(part.cohort.terminals, part.work, part.arrived) for part in late]
            arguments = (parts, mine, *others)
            self.queue.submit(self._average_late, arguments, writes=writes)
        else:
            self.queue.submit(self._average, (cohort, mine, parts[0][1], distortion), writes=writes)

    def averaged(self, cohort: Cohort, arrived: BoolArray) -> BoolArray:
        """Return (n,) whose part is averaged of the cohort's terminals whose update ``arrived``: here all of them."""
        return arrived

    def written(self, sites: IntArray, senders: IntArray) -> list[Rows]:
        """Return what changes when ``sites`` average what ``senders``, (n,) terminals, have sent."""
        return [(self._sites, sites)]

    def _worth(self, part: Late) -> float:
        """Return what late models count, relative to others."""
        return float((1.0 + part.staleness) ** -self.parameters.late_power)

    def combine(self) -> None:
        """Submit the mean of the base stations' models, weighted by training rows."""
        self.queue.submit(self._combine, (), reads=[(self._sites, ALL)], writes=[(self._cloud, ALL)])

    def at_site(self, sites: IntArray, means: Array, weights: Array) -> Array:
        """Return (S, P) models of sites that have heard (S, 1) ``weights`` of models in their (S, P) ``means``."""
        return means

    def at_cloud(self, mean: Array) -> Array:
        """Return the (P,) global model when the sites' models have this mean."""
        return mean

    # What the queue runs ------------------------------------------------------------------------------------

    def _copy_down(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for (sites,) in batch:
            self._sites.values[sites] = self._cloud.values[0]
        return [None] * len(batch)

    def _average(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for cohort, models, arrived, distortion in batch:
            weights = self._weights[cohort.terminals[arrived]][:, None]
            offsets = within(arrived, cohort.offsets)
            heard = np.diff(offsets) > 0
            sites, totals = cohort.sites[heard], segment_sums(weights, offsets)[heard]
            if distortion is not None:
                now = self._sites.values[sites]
                means = now + distorted_sum((models[arrived] - now) * weights, distortion) / totals
            else:
                means = segment_sums(models[arrived] * weights, offsets)[heard] / totals
            self._sites.values[sites] = self.at_site(sites, means, totals)
        return [None] * len(batch)

    def _average_late(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """Average what came in time and what came late at one site; each part has a worth."""
        for parts, *works in batch:
            weights = np.concatenate([worth * self._weights[cohort.terminals[here]] for cohort, here, worth in parts])
            if not len(weights):
                continue
            models = np.concatenate([work[here] for (_, here, _), work in zip(parts, works, strict=True)])
            means, sites = np.average(models, axis=0, weights=weights)[None], parts[0][0].sites
            self._sites.values[sites] = self.at_site(sites, means, np.full((1, 1), weights.sum()))
        return [None] * len(batch)

    def _combine(self, batch: list[tuple[Any, ...]]) -> list[None]:
        mean = np.average(self._sites.values, axis=0, weights=self._site_weights)
        self._cloud.values[0] = self.at_cloud(mean)
        return [None] * len(batch)
