"""What fading leaves in the rate of an upload that lasts no longer than some changes of its channel.

The ergodic spectral efficiency is the mean over an endless transfer. One of length T, over m sub-bands that fade
independently, averages over about m (1 + T / T_c) states of a channel of coherence time T_c: its rate keeps a random
factor of mean 1 and deviation CV / sqrt(m (1 + T / T_c)), where CV is that of the spectral efficiency of one state.
For T >> T_c that is CV sqrt(T_c / (T m)); for T << T_c it is CV / sqrt(m), since no upload meets more than the law.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from channel_models.fading import FadingLaw
from channel_models.link_adaptation import LinkAdaptation
from channel_models.units import FloatArray, FloatLike, db_to_linear

SLOWEST = 0.1
"""Least that fading leaves of a rate: the normal law knows no lower end."""


class EfficiencySpread:
    """Coefficient of variation of the spectral efficiency over one law of fading: a table over mean SNR.

    It holds every decibel from -30 to 60 dB and is read by linear interpolation in decibels, flat beyond its ends.

    Parameters
    ----------
    link
        Law from instantaneous SINR to bit/s/Hz.
    fading
        Law of the power gain.
    nodes
        Quadrature nodes.
    """

    LOWEST_DB, HIGHEST_DB = -30, 60

    def __init__(self, link: LinkAdaptation, fading: FadingLaw, nodes: int = 1024) -> None:
        self._snr_db = np.arange(self.LOWEST_DB, self.HIGHEST_DB + 1.0)
        gains, weights = fading.nodes_and_weights(nodes)
        efficiency = link.spectral_efficiency(db_to_linear(self._snr_db)[:, np.newaxis] * gains)
        mean = efficiency @ weights
        variance = np.maximum((efficiency - mean[:, np.newaxis]) ** 2 @ weights, 0.0)
        # Where the mean carries next to nothing the ratio would be one of rounding errors.
        self.table = np.where(mean > 1e-12, np.sqrt(variance) / np.maximum(mean, 1e-12), 0.0)

    def __call__(self, snr_linear: FloatLike) -> FloatArray:
        """Return the coefficient for mean linear SNR >= 0 of any shape."""
        snr_db = 10.0 * np.log10(np.maximum(snr_linear, db_to_linear(self.LOWEST_DB)))
        return np.asarray(np.interp(snr_db, self._snr_db, self.table))


def efficiency_spread(link: LinkAdaptation, fading: FadingLaw) -> EfficiencySpread:
    """Return the table of a link and a fading law, made once; laws are frozen, so they can be looked up."""
    return _made(link, fading)  # type: ignore[arg-type]


_made = lru_cache(maxsize=64)(EfficiencySpread)


def rate_factor(spread: ArrayLike, coherence_times: ArrayLike, sub_bands: ArrayLike, normal: ArrayLike) -> FloatArray:
    """Return the factors max(0.1, 1 + spread N / sqrt(sub_bands (1 + coherence_times))) on mean rates.

    Parameters
    ----------
    spread
        Coefficient of variation of the spectral efficiency, see :class:`EfficiencySpread`.
    coherence_times
        Length of each upload in coherence times, >= 0, possibly infinite.
    sub_bands
        How many parts of each upload's band fade independently, >= 1.
    normal
        Standard normals N.
    """
    states = np.multiply(sub_bands, 1.0 + np.asarray(coherence_times, dtype=np.float64))
    return np.maximum(SLOWEST, 1.0 + np.asarray(spread) * np.asarray(normal) / np.sqrt(states))


def finish_times(alone: FloatArray) -> FloatArray:
    """Return when uploads are done that begin together and share their time equally.

    ``alone`` (n,) is what each takes by itself; upload i is done after the sum over j of min(alone_i, alone_j).
    """
    order = np.argsort(alone, kind="stable")
    ranked = alone[order]
    longer = np.arange(len(alone))[::-1]
    during_those = np.multiply(longer, ranked, out=np.zeros_like(ranked), where=longer > 0)
    finish = np.empty_like(ranked)
    finish[order] = np.cumsum(ranked) + during_those
    return finish


def states_to_choose_from(sub_bands: float, window_s: float, coherence_time_s: float) -> float:
    """Return how many independent states of its channel a scheduler's average compares: m (1 + W / (2.5 T_c)).

    A proportional-fair scheduler sees a rate against its average over a window W. Fading slower than the window moves
    both alike and offers no choice in time, only among ``sub_bands`` m. The factor 2.5 is measured, slot by slot,
    for the exponential window and Clarke's spectrum.
    """
    return sub_bands * (1.0 + window_s / (2.5 * coherence_time_s))


def rivals(n: int, states: float) -> float:
    """Return among how many the best is really chosen when ``n`` share m ``states``: 1 + (n - 1)(m - 1) / (n + m - 2).

    Each of n users has n - 1 others to be better than and m - 1 other states to be better in; choice is as wide as
    their harmonic sum. It is among n where there are many states, among m where there are many users, and there is
    none, turns, for one state. Proportional fairness on channels that stand still bears it out to 5 % of the gain for
    n and m alike, and 2 % for n >> m.
    """
    if n == 1 or math.isinf(states):
        return float(n)
    return 1.0 + (n - 1) * (states - 1.0) / (n + states - 2.0)
