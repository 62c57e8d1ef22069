"""Terminals on any torch device: a solver whose work is done by batched tensor operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learning.primal_dual import reference_solver
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

Array = NDArray[Any]


class TorchSolver:
    """Terminals on any torch device, computed by batched tensor operations.

    Args:
        X, y, offsets, loss, dtype: as for :class:`~.kernel_solver.KernelSolver`.
        device: where rows and duals live, e.g. ``"cuda"``.

    Raises:
        ValueError: as :class:`~.kernel_solver.KernelSolver`.
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
        """See :meth:`~.solver.LocalSolver.ascend`."""
        terminals, offsets = ranges_of(self.offsets, jobs.terminals)
        models_sent(jobs.w, jobs.sent, self.rows.X.shape[1], terminals)
        alpha, du, gap = reference_solver.local_dual_ascent(self.loss, self.rows, self.alpha, jobs)
        return AscentUpdates(terminals, du, gap.double().cpu().numpy(), alpha, offsets)

    def commit(self, updates: AscentUpdates, arrived: ArrayLike, gamma: ArrayLike) -> None:
        """See :meth:`~.solver.LocalSolver.commit`."""
        jobs = arrived_jobs(self.offsets, updates, arrived, gamma)
        who, first, shares = (torch.as_tensor(part, device=self.device) for part in jobs)
        reference_solver.move_duals(self.alpha, self.rows.offsets, who, updates.alpha, first, shares)

    def add_up(self, updates: AscentUpdates, arrived: ArrayLike, offsets: ArrayLike) -> Array:
        """See :meth:`~.solver.LocalSolver.add_up`."""
        kept, ranges = (torch.as_tensor(part, device=self.device) for part in arrivals(updates, arrived, offsets))
        total: Array = reference_solver.add_up(updates.du, kept, ranges).cpu().numpy()
        return total

    def sums(self, terminals: ArrayLike, w: Array, sent: Array | None = None) -> Array:
        """See :meth:`~.solver.LocalSolver.sums`."""
        known = known_terminals(self.offsets, terminals)
        models, which = models_sent(w, sent, self.rows.X.shape[1], known)
        who, chosen = (torch.as_tensor(part, device=self.device) for part in (known, which))
        each = torch.as_tensor(models, dtype=self.rows.X.dtype, device=self.device)[chosen]
        sums = reference_solver.terminal_sums(self.loss, self.rows, self.alpha, who, each)
        out: Array = sums.double().cpu().numpy()
        return out

    def dual_image(self, terminals: ArrayLike) -> Array:
        """See :meth:`~.solver.LocalSolver.dual_image`."""
        who = torch.as_tensor(known_terminals(self.offsets, terminals), device=self.device)
        image: Array = reference_solver.dual_image(self.loss, self.rows, self.alpha, who).double().cpu().numpy()
        return image

    def sgd(self, jobs: SgdJobs) -> Array:
        """See :meth:`~.solver.LocalSolver.sgd`."""
        who, ends = ranges_of(self.offsets, jobs.terminals)
        for start in (jobs.w, jobs.anchor, *([] if jobs.velocity is None else [jobs.velocity])):
            checked_models(start, self.rows.X.shape[1], who)
        checked_weights(jobs.weights, int(ends[-1]))
        models: Array = reference_solver.local_sgd(self.loss, self.rows, jobs).cpu().numpy()
        return models

    def duals(self) -> Array:
        """See :meth:`~.solver.LocalSolver.duals`."""
        duals: Array = self.alpha.cpu().numpy().copy()
        return duals
