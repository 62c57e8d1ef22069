"""Convex losses of a linear score x.w with their conjugates and exact dual coordinate steps.

Every dual variable is kept as ``a``; the signed dual that multiplies a row x is beta = sign(y) * a. The closed
forms are those of Shalev-Shwartz and Zhang, "Stochastic dual coordinate ascent methods for regularized loss
minimization", JMLR 2013.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Loss(ABC):
    """One convex loss; all methods are vectorised over broadcastable float arrays.

    A loss is written as a function of m, the margin y x.w of a class label y in {-1, +1}; the squared loss, whose
    y is any real, takes the residual x.w - y for m.

    Args:
        name: the name :func:`make_loss` knows it by.
        code: integer by which the compiled kernels know it.
        smoothing: width of the smoothed hinge's quadratic part, 0 where a loss has none.
    """

    name: str
    code: int
    smoothing: float

    _domain: ClassVar[tuple[float, float]] = (0.0, 1.0)
    _start: ClassVar[float] = 0.0

    @property
    def smoothness(self) -> float:
        """Strong convexity mu of the conjugate in a; 0 for the hinge, which is not smooth."""
        return self._modulus()

    def value(self, scores: Array, y: Array) -> Array:
        """Return the loss of scores x.w against y."""
        return self._phi(self._m(scores, y))

    def derivative(self, scores: Array, y: Array) -> Array:
        """Return d loss / d score; at a kink the subgradient 0."""
        return self.sign(y) * self._slope(self._m(scores, y))

    def conjugate(self, a: Array, y: Array) -> Array:
        """Return loss*(-beta), infinite outside the dual domain."""
        low, high = self._domain
        inside = (a >= low) & (a <= high)
        return np.where(inside, self._conjugate(np.where(inside, a, self._start), y), np.inf)

    def step(self, a: Array, scores: Array, y: Array, q: Array) -> Array:
        """Return the a whose beta maximises -loss*(-beta) - D score - q D^2 / 2, D its change; q > 0."""
        return self._best(a, self._m(scores, y), q)

    def fenchel_young(self, scores: Array, a: Array, y: Array) -> Array:
        """Return value + conjugate + beta * score >= 0; zero where (a, score) is an optimal pair."""
        return self.value(scores, y) + self.conjugate(a, y) + self.sign(y) * a * scores

    def sign(self, y: Array) -> Array:
        """Return s with beta = s * a: the label itself, 1 for the squared loss."""
        return y

    def domain(self) -> tuple[float, float]:
        """Return the interval of feasible a."""
        return self._domain

    def initial_dual(self) -> float:
        """Return the a a run starts from."""
        return self._start

    def idle_dual(self, y: Array) -> Array:
        """Return the optimal a of a row x = 0, whose score is 0 under every model."""
        return -self.sign(y) * self.derivative(np.zeros(np.shape(y)), y)

    def _m(self, scores: Array, y: Array) -> Array:
        return y * scores

    @abstractmethod
    def _modulus(self) -> float: ...

    @abstractmethod
    def _phi(self, m: Array) -> Array: ...

    @abstractmethod
    def _slope(self, m: Array) -> Array: ...

    @abstractmethod
    def _conjugate(self, a: Array, y: Array) -> Array: ...

    @abstractmethod
    def _best(self, a: Array, m: Array, q: Array) -> Array: ...


@dataclass(frozen=True)
class Hinge(Loss):
    """max(0, 1 - m): the support vector machine's loss."""

    name: str = "hinge"
    code: int = 0
    smoothing: float = 0.0

    def _modulus(self) -> float:
        return 0.0

    def _phi(self, m: Array) -> Array:
        return np.maximum(0.0, 1.0 - m)

    def _slope(self, m: Array) -> Array:
        return np.where(m < 1.0, -1.0, 0.0)

    def _conjugate(self, a: Array, y: Array) -> Array:
        return -a

    def _best(self, a: Array, m: Array, q: Array) -> Array:
        return np.clip(a + (1.0 - m) / q, 0.0, 1.0)


