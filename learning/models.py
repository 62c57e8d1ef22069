"""What maps a vector of parameters and rows of features to scores: a linear model here, torch in ``torch_model``.

All parameters of a model travel as one flat vector. Local training of many terminals is one batched call.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.solver import LocalSolver
from scenarios.streams import Streams

Array = NDArray[np.float64]


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

    def descend(self, jobs: SgdJobs) -> Array:
        """Return the (T, P) parameters reached by local minibatch SGD on the terminals' own rows."""


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
        return np.asarray(np.einsum("nd,d->n", X, parameters))  # a product of matrices would wake threads for nothing

    def descend(self, jobs: SgdJobs) -> Array:
        """See :meth:`Model.descend`."""
        return np.asarray(self._solver.sgd(jobs), np.float64)
