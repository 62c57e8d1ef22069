"""Convex losses of a linear score x.w with their conjugates and exact dual coordinate steps.

Every dual variable is kept as ``a``; the signed dual that multiplies a row x is beta = sign(y) * a. The closed
forms are those of Shalev-Shwartz and Zhang, "Stochastic dual coordinate ascent methods for regularized loss
minimization", JMLR 2013.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Loss(ABC):
    """One convex loss; all methods are vectorised over broadcastable float arrays.

    Args:
        name: the name :func:`make_loss` knows it by.
        code: integer by which the compiled kernels know it.
        smoothing: width of the smoothed hinge's quadratic part, 0 where a loss has none.
    """

    name: str
    code: int
    smoothing: float

    @property
    @abstractmethod
    def smoothness(self) -> float:
        """Strong convexity mu of the conjugate in a; 0 for the hinge, which is not smooth."""

    @abstractmethod
    def value(self, scores: Array, y: Array) -> Array:
        """Return the loss of scores x.w against labels y (in {-1, +1}; any real for the squared loss)."""

    @abstractmethod
    def derivative(self, scores: Array, y: Array) -> Array:
        """Return d loss / d score; at a kink the subgradient 0."""

    @abstractmethod
    def conjugate(self, a: Array, y: Array) -> Array:
        """Return loss*(-beta), infinite outside the dual domain."""

    @abstractmethod
    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        """Return the a whose beta maximises -loss*(-beta) - D score - q D^2 / 2, D its change; q > 0."""

    def sign(self, y: Array) -> Array:
        """Return s with beta = s * a."""
        return y

    def domain(self) -> tuple[float, float]:
        """Return the interval of feasible a."""
        return 0.0, 1.0

    def initial_dual(self) -> float:
        """Return the a a run starts from."""
        return 0.0

    def idle_dual(self, y: Array) -> Array:
        """Return the optimal a of a row x = 0, whose score is 0 under every model."""
        return -self.sign(y) * self.derivative(np.zeros(np.shape(y)), y)

    def fenchel_young(self, scores: Array, a: Array, y: Array) -> Array:
        """Return value + conjugate + beta * score >= 0; zero where (a, score) is an optimal pair."""
        pairing = self.sign(y) * a * scores
        return self.value(scores, y) + self.conjugate(a, y) + pairing


def _inside(a: Array, value: Array, high: float) -> Array:
    """Return ``value`` where 0 <= a <= high and infinity elsewhere."""
    return np.where((a >= 0.0) & (a <= high), value, np.inf)


@dataclass(frozen=True)
class Hinge(Loss):
    """max(0, 1 - m) of the margin m = y x.w: the support vector machine's loss."""

    name: str = "hinge"
    code: int = 0
    smoothing: float = 0.0

    @property
    def smoothness(self) -> float:
        return 0.0

    def value(self, scores: Array, y: Array) -> Array:
        return np.maximum(0.0, 1.0 - y * scores)

    def derivative(self, scores: Array, y: Array) -> Array:
        return np.where(y * scores < 1.0, -1.0, 0.0) * y

    def conjugate(self, a: Array, y: Array) -> Array:
        return _inside(a, -a, 1.0)

    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        return np.clip(a + (1.0 - y * scores) / q, 0.0, 1.0)