@dataclass(frozen=True)
class SmoothedHinge(Loss):
    """The hinge with its kink replaced by a parabola on 1 - mu < m < 1; mu -> 0 is the hinge."""

    name: str = "smoothed_hinge"
    code: int = 1
    smoothing: float = 0.5

    def __post_init__(self) -> None:
        if not self.smoothing > 0.0:
            raise ValueError(f"smoothing = {self.smoothing}: allowed: above 0 (0 is the loss 'hinge')")

    def _modulus(self) -> float:
        return self.smoothing

    def _phi(self, m: Array) -> Array:
        short = np.maximum(0.0, 1.0 - m)
        return np.where(short < self.smoothing, short**2 / (2.0 * self.smoothing), short - self.smoothing / 2.0)

    def _slope(self, m: Array) -> Array:
        return -np.clip((1.0 - m) / self.smoothing, 0.0, 1.0)

    def _conjugate(self, a: Array, y: Array) -> Array:
        return -a + self.smoothing * a**2 / 2.0

    def _best(self, a: Array, m: Array, q: Array) -> Array:
        return np.clip(a + (1.0 - m - self.smoothing * a) / (q + self.smoothing), 0.0, 1.0)


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """max(0, 1 - m)^2 / 2."""

    name: str = "squared_hinge"
    code: int = 2
    smoothing: float = 0.0
    _domain: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def _modulus(self) -> float:
        return 1.0

    def _phi(self, m: Array) -> Array:
        return np.maximum(0.0, 1.0 - m) ** 2 / 2.0

    def _slope(self, m: Array) -> Array:
        return -np.maximum(0.0, 1.0 - m)

    def _conjugate(self, a: Array, y: Array) -> Array:
        return -a + a**2 / 2.0

    def _best(self, a: Array, m: Array, q: Array) -> Array:
        return np.maximum(0.0, a + (1.0 - m - a) / (q + 1.0))


@dataclass(frozen=True)
class Logistic(Loss):
    """log(1 + exp(-m)); its dual starts at 1/2, the optimum of a model that knows nothing."""

    name: str = "logistic"
    code: int = 3
    smoothing: float = 0.0
    _start: ClassVar[float] = 0.5

    def _modulus(self) -> float:
        return 4.0

    def _phi(self, m: Array) -> Array:
        return np.logaddexp(0.0, -m)

    def _slope(self, m: Array) -> Array:
        return -expit(-m)

    def _conjugate(self, a: Array, y: Array) -> Array:
        return xlogy(a, a) + xlogy(1.0 - a, 1.0 - a)

    def _best(self, a: Array, m: Array, q: Array) -> Array:
        """Return the root c of m + q (c - a) + logit(c) = 0 by Newton in z = logit(c).

        The left side is convex in z below 0 and concave above; on the root's side of 0 Newton is monotone. Every entry
        stops by itself, so that it has the same last bit whatever the others are.
        """
        low, high = -m - q * (1.0 - a), -m + q * a
        negative = m + q * (0.5 - a) >= 0.0
        low, high = np.where(negative, low, np.maximum(low, 0.0)), np.where(negative, np.minimum(high, 0.0), high)
        z = np.clip(-m, low, high)
        open_ = np.full(np.shape(z), True)
        for _ in range(100):
            f = m + q * (expit(z) - a) + z
            z = np.where(open_, np.clip(z - f / (1.0 + q * expit(z) * expit(-z)), low, high), z)
            open_ = open_ & (np.abs(f) > 4.5e-16 * (1.0 + np.abs(m) + q))
            if not np.any(open_):
                break
        return expit(z)


@dataclass(frozen=True)
class Squared(Loss):
    """(x.w - y)^2 / 2 for real targets; here a is beta itself."""

    name: str = "squared"
    code: int = 4
    smoothing: float = 0.0
    _domain: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def sign(self, y: Array) -> Array:
        """Return ones."""
        return np.ones(np.shape(y))

    def _m(self, scores: Array, y: Array) -> Array:
        return scores - y

    def _modulus(self) -> float:
        return 1.0

    def _phi(self, m: Array) -> Array:
        return m**2 / 2.0

    def _slope(self, m: Array) -> Array:
        return m

    def _conjugate(self, a: Array, y: Array) -> Array:
        return a**2 / 2.0 - a * y

    def _best(self, a: Array, m: Array, q: Array) -> Array:
        return a - (m + a) / (q + 1.0)


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
