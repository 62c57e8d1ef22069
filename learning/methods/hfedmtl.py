"""HFedMTL: primal-dual multi-task learning in a hierarchy, with fixed numbers of local and base-station iterations.

Every base station serves one task. Its terminals hold the dual variables of their rows and raise the dual of their
own sub-problem by H coordinate steps; the base station adds their updates up safely (sigma' = gamma N), K times; the
cloud moves the shared vector r to the mean of the tasks' models. Yi et al., "HFedMTL: hierarchical federated
multi-task learning", PIMRC 2022; derived exactly from

    P(W, r) = sum_b [ mean loss_b(w_b) + lambda1/2 ||w_b||^2 + lambda2/2 ||w_b - r||^2 ],

with the aggregation rule of Ma et al. (CoCoA+), ICML 2015. Every update that arrives changes the duals of its
terminal; the update of a terminal that was late or lost is forgotten and its duals stay as they were, so the models
are the exact image of the duals at all times and the duality gap is a certificate.

Over the air a base station hears a distorted sum of the updates, so the u it keeps is no longer the image of its
terminals' duals, which stay exact. Every error stays in u: the duals then settle at the optimum of a problem that is
tilted by the sum of all errors. The certificate is taken of the models that follow from the heard u against the exact
duals, with what that costs in the gap; it does not fall to 0. It needs the duals' own image, which only an observer of
the whole system knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.control.observation import Controller
from learning.deferred import ALL, Pending
from learning.distortion import Distortion, distorted_sum
from learning.evaluation import Measurement
from learning.messages import Cohort, Late, Plan, Sizes, counts, owners
from learning.methods.base import Array, BoolArray, IntArray, Method, Node
from learning.primal_dual.aggregation import SafeAggregation
from learning.primal_dual.certificate import Certificate, joint_certificate, task_certificate
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling, host
from learning.segments import segment_sums
from learning.setting import Setting
from learning.state import State
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


class HFedMTL(Method):
    """Primal-dual updates with fixed K and H."""

    label = "HFedMTL"
    Parameters: ClassVar[Any] = FixedDualParameters
    sums_updates = True
    takes_late = True
    obstacles: ClassVar[Mapping[str, str]] = {
        "asynchronous": "updates are only safe to add if those of one round start from the same model"
    }
    measures_gap = False
    """Whether terminals now measure and upload their gaps: a pass over their rows and a number an update for each."""
    gaps_wanted = 2
    """Before and after the local work, or only before."""

    def __init__(self, setting: Setting, parameters: Any) -> None:
        if not setting.model.linear:
            raise ScenarioError(
                "learning.model", "a torch module", "linear: primal-dual methods need the dual of a linear model"
            )
        super().__init__(setting, parameters)
        data = setting.federation
        self._first = np.searchsorted(data.terminal_task, np.arange(setting.tasks + 1))
        self._r = np.zeros(setting.model.size)
        self._u = self._initial_dual_sums()
        # The image of the duals, which is what the base stations keep unless the air comes between.
        self._image = self._u.copy() if setting.over_the_air else self._u
        # Whoever uses a site's row uses with it the site's u, the present r and the duals of the site's terminals.
        self._sites = State(setting.coupling.primal_map(self._u, self._r))
        self._key = setting.streams.key("dual coordinates")
        self._sampling = Sampling[parameters.sampling.upper()]
        self._measured: list[tuple[Pending, BoolArray]] = []

    def _initial_dual_sums(self) -> Array:
        """The (tasks, d) image of the duals a run starts from, which are not all 0 for every loss."""
        images = self.setting.solver.dual_image(np.arange(self.setting.terminals))
        return segment_sums(images, self._first) / self.setting.federation.task_samples[:, None]

    def make_controller(self) -> Controller:
        """Return fixed H and K."""
        p = self.parameters
        return FixedControl(p.local_iterations, p.bs_iterations, p.cloud_rounds)

    def models(self) -> tuple[State, IntArray]:
        """The base stations' models."""
        return self._sites, np.arange(self.setting.tasks)

    # The port -----------------------------------------------------------------------------------------------

    def sizes(self, plan: Plan) -> Sizes:
        """A model down, a change of the dual sum up, with the two gaps when they are measured."""
        size, reported = self.setting.model.size, self.gaps_wanted if self.measures_gap else 0
        bits, H = self.setting.message_bits(size), plan.steps(np.arange(self.setting.terminals))
        certificates = reported * np.diff(self.setting.federation.terminal_offsets).astype(np.float64)
        update_bits = self.setting.message_bits(size + reported)
        return Sizes(bits, bits, update_bits, bits, H + certificates, certificates, size)

    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit H dual coordinate steps."""
        steps, numbers = plan.steps(cohort.terminals), self.next_rounds(cohort.terminals)
        arguments = (cohort, steps, numbers, self.measures_gap)
        reads = [(self._sites, cohort.sites)]
        return self.queue.submit(self._ascend, arguments, reads=reads, weight=len(cohort.terminals))

    def merge(
        self,
        cohort: Cohort,
        work: Pending,
        arrived: BoolArray,
        distortion: Distortion | None = None,
        late: Sequence[Late] = (),
    ) -> None:
        """Commit and add up the updates that arrived.

        Duals of a terminal that is late have stayed what they were, so its update still fits them and the certificate
        holds; but it was made for a model of the past, and the dual need not rise.
        """
        self._submit_update(cohort, work, arrived, distortion)
        for part in late:
            self._submit_update(part.cohort, part.work, part.arrived, None)
        if self.measures_gap:
            self._measured.append((work, arrived))

    def _submit_update(self, cohort: Cohort, work: Pending, arrived: BoolArray, distortion: Distortion | None) -> None:
        self.queue.submit(self._add_up, (cohort, work, arrived, distortion), writes=[(self._sites, cohort.sites)])

    def combine(self) -> None:
        """Move r to the mean of the models, and all models with it."""
        self.queue.submit(self._average, (), writes=[(self._sites, ALL)])

    def evaluate(self, node: Node) -> Measurement:
        """Add the certificate: of the task at its base station, of all tasks at the cloud."""
        measurement = super().evaluate(node)
        if node.tier != "base_station":
            reads = [(self._sites, ALL)]
            measurement.pending_scalars.append(self.queue.submit(self._certify_all, (), reads=reads))
        elif self.setting.edge_metrics:
            site = np.array([node.index])
            certificate = self.queue.submit(self._certify_task, (node.index,), reads=[(self._sites, site)])
            measurement.pending_scalars.append(certificate)
        return measurement

    def _rules(self, asked: IntArray) -> tuple[Array, Array]:
        """(S,) gamma and sigma' of sites that asked so many terminals; for none any rule will do."""
        make = SafeAggregation.adding if self.parameters.aggregation == "adding" else SafeAggregation.averaging
        sizes = np.maximum(asked, 1)
        if len(sizes) and sizes.min() == sizes.max():  # as a rule all sites ask equally many
            rule = make(int(sizes[0])).require_safe(int(sizes[0]))
            return np.full(len(sizes), rule.gamma), np.full(len(sizes), rule.sigma_prime)
        different, which = np.unique(sizes, return_inverse=True)
        rules = [make(n).require_safe(n) for n in different.tolist()]
        return np.array([rule.gamma for rule in rules])[which], np.array([rule.sigma_prime for rule in rules])[which]

    # What the queue runs ------------------------------------------------------------------------------------

    def _ascend(self, batch: list[tuple[Any, ...]]) -> list[AscentUpdates]:
        """Dual coordinate ascent of many terminals in one call."""
        cohorts, steps, numbers, measured = zip(*batch, strict=True)
        sizes = [len(cohort.terminals) for cohort in cohorts]
        tasks = np.concatenate([owners(cohort) for cohort in cohorts])
        each = np.concatenate([counts(cohort) for cohort in cohorts])
        jobs = AscentJobs(
            terminals=np.concatenate([cohort.terminals for cohort in cohorts]),
            w=self._sites.values,
            sent=tasks,
            steps=np.concatenate(steps),
            sigma_prime=np.repeat(self._rules(each)[1], each),
            lam_n=self.setting.coupling.lam * self.setting.federation.task_samples[tasks],
            rounds=np.concatenate(numbers),
            key=self._key,
            sampling=self._sampling,
            measures_gap=any(measured),
        )
        return self.setting.solver.ascend(jobs).split(sizes)

    def _add_up(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """u <- u + (gamma / n) sum du as it was heard, and the senders' duals with it."""
        for cohort, updates, arrived, distortion in batch:
            asked = counts(cohort)
            gamma, _ = self._rules(asked)
            self.setting.solver.commit(updates, arrived, np.repeat(gamma, asked))
            total = self.setting.solver.add_up(updates, arrived, cohort.offsets)
            heard = total if distortion is None else distorted_sum(host(updates.du)[arrived], distortion)
            sites = cohort.sites
            share = (gamma / self.setting.federation.task_samples[sites])[:, None]
            self._u[sites] += share * heard
            if self._image is not self._u:
                self._image[sites] += share * total
            self._sites.values[sites] = self.setting.coupling.primal_map(self._u[sites], self._r)
        return [None] * len(batch)

    def _average(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """r <- r + omega (mean of the models - r)."""
        self._r = self._r + self.parameters.relaxation * (self._sites.values.mean(axis=0) - self._r)
        self._sites.values[:] = self.setting.coupling.primal_map(self._u, self._r)
        return [None] * len(batch)

    def _certify_task(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        """Certificates at fixed r of several tasks, from one pass over their terminals."""
        sites = np.array([site for (site,) in batch])
        first, sizes = self._first[sites], np.diff(self._first)[sites]
        terminals = np.concatenate([np.arange(a, a + n) for a, n in zip(first, sizes, strict=True)])
        sums = self.setting.solver.sums(terminals, self._sites.values, np.repeat(sites, sizes))
        parts = np.split(sums, np.cumsum(sizes)[:-1])
        rows, exact = self.setting.federation.task_samples, self._image is self._u
        models = [None if exact else self._sites.values[site] for site in sites]
        return [
            _numbers(task_certificate(self.setting.coupling, self._image[b], self._r, part, int(rows[b]), model))
            for b, part, model in zip(sites, parts, models, strict=True)
        ]

    def _certify_all(self, batch: list[tuple[Any, ...]]) -> list[dict[str, float]]:
        """Joint certificates, at the models that are optimal in r for the present duals."""
        owner, rows = self.setting.federation.terminal_task, self.setting.federation.task_samples
        W, _ = self.setting.coupling.joint_map(self._u)
        sums = self.setting.solver.sums(np.arange(self.setting.terminals), W, owner)
        models = None if self._image is self._u else W
        certificate = joint_certificate(self.setting.coupling, self._image, sums, owner, rows, models)
        return [_numbers(certificate)] * len(batch)


def _numbers(certificate: Certificate) -> dict[str, float]:
    return {"primal": certificate.primal, "dual": certificate.dual, "gap": certificate.gap}


def measured_contraction(iterations: float, updates: list[tuple[AscentUpdates, BoolArray]]) -> float | None:
    """Return q such that H local iterations leave e^(-q H) of the terminals' sub-problem gaps.

    Args:
        iterations: H of them all.
        updates: the updates of one cloud round, and (n,) which of them arrived to be looked at.

    Returns:
        None if there is nothing to measure, or the gaps did not shrink.
    """
    before, after = sum((update.gap[arrived].sum(axis=0) for update, arrived in updates), np.zeros(2))
    if not before > 0.0 or after >= before:
        return None
    smallest = 1e-12 * before  # an exact solution: q is as large as rounding can tell
    return float(np.log(before / max(after, smallest)) / iterations)
