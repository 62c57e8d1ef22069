"""Terminals that do softmax regression on the closed-form toy of PerMFL: a model of many outputs, full batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.models import one_by_one
from learning.primal_dual.jobs import SgdJobs
from learning.setting import Setting
from scenarios.streams import Streams
from tests.learning.driving import federation_of, setting_of

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SoftmaxModel:
    """Two classes; the parameters are the weights of each class and then their biases.

    Args:
        federation: terminals of equally many rows.
    """

    federation: Federation
    linear = False

    @property
    def size(self) -> int:
        """2 (d + 1)."""
        return 2 * (self.federation.X.shape[1] + 1)

    def initial(self, streams: Streams) -> Array:
        """W_cj = .1 sin(3 c + j), b = (.05, -.05), counted from 1."""
        c, j = np.arange(1, 3)[:, None], np.arange(1, self.federation.X.shape[1] + 1)
        return np.concatenate([0.1 * np.sin(3 * c + j).ravel(), [0.05, -0.05]])

    def scores(self, parameters: Array, X: Array) -> Array:
        """How much the second class is ahead."""
        weights, biases = parameters[:-2].reshape(2, -1), parameters[-2:]
        return np.asarray(X @ (weights[1] - weights[0]) + biases[1] - biases[0])

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """The same of many models."""
        return one_by_one(self, parameters, X, offsets)

    def descend(self, jobs: SgdJobs) -> Array:
        """Gradient descent on the mean negative log likelihood, with the pull that the jobs add."""
        data, terminals = self.federation, len(self.federation.terminal_task)
        X = data.X.reshape(terminals, -1, data.X.shape[1])[jobs.terminals]
        rows = np.concatenate([X, np.ones((*X.shape[:2], 1))], axis=2)
        wanted = np.eye(2)[(data.y.reshape(terminals, -1)[jobs.terminals] > 0).astype(int)]
        w, rate = np.array(jobs.w, np.float64), np.asarray(jobs.learning_rate)[:, None]
        for step in range(int(np.max(jobs.steps, initial=0))):
            weights = np.concatenate([w[:, :-2].reshape(len(w), 2, -1), w[:, -2:, None]], axis=2)
            odds = np.exp(np.einsum("tnd,tcd->tnc", rows, weights))
            slopes = (odds / odds.sum(axis=2, keepdims=True) - wanted) / X.shape[1]
            gradient = np.einsum("tnc,tnd->tcd", slopes, rows)
            flat = np.concatenate([gradient[:, :, :-1].reshape(len(w), -1), gradient[:, :, -1]], axis=1)
            flat += np.reshape(jobs.proximal, (-1, 1)) * (w - jobs.anchor)
            w = np.where((step < jobs.steps)[:, None], w - rate * flat, w)
        return w


def softmax_setting() -> Setting:
    """Return the setting of two teams of two: x_ij = sin(1.3 i + .8 j^2 + 1.9 u), class 1 if x . cos(j + u) > 0."""
    i, j = np.arange(1, 7)[:, None], np.arange(1, 4)
    X = np.concatenate([np.sin(1.3 * i + 0.8 * j**2 + 1.9 * u) for u in range(1, 5)])
    y = np.concatenate([np.sign(X[6 * u - 6 : 6 * u] @ np.cos(j + u)) for u in range(1, 5)])
    federation = federation_of(X, y, [6] * 4, 2)
    return replace(setting_of(federation), model=SoftmaxModel(federation))
