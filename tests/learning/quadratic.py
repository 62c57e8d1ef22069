"""Terminals that minimise quadratics, for vectors known in closed form: f_k(w) = sum_j A_kj (w_j - C_kj)^2 / 2."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from learning.models import one_by_one
from learning.primal_dual.jobs import SgdJobs
from learning.setting import Setting
from scenarios.streams import Streams
from tests.learning.driving import federation_of, setting_of

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class QuadraticModel:
    """What a learning method takes for a model; the rows of its terminals play no part, all gradients are full.

    Args:
        A, C: (terminals, d) curvatures and optima.
    """

    A: Array
    C: Array
    linear = False

    @property
    def size(self) -> int:
        """d."""
        return self.C.shape[1]

    def initial(self, streams: Streams) -> Array:
        """Zeros."""
        return np.zeros(self.size)

    def scores(self, parameters: Array, X: Array) -> Array:
        """Zeros: there is nothing to score."""
        return np.zeros(len(X))

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """Zeros."""
        return one_by_one(self, parameters, X, offsets)

    def descend(self, jobs: SgdJobs) -> Array:
        """Gradient descent with the pull that the jobs add; there is no ridge."""
        w, A, C = np.array(jobs.w, np.float64), self.A[jobs.terminals], self.C[jobs.terminals]
        proximal = np.reshape(jobs.proximal, (-1, 1))
        for step in range(int(np.max(jobs.steps, initial=0))):
            slope = A * (w - C) + proximal * (w - jobs.anchor)
            w = np.where((step < jobs.steps)[:, None], w - np.asarray(jobs.learning_rate)[:, None] * slope, w)
        return w


def toy() -> QuadraticModel:
    """Six terminals in three dimensions: C_kj = sin(1.1 k + .7 j), A_kj = 1 + .2 ((k + j) mod 3), counted from 1."""
    k, j = np.arange(1, 7)[:, None], np.arange(1, 4)
    return QuadraticModel(1.0 + 0.2 * ((k + j) % 3), np.sin(1.1 * k + 0.7 * j))


def quadratic_setting(model: QuadraticModel, tasks: int = 1, eager: bool = False) -> Setting:
    """Return a setting of equally many terminals a task, one row each, whose model is ``model``."""
    terminals = len(model.C)
    federation = federation_of(np.ones((terminals, model.size)), np.ones(terminals), [1] * terminals, tasks)
    return replace(setting_of(federation, eager=eager), model=model)
