"""Mini-batches of a terminal's rows that all see the same model: dual steps of which none knows of the others.

What mini-batch SDCA does (Takac, Bijral, Richtarik and Srebro, "Mini-batch primal and dual methods for SVMs", ICML
2013): the batch's changes are averaged or added with care afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, host
from learning.primal_dual.solver import LocalSolver
from learning.segments import rows_of, segment_sums
from scenarios.streams import Streams

Array = NDArray[Any]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MiniBatches:
    """Rows that T jobs visit, no row twice.

    Args:
        rows: (k,) indices into the federation's rows, job after job.
        places: (k,) where they stand among all rows of the jobs laid end to end.
        offsets: (T + 1,) ranges of the jobs in ``rows``.
    """

    rows: IntArray
    places: IntArray
    offsets: IntArray

    @property
    def job(self) -> IntArray:
        """(k,) whose row each is."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


class RandomRows:
    """Draws mini-batches without replacement.

    Args:
        streams: the run's randomness.
        offsets: (terminals + 1,) row ranges of the terminals.
    """

    def __init__(self, streams: Streams, offsets: IntArray) -> None:
        self._streams, self._offsets = streams, offsets

    def draw(self, terminals: IntArray, sizes: IntArray, rounds: IntArray) -> MiniBatches:
        """Return ``sizes`` (T,) rows of each of the ``terminals`` (T,), all of them if it has fewer.

        Args:
            rounds: (T,) how often each terminal has drawn before.
        """
        rows, cuts = rows_of(self._offsets, terminals)
        job = np.repeat(np.arange(len(terminals)), np.diff(cuts))
        position = np.arange(len(rows)) - cuts[job]
        drawn = self._streams.uniform("mini-batch rows", terminals[job], rounds[job], position)
        rank = np.empty(len(rows), np.int64)
        rank[np.lexsort((drawn, job))] = position
        return batches(rows, cuts, rank < sizes[job])


def batches(rows: IntArray, cuts: IntArray, taken: NDArray[np.bool_]) -> MiniBatches:
    """Return the rows that are ``taken`` of all rows of the jobs, (n,) in the ranges ``cuts`` (T + 1,)."""
    kept = np.concatenate([[0], np.cumsum(taken)])
    return MiniBatches(rows[taken], np.flatnonzero(taken), np.asarray(kept[cuts], np.int64))


def frozen_ascent(solver: LocalSolver, data: Federation, jobs: AscentJobs, chosen: MiniBatches) -> AscentUpdates:
    """Return dual steps on the ``chosen`` rows, each as if it were the only one; the jobs' steps play no part."""
    at_rest = solver.ascend(replace(jobs, steps=np.zeros(len(jobs.terminals), np.int64), measures_gap=False))
    job, X, y = chosen.job, data.X[chosen.rows], data.y[chosen.rows]
    alpha = host(at_rest.alpha).copy()
    old = alpha[chosen.places]
    curvature = (jobs.sigma_prime / jobs.lam_n)[job] * (X**2).sum(axis=1)
    moves = curvature > 0.0
    scores = np.einsum("nd,nd->n", X, jobs.models[job])
    alpha[chosen.places] = np.where(moves, solver.loss.step(old, scores, y, np.where(moves, curvature, 1.0)), old)
    kept = _like(at_rest.alpha, alpha)
    change = host(kept)[chosen.places] - old  # as the solver's precision leaves it
    du = segment_sums((solver.loss.sign(y) * change)[:, None] * X, chosen.offsets)
    return replace(at_rest, du=_like(at_rest.du, du), alpha=kept)


def gradient_sums(solver: LocalSolver, data: Federation, models: Array, chosen: MiniBatches) -> Array:
    """Return (T, d) sums over the ``chosen`` rows of minus the loss's gradient at each job's model (T, d)."""
    X, y = data.X[chosen.rows], data.y[chosen.rows]
    slopes = solver.loss.derivative(np.einsum("nd,nd->n", X, models[chosen.job]), y)
    return segment_sums(-slopes[:, None] * X, chosen.offsets)


def _like(kept: Any, values: Array) -> Any:
    """Return values as a solver keeps ``kept``: an array, or a tensor on its device."""
    return values.astype(kept.dtype) if isinstance(kept, np.ndarray) else kept.new_tensor(values)
