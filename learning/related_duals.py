"""Related tasks with dual variables: sums of duals come up, and all models are the image of the duals at all times.

    P(W) >= D(alpha) = - sum_t mean conjugate_t - tr(B^T Sigma B) / (2 lambda),   W = Sigma B / lambda

(Smith et al., "Federated multi-task learning", NeurIPS 2017). Terminals raise the dual of sub-problems that allow for
the moves of everybody else, so adding them up never lowers D: curvature rho Sigma_tt N / (lambda n_t) for each of the N
terminals at work on task t. The duality gap is a certificate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from learning.deferred import Pending
from learning.distortion import Distortion
from learning.evaluation import Measurement
from learning.messages import Cohort
from learning.methods.base import Array, BoolArray, IntArray, Node
from learning.primal_dual.inexactness import SolvedSubproblems
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling
from learning.related_tasks import Batch, RelatedTasks
from learning.setting import Setting


class RelatedDuals(RelatedTasks):
    """Dual ascent on tasks that are related."""

    _sampling = Sampling.PERMUTATION
    _share = 1.0
    """Of every update, how much is kept."""
    _reports_theta = False

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._B = self._tasks.means(setting.solver.dual_image(np.arange(setting.terminals)))
        self._views.values[:] = self._models.values[:] = self._relation.models(self._B)
        self._key = setting.streams.key("dual coordinates")
        self._thetas: list[Pending] = []

    def _news(self) -> int:
        """Sigma_tt and rho go down at first."""
        return 2 if self._round == 0 else 0

    def merge(self, cohort: Cohort, work: Pending, arrived: BoolArray, distortion: Distortion | None = None) -> None:
        """Submit adding up what arrived, after a look at how good it was."""
        if self._reports_theta:
            tasks, offsets = self._tasks.parts(cohort)
            arguments = (cohort.terminals, *self._colleagues(tasks, offsets), work, arrived)
            self._thetas.append(self.queue.submit(self._rate, arguments, reads=[(self._views, tasks)]))
        super().merge(cohort, work, arrived)

    def evaluate(self, node: Node) -> Measurement:
        """Add theta of the updates since the last measurement of everything."""
        measurement = super().evaluate(node)
        if node.tier != "base_station" and self._thetas:
            measurement.pending_scalars.append(self.queue.submit(_summary, tuple(self._thetas)))
            self._thetas.clear()
        return measurement

    # What the queue runs ------------------------------------------------------------------------------------

    def _jobs(
        self, terminals: IntArray, tasks: IntArray, partners: IntArray, steps: IntArray, numbers: IntArray
    ) -> AscentJobs:
        """Return the local sub-problems of terminals whose task ``partners`` terminals work on."""
        return AscentJobs(
            terminals=terminals,
            w=self._views.values,
            sent=tasks,
            steps=steps,
            sigma_prime=self._relation.caution * partners,
            lam_n=self._tasks.rows[tasks] / self._relation.own[tasks],
            rounds=numbers,
            key=self._key,
            sampling=self._sampling,
            measures_gap=False,
        )

    def _work(self, batch: Batch) -> list[AscentUpdates]:
        """Local work of many terminals in one call."""
        jobs = self._jobs(*(np.concatenate(parts) for parts in zip(*batch, strict=True)))
        return self._ascend(jobs).split([len(terminals) for terminals, *_ in batch])

    def _ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """Dual coordinate ascent."""
        return self.setting.solver.ascend(jobs)

    def _rate(self, batch: Batch) -> list[Array]:
        """(n,) theta of each terminal's local work, as far as the cloud can tell."""
        return [self._theta(*each) for each in batch]

    def _theta(
        self, terminals: IntArray, tasks: IntArray, partners: IntArray, updates: AscentUpdates, arrived: BoolArray
    ) -> Array:
        none = np.zeros(len(terminals), np.int64)
        jobs = self._jobs(terminals, tasks, partners, none, none)
        solved = SolvedSubproblems(self.setting.solver, self.setting.federation, jobs, 1e-9)
        return np.where(arrived, solved.theta_of(updates), 1.0)

    def _take_in(self, batch: Batch) -> list[None]:
        """b <- b + share / n sum du, with the senders' duals; a task's view moves as its sub-problem supposes."""
        for tasks, offsets, updates, arrived in batch:
            self.setting.solver.commit(updates, arrived, np.full(len(arrived), self._share))
            total = self.setting.solver.add_up(updates, arrived, offsets)
            change = self._share * total / self._tasks.rows[tasks, None]
            self._B[tasks] += change
            self._views.values[tasks] += self._relation.caution * self._relation.own[tasks, None] * change
        return [None] * len(batch)

    def _move(self, batch: Batch) -> list[None]:
        """W <- Sigma B / lambda."""
        for _ in batch:
            self._views.values[:] = self._models.values[:] = self._relation.models(self._B)
        return [None] * len(batch)

    def _certify(self, batch: Batch) -> list[dict[str, float]]:
        """Primal, dual and gap of the models that the present duals imply, which are those in use after a round."""
        W = self._relation.models(self._B)
        sums = self.setting.solver.sums(np.arange(self.setting.terminals), W, self._tasks.owner)
        loss, conjugate, gap = self._tasks.means(sums).sum(axis=0)
        penalty = self._relation.penalty(self._B)
        found = {"primal": loss + penalty, "dual": -conjugate - penalty, "gap": gap}
        return [{name: float(value) for name, value in found.items()}] * len(batch)


def _summary(batch: Batch) -> list[dict[str, float]]:
    every = [np.concatenate(thetas) for thetas in batch]
    return [{"theta_mean": float(theta.mean()), "theta_max": float(theta.max())} for theta in every]
