"""The optimum a federation is chasing, computed in one place: joint dual ascent over the rows of all tasks.

SDCA (Shalev-Shwartz and Zhang, JMLR 2013) on the joint dual with r eliminated; it keeps u_b of each task and their
sum, so a coordinate step costs O(d) whatever the number of tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.primal_dual import kernels
from learning.primal_dual.certificate import Certificate, joint_certificate
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.losses import Loss

Array = NDArray[Any]
_MOST_EPOCHS_BETWEEN_CHECKS = 64


@dataclass(frozen=True)
class JointSolution:
    """The joint optimum to within ``gap``.

    Args:
        W: (B, d) models; r: (d,) their mean.
        primal, dual, gap: dual <= optimum <= primal, gap their difference.
        alpha: (n,) duals; epochs: passes over the data that were made.
    """

    W: Array
    r: Array
    primal: float
    dual: float
    gap: float
    alpha: Array
    epochs: int


def solve_joint(
    X: Array,
    y: Array,
    task_of_row: Array,
    tasks: int,
    loss: Loss,
    lambda1: float,
    lambda2: float,
    tolerance: float = 1e-9,
    max_epochs: int = 100_000,
) -> JointSolution:
    """Minimise P(W, r) over all tasks' rows to a relative duality gap.

    Args:
        X: (n, d) rows in any order; y: (n,).
        task_of_row: (n,) integers from 0 to ``tasks - 1``.
        tasks: number of tasks B; one without rows is allowed.
        loss: convex loss of every row.
        lambda1, lambda2: as in :class:`~.coupling.Coupling`; 0 and infinity are allowed for lambda2.
        tolerance: stop when gap <= tolerance * primal.
        max_epochs: stop here in any case; the returned gap then says what was reached.

    Raises:
        ValueError: if a weight is outside its range or a row names an unknown task.
    """
    coupling = Coupling(lambda1, lambda2, tasks)
    X, y = np.ascontiguousarray(X, np.float64), np.ascontiguousarray(y, np.float64)
    task = np.ascontiguousarray(task_of_row, np.int64)
    if len(task) and not 0 <= task.min() <= task.max() < tasks:
        raise ValueError(f"task_of_row: allowed: integers from 0 to {tasks - 1}")
    inverse_counts = 1.0 / np.maximum(np.bincount(task, minlength=tasks), 1)
    own, shared = 1.0 / coupling.lam, coupling.share / (lambda1 * tasks)
    norms = (X**2).sum(axis=1)
    curvatures = (own + shared) * norms * inverse_counts[task]
    alpha = np.where(norms == 0.0, loss.idle_dual(y), loss.initial_dual())
    fixed = (loss.code, loss.smoothing, X, y, task, curvatures, own, shared, inverse_counts)
    epochs, chunk = 0, 1
    U, certificate = _certify(coupling, loss, X, y, task, alpha)
    while certificate.gap > tolerance * certificate.primal and epochs < max_epochs:
        chunk = min(chunk, max_epochs - epochs)
        kernels.joint_epochs(*fixed, epochs, chunk, alpha, U, U.sum(axis=0))
        epochs, chunk = epochs + chunk, min(2 * chunk, _MOST_EPOCHS_BETWEEN_CHECKS)
        U, certificate = _certify(coupling, loss, X, y, task, alpha)
    W, r = coupling.joint_map(U)
    return JointSolution(W, r, certificate.primal, certificate.dual, certificate.gap, alpha, epochs)


def _certify(
    coupling: Coupling, loss: Loss, X: Array, y: Array, task: Array, alpha: Array
) -> tuple[Array, Certificate]:
    """Return the dual sums U (B, d), recomputed from the duals so that no drift survives, and their certificate."""
    counts = np.bincount(task, minlength=coupling.tasks)
    U = np.zeros((coupling.tasks, X.shape[1]))
    np.add.at(U, task, (loss.sign(y) * alpha)[:, None] * X)
    U /= np.maximum(counts, 1)[:, None]
    scores = np.einsum("nd,nd->n", X, coupling.joint_map(U)[0][task])
    rows = (loss.value(scores, y), loss.conjugate(alpha, y), loss.fenchel_young(scores, alpha, y))
    return U, joint_certificate(coupling, U, np.stack(rows, axis=1), task, counts)
