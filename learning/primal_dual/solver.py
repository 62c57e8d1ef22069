"""The terminals' side of a federation: every terminal's rows and dual variables, and what they can be asked to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numba
import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learning.primal_dual import kernels, reference_solver
from learning.primal_dual.inputs import (
    checked_data,
    checked_models,
    distinct_terminals,
    initial_duals,
    known_terminals,
    ranges_of,
)
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, SgdJobs
from learning.primal_dual.losses import Loss

Array = NDArray[Any]
_WORTH_SHARING = 200_000  # multiplications; below, waking a second thread costs more than it saves


class LocalSolver(Protocol):
    """M terminals with their rows (sorted by terminal) and duals; base stations hold only models.

    ``ascend`` changes nothing: an update that arrives is ``commit``-ted, one that is lost is dropped.
    """

    loss: Loss
    offsets: Array

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """Return the updates of independent rounds of local dual ascent, all from the committed duals."""

    def commit(self, terminals: ArrayLike, candidates: Sequence[Any], gamma: float) -> None:
        """Set a <- a + gamma (candidate - a) for each terminal; raises ValueError if one is named twice."""

    def sums(self, terminals: ArrayLike, w: Array) -> Array:
        """Return (T, 3) float64 sums over each terminal's rows: loss at w (T, d), conjugate, Fenchel-Young."""

    def dual_image(self, terminals: ArrayLike) -> Array:
        """Return (T, d) float64 sums over each terminal's rows of beta x at the committed duals."""

    def sgd(self, jobs: SgdJobs) -> Array:
        """Return the (T, d) models reached by local minibatch SGD; duals play no part."""

    def duals(self) -> Array:
        """Return a host copy of the committed duals, (n,)."""


