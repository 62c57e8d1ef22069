"""What choosing among fading terminals brings: the multi-user diversity of a proportional-fair scheduler.

A proportional-fair scheduler serves whoever's rate is largest against its own mean. Among n terminals that fade alike
and independently, each is served an n-th of the time, with the best of n power gains instead of an average one. A
long upload then runs at r = B s G(n, snr) / n, where s is the ergodic spectral efficiency of the terminal and
G(n, snr) = E[se(snr max of n gains)] / E[se(snr gain)], between 1 and n. Terminals of different SNR are treated as if
each competed with others like itself.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from channel_models.fading import FadingLaw, quantile_rule
from channel_models.link_adaptation import LinkAdaptation
from channel_models.units import FloatArray, FloatLike, db_to_linear


@dataclass(frozen=True)
class BestOf:
    """The largest of ``n`` independent power gains of one law; its mean exceeds 1 (by a factor H_n for Rayleigh)."""

    law: FadingLaw
    n: int

    def quantile(self, u: FloatLike) -> FloatArray:
        """Return the quantile of the law at u^(1/n)."""
        below_one = np.minimum(np.asarray(u, dtype=np.float64) ** (1.0 / self.n), 1.0 - 2.0**-53)
        return self.law.quantile(below_one)

    def nodes_and_weights(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Return the n-point :func:`~channel_models.fading.quantile_rule`."""
        return quantile_rule(self.quantile, n)


def rayleigh_best_of_se(snr_linear: float, n: int) -> float:
    """Return E[log2(1 + snr max of n exponential gains)] in closed form, bit/s/Hz.

    The sum over k of (-1)^(k+1) C(n, k) e^(k/snr) E1(k/snr) / ln 2. Its terms alternate: beyond n = 20 or so they
    cancel to rounding, and :class:`SelectionGain` is the way.
    """
    k = np.arange(1, n + 1)
    z = k / snr_linear
    terms = (-1.0) ** (k + 1) * special.comb(n, k) * special.exp1(z) * np.exp(z)
    return float(terms.sum() / math.log(2.0))


class SelectionGain:
    """The gain G(n, snr) of one link and fading law: a table over n and mean SNR.

    It holds n = 1, 2, 3, 4, 6, 8, 12, ..., 4096 and every decibel from -30 to 60 dB, and is read by linear
    interpolation in log n and in decibels, flat beyond its ends.

    Parameters
    ----------
    link
        Law from instantaneous SINR to bit/s/Hz.
    fading
        Law of the power gain of every terminal.
    nodes
        Quadrature nodes.
    """

    LOWEST_DB, HIGHEST_DB = -30, 60
    COUNTS = (1, *(m << k for k in range(11) for m in (2, 3)), 4096)

    def __init__(self, link: LinkAdaptation, fading: FadingLaw, nodes: int = 1024) -> None:
        snr = db_to_linear(np.arange(self.LOWEST_DB, self.HIGHEST_DB + 1.0))
        mean = np.array([_mean_efficiency(link, BestOf(fading, n), snr, nodes) for n in self.COUNTS])
        # Where even the mean carries next to nothing the gain would be a ratio of rounding errors.
        ratio = mean / np.maximum(mean[0], 1e-12)
        limit = np.array(self.COUNTS, np.float64)[:, np.newaxis]
        self.gains = np.where(mean[0] > 1e-12, np.clip(ratio, 1.0, limit), 1.0)
        self._rows: list[list[float]] = self.gains.tolist()
        self._log_counts = [math.log(n) for n in self.COUNTS]

    def gain(self, n: float, snr_linear: float) -> float:
        """Return G for one of ``n`` >= 1 terminals with mean SNR ``snr_linear`` >= 0; n need not be whole."""
        if n <= 1:
            return 1.0
        span = self.HIGHEST_DB - self.LOWEST_DB
        snr_db = 10.0 * math.log10(snr_linear) if snr_linear > 0.0 else float(self.LOWEST_DB)
        across = min(max(snr_db - self.LOWEST_DB, 0.0), float(span))
        column = min(int(across), span - 1)
        log_n = min(math.log(n), self._log_counts[-1])
        row = min(bisect_right(self._log_counts, log_n), len(self._log_counts) - 1) - 1
        low, high = self._log_counts[row], self._log_counts[row + 1]
        down, right = (log_n - low) / (high - low), across - column
        above, below = self._rows[row], self._rows[row + 1]
        return (1.0 - down) * ((1.0 - right) * above[column] + right * above[column + 1]) + down * (
            (1.0 - right) * below[column] + right * below[column + 1]
        )


def _mean_efficiency(link: LinkAdaptation, law: FadingLaw, snr: FloatArray, nodes: int) -> FloatArray:
    """Return the mean bit/s/Hz over fading at every mean SNR."""
    gains, weights = law.nodes_and_weights(nodes)
    return np.asarray(link.spectral_efficiency(snr[:, np.newaxis] * gains) @ weights)


def selection_gain(link: LinkAdaptation, fading: FadingLaw) -> SelectionGain:
    """Return the table of a link and a fading law, made once; laws are frozen, so they can be looked up."""
    return _made(link, fading)  # type: ignore[arg-type]


_made = lru_cache(maxsize=64)(SelectionGain)
