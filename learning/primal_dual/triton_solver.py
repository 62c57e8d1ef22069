"""Terminals on a GPU: a solver whose work is done by Triton kernels, one launch for any number of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import Tensor

from learning.primal_dual import triton_kernels
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
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling, SgdJobs
from learning.primal_dual.losses import Loss
from learning.primal_dual.reference_solver import Rows, add_up, move_duals

Array = NDArray[Any]
_ALIGNMENT = 256  # bytes
_LONGEST = 2**31 - 1  # rows a terminal may hold


class TritonSolver:
    """Terminals on a GPU, computed by Triton kernels; rows, norms and duals never leave it.

    The rows drawn are those of :class:`~.kernel_solver.KernelSolver`; results agree to rounding. Any number of
    features is accepted; up to about a thousand, a model fits the registers of its program.

    Args:
        X, y, offsets, loss, dtype, start: as for :class:`~.kernel_solver.KernelSolver`; float32 or float64.
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
        device: str | torch.device = "cuda",
        start: float | None = None,
    ) -> None:
        self.loss = loss
        rows, labels, self.offsets = checked_data(X, y, offsets, loss, dtype)
        self.rows = Rows(*(torch.from_numpy(values).to(device) for values in (rows, labels, self.offsets)))
        self.alpha = torch.from_numpy(initial_duals(rows, labels, loss, start)).to(device)
        self.norms = squared_norms(self.rows.X)
        self.device = self.rows.X.device

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """See :meth:`~.solver.LocalSolver.ascend`."""
        terminals, offsets = ranges_of(self.offsets, jobs.terminals)
        orders = _orders(terminals, jobs.steps, jobs.rounds, offsets)
        scales = np.asarray(jobs.sigma_prime, np.float64) / np.asarray(jobs.lam_n, np.float64)
        models = self._sent(jobs.w, jobs.sent, terminals)
        there = upload(self.device, orders, np.array(jobs.key, np.int64), scales, *models)
        work = DeviceAscents(int(offsets[-1]), jobs.sampling, jobs.measures_gap, *there)
        alpha, du, gap = local_dual_ascent(self.loss, self.rows, self.norms, self.alpha, work)
        return AscentUpdates(terminals, du, gap.cpu().numpy(), alpha, offsets)

    def commit(self, updates: AscentUpdates, arrived: ArrayLike, gamma: ArrayLike) -> None:
        """See :meth:`~.solver.LocalSolver.commit`."""
        who, first, shares = upload(self.device, *arrived_jobs(self.offsets, updates, arrived, gamma))
        move_duals(self.alpha, self.rows.offsets, who, updates.alpha, first, shares)

    def add_up(self, updates: AscentUpdates, arrived: ArrayLike, offsets: ArrayLike) -> Array:
        """See :meth:`~.solver.LocalSolver.add_up`."""
        total: Array = add_up(updates.du, *upload(self.device, *arrivals(updates, arrived, offsets))).cpu().numpy()
        return total

    def sums(self, terminals: ArrayLike, w: Array, sent: Array | None = None) -> Array:
        """See :meth:`~.solver.LocalSolver.sums`."""
        known, ends = ranges_of(self.offsets, terminals)
        who, places, models, which = upload(self.device, known, ends[:-1], *self._sent(w, sent, known))
        jobs = (self.rows.offsets[who], who, places, models, which)
        sums = terminal_sums(self.loss, self.rows, self.alpha, *jobs, int(ends[-1]))
        out: Array = sums.cpu().numpy()
        return out

    def dual_image(self, terminals: ArrayLike) -> Array:
        """See :meth:`~.solver.LocalSolver.dual_image`."""
        (who,) = upload(self.device, known_terminals(self.offsets, terminals))
        image: Array = dual_image(self.loss, self.rows, self.alpha, who).cpu().numpy()
        return image

    def sgd(self, jobs: SgdJobs) -> Array:
        """See :meth:`~.solver.LocalSolver.sgd`."""
        terminals, offsets = ranges_of(self.offsets, jobs.terminals)
        orders = _orders(terminals, jobs.steps, jobs.rounds, offsets)
        numbers = np.empty((len(terminals), 4))
        numbers[:, 0], numbers[:, 1], numbers[:, 2] = jobs.learning_rate, jobs.ridge, jobs.proximal
        numbers[:, 3] = jobs.momentum
        starts = (self._models(jobs.w, terminals), self._models(jobs.anchor, terminals))
        weights = checked_weights(jobs.weights, int(offsets[-1]))
        own = np.empty(0) if weights is None else weights
        velocity = starts[0][:0] if jobs.velocity is None else self._models(jobs.velocity, terminals)
        sent = upload(self.device, orders, np.array(jobs.key, np.int64), numbers, *starts, own, velocity)
        work = DeviceDescents(int(offsets[-1]), min(jobs.batch, _LONGEST), jobs.before, *sent)
        reached: Array = local_sgd(self.loss, self.rows, work).cpu().numpy()
        if jobs.velocity is not None:
            jobs.velocity[:] = work.velocity.cpu().numpy()
        return reached

    def duals(self) -> Array:
        """See :meth:`~.solver.LocalSolver.duals`."""
        duals: Array = self.alpha.cpu().numpy().copy()
        return duals

    def _sent(self, w: Array, sent: Array | None, terminals: Array) -> tuple[Array, Array]:
        models, which = models_sent(w, sent, self.rows.X.shape[1], terminals)
        return self._in_precision(models), which

    def _models(self, w: Array, terminals: Array) -> Array:
        return self._in_precision(checked_models(w, self.rows.X.shape[1], terminals))

    def _in_precision(self, models: Array) -> Array:
        return np.ascontiguousarray(models, np.float64 if self.alpha.dtype == torch.float64 else np.float32)


