"""What maps a vector of parameters and rows of features to scores: a linear model here, torch in ``torch_model``.

All parameters of a model travel as one flat vector. Local training of many terminals is one batched call.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.linear_scores import linear_scores
from learning.primal_dual.solver import LocalSolver
from scenarios.streams import Streams

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Model(Protocol):
    """A family of score functions."""

    size: int
    """Number of parameters P."""
    linear: bool
    """Whether the score is parameters . row, as the primal-dual methods need."""

    def initial(self, streams: Streams) -> Array:
        """Return the (P,) parameters all nodes start from."""

    def scores(self, parameters: Array, X: Array) -> Array:
        """Return the (n,) scores of (n, d) rows."""

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """Return the (n,) scores of rows ``X[offsets[i]:offsets[i + 1]]`` under ``parameters[i]``, (T, P)."""

    def descend(self, jobs: SgdJobs) -> Array:
        """Return the (T, P) parameters reached by local minibatch SGD on the terminals' own rows."""


def one_by_one(model: Model, parameters: Array, X: Array, offsets: IntArray) -> Array:
    """Do what :meth:`Model.scores_each` asks for with a call for each of the (T, P) ``parameters``."""
    edges = offsets.tolist()
    scores = [model.scores(w, X[a:b]) for w, a, b in zip(parameters, edges, edges[1:], strict=False)]
    return scores[0] if len(scores) == 1 else np.concatenate([*scores, np.empty(0)])


def starts(model: Model, streams: Streams, tasks: IntArray) -> Array:
    """Return the (n, P) parameters that terminals of some (n,) tasks start from, alike up to heads that differ."""
    own = getattr(model, "starts", None)
    return np.tile(model.initial(streams), (len(tasks), 1)) if own is None else np.asarray(own(streams, tasks))


class LinearModel:
    """The score is w . x.

    Args:
        features: d.
        solver: holds the terminals' rows.
    """

    linear = True

    def __init__(self, features: int, solver: LocalSolver) -> None:
        self.size = features
        self._solver = solver

    def initial(self, streams: Streams) -> Array:
        """Zeros."""
        return np.zeros(self.size)

    def scores(self, parameters: Array, X: Array) -> Array:
        """See :meth:`Model.scores`."""
        return linear_scores(X, np.array([0, len(X)]), parameters[None])

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """See :meth:`Model.scores_each`."""
        return linear_scores(X, offsets, parameters)

    def descend(self, jobs: SgdJobs) -> Array:
        """See :meth:`Model.descend`."""
        return np.asarray(self._solver.sgd(jobs), np.float64)
