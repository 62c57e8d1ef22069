"""HFedMTL: primal-dual multi-task learning in a hierarchy, with fixed numbers of local and base-station iterations.

Every base station serves one task. Its terminals hold the dual variables of their rows and raise the dual of their
own sub-problem by H coordinate steps; the base station adds their updates up safely (sigma' = gamma N), K times; the
cloud moves the shared vector r to the mean of the tasks' models. Yi et al., "HFedMTL: hierarchical federated
multi-task learning", PIMRC 2022; derived exactly from

    P(W, r) = sum_b [ mean loss_b(w_b) + lambda1/2 ||w_b||^2 + lambda2/2 ||w_b - r||^2 ],

with the aggregation rule of Ma et al. (CoCoA+), ICML 2015. Every update that arrives changes the duals of its
terminal; the update of a terminal that was late or lost is forgotten and its duals stay as they were, so the models
are the exact image of the duals at all times and the duality gap is a certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.control.observation import Controller
from learning.deferred import Pending
from learning.evaluation import Measurement
from learning.methods.base import Array, Method, Node
from learning.parcels import Effort, Parcel, Plan
from learning.primal_dual.aggregation import SafeAggregation
from learning.primal_dual.certificate import Certificate, joint_certificate, task_certificate
from learning.primal_dual.jobs import AscentJobs, Sampling
from learning.setting import Setting
from scenarios.errors import ScenarioError


@dataclass(frozen=True, config={"extra": "forbid"})
class DualParameters:
    """Parameters of every primal-dual method.

    Attributes:
        aggregation: adding (gamma 1, sigma' N) or averaging (gamma 1/N, sigma' 1) of the terminals' updates.
        sampling: order of the coordinate steps: a fresh permutation per pass, or uniform with replacement.
        relaxation: omega in r <- r + omega (mean of models - r); 1 is plain alternation. Up to 2 / (2 - lambda2 /
            (lambda1 + lambda2)) helps smooth losses; more may diverge.
    """

    aggregation: Literal["adding", "averaging"] = "adding"
    sampling: Literal["permutation", "uniform"] = "permutation"
    relaxation: float = Field(default=1.0, gt=0, lt=2)


@dataclass(frozen=True, config={"extra": "forbid"})
class FixedDualParameters(DualParameters):
    """Parameters of HFedMTL.

    Attributes:
        local_iterations: H, coordinate steps per terminal and base-station iteration.
        bs_iterations: K, base-station iterations per cloud round.
        cloud_rounds: stop after so many; absent: go on until the budget is met.
    """

    local_iterations: int = Field(default=2, ge=1)
    bs_iterations: int = Field(default=5, ge=1)
    cloud_rounds: int | None = Field(default=None, ge=1)


@plain_dataclass(frozen=True, eq=False)
class SiteState:
    """A base station's side of the duals: u = (1/n) sum beta x of its task, the r it was sent, and w = map(u, r)."""

    u: Array
    r: Array
    w: Array


@plain_dataclass(frozen=True, eq=False)
class LocalUpdate:
    """What a terminal uploads (du, and the two gaps) and what it keeps for when it is told to commit."""

    du: Array
    gap_before: float
    gap_after: float
    candidate: Any


