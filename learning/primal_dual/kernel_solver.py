"""Terminals on the CPU: a solver whose work is done by compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learning.primal_dual import kernels
from learning.primal_dual.dual_moves import add_up, move_duals
from learning.primal_dual.inputs import (
    arrivals,
    arrived_jobs,
    checked_data,
    checked_models,
    checked_weights,
    initial_duals,
    known_terminals,
    models_sent,
    ranges_of,
)
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, SgdJobs
from learning.primal_dual.losses import Loss
from learning.primal_dual.threads import threads_for
from learning.segments import segment_sums

Array = NDArray[Any]
_BLOCK = 2**21  # numbers of X that are gathered at a time, 16 MB
_NO_WEIGHTS = np.empty(0)


class KernelSolver:
    """Terminals on the CPU, computed by compiled kernels.

    A process that has used it must not fork (the threads do not survive): start workers with ``spawn``.

    Args:
        X: (n, d) rows sorted by terminal; shared with the caller, who must not change them, if of the right type.
        y: (n,) labels in {-1, +1}, or targets for the squared loss.
        offsets: (M + 1,) row ranges, from 0 to n.
        loss: see :func:`~.losses.make_loss`.
        dtype: of rows, duals and models; sums are float64 always.
        start: dual a that every row starts from; None takes the loss's own.

    Raises:
        ValueError: if shapes, offsets, labels or numbers make no sense.
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        offsets: ArrayLike,
        loss: Loss,
        dtype: DTypeLike = np.float64,
        start: float | None = None,
    ) -> None:
        self.loss = loss
        self.X, self.y, self.offsets = checked_data(X, y, offsets, loss, dtype)
        self.alpha = initial_duals(self.X, self.y, loss, start)
        self._norms = np.empty(len(self.X))
        with threads_for(float(self.X.size)):
            kernels.squared_norms(self.X, self._norms)

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """See :meth:`~.solver.LocalSolver.ascend`."""
        terminals, offsets = ranges_of(self.offsets, jobs.terminals)
        models, sent = self._sent(jobs.w, jobs.sent, terminals)
        T, dtype = len(terminals), self.X.dtype
        alpha, du, gap = np.empty(offsets[-1], dtype), np.empty((T, self.X.shape[1]), dtype), np.empty((T, 2))
        steps = np.ascontiguousarray(jobs.steps, np.int64)
        arguments = (
            self.loss.code,
            self.loss.smoothing,
            self.X,
            self.y,
            self._norms,
            self.alpha,
            self.offsets,
            terminals,
            models,
            sent,
            steps,
            np.ascontiguousarray(jobs.sigma_prime, np.float64),
            np.ascontiguousarray(jobs.lam_n, np.float64),
            np.ascontiguousarray(jobs.rounds, np.int64),
            *jobs.key,
            int(jobs.sampling),
            jobs.measures_gap,
            alpha,
            offsets,
            du,
            gap,
        )
        with threads_for(2.0 * self.X.shape[1] * (int(steps.sum()) + 2 * len(alpha))):
            kernels.local_dual_ascent(*arguments)
        return AscentUpdates(terminals, du, gap, alpha, offsets)

    def commit(self, updates: AscentUpdates, arrived: ArrayLike, gamma: ArrayLike) -> None:
        """See :meth:`~.solver.LocalSolver.commit`."""
        who, first, shares = arrived_jobs(self.offsets, updates, arrived, gamma)
        move_duals(self.alpha, self.offsets, who, updates.alpha, first, shares)

    def add_up(self, updates: AscentUpdates, arrived: ArrayLike, offsets: ArrayLike) -> Array:
        """See :meth:`~.solver.LocalSolver.add_up`."""
        kept, ranges = arrivals(updates, arrived, offsets)
        total = np.empty((len(ranges) - 1, self.X.shape[1]))
        with threads_for(float(updates.du.size)):
            add_up(updates.du, kept, ranges, total)
        return total

    def sums(self, terminals: ArrayLike, w: Array, sent: Array | None = None) -> Array:
        """See :meth:`~.solver.LocalSolver.sums`."""
        who = known_terminals(self.offsets, terminals)
        out, (models, which) = np.empty((len(who), 3)), self._sent(w, sent, who)
        loss, data = (self.loss.code, self.loss.smoothing), (self.X, self.y, self.alpha, self.offsets)
        with threads_for(float(self.X.shape[1] * (self.offsets[who + 1] - self.offsets[who]).sum())):
            kernels.terminal_sums(*loss, *data, who, models, which, out)
        return out

    def dual_image(self, terminals: ArrayLike) -> Array:
        """See :meth:`~.solver.LocalSolver.dual_image`."""
        who, offsets = ranges_of(self.offsets, terminals)
        if not self.alpha.any():
            return np.zeros((len(who), self.X.shape[1]))
        images, shift = np.zeros((len(who), self.X.shape[1])), self.offsets[who] - offsets[:-1]
        total, block = int(offsets[-1]), max(1, _BLOCK // max(1, self.X.shape[1]))
        for start in range(0, total, block):
            stop = min(start + block, total)
            first, last = np.searchsorted(offsets, start, "right") - 1, np.searchsorted(offsets, stop)
            cuts = np.clip(offsets[first : last + 1], start, stop) - start
            rows = np.arange(start, stop) + np.repeat(shift[first:last], np.diff(cuts))
            signed = (self.loss.sign(self.y[rows]) * self.alpha[rows]).astype(np.float64)
            images[first:last] += segment_sums(signed[:, None] * self.X[rows], cuts)
        return images

    def sgd(self, jobs: SgdJobs) -> Array:
        """See :meth:`~.solver.LocalSolver.sgd`."""
        who, ends = ranges_of(self.offsets, jobs.terminals)
        w, anchor = self._models(jobs.w, who), self._models(jobs.anchor, who)
        out, steps = np.empty_like(w), np.ascontiguousarray(jobs.steps, np.int64)
        weights = checked_weights(jobs.weights, int(ends[-1]))
        velocity = w[:0] if jobs.velocity is None else self._models(jobs.velocity, who)
        arguments = (
            self.loss.code,
            self.loss.smoothing,
            self.X,
            self.y,
            self.offsets,
            who,
            w,
            anchor,
            steps,
            jobs.batch,
            np.ascontiguousarray(jobs.learning_rate, np.float64),
            jobs.ridge,
            np.full(len(who), jobs.proximal, np.float64),
            jobs.before,
            np.ascontiguousarray(jobs.rounds, np.int64),
            *jobs.key,
            _NO_WEIGHTS if weights is None else weights,
            ends,
            jobs.momentum,
            velocity,
            out,
        )
        rows = np.minimum(jobs.batch, self.offsets[who + 1] - self.offsets[who]) * steps
        with threads_for(2.0 * self.X.shape[1] * float(rows.sum())):
            kernels.local_sgd(*arguments)
        if jobs.velocity is not None and velocity is not jobs.velocity:
            jobs.velocity[:] = velocity
        return out

    def duals(self) -> Array:
        """See :meth:`~.solver.LocalSolver.duals`."""
        return self.alpha.copy()

    def _sent(self, w: Array, sent: Array | None, terminals: Array) -> tuple[Array, Array]:
        models, which = models_sent(w, sent, self.X.shape[1], terminals)
        return np.ascontiguousarray(models, self.X.dtype), which

    def _models(self, w: Array, terminals: Array) -> Array:
        return np.ascontiguousarray(checked_models(w, self.X.shape[1], terminals), self.X.dtype)
