"""How tasks are related: MOCHA's covariance Sigma of task models, and what it makes of dual sums.

Tasks t = 1..m with models w_t, the rows of W (m, d), minimise

    P(W) = sum_t mean loss_t(w_t) + lambda/2 tr(W^T Omega W),   Omega = Sigma^-1,   tr Sigma = 1

(Smith et al., "Federated multi-task learning", NeurIPS 2017). With b_t = (1/n_t) sum_i beta_i x_i the models that duals
imply are W = Sigma B / lambda, and their penalty is tr(B^T Sigma B) / (2 lambda). Omega is never needed, so Sigma may
be singular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
LEAST_EIGENVALUE = 1e-7


@dataclass(frozen=True, eq=False)
class TaskRelation:
    """The covariance of tasks and the weight of the penalty.

    Args:
        covariance: (m, m) Sigma, symmetric, positive semidefinite, of trace 1 and with no 0 on its diagonal.
        weight: lambda, above 0.
    """

    covariance: Array
    weight: float

    @property
    def own(self) -> Array:
        """(m,) how far a task's model moves with its own dual sum: Sigma_tt / lambda."""
        return np.diagonal(self.covariance) / self.weight

    @property
    def caution(self) -> float:
        """rho >= 1 by which tasks overestimate their curvature, so that their steps add up safely."""
        return float(np.max(np.abs(self.covariance).sum(axis=1) / np.diagonal(self.covariance)))

    def models(self, B: Array) -> Array:
        """Return W (m, d) that the dual sums B (m, d) imply."""
        return self.covariance @ B / self.weight

    def penalty(self, B: Array) -> float:
        """Return lambda/2 tr(W^T Omega W) of the models that B implies."""
        return 0.5 * float(np.sum(B * self.models(B)))

    def penalty_of(self, W: Array) -> float:
        """Return lambda/2 tr(W^T Omega W) of any models; Sigma must be regular."""
        return 0.5 * self.weight * float(np.sum(W * np.linalg.solve(self.covariance, W)))


def grouped_covariance(groups: ArrayLike, share: float) -> Array:
    """Return the Sigma that pulls every task towards the mean of its group.

    It is (1 - s) I + s J normalised, with J the projection onto the groups' means; one group of all is the
    mean-regularised relationship, a group each makes tasks independent (Evgeniou, Micchelli and Pontil, "Learning
    multiple tasks with kernel methods", JMLR 2005).

    Args:
        groups: (m,) group of every task.
        share: s = lambda2 / (lambda1 + lambda2), from 0 to 1.
    """
    _, group, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    together = (group[:, None] == group) / sizes[group]
    mixed = (1.0 - share) * np.eye(len(group)) + share * together
    return np.asarray(mixed / np.trace(mixed))


def learned_covariance(W: Array) -> Array:
    """Return the Sigma that minimises tr(W^T Sigma^-1 W) at trace 1: (W W^T)^(1/2), normalised.

    Zhang and Yeung, "A convex formulation for learning task relationships", UAI 2010. Eigenvalues of W W^T below 1e-7
    are raised to it: with more tasks than features, or a task that never moved, it is singular.
    """
    values, vectors = np.linalg.eigh(W @ W.T)
    roots = np.sqrt(np.maximum(values, LEAST_EIGENVALUE))
    covariance = (vectors * (roots / roots.sum())) @ vectors.T
    return np.asarray(0.5 * (covariance + covariance.T))
