"""Mixtures of models: whose prediction counts how much, and how those weights follow from data.

A terminal's labels are taken to come from M models that all share, in shares pi of its own:
p(y | x) = sum_m pi_m p(y | x, theta_m) with log p = -loss, up to a constant. Marfoq et al., "Federated multi-task
learning under a mixture of distributions", NeurIPS 2021, equations 2 to 10.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.models import Model
from learning.primal_dual.losses import Loss
from learning.segments import segment_sums

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

LIKELIHOODS = ("logistic", "squared")
"""Losses that are minus the logarithm of a probability of the label, but for a constant: Bernoulli's and Gauss's."""
_SMALLEST = np.finfo(np.float64).tiny


class Mixture:
    """M models of one family and their shares, as one vector of M P parameters and M shares.

    Args:
        model: the family.
        loss: one of :data:`LIKELIHOODS`.
        components: M.
    """

    def __init__(self, model: Model, loss: Loss, components: int) -> None:
        self._model, self._loss, self._components = model, loss, components

    def losses(self, models: Array, X: Array, y: Array, offsets: IntArray) -> Array:
        """Return the (n, M) losses of rows ``offsets[i]:offsets[i + 1]`` under each component of ``models[i]``.

        Args:
            models: (T, M P) components, one after the other.
            X, y, offsets: (n, d), (n,) and (T + 1,).
        """
        return self._loss.value(self._scores(models, X, offsets), y[:, None])

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """Return the (n,) scores of rows ``X[offsets[i]:offsets[i + 1]]`` under the mixture ``parameters[i]``.

        Of labels it is the log odds of the mixture's probability, of which all measures of a score hold; of real
        targets the mean.

        Args:
            parameters: (T, M P + M), the shares behind the models.
            X, offsets: (n, d) and (T + 1,).
        """
        models, shares = parameters[:, : -self._components], parameters[:, -self._components :]
        scores = self._scores(models, X, offsets)
        each = shares.repeat(np.diff(offsets), axis=0)
        if self._loss.name == "squared":
            return np.einsum("nm,nm->n", each, scores)
        shares, one = logarithm(each), np.ones(1)
        positive, negative = (log_sums(shares - self._loss.value(scores, label)) for label in (one, -one))
        return np.asarray(positive - negative)

    def _scores(self, models: Array, X: Array, offsets: IntArray) -> Array:
        components = np.split(models, self._components, axis=1)
        return np.stack([self._model.scores_each(each, X, offsets) for each in components], axis=1)


def expectation(losses: Array, shares: Array, offsets: IntArray) -> tuple[Array, Array]:
    """Do the E-step of each terminal: whose row is each, and the shares that follow.

    Args:
        losses: (n, M) of the terminals' rows under the components.
        shares: (T, M) shares before; each terminal's sum to 1.
        offsets: (T + 1,) ranges of the terminals' rows.

    Returns:
        (n, M) responsibilities, softmax of log shares - losses, and (T, M) their means; the shares of a terminal
        without rows stay.
    """
    counts = np.diff(offsets)
    joint = logarithm(shares).repeat(counts, axis=0) - losses
    responsibilities = np.exp(joint - joint.max(axis=1, initial=-np.inf, keepdims=True))
    responsibilities /= responsibilities.sum(axis=1, keepdims=True)
    means = segment_sums(responsibilities, offsets) / np.maximum(counts, 1)[:, None]
    return responsibilities, np.where(counts[:, None] > 0, means, shares)


def fit_shares(losses: Array, offsets: IntArray, steps: int = 50, tolerance: float = 1e-6) -> Array:
    """Return the (T, M) shares that terminals find for given components: the likelihood is concave in them.

    Args:
        losses, offsets: as for :func:`expectation`.
        steps: most E-steps, from even shares.
        tolerance: a terminal stops when its shares change by less, summed over the components.
    """
    shares = np.full((len(offsets) - 1, losses.shape[1]), 1.0 / losses.shape[1])
    moving = np.full(len(shares), True)
    for _ in range(steps):
        found = expectation(losses, shares, offsets)[1]
        change = np.abs(found - shares).sum(axis=1)
        shares = np.where(moving[:, None], found, shares)
        moving &= change >= tolerance
        if not moving.any():
            break
    return shares


def log_likelihood(losses: Array, shares: Array, offsets: IntArray) -> Array:
    """Return the (T,) sums over the terminals' rows of log sum_m pi_m exp(-loss_m)."""
    return segment_sums(log_sums(logarithm(shares).repeat(np.diff(offsets), axis=0) - losses), offsets)


def logarithm(shares: Array) -> Array:
    """Return log of shares; that of 0 is finite, and so low that it stays a share of 0."""
    return np.asarray(np.log(np.maximum(shares, _SMALLEST)))


def log_sums(logarithms: Array) -> Array:
    """Return (n,) log sum_m exp of (n, M) logarithms."""
    highest = logarithms.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logarithms - highest[:, None]).sum(axis=1)))