@dataclass(frozen=True)
class SmoothedHinge(Loss):
    """The hinge with its kink replaced by a parabola on 1 - mu < m < 1; mu -> 0 is the hinge."""

    name: str = "smoothed_hinge"
    code: int = 1
    smoothing: float = 0.5

    def __post_init__(self) -> None:
        if not self.smoothing > 0.0:
            raise ValueError(f"smoothing = {self.smoothing}: allowed: above 0 (0 is the loss 'hinge')")

    @property
    def smoothness(self) -> float:
        return self.smoothing

    def value(self, scores: Array, y: Array) -> Array:
        short = np.maximum(0.0, 1.0 - y * scores)
        return np.where(short < self.smoothing, short**2 / (2.0 * self.smoothing), short - self.smoothing / 2.0)

    def derivative(self, scores: Array, y: Array) -> Array:
        return -np.clip((1.0 - y * scores) / self.smoothing, 0.0, 1.0) * y

    def conjugate(self, a: Array, y: Array) -> Array:
        return _inside(a, -a + self.smoothing * a**2 / 2.0, 1.0)

    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        mu = self.smoothing
        return np.clip(a + (1.0 - y * scores - mu * a) / (q + mu), 0.0, 1.0)


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """max(0, 1 - m)^2 / 2."""

    name: str = "squared_hinge"
    code: int = 2
    smoothing: float = 0.0

    @property
    def smoothness(self) -> float:
        return 1.0

    def value(self, scores: Array, y: Array) -> Array:
        return np.maximum(0.0, 1.0 - y * scores) ** 2 / 2.0

    def derivative(self, scores: Array, y: Array) -> Array:
        return -np.maximum(0.0, 1.0 - y * scores) * y

    def conjugate(self, a: Array, y: Array) -> Array:
        return _inside(a, -a + a**2 / 2.0, np.inf)

    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        return np.maximum(0.0, a + (1.0 - y * scores - a) / (q + 1.0))

    def domain(self) -> tuple[float, float]:
        return 0.0, np.inf


@dataclass(frozen=True)
class Logistic(Loss):
    """log(1 + exp(-m)); its dual starts at 1/2, the optimum of a model that knows nothing."""

    name: str = "logistic"
    code: int = 3
    smoothing: float = 0.0

    @property
    def smoothness(self) -> float:
        return 4.0

    def value(self, scores: Array, y: Array) -> Array:
        return np.logaddexp(0.0, -y * scores)

    def derivative(self, scores: Array, y: Array) -> Array:
        return -expit(-y * scores) * y

    def conjugate(self, a: Array, y: Array) -> Array:
        inner = np.clip(a, 0.0, 1.0)
        return _inside(a, xlogy(inner, inner) + xlogy(1.0 - inner, 1.0 - inner), 1.0)

    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        """Return the root c of m + q (c - a) + logit(c) = 0 by Newton in z = logit(c).

        The left side is convex in z below 0 and concave above; on the root's side of 0 Newton is monotone.
        """
        m = y * scores
        low, high = -m - q * (1.0 - a), -m + q * a
        negative = m + q * (0.5 - a) >= 0.0
        low, high = np.where(negative, low, np.maximum(low, 0.0)), np.where(negative, np.minimum(high, 0.0), high)
        z = np.clip(-m, low, high)
        for _ in range(100):
            f = m + q * (expit(z) - a) + z
            z = np.clip(z - f / (1.0 + q * expit(z) * expit(-z)), low, high)
            if np.all(np.abs(f) <= 4.5e-16 * (1.0 + np.abs(m) + q)):
                break
        return expit(z)

    def initial_dual(self) -> float:
        return 0.5


@dataclass(frozen=True)
class Squared(Loss):
    """(x.w - y)^2 / 2 for real targets; here a is beta itself."""

    name: str = "squared"
    code: int = 4
    smoothing: float = 0.0

    @property
    def smoothness(self) -> float:
        return 1.0

    def value(self, scores: Array, y: Array) -> Array:
        return (scores - y) ** 2 / 2.0

    def derivative(self, scores: Array, y: Array) -> Array:
        return scores - y

    def conjugate(self, a: Array, y: Array) -> Array:
        return a**2 / 2.0 - a * y

    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        return a + (y - scores - a) / (q + 1.0)

    def sign(self, y: Array) -> Array:
        return np.ones(np.shape(y))

    def domain(self) -> tuple[float, float]:
        return -np.inf, np.inf


LOSSES: dict[str, type[Any]] = {
    "hinge": Hinge,
    "smoothed_hinge": SmoothedHinge,
    "squared_hinge": SquaredHinge,
    "logistic": Logistic,
    "squared": Squared,
}


def make_loss(name: str, smoothing: float = 0.5) -> Loss:
    """Return the loss called ``name``; ``smoothing`` matters to ``"smoothed_hinge"`` only.

    Raises:
        ValueError: for an unknown name, or a smoothed hinge whose smoothing is not above 0.
    """
    if name not in LOSSES:
        raise ValueError(f"loss = {name!r}: allowed: {', '.join(LOSSES)}")
    loss: Loss = SmoothedHinge(smoothing=smoothing) if name == "smoothed_hinge" else LOSSES[name]()
    return loss
