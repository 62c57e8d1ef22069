"""How exactly a terminal solved its local sub-problem: the relative quality theta, 0 exact and 1 no progress.

With G the sub-problem that a job of dual ascent climbs,

    G(a) = - sum_i conjugate(a_i) - w.du - sigma' / (2 lam_n) ||du||^2,   du = sum_i (beta_i - beta_i before) x_i,
    theta = (G* - G(a)) / (G* - G(a before))

(Smith et al., "Federated multi-task learning", NeurIPS 2017, Definition 1). G* costs many passes over the rows: it is
for an observer of small problems.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, host
from learning.primal_dual.solver import LocalSolver
from learning.segments import rows_of, segment_sums

Array = NDArray[np.float64]
_MOST_PASSES = 2**14


def subproblem_values(solver: LocalSolver, data: Federation, jobs: AscentJobs, updates: AscentUpdates) -> Array:
    """Return (T,) G at the candidates of ``updates``, which came from ``jobs``."""
    rows, cuts = rows_of(data.terminal_offsets, updates.terminals)
    conjugates = segment_sums(solver.loss.conjugate(host(updates.alpha), data.y[rows]), cuts)
    du = host(updates.du)
    squares = jobs.sigma_prime / jobs.lam_n * (du**2).sum(axis=1)
    return np.asarray(-conjugates - (jobs.models * du).sum(axis=1) - 0.5 * squares)


class SolvedSubproblems:
    """The (T,) sub-problems of ``jobs``, solved.

    Args:
        solver: whose committed duals they start from.
        data: the terminals' rows.
        jobs: what to solve; their steps play no part.
        tolerance: solve until what may be left is this share of what was gained, at most 16384 passes.
    """

    def __init__(self, solver: LocalSolver, data: Federation, jobs: AscentJobs, tolerance: float) -> None:
        self._solver, self._data, self._jobs = solver, data, jobs
        self._start = self.values(np.zeros(len(jobs.terminals), np.int64))
        self._best = self._start.copy()
        rows, passes, open_ = np.diff(data.terminal_offsets)[jobs.terminals], 1, np.arange(len(jobs.terminals))
        while len(open_) and passes <= _MOST_PASSES:
            part = chosen(jobs, open_, passes * rows[open_])
            updates = solver.ascend(replace(part, measures_gap=True))
            self._best[open_] = np.maximum(self._best[open_], subproblem_values(solver, data, part, updates))
            left = updates.gap[:, 1] > tolerance * (self._best[open_] - self._start[open_])
            open_, passes = open_[left], 2 * passes

    def values(self, steps: NDArray[np.int64]) -> Array:
        """Return (T,) G after so many steps of each job."""
        part = replace(self._jobs, steps=steps, measures_gap=False)
        return subproblem_values(self._solver, self._data, part, self._solver.ascend(part))

    def theta(self, values: Array) -> Array:
        """Return (T,) theta of solutions with these values of G; 0 where nothing was to be gained."""
        gain = self._best - self._start
        worth = gain > 1e-14 * np.maximum(1.0, np.abs(self._best))
        return np.clip(np.where(worth, (self._best - values) / np.where(worth, gain, 1.0), 0.0), 0.0, 1.0)

    def theta_of(self, updates: AscentUpdates) -> Array:
        """Return (T,) theta of updates that came from the jobs."""
        return self.theta(subproblem_values(self._solver, self._data, self._jobs, updates))

    def steps_to(self, theta: float, most: int) -> NDArray[np.int64]:
        """Return (T,) the fewest steps, from 1 to ``most``, after which theta is at most this; ``most`` if none do.

        More steps never lower G, and the first H steps of a job are the same whatever comes after them: bisection.
        """
        low, high = np.ones(len(self._start), np.int64), np.full(len(self._start), most)
        while np.any(low < high):
            middle = (low + high) // 2
            enough = self.theta(self.values(middle)) <= theta
            high, low = np.where(enough, middle, high), np.where(enough, low, np.minimum(middle + 1, high))
        return high


def chosen(jobs: AscentJobs, which: NDArray[np.int64], steps: NDArray[np.int64]) -> AscentJobs:
    """Return some of the jobs with other steps."""
    parts = {name: getattr(jobs, name)[which] for name in ("terminals", "sigma_prime", "lam_n", "rounds")}
    return replace(jobs, w=jobs.models[which], sent=None, steps=steps, **parts)