class HFedMTL(Method):
    """Primal-dual updates with fixed K and H."""

    label = "HFedMTL"
    Parameters: ClassVar[Any] = FixedDualParameters
    measures_gap = False
    """Whether terminals now measure and upload their gaps: two passes over their rows and two numbers an update."""

    def __init__(self, setting: Setting, parameters: Any) -> None:
        if not setting.model.linear:
            raise ScenarioError(
                "learning.model", "a torch module", "linear: primal-dual methods need the dual of a linear model"
            )
        super().__init__(setting, parameters)
        data = setting.federation
        first = np.searchsorted(data.terminal_task, np.arange(setting.tasks + 1))
        self._terminals = [np.arange(first[b], first[b + 1]) for b in range(setting.tasks)]
        self._r: Any = np.zeros(setting.model.size)
        self._sites: list[Any] = self._initial_sites()
        self._key = setting.streams.key("dual coordinates")
        self._sampling = Sampling[parameters.sampling.upper()]
        self._audience = [1] * setting.tasks
        self._updates: list[tuple[int, Any]] = []

    def _initial_sites(self) -> list[SiteState]:
        """The image of the duals a run starts from, which are not all 0 for every loss."""
        coupling, counts = self.setting.coupling, self.setting.federation.task_samples
        r = np.zeros(self.setting.model.size)
        images = [self.setting.solver.dual_image(terminals).sum(axis=0) for terminals in self._terminals]
        dual_sums = [image / count for image, count in zip(images, counts, strict=True)]
        return [SiteState(u, r, coupling.primal_map(u, r)) for u in dual_sums]

    def make_controller(self) -> Controller:
        """Return fixed H and K."""
        p = self.parameters
        return FixedControl(p.local_iterations, p.bs_iterations, p.cloud_rounds)

    def weights(self, state: SiteState) -> Array:
        """The model of a base station."""
        return state.w

    def models(self) -> list[Any]:
        """The base stations' states."""
        return self._sites

    # The port -----------------------------------------------------------------------------------------------

    def broadcast(self, node: Node, audience: Sequence[int]) -> Parcel:
        """Send r from the cloud, or a task's model to the terminals that will work on it."""
        content = self._r if node.tier == "cloud" else self._sites[node.index]
        if node.tier == "base_station":
            self._audience[node.index] = len(audience)
        return self._parcel(content, node.index, self.setting.model.size)

    def adopt(self, node: Node, parcel: Parcel) -> None:
        """Move a task's model to the new r; needs no data."""
        site = self._sites[node.index]
        self._sites[node.index] = self.queue.submit(self._adopt, (site, parcel.content))

    def train(self, terminal: int, parcel: Parcel, plan: Plan) -> tuple[Parcel, Effort]:
        """Submit H dual coordinate steps."""
        task = int(self.setting.federation.terminal_task[terminal])
        H, number = plan.local_iterations, self.next_round(terminal)
        rule = self._rule(self._audience[task])
        arguments = (terminal, parcel.content, H, number, rule.sigma_prime, task, self.measures_gap)
        update = self.queue.submit(self._ascend, arguments, reads=[("duals", terminal)])
        if self.measures_gap:
            self._updates.append((H, update))
        reported = 2 if self.measures_gap else 0
        certificates = reported * self.samples(terminal)
        effort = Effort(H, H + certificates, certificates)
        return self._parcel((update, rule.gamma), terminal, self.setting.model.size + reported), effort

    def merge(self, node: Node, parcels: Sequence[Parcel]) -> Parcel:
        """Commit and add up the updates that arrived, or move r to the mean of the models."""
        size = self.setting.model.size
        if node.tier == "cloud":
            self._r = self.queue.submit(self._average, (self._r, [parcel.content for parcel in parcels]))
            for site in range(self.setting.tasks):
                self._sites[site] = self.queue.submit(self._adopt, (self._sites[site], self._r))
            return self._parcel(self._r, -1, size)
        site = node.index
        senders = tuple(parcel.sender for parcel in parcels)
        gamma = parcels[0].content[1] if parcels else 1.0
        arguments = (site, self._sites[site], senders, [parcel.content[0] for parcel in parcels], gamma)
        self._sites[site] = self.queue.submit(self._add_up, arguments, writes=[("duals", j) for j in senders])
        return self._parcel(self._sites[site], site, size)

    def evaluate(self, node: Node) -> Measurement:
        """Add the certificate: of the task at its base station, of all tasks at the cloud."""
        measurement = super().evaluate(node)
        if node.tier == "base_station":
            site = node.index
            reads = [("duals", int(j)) for j in self._terminals[site]]
            certificate = self.queue.submit(self._certify_task, (site, self._sites[site]), reads=reads)
        else:
            reads = [("duals", j) for j in range(self.setting.terminals)]
            certificate = self.queue.submit(self._certify_all, (list(self._sites),), reads=reads)
        measurement.pending_scalars.append(certificate)
        return measurement

    def _rule(self, scheduled: int) -> SafeAggregation:
        make = SafeAggregation.adding if self.parameters.aggregation == "adding" else SafeAggregation.averaging
        return make(scheduled).require_safe(scheduled)

    def _parcel(self, content: Any, sender: int, values: int) -> Parcel:
        return Parcel(content, self.setting.message_bits(values), sender)

    # What the queue runs ------------------------------------------------------------------------------------

    def _ascend(self, batch: list[tuple[Any, ...]]) -> list[LocalUpdate]:
        """Dual coordinate ascent of many terminals in one call."""
        terminals, states, steps, numbers, sigma_prime, tasks, measured = zip(*batch, strict=True)
        lam_n = self.setting.coupling.lam * self.setting.federation.task_samples[list(tasks)]
        jobs = AscentJobs(
            terminals=np.array(terminals),
            w=np.stack([state.w for state in states]),
            steps=np.array(steps),
            sigma_prime=np.array(sigma_prime),
            lam_n=lam_n,
            rounds=np.array(numbers),
            key=self._key,
            sampling=self._sampling,
            measures_gap=any(measured),
        )
        updates = self.setting.solver.ascend(jobs)
        columns = zip(updates.du, updates.gap.tolist(), updates.candidates(), strict=True)
        return [LocalUpdate(du, before, after, candidate) for du, (before, after), candidate in columns]

    def _add_up(self, batch: list[tuple[Any, ...]]) -> list[SiteState]:
        """u <- u + (gamma / n) sum du, and the senders' duals with it."""
        states = []
        for site, state, senders, updates, gamma in batch:
            self.setting.solver.commit(senders, [update.candidate for update in updates], gamma)
            total = sum((update.du for update in updates), np.zeros_like(state.u))
            u = state.u + gamma / self.setting.federation.task_samples[site] * total
            states.append(SiteState(u, state.r, self.setting.coupling.primal_map(u, state.r)))
        return states

    def _adopt(self, batch: list[tuple[Any, ...]]) -> list[SiteState]:
        return [SiteState(state.u, r, self.setting.coupling.primal_map(state.u, r)) for state, r in batch]

    def _average(self, batch: list[tuple[Any, ...]]) -> list[Array]:
        omega = self.parameters.relaxation
        return [r + omega * (np.mean([state.w for state in states], axis=0) - r) for r, states in batch]

    def _certify_task(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        """Certificates at fixed r of several tasks, from one pass over their terminals."""
        terminals = [self._terminals[site] for site, _ in batch]
        models = [np.tile(state.w, (len(mine), 1)) for (_, state), mine in zip(batch, terminals, strict=True)]
        sums = self.setting.solver.sums(np.concatenate(terminals), np.concatenate(models))
        parts = np.split(sums, np.cumsum([len(mine) for mine in terminals])[:-1])
        counts = self.setting.federation.task_samples
        return [
            _numbers(task_certificate(self.setting.coupling, state.u, state.r, part, int(counts[site])))
            for (site, state), part in zip(batch, parts, strict=True)
        ]

    def _certify_all(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        """Joint certificates, at the models that are optimal in r for the present duals."""
        owner, counts = self.setting.federation.terminal_task, self.setting.federation.task_samples
        results = []
        for (states,) in batch:
            U = np.stack([state.u for state in states])
            W, _ = self.setting.coupling.joint_map(U)
            sums = self.setting.solver.sums(np.arange(self.setting.terminals), W[owner])
            results.append(_numbers(joint_certificate(self.setting.coupling, U, sums, owner, counts)))
        return results


def _numbers(certificate: Certificate) -> dict[str, float]:
    return {"primal": certificate.primal, "dual": certificate.dual, "gap": certificate.gap}


def measured_contraction(updates: list[tuple[int, Pending]]) -> float | None:
    """Return q such that H local iterations leave e^(-q H) of the terminals' sub-problem gaps.

    Args:
        updates: (H, settled :class:`LocalUpdate`) of one cloud round, all with the same H.

    Returns:
        None if there is nothing to measure, or the gaps did not shrink.
    """
    before = sum(update.value.gap_before for _, update in updates)
    after = sum(update.value.gap_after for _, update in updates)
    if not updates or not before > 0.0 or after >= before:
        return None
    smallest = 1e-12 * before  # an exact solution: q is as large as rounding can tell
    return float(np.log(before / max(after, smallest)) / updates[0][0])
