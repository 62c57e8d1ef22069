"""Local work towards a model that is good after a terminal has adapted it: two objectives made of plain gradients.

Model-agnostic meta-learning (MAML): the loss after one gradient step of size alpha; a step goes along
(I - alpha H(w)) grad f(w - alpha grad f(w)), each gradient on rows drawn for it. The product with the Hessian H is a
central difference of gradients, exact for quadratics. Moreau envelope: min f(theta) + lambda/2 ||theta - w||^2,
whose gradient is lambda (w - theta). Fallah et al., "Personalized federated learning with theoretical guarantees",
NeurIPS 2020; Toghani et al., "PersA-FL", arXiv 2210.01176.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.primal_dual.jobs import SgdJobs
from learning.setting import Setting

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
ALL_ROWS = 2**31 - 1
"""A batch of everything a terminal has."""
_REACH = 1e-3  # relative; in float32 rounding errs as much as curvature, in float64 less


@dataclass(frozen=True, eq=False)
class LocalLoss:
    """f of each of n terminals: mean loss over its rows and the ridge.

    Args:
        setting: rows and model.
        terminals: (n,) whose.
        batch: rows in a gradient.
    """

    setting: Setting
    terminals: IntArray
    batch: int

    def descend(self, w: Array, rate: Array, draw: str, numbers: IntArray, steps: int = 1, pull: float = 0.0) -> Array:
        """Return the (n, P) models reached from (n, P) ``w``, held near it by ``pull`` / 2 ||. - w||^2.

        Args:
            w: where to start.
            rate: (n,) step sizes.
            draw: purpose of the random rows.
            numbers: (n,) rounds of the random rows.
            steps: how many.
            pull: taken at the end of a step, see :class:`learning.descent.Descent`.
        """
        jobs = SgdJobs(
            terminals=self.terminals,
            w=w,
            anchor=w,
            steps=np.full(len(w), steps),
            learning_rate=rate / (1.0 + rate * pull),
            rounds=numbers,
            key=self.setting.streams.key(draw),
            batch=self.batch,
            ridge=self.setting.coupling.lambda1,
            proximal=pull,
        )
        return self.setting.model.descend(jobs)

    def gradient(self, w: Array, draw: str, numbers: IntArray) -> Array:
        """Return the (n, P) gradients at (n, P) ``w``: what a step of size 1 takes away."""
        return w - self.descend(w, np.ones(len(w)), draw, numbers)


@dataclass(frozen=True)
class Meta:
    """MAML.

    Attributes:
        adaptation: alpha, size of the step a terminal adapts the model by.
        first_order: leave out the Hessian.
    """

    adaptation: float
    first_order: bool

    def gradient(self, loss: LocalLoss, w: Array, numbers: IntArray) -> Array:
        """Return the (n, P) directions at (n, P) ``w``."""
        outer = loss.gradient(self.adapted(loss, w, numbers), "outer rows", numbers)
        if self.first_order:
            return outer
        reach = _difference(w, outer)
        ahead, behind = (loss.gradient(w + way * reach * outer, "curved rows", numbers) for way in (1.0, -1.0))
        return outer - self.adaptation * (ahead - behind) / (2.0 * reach)

    def adapted(self, loss: LocalLoss, w: Array, numbers: IntArray) -> Array:
        """Return the (n, P) models adapted by one step."""
        return loss.descend(w, np.full(len(w), self.adaptation), "inner rows", numbers)

    @property
    def gradients(self) -> int:
        """Gradients in a step."""
        return 2 if self.first_order else 4


@dataclass(frozen=True)
class Moreau:
    """Moreau envelope.

    Attributes:
        pull: lambda.
        steps, rate: of the descent that finds theta.
    """

    pull: float
    steps: int
    rate: float

    def gradient(self, loss: LocalLoss, w: Array, numbers: IntArray) -> Array:
        """Return the (n, P) directions at (n, P) ``w``."""
        return self.pull * (w - self.adapted(loss, w, numbers))

    def adapted(self, loss: LocalLoss, w: Array, numbers: IntArray) -> Array:
        """Return the (n, P) theta."""
        return loss.descend(w, np.full(len(w), self.rate), "inner rows", numbers, self.steps, self.pull)

    @property
    def gradients(self) -> int:
        """Gradients in a step."""
        return self.steps


Personal = Meta | Moreau


def personal_descent(way: Personal, loss: LocalLoss, w: Array, rate: Array, numbers: IntArray, steps: int) -> Array:
    """Return the (n, P) models reached by ``steps`` steps of size ``rate`` (n,); ``numbers`` (n,) are the rounds."""
    for step in range(steps):
        w = w - rate[:, None] * way.gradient(loss, w, numbers * steps + step)
    return w


def _difference(w: Array, direction: Array) -> Any:
    """Return (n, 1) how far along ``direction`` to go from ``w``."""
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    scale = 1.0 + np.linalg.norm(w, axis=1, keepdims=True)
    return _REACH * scale / np.where(length > 0.0, length, 1.0)
