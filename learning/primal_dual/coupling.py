"""Geometry of mean-regularised multi-task learning: how dual sums become models, and what a state is worth.

    P(W, r) = sum_b [ loss_b(w_b) + lambda1/2 ||w_b||^2 + lambda2/2 ||w_b - r||^2 ],   lam = lambda1 + lambda2

(Evgeniou and Pontil, "Regularized multi-task learning", KDD 2004). With u_b = (1/n_b) sum_i beta_i x_i and r held
fixed, the dual optimum of task b has w_b = (u_b + lambda2 r) / lam. With r free too, r = mean_b u_b / lambda1, which
equals mean_b w_b. Everything is written in 1/lam and lambda2/lam, so that lambda2 = 0 (independent tasks) and
lambda2 = infinity (one pooled model with ridge lambda1) are ordinary cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Coupling:
    """The two regularisation weights and the number of tasks they tie together.

    Args:
        lambda1: pull of every task's model towards 0, above 0 and finite.
        lambda2: pull of every task's model towards the shared r; 0 separates the tasks, infinity makes them one.
        tasks: number of tasks B >= 1.

    Raises:
        ValueError: if a value is outside its range.
    """

    lambda1: float
    lambda2: float
    tasks: int

    def __post_init__(self) -> None:
        if not 0.0 < self.lambda1 < math.inf:
            raise ValueError(f"lambda1 = {self.lambda1}: allowed: above 0, finite")
        if not self.lambda2 >= 0.0:
            raise ValueError(f"lambda2 = {self.lambda2}: allowed: 0 and above")
        if self.tasks < 1:
            raise ValueError(f"tasks = {self.tasks}: allowed: 1 and above")

    @property
    def lam(self) -> float:
        """lambda1 + lambda2, the strong convexity of each task's problem at fixed r."""
        return self.lambda1 + self.lambda2

    @property
    def share(self) -> float:
        """lambda2 / lam in [0, 1]: the contraction factor bound of the iteration r <- mean_b w_b(r)."""
        return 1.0 if math.isinf(self.lambda2) else self.lambda2 / self.lam

    def primal_map(self, u: Array, r: Array) -> Array:
        """Return w_b = (u_b + lambda2 r) / lam for u (..., d) and r (d,)."""
        return u / self.lam + self.share * r

    def joint_map(self, U: Array) -> tuple[Array, Array]:
        """Return the models W (B, d) and the r (d,) that the dual sums U (B, d) imply when r is optimal too."""
        r = U.mean(axis=0) / self.lambda1
        return self.primal_map(U, r), r

    def objective(self, mean_losses: Array, W: Array, r: Array | None = None) -> float:
        """Return P, summed over tasks, from the (B,) mean losses at W (B, d); without r, the best r = mean_b w_b."""
        centre = W.mean(axis=0) if r is None else r
        return float(np.sum(mean_losses) + self._penalty(W, centre))

    def task_objective(self, mean_loss: float, w: Array, r: Array) -> float:
        """Return one task's term of P from its mean loss at w (d,)."""
        return float(mean_loss + self._penalty(w[None], r))

    def joint_dual(self, mean_conjugates: Array, U: Array) -> float:
        """Return D(beta), r eliminated, from the (B,) mean conjugates and the dual sums U (B, d)."""
        mean = U.mean(axis=0)
        quadratic = np.sum(U**2) / self.lam + self.tasks * self.share / self.lambda1 * np.sum(mean**2)
        return float(-np.sum(mean_conjugates) - 0.5 * quadratic)

    def task_dual(self, mean_conjugate: float, u: Array, r: Array) -> float:
        """Return D_b(beta; r) = -conjugate - ||u + lambda2 r||^2 / (2 lam) + lambda2/2 ||r||^2 of one task."""
        pull = self.share * (u @ r) - 0.5 * self.lambda1 * self.share * (r @ r)
        return float(-mean_conjugate - 0.5 * (u @ u) / self.lam - pull)

    def _penalty(self, W: Array, r: Array) -> float:
        distance = float(np.sum((W - r) ** 2))
        # An infinite weight on no distance costs nothing; IEEE arithmetic would say NaN.
        tie = 0.0 if distance == 0.0 else 0.5 * self.lambda2 * distance
        return 0.5 * self.lambda1 * float(np.sum(W**2)) + tie