@dataclass(frozen=True)
class DeviceAscents:
    """T rounds of local dual ascent, their numbers on the device.

    Args:
        length: number of rows, and of candidate duals, of all jobs.
        sampling, measures_gap: as in :class:`~.jobs.AscentJobs`.
        orders: (T, 4) int64 terminal, steps, round and first place in the candidate duals.
        key: (2,) int64 words of the row stream.
        scales: (T,) float64 sigma' / lam_n.
        w: (S, d) models.
        sent: (T,) int64 which of them each job starts from.
    """

    length: int
    sampling: Sampling
    measures_gap: bool
    orders: Tensor
    key: Tensor
    scales: Tensor
    w: Tensor
    sent: Tensor


@dataclass(frozen=True)
class DeviceDescents:
    """T rounds of local minibatch SGD, their numbers on the device.

    Args:
        length, orders, key: as in :class:`DeviceAscents`.
        w: (T, d) starting models.
        batch: rows a step, below 2**31.
        before: steps of the round whose rows are passed over.
        numbers: (T, 4) float64 learning rate, ridge, proximal, momentum.
        anchor: (T, d) centres of the proximal term.
        weights: (length,) float64 factors of the rows' losses; empty if all are 1.
        velocity: (T, d) what momentum has built up, changed in place; (0, d) without momentum.
    """

    length: int
    batch: int
    before: int
    orders: Tensor
    key: Tensor
    numbers: Tensor
    w: Tensor
    anchor: Tensor
    weights: Tensor
    velocity: Tensor


