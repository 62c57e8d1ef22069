"""Small-scale fading: laws of the power gain |h|^2 of a link, all of mean 1, and averages over them.

Each law gives its quantile function and a quadrature rule built on it. :class:`ErgodicSpectralEfficiency` turns
the link law of one SNR into the mean over the fading that a long transfer sees.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from channel_models.link_adaptation import LinkAdaptation
from channel_models.units import FloatArray, FloatLike, db_to_linear

TAIL_LOGIT = 34.0
"""Quantile rules reach to probabilities of expit(-34), about 2e-15, at either end."""

ASYMPTOTIC_FROM = 50.0
ASYMPTOTIC_TERMS = 24
"""From this z on, this many terms of the series of e^z E1(z) leave a remainder below 1e-16."""


class FadingLaw(Protocol):
    """A law of the power gain with mean 1."""

    def quantile(self, u: FloatLike) -> FloatArray:
        """Return the power gain that a share u in (0, 1) of the law lies below; any shape."""
        ...

    def nodes_and_weights(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Return up to n power gains and weights of sum 1, so that E[f(|h|^2)] is about sum w f(x)."""
        ...


@dataclass(frozen=True)
class NoFading:
    """A gain of exactly 1: a line-of-sight link without scatter, or averaging done elsewhere."""

    def quantile(self, u: FloatLike) -> FloatArray:
        """Return ones."""
        return np.ones(np.shape(u))

    def nodes_and_weights(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Return the one node 1 with weight 1, whatever n."""
        return np.ones(1), np.ones(1)


@dataclass(frozen=True)
class Rayleigh:
    """Many scattered paths and no dominant one: |h|^2 is exponential."""

    def quantile(self, u: FloatLike) -> FloatArray:
        """Return -ln(1 - u)."""
        return np.asarray(-np.log1p(-np.asarray(u, dtype=np.float64)))

    def nodes_and_weights(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Return the n-point :func:`quantile_rule`."""
        return quantile_rule(self.quantile, n)


@dataclass(frozen=True)
class Rician:
    """One dominant path over scatter: |h|^2 is a scaled noncentral chi-square with two degrees of freedom.

    ``k_linear`` >= 0 is the power of the dominant path over that of the scatter; 0 is :class:`Rayleigh`, and large
    values approach :class:`NoFading`. Raises ValueError if it is negative or infinite.
    """

    k_linear: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.k_linear < math.inf:
            raise ValueError(f"the Rician factor must be finite and >= 0, got {self.k_linear}")

    def quantile(self, u: FloatLike) -> FloatArray:
        """Return the inverse noncentral chi-square law at u, divided by its mean 2(K + 1)."""
        return np.asarray(special.chndtrix(u, 2.0, 2.0 * self.k_linear) / (2.0 * (self.k_linear + 1.0)))

    def nodes_and_weights(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Return the n-point :func:`quantile_rule`."""
        return quantile_rule(self.quantile, n)


@dataclass(frozen=True)
class Nakagami:
    """Fading of adjustable depth: |h|^2 is Gamma(m, 1/m).

    ``m`` >= 0.5 is the shape; 1 is :class:`Rayleigh`, large values approach :class:`NoFading`, and
    (K + 1)^2 / (2K + 1) is close to :class:`Rician`. Raises ValueError if m is below 0.5 or infinite.
    """

    m: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.m < math.inf:
            raise ValueError(f"the Nakagami shape must be finite and >= 0.5, got {self.m}")

    def quantile(self, u: FloatLike) -> FloatArray:
        """Return the inverse regularised incomplete gamma function at u, divided by m."""
        return np.asarray(special.gammaincinv(self.m, u) / self.m)

    def nodes_and_weights(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Return the n-point :func:`quantile_rule`."""
        return quantile_rule(self.quantile, n)


def quantile_rule(quantile: Callable[[FloatArray], FloatArray], n: int) -> tuple[FloatArray, FloatArray]:
    """Return n nodes and weights of E[f(x)] = integral of f(quantile(u)) du over (0, 1).

    The trapezoid rule in t = logit(u), |t| <= 34. It converges geometrically even where log2(1 + g x) is nearly
    singular at x = 0; Gauss-Laguerre nodes do not (Rayleigh, g = 40 dB, 128 nodes: 1e-13 against 7e-3 bit/s/Hz).

    Raises
    ------
    ValueError
        If n is below 2.
    """
    if n < 2:
        raise ValueError(f"a quantile rule needs at least 2 nodes, got {n}")
    t = np.linspace(-TAIL_LOGIT, TAIL_LOGIT, n)
    u = special.expit(t)
    weights = u * special.expit(-t)
    return quantile(u), np.asarray(weights / weights.sum())


def rayleigh_ergodic_se(snr_linear: FloatLike) -> FloatArray:
    """Return E[log2(1 + g x)] = e^(1/g) E1(1/g) / ln 2 for exponential x, bit/s/Hz.

    ``snr_linear`` is the mean SNR g >= 0 of any shape. Above z = 1/g = 50 the factors soon over- and underflow,
    so there the asymptotic series e^z E1(z) = (1/z) sum of (-1)^k k! / z^k takes over, exact to rounding.
    """
    g = np.asarray(snr_linear, dtype=np.float64)
    series = np.ones_like(g)
    small_g = np.minimum(g, 1.0 / ASYMPTOTIC_FROM)
    for k in range(ASYMPTOTIC_TERMS, 0, -1):
        series = 1.0 - k * small_g * series
    z = 1.0 / np.maximum(g, 1.0 / ASYMPTOTIC_FROM)
    nats = np.where(g < 1.0 / ASYMPTOTIC_FROM, small_g * series, np.exp(z) * special.exp1(z))
    return np.asarray(nats / math.log(2.0))


class ErgodicSpectralEfficiency:
    """The spectral efficiency a long transfer averages over fading: a table over its mean SNR.

    The table holds the mean of ``link.spectral_efficiency(snr |h|^2)`` every 0.05 dB from -40 to 80 dB and is read
    by linear interpolation in the linear SNR; zero below, flat above, non-decreasing. It is within 1e-4 bit/s/Hz of
    the mean itself for a smooth link law and within 1e-3 for one with steps, such as a cut-off or a staircase of
    schemes. It is a link law itself, so whatever takes a link takes this.

    Parameters
    ----------
    link
        Law from instantaneous SINR to bit/s/Hz.
    fading
        Law of the power gain.
    nodes
        Quadrature nodes; 128 would do for a smooth link law, its steps need more.
    """

    LOWEST_DB = -40.0
    HIGHEST_DB = 80.0
    STEP_DB = 0.05

    def __init__(self, link: LinkAdaptation, fading: FadingLaw, nodes: int = 2048) -> None:
        self.link = link
        self.fading = fading
        points = round((self.HIGHEST_DB - self.LOWEST_DB) / self.STEP_DB) + 1
        self._snr = db_to_linear(np.linspace(self.LOWEST_DB, self.HIGHEST_DB, points))
        gains, weights = fading.nodes_and_weights(nodes)
        # Row by row: all rows at once would hold 40 MB several times over and be no faster.
        mean = np.array([link.spectral_efficiency(snr * gains) @ weights for snr in self._snr])
        # Rounding in the last bit must not make a stronger link slower.
        self._efficiency = np.maximum.accumulate(mean)
        self._snr_list: list[float] = self._snr.tolist()
        self._efficiency_list: list[float] = self._efficiency.tolist()

    def __call__(self, snr_linear: FloatLike) -> FloatArray:
        """Return mean bit/s/Hz for mean linear SNR >= 0 of any shape."""
        return np.asarray(np.interp(snr_linear, self._snr, self._efficiency, left=0.0))

    spectral_efficiency = __call__

    @property
    def snr_grid(self) -> FloatArray:
        """A copy of the linear mean SNRs of the table, (points,), increasing."""
        return self._snr.copy()

    @property
    def efficiency_grid(self) -> FloatArray:
        """A copy of the mean bit/s/Hz at ``snr_grid``, (points,), non-decreasing."""
        return self._efficiency.copy()

    def scalar(self, snr_linear: float) -> float:
        """Return what calling the table returns for one number, several times faster."""
        index = bisect_right(self._snr_list, snr_linear)
        if index == 0:
            return 0.0
        if index == len(self._snr_list):
            return self._efficiency_list[-1]
        low, high = self._snr_list[index - 1], self._snr_list[index]
        bottom, top = self._efficiency_list[index - 1], self._efficiency_list[index]
        return bottom + (top - bottom) / (high - low) * (snr_linear - low)