class KernelSolver:
    """Terminals on the CPU, computed by compiled kernels.

    A process that has used it must not fork (the threads do not survive): start workers with ``spawn``.

    Args:
        X: (n, d) rows sorted by terminal.
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
        with _threads(float(self.X.size)):
            kernels.squared_norms(self.X, self._norms)

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """See :meth:`LocalSolver.ascend`."""
        terminals, offsets = ranges_of(self.offsets, jobs.terminals)
        models = self._models(jobs.w, terminals)
        alpha, du, gap = np.empty(offsets[-1], self.X.dtype), np.empty_like(models), np.empty((len(terminals), 2))
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
        with _threads(2.0 * self.X.shape[1] * (int(steps.sum()) + 2 * len(alpha))):
            kernels.local_dual_ascent(*arguments)
        return AscentUpdates(terminals, du, gap, alpha, offsets)

    def commit(self, terminals: ArrayLike, candidates: Sequence[Any], gamma: float) -> None:
        """See :meth:`LocalSolver.commit`."""
        who = distinct_terminals(self.offsets, terminals, candidates)
        for terminal, candidate in zip(who, candidates, strict=True):
            own = self.alpha[self.offsets[terminal] : self.offsets[terminal + 1]]
            own[:] = candidate if gamma == 1.0 else own + gamma * (candidate - own)

    def sums(self, terminals: ArrayLike, w: Array) -> Array:
        """See :meth:`LocalSolver.sums`."""
        who = known_terminals(self.offsets, terminals)
        out, models = np.empty((len(who), 3)), self._models(w, who)
        loss, data = (self.loss.code, self.loss.smoothing), (self.X, self.y, self.alpha, self.offsets)
        with _threads(float(self.X.shape[1] * np.diff(self.offsets)[who].sum())):
            kernels.terminal_sums(*loss, *data, who, models, out)
        return out

    def dual_image(self, terminals: ArrayLike) -> Array:
        """See :meth:`LocalSolver.dual_image`."""
        images = np.zeros((len(np.asarray(terminals)), self.X.shape[1]))
        for t, j in enumerate(known_terminals(self.offsets, terminals)):
            rows = slice(self.offsets[j], self.offsets[j + 1])
            signed = self.loss.sign(self.y[rows]) * self.alpha[rows]
            images[t] = signed.astype(np.float64) @ self.X[rows]
        return images

    def sgd(self, jobs: SgdJobs) -> Array:
        """See :meth:`LocalSolver.sgd`."""
        who = known_terminals(self.offsets, jobs.terminals)
        w, anchor = self._models(jobs.w, who), self._models(jobs.anchor, who)
        out, steps = np.empty_like(w), np.ascontiguousarray(jobs.steps, np.int64)
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
            jobs.proximal,
            np.ascontiguousarray(jobs.rounds, np.int64),
            *jobs.key,
            out,
        )
        rows = np.minimum(jobs.batch, np.diff(self.offsets)[who]) * steps
        with _threads(2.0 * self.X.shape[1] * float(rows.sum())):
            kernels.local_sgd(*arguments)
        return out

    def duals(self) -> Array:
        """See :meth:`LocalSolver.duals`."""
        return self.alpha.copy()

    def _models(self, w: Array, terminals: Array) -> Array:
        return np.ascontiguousarray(checked_models(w, self.X.shape[1], terminals), self.X.dtype)


class TorchSolver:
    """Terminals on any torch device, computed by batched tensor operations.

    Args:
        X, y, offsets, loss, dtype: as for :class:`KernelSolver`.
        device: where rows and duals live, e.g. ``"cuda"``.

    Raises:
        ValueError: as :class:`KernelSolver`.
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        offsets: ArrayLike,
        loss: Loss,
        dtype: DTypeLike = np.float64,
        device: str | torch.device = "cpu",
        start: float | None = None,
    ) -> None:
        self.loss, self.device = loss, torch.device(device)
        rows, labels, self.offsets = checked_data(X, y, offsets, loss, dtype)
        self.alpha = torch.tensor(initial_duals(rows, labels, loss, start), device=self.device)
        self.rows = reference_solver.Rows(
            *(torch.tensor(values, device=self.device) for values in (rows, labels, self.offsets))
        )

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """See :meth:`LocalSolver.ascend`."""
        terminals, offsets = ranges_of(self.offsets, jobs.terminals)
        checked_models(jobs.w, self.rows.X.shape[1], terminals)
        alpha, du, gap = reference_solver.local_dual_ascent(self.loss, self.rows, self.alpha, jobs)
        return AscentUpdates(terminals, du.cpu().numpy(), gap.double().cpu().numpy(), alpha, offsets)

    def commit(self, terminals: ArrayLike, candidates: Sequence[Any], gamma: float) -> None:
        """See :meth:`LocalSolver.commit`."""
        who = distinct_terminals(self.offsets, terminals, candidates)
        for terminal, candidate in zip(who, candidates, strict=True):
            own = self.alpha[int(self.offsets[terminal]) : int(self.offsets[terminal + 1])]
            own.copy_(candidate if gamma == 1.0 else own + gamma * (candidate - own))

    def sums(self, terminals: ArrayLike, w: Array) -> Array:
        """See :meth:`LocalSolver.sums`."""
        known = known_terminals(self.offsets, terminals)
        checked_models(w, self.rows.X.shape[1], known)
        who = torch.as_tensor(known, device=self.device)
        models = torch.as_tensor(w, dtype=self.rows.X.dtype, device=self.device)
        out: Array = (
            reference_solver.terminal_sums(self.loss, self.rows, self.alpha, who, models).double().cpu().numpy()
        )
        return out

    def dual_image(self, terminals: ArrayLike) -> Array:
        """See :meth:`LocalSolver.dual_image`."""
        who = torch.as_tensor(known_terminals(self.offsets, terminals), device=self.device)
        image: Array = reference_solver.dual_image(self.loss, self.rows, self.alpha, who).double().cpu().numpy()
        return image

    def sgd(self, jobs: SgdJobs) -> Array:
        """See :meth:`LocalSolver.sgd`."""
        who = known_terminals(self.offsets, jobs.terminals)
        for start in (jobs.w, jobs.anchor):
            checked_models(start, self.rows.X.shape[1], who)
        models: Array = reference_solver.local_sgd(self.loss, self.rows, jobs).cpu().numpy()
        return models

    def duals(self) -> Array:
        """See :meth:`LocalSolver.duals`."""
        duals: Array = self.alpha.cpu().numpy().copy()
        return duals


def make_solver(
    device: str,
    X: ArrayLike,
    y: ArrayLike,
    offsets: ArrayLike,
    loss: Loss,
    dtype: DTypeLike = np.float64,
    start: float | None = None,
) -> KernelSolver | TorchSolver:
    """Return the fastest solver of a device: compiled kernels on ``"cpu"``, batched tensors anywhere else."""
    if device == "cpu":
        return KernelSolver(X, y, offsets, loss, dtype, start)
    return TorchSolver(X, y, offsets, loss, dtype, device, start)


@contextmanager
def _threads(work: float) -> Iterator[None]:
    """Use one thread for a batch of ``work`` multiplications that is over before a second one wakes up."""
    before = numba.get_num_threads()
    numba.set_num_threads(before if work > _WORTH_SHARING else 1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