def upload(device: torch.device, *arrays: Array) -> list[Tensor]:
    """Return the arrays on a device; one transfer brings them all."""
    ends = np.cumsum([(a.nbytes // _ALIGNMENT + 1) * _ALIGNMENT for a in arrays])
    packed = np.zeros(ends[-1], np.uint8)
    starts = [0, *ends[:-1].tolist()]
    for a, start in zip(arrays, starts, strict=True):
        packed[start : start + a.nbytes] = np.ascontiguousarray(a).reshape(-1).view(np.uint8)
    there = torch.from_numpy(packed).to(device)
    return [
        there[start : start + a.nbytes].view(torch.from_numpy(np.empty(0, a.dtype)).dtype).view(a.shape)
        for a, start in zip(arrays, starts, strict=True)
    ]


def squared_norms(X: Tensor) -> Tensor:
    """Return ||x_i||^2 of the rows of X (n, d), summed in float64, in the rows' precision."""
    return (torch.linalg.vector_norm(X, dim=1, dtype=torch.float64) ** 2).to(X.dtype)


def local_dual_ascent(
    loss: Loss, rows: Rows, norms: Tensor, alpha: Tensor, work: DeviceAscents
) -> tuple[Tensor, Tensor, Tensor]:
    """Do the work of :func:`kernels.local_dual_ascent` on the device: one launch, two more for the gaps.

    Args:
        loss, rows, work: what is done, on which data.
        norms, alpha: (n,) squared norms of the rows and current duals.

    Returns:
        flat candidate duals in job order, du (T, d), gap (T, 2) float64.
    """
    w, jobs = work.w, len(work.sent)
    candidates, du = w.new_empty(work.length), w.new_empty((jobs, w.shape[1]))
    scratch = work.length if work.sampling == Sampling.PERMUTATION else 0
    order = torch.empty(scratch, dtype=torch.int32, device=w.device)
    data = (rows.X, rows.y, norms, alpha, rows.offsets)
    fixed = {**_compiled_for(loss, w.shape[1]), "SAMPLING": int(work.sampling)}
    arguments = (work.orders, work.scales, work.key, *data, w, work.sent, order, candidates, du)
    _launch(triton_kernels.local_dual_ascent, jobs, arguments, fixed)
    if not work.measures_gap:
        return candidates, du, torch.full((jobs, 2), torch.nan, dtype=torch.float64)
    terminals, places = work.orders[:, 0].contiguous(), work.orders[:, 3].contiguous()
    before = terminal_sums(loss, rows, alpha, rows.offsets[terminals], terminals, places, w, work.sent, work.length)
    own_model, own = (w[work.sent] + work.scales[:, None] * du).to(w.dtype), torch.arange(jobs, device=w.device)
    after = terminal_sums(loss, rows, candidates, places, terminals, places, own_model, own, work.length)
    return candidates, du, torch.stack([before[:, 2], after[:, 2]], dim=1)


def terminal_sums(
    loss: Loss,
    rows: Rows,
    alpha: Tensor,
    starts: Tensor,
    terminals: Tensor,
    places: Tensor,
    w: Tensor,
    sent: Tensor,
    length: int,
) -> Tensor:
    """Return (T, 3) float64 sums over each job's rows: loss at its model, conjugate, Fenchel-Young terms.

    Args:
        loss, rows: what is summed, over which data.
        alpha, starts: duals, and (T,) where those of each job begin.
        terminals, w, sent: (T,) whose jobs, (S, d) models and (T,) which of them each is scored with.
        places, length: (T,) first row of each job and number of all rows, the jobs' rows laid end to end.
    """
    out = torch.empty((len(sent), 3), dtype=torch.float64, device=w.device)
    scores = torch.empty(length, dtype=torch.float64, device=w.device)
    arguments = (terminals, places, rows.X, rows.y, alpha, starts, rows.offsets, w, sent, scores, out)
    _launch(triton_kernels.terminal_sums, len(sent), arguments, _compiled_for(loss, w.shape[1]))
    return out


def dual_image(loss: Loss, rows: Rows, alpha: Tensor, terminals: Tensor) -> Tensor:
    """Return (T, d) float64 sums over each job's rows of beta x."""
    out = torch.empty((len(terminals), rows.X.shape[1]), dtype=torch.float64, device=alpha.device)
    fixed = _compiled_for(loss, out.shape[1])
    del fixed["MU"]
    _launch(triton_kernels.dual_image, len(out), (terminals, rows.X, rows.y, alpha, rows.offsets, out), fixed)
    return out


def local_sgd(loss: Loss, rows: Rows, work: DeviceDescents) -> Tensor:
    """Do the work of :func:`kernels.local_sgd` in one launch and return the models reached, (T, d)."""
    w = work.w
    out, order = torch.empty_like(w), torch.empty(work.length, dtype=torch.int32, device=w.device)
    fixed = {**_compiled_for(loss, w.shape[1]), "WEIGHTED": len(work.weights) > 0, "HEAVY": len(work.velocity) > 0}
    weights = work.weights if fixed["WEIGHTED"] else work.numbers  # a pointer that nobody follows
    velocity = work.velocity if fixed["HEAVY"] else w
    data, passes = (rows.X, rows.y, weights, rows.offsets), (work.batch, work.before)
    arguments = (work.orders, work.numbers, work.key, *data, w, work.anchor, velocity, *passes, order, out)
    _launch(triton_kernels.local_sgd, len(w), arguments, fixed)
    return out


def _orders(terminals: Array, steps: Array, rounds: Array, offsets: Array) -> Array:
    return np.stack([terminals, np.asarray(steps), np.asarray(rounds), offsets[:-1]], axis=1).astype(np.int64)


def _compiled_for(loss: Loss, d: int) -> dict[str, Any]:
    """Return what the kernels are compiled for: the loss and the number of features."""
    return {**triton_kernels.shape_options(d), "CODE": loss.code, "MU": loss.smoothness}


def _launch(kernel: Any, jobs: int, arguments: Sequence[Any], fixed: dict[str, Any]) -> None:
    """Start one program a job on the device of the first argument."""
    device = arguments[0].device
    here: AbstractContextManager[Any] = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    if jobs:
        with here:
            kernel[(jobs,)](*arguments, **fixed)
