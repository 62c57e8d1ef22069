"""Proof of how far models are from the optimum: a duality gap made of sums every terminal can add up on its own.

At models that are the primal map of the duals, primal minus dual is the mean of the rows' Fenchel-Young terms, each
at least 0 and 0 only at the optimum. A terminal therefore reports three numbers, never a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.primal_dual.coupling import Coupling

Array = NDArray[Any]


@dataclass(frozen=True)
class Certificate:
    """A sandwich dual <= optimum <= primal.

    Args:
        primal: objective of the certified models.
        dual: dual objective, a lower bound on every objective.
        gap: primal - dual, added up from Fenchel-Young terms and so accurate even when both sides agree to the
            last digit. The joint gap is at least lambda1/2 ||W - W*||_F^2; a task's at least lam/2 ||w - w*||^2.
    """

    primal: float
    dual: float
    gap: float


def joint_certificate(
    coupling: Coupling, U: Array, sums: Array, task_of_terminal: Array, counts: Array, models: Array | None = None
) -> Certificate:
    """Certify the models W = ``coupling.joint_map(U)``, or others, against the joint optimum over all W and r.

    Valid at any moment of training and for any r used so far. Models that the duals do not imply are further from the
    optimum by the penalty of the difference.

    Args:
        coupling: weights and number of tasks.
        U: (B, d) dual sums u_b = (1/n_b) sum_i beta_i x_i, e.g. ``lam w_b - lambda2 r`` of the current state.
        sums: (M, 3) of all terminals at their task's row of W, from ``LocalSolver.sums``.
        task_of_terminal: (M,) int64.
        counts: (B,) samples n_b of each task; a task without samples has no loss.
        models: (B, d) W, if it is not the image of U.
    """
    totals = [np.bincount(task_of_terminal, each, coupling.tasks) for each in sums.T]
    means = np.stack(totals, axis=1) / np.maximum(np.asarray(counts), 1)[:, None]
    W, r = coupling.joint_map(U)
    dual, terms = coupling.joint_dual(means[:, 1], U), float(means[:, 2].sum())
    if models is None:
        return Certificate(coupling.objective(means[:, 0], W, r), dual, terms)
    astray = coupling.objective(np.zeros(coupling.tasks), models - W)
    return Certificate(coupling.objective(means[:, 0], models), dual, terms + astray)


def task_certificate(
    coupling: Coupling, u: Array, r: Array, sums: Array, count: int, model: Array | None = None
) -> Certificate:
    """Certify one task's model w = ``coupling.primal_map(u, r)``, or another, against its optimum at this r.

    Args:
        coupling: weights; the number of tasks plays no part.
        u: (d,) dual sum of the task; r: (d,) shared vector.
        sums: (J, 3) of the task's terminals at w.
        count: samples n_b of the task.
        model: (d,) w, if it is not the image of u.
    """
    loss, conjugate, terms = sums.sum(axis=0) / max(count, 1)
    w, dual = coupling.primal_map(u, r), coupling.task_dual(conjugate, u, r)
    if model is None:
        return Certificate(coupling.task_objective(loss, w, r), dual, float(terms))
    astray = 0.5 * coupling.lam * float(np.sum((model - w) ** 2))
    return Certificate(coupling.task_objective(loss, model, r), dual, float(terms) + astray)
