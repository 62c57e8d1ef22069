"""Local work of many federated terminals at once in plain tensors, on any device; the readable twin of ``kernels``.

Jobs advance side by side: step h of every terminal is one gather, one closed form and one scatter. Rows of ragged
terminals are addressed through padded index tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from learning.primal_dual import tensor_maths as maths
from learning.primal_dual.jobs import AscentJobs, Sampling, SgdJobs
from learning.primal_dual.losses import Loss
from learning.primal_dual.velocity import Velocity

_GATHERED = 2**26  # numbers a gathered block of rows may hold


@dataclass(frozen=True)
class Rows:
    """All terminals' data on one device.

    Args:
        X: (n, d) rows sorted by terminal.
        y: (n,) labels or targets.
        offsets: (M + 1,) int64 row ranges of the terminals.
    """

    X: Tensor
    y: Tensor
    offsets: Tensor

    def table(self, terminals: Tensor) -> tuple[Tensor, Tensor]:
        """Return (T, n_max) row indices of each job and the mask of those that exist."""
        first, counts = self.offsets[terminals], self.offsets[terminals + 1] - self.offsets[terminals]
        slots = torch.arange(int(counts.max()) if len(counts) else 0, device=self.X.device)
        mask = slots < counts[:, None]
        return torch.where(mask, first[:, None] + slots, 0), mask

    def per_job(self, table: Tensor, combine: Callable[[Tensor, slice], Tensor]) -> Tensor:
        """Return ``combine(rows (t, n_max, d), jobs)`` stacked over blocks of jobs small enough to gather."""
        block = max(1, _GATHERED // max(1, table.shape[1] * self.X.shape[1]))
        pieces = [slice(start, start + block) for start in range(0, max(1, len(table)), block)]
        return torch.cat([combine(self.X[table[jobs]], jobs) for jobs in pieces])

    def scores(self, table: Tensor, w: Tensor) -> Tensor:
        """Return (T, n_max) scores of each job's rows under its model ``w`` (T, d)."""
        return self.per_job(table, lambda x, jobs: torch.einsum("tnd,td->tn", x, w[jobs]))


def local_dual_ascent(loss: Loss, rows: Rows, alpha: Tensor, jobs: AscentJobs) -> tuple[Tensor, Tensor, Tensor]:
    """Do the work of :func:`kernels.local_dual_ascent`.

    Args:
        loss, rows, jobs: what to do, on which data.
        alpha: (n,) current duals, left unchanged.

    Returns:
        flat candidate duals in job order, du (T, d), gap (T, 2).
    """
    terminals, rounds, steps = (_integers(v, rows) for v in (jobs.terminals, jobs.rounds, jobs.steps))
    w, sigma_prime, lam_n = (_numbers(v, rows) for v in (jobs.w, jobs.sigma_prime, jobs.lam_n))
    w = w if jobs.sent is None else w[_integers(jobs.sent, rows)]
    scale = sigma_prime / lam_n
    table, mask = rows.table(terminals)
    counts, old, y = mask.sum(1), alpha[table], rows.y[table]
    q_all = scale[:, None] * (rows.X**2).sum(1)[table]
    a, local = old.clone(), w.clone()
    stream = maths.row_stream(jobs.sampling, counts, rounds, terminals, jobs.key)
    for h in range(int(steps.max()) if mask.numel() else 0):
        pick = next(stream)[:, None]
        x, label, current, q = (
            rows.X[table.gather(1, pick)[:, 0]],
            *(v.gather(1, pick)[:, 0] for v in (y, a, q_all)),
        )
        active = (h < steps) & (counts > 0) & (q > 0)
        best = maths.step(loss, current, (x * local).sum(1), label, torch.where(active, q, 1))
        new = torch.where(active, best, current)
        local += (scale * maths.sign(loss, label) * (new - current))[:, None] * x
        a.scatter_(1, pick, new[:, None])
    change = torch.where(mask, maths.sign(loss, y) * (a - old), 0)
    du = rows.per_job(table, lambda x, part: torch.einsum("tnd,tn->td", x, change[part]))
    if not jobs.measures_gap:
        return a[mask], du, torch.full((len(du), 2), torch.nan, dtype=du.dtype, device=du.device)
    before = _masked_sum(maths.fenchel_young(loss, rows.scores(table, w), old, y), mask)
    own_model = w + scale[:, None] * du
    after = _masked_sum(maths.fenchel_young(loss, rows.scores(table, own_model), a, y), mask)
    return a[mask], du, torch.stack([before, after], dim=1)


def terminal_sums(loss: Loss, rows: Rows, alpha: Tensor, terminals: Tensor, w: Tensor) -> Tensor:
    """Return (T, 3) sums over each job's rows: loss at w (T, d), conjugate, Fenchel-Young terms."""
    table, mask = rows.table(terminals)
    scores, a, y = rows.scores(table, w), alpha[table], rows.y[table]
    terms = (
        maths.value(loss, scores, y),
        maths.conjugate(loss, a, y),
        maths.fenchel_young(loss, scores, a, y),
    )
    return torch.stack([_masked_sum(term, mask) for term in terms], dim=1)


