"""Terminals on any torch device: a solver whose work is done by batched tensor operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learning.primal_dual import reference_solver
from learning.primal_dual.inputs import (
    arrived_duals,
    checked_data,
    checked_models,
    checked_weights,
    initial_duals,
    known_terminals,
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
        checked_models(jobs.w, self.rows.X.shape[1], terminals)
        alpha, du, gap = reference_solver.local_dual_ascent(self.loss, self.rows, self.alpha, jobs)
        return AscentUpdates(terminals, du.cpu().numpy(), gap.double().cpu().numpy(), alpha, offsets)

    def commit(self, updates: AscentUpdates, arrived: ArrayLike, gamma: ArrayLike) -> None:
        """See :meth:`~.solver.LocalSolver.commit`."""
        moved = arrived_duals(self.offsets, updates, arrived, gamma)
        rows, places, share = (torch.as_tensor(part, device=self.device) for part in moved)
        old, candidate = self.alpha[rows], updates.alpha[places]
        stepped = old + share.to(old.dtype) * (candidate - old)
        self.alpha[rows] = torch.where(share == 1.0, candidate, stepped)

    def sums(self, terminals: ArrayLike, w: Array) -> Array:
        """See :meth:`~.solver.LocalSolver.sums`."""
        known = known_terminals(self.offsets, terminals)
        checked_models(w, self.rows.X.shape[1], known)
        who = torch.as_tensor(known, device=self.device)
        models = torch.as_tensor(w, dtype=self.rows.X.dtype, device=self.device)
        out: Array = (
            reference_solver.terminal_sums(self.loss, self.rows, self.alpha, who, models).double().cpu().numpy()
        )
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