def dual_image(loss: Loss, rows: Rows, alpha: Tensor, terminals: Tensor) -> Tensor:
    """Return (T, d) sums over each job's rows of beta x."""
    table, mask = rows.table(terminals)
    beta = torch.where(mask, maths.sign(loss, rows.y[table]) * alpha[table], 0)
    return rows.per_job(table, lambda x, part: torch.einsum("tnd,tn->td", x, beta[part]))


def add_up(du: Tensor, arrived: Tensor, offsets: Tensor) -> Tensor:
    """Return (S, d) float64 sums of the rows of ``du`` (T, d) that ``arrived``, those in ``offsets`` (S + 1,) together.

    Segment by segment, not by atomic additions, whose order would change from run to run.
    """
    heard = torch.where(arrived[:, None], du.double(), 0.0)
    if not len(du):
        return heard.new_zeros(len(offsets) - 1, du.shape[1])
    return torch.segment_reduce(heard, "sum", offsets=offsets, axis=0, unsafe=True)


def move_duals(
    alpha: Tensor, offsets: Tensor, terminals: Tensor, candidate: Tensor, first: Tensor, shares: Tensor
) -> None:
    """Do the work of :func:`dual_moves.move_duals`: what is needed of each row is worked out where the rows are."""
    start = offsets[terminals]
    counts = offsets[terminals + 1] - start
    job = torch.repeat_interleave(counts)
    within = torch.arange(len(job), device=alpha.device) - (counts.cumsum(0) - counts)[job]
    rows, share, proposed = start[job] + within, shares[job].to(alpha.dtype), candidate[first[job] + within]
    old = alpha[rows]
    alpha[rows] = torch.where(shares[job] == 1.0, proposed, old + share * (proposed - old))


@dataclass(frozen=True)
class Minibatch:
    """One SGD step of T jobs side by side.

    Args:
        chosen: (T, batch) row indices; places beyond a job's own batch hold some valid index.
        weights: (T, batch) the row's own weight / size of the job's batch where a row is present, 0 elsewhere.
        active: (T,) whether the job takes this step.
    """

    chosen: Tensor
    weights: Tensor
    active: Tensor


def minibatches(rows: Rows, jobs: SgdJobs) -> Iterator[Minibatch]:
    """Yield the steps of local SGD: rows epoch by epoch in a fresh order; a batch of n_j and above takes all rows."""
    terminals, rounds, steps = (_integers(v, rows) for v in (jobs.terminals, jobs.rounds, jobs.steps))
    table, mask = rows.table(terminals)
    counts = mask.sum(1)
    longest, width = jobs.before + int(steps.max()) if mask.numel() else 0, min(jobs.batch, table.shape[1])
    slots = torch.arange(width, device=table.device)
    stream = maths.row_stream(Sampling.PERMUTATION, counts, rounds, terminals, jobs.key)
    used, first = torch.zeros_like(counts), torch.zeros_like(counts)
    whole = (counts <= jobs.batch)[:, None]
    draws = 1 if bool(whole.all()) else max(1, longest * width)
    order = torch.stack(list(islice(stream, draws)), dim=1)
    own = None if jobs.weights is None else _numbers(jobs.weights, rows)
    places = (counts.cumsum(0) - counts)[:, None]
    for h in range(longest):
        size = (counts - first).clamp(max=jobs.batch)
        drawn = order.gather(1, (used[:, None] + slots).clamp(max=order.shape[1] - 1))
        picks = torch.where(whole, slots.expand_as(drawn), drawn)
        present = slots < size[:, None]
        picks = torch.where(present, picks, 0)
        weights = present.to(rows.X.dtype) / size.clamp(min=1)[:, None]
        if own is not None and len(own):
            weights = weights * own[torch.where(present, places + picks, 0)]
        if h >= jobs.before:
            yield Minibatch(table.gather(1, picks), weights, (h < jobs.before + steps) & (counts > 0))
        used, first = used + size, (first + size) % counts.clamp(min=1)


def local_sgd(loss: Loss, rows: Rows, jobs: SgdJobs) -> Tensor:
    """Do the work of :func:`kernels.local_sgd` and return the models reached, (T, d)."""
    w, anchor, rate = (_numbers(v, rows) for v in (jobs.w, jobs.anchor, jobs.learning_rate))
    w, proximal = w.clone(), _numbers(jobs.proximal, rows).reshape(-1, 1)
    velocity = Velocity(jobs, w)
    for batch in minibatches(rows, jobs):
        x, y = rows.X[batch.chosen], rows.y[batch.chosen]
        slopes = maths.derivative(loss, torch.einsum("tnd,td->tn", x, w), y)
        gradient = torch.einsum("tnd,tn->td", x, slopes * batch.weights)
        gradient += jobs.ridge * w + proximal * (w - anchor)
        active = batch.active[:, None]
        w = torch.where(active, w - rate[:, None] * velocity.direction(gradient, active), w)
    velocity.store()
    return w


def _integers(values: Any, rows: Rows) -> Tensor:
    return torch.as_tensor(values, dtype=torch.int64, device=rows.X.device)


def _numbers(values: Any, rows: Rows) -> Tensor:
    return torch.as_tensor(values, dtype=rows.X.dtype, device=rows.X.device)


def _masked_sum(terms: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, terms, 0).sum(1)
