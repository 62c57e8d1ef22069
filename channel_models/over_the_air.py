"""Over-the-air aggregation: terminals send analog symbols at the same time, and the channel adds them up.

Broadband analog aggregation with truncated channel inversion (Zhu, Wang and Huang, "Broadband analog aggregation for
low-latency federated edge learning", IEEE Trans. Wireless Communications 19(1), 2020). On a sub-carrier with power
gain |h|^2 over the large-scale gain G a terminal sends p = sqrt(rho0 / G) conj(h) / |h|^2 times its symbol, so that
all symbols arrive with the same amplitude sqrt(rho0); where |h|^2 falls below a threshold it keeps silent, as full
inversion would take infinite power. Symbols are real and of unit variance, noise is circular of power sigma^2 a
sub-carrier, and the receiver looks at the real part.
"""

from math import ceil

import numpy as np
from scipy import special

from channel_models.fading import FadingLaw, NoFading, Rayleigh, Rician
from channel_models.units import FloatArray, FloatLike


def truncation_ratio(law: FadingLaw, threshold: float) -> float:
    """Return P(|h|^2 < threshold), the share of sub-carriers on which a terminal keeps silent.

    Rayleigh: 1 - exp(-threshold).

    Parameters
    ----------
    law
        Law of the small-scale power gain |h|^2 of mean 1: none, Rayleigh or Rician.
    threshold
        Least power gain that is inverted, > 0.

    Raises
    ------
    ValueError
        If the threshold is not above 0 or the law is another one.
    """
    k = _rician_k(law, threshold)
    if k is None:
        return float(threshold > 1.0)
    if k == 0.0:
        return float(-np.expm1(-threshold))
    return float(special.chndtr(2.0 * (k + 1.0) * threshold, 2.0, 2.0 * k))


def inversion_power(law: FadingLaw, threshold: float) -> float:
    """Return E[1/|h|^2; |h|^2 >= threshold], what truncated inversion costs on average over no fading.

    Rayleigh: E1(threshold), which grows without bound as the threshold falls to 0. Rician with factor K: the gain is
    a mixture of Gamma(j + 1, 1/(K + 1)) with Poisson(K) weights, each of which has a closed form.

    Parameters
    ----------
    law, threshold
        As for :func:`truncation_ratio`.

    Raises
    ------
    ValueError
        If the threshold is not above 0 or the law is another one.
    """
    k = _rician_k(law, threshold)
    if k is None:
        return float(threshold <= 1.0)
    scaled = (k + 1.0) * threshold
    j = np.arange(1.0, ceil(k + 40.0 * np.sqrt(k)) + 2.0)  # beyond, the weights are below rounding
    weights = np.exp(special.xlogy(j, k) - k - special.gammaln(j + 1.0))
    mixture = np.exp(-k) * special.exp1(scaled) + np.sum(weights * special.gammaincc(j, scaled) / j)
    return float((k + 1.0) * mixture)


def _rician_k(law: FadingLaw, threshold: float) -> float | None:
    """Return the Rician factor of a law, None without fading."""
    if not threshold > 0.0:
        raise ValueError(f"the truncation threshold must be above 0, got {threshold}")
    if isinstance(law, NoFading):
        return None
    if isinstance(law, Rayleigh):
        return 0.0
    if isinstance(law, Rician):
        return law.k_linear
    raise ValueError(f"channel inversion is known without fading and for Rayleigh and Rician fading, got {law!r}")


def aligned_power_w(tx_power_w: FloatLike, gain: FloatLike, inversion: FloatLike, subcarriers: int) -> FloatArray:
    """Return rho0 = P G / (M c), the most a terminal can have arrive on every sub-carrier, watts; arrays broadcast.

    All terminals must arrive alike, so the least of those that send together is what they agree on.

    Parameters
    ----------
    tx_power_w
        Mean radiated power P over all sub-carriers in use.
    gain
        Linear large-scale power gain G of the link, the inverse of its path loss.
    inversion
        c from :func:`inversion_power`.
    subcarriers
        Sub-carriers M in use.
    """
    return np.asarray(np.asarray(tx_power_w) * gain / (np.asarray(inversion) * subcarriers), np.float64)


def radiated_power_w(rho0_w: float, gain: FloatLike, inversion: FloatLike, subcarriers: float) -> FloatArray:
    """Return M rho0 c / G, the mean power a terminal radiates to arrive with rho0 on every sub-carrier, watts.

    The sum of |p|^2 over the sub-carriers, averaged over fading: the inverse of :func:`aligned_power_w`. Times the
    duration it is the transmitted energy. ``subcarriers`` may be a mean over symbols, some of which are not full.
    """
    return np.asarray(np.asarray(inversion) * (rho0_w * subcarriers) / gain, np.float64)


def transfer_s(values: int, subcarriers: int, symbol_s: float) -> float:
    """Return ceil(q / M) T_s, the time q values take on M sub-carriers, however many terminals send them.

    Raises
    ------
    ValueError
        If there is nothing to send or nothing to send it on.
    """
    if values < 1 or subcarriers < 1:
        raise ValueError(f"a transfer needs values and sub-carriers, got {values} and {subcarriers}")
    return -(-values // subcarriers) * symbol_s


def sum_noise_std(noise_w: FloatLike, rho0_w: FloatLike) -> FloatArray:
    """Return sigma / sqrt(2 rho0), the standard deviation of the noise on the sum of symbols of unit variance.

    On the mean over the senders it is divided by their number; times the standard deviation of the values that were
    normalised it is in their unit. ``noise_w`` is sigma^2, the noise power of a sub-carrier.
    """
    return np.sqrt(np.asarray(noise_w, np.float64) / (2.0 * np.asarray(rho0_w)))


def noise_mse(noise_w: FloatLike, rho0_w: FloatLike, senders: int) -> FloatArray:
    """Return sigma^2 / (K^2 rho0), the squared error of the complex mean of K senders that is due to noise.

    The real part, all a receiver of real symbols looks at, holds half of it.
    """
    return np.asarray(np.asarray(noise_w, np.float64) / (np.asarray(rho0_w) * float(senders) ** 2))


def misalignment_mse(amplitude: FloatArray, variance: FloatLike = 1.0) -> FloatArray:
    """Return (1 / K^2) sum over senders of (a - 1)^2 Var(x), the squared error of the mean due to misalignment.

    Parameters
    ----------
    amplitude
        (K, ...) in-phase amplitudes a with which symbols arrive over the one agreed on: 1 is perfect, 0 is silence
        below the threshold, cos(phase) a phase error.
    variance
        Of the symbols, which are independent and of mean 0.
    """
    return np.asarray(np.sum((amplitude - 1.0) ** 2, axis=0) * variance / float(len(amplitude)) ** 2)


def mean_misalignment(truncated: FloatLike, phase_error_rad: FloatLike) -> FloatArray:
    """Return E[(a - 1)^2] of a sender that is silent with probability q and else off by a phase N(0, s^2).

    (1 - q) (1 - 2 exp(-s^2 / 2) + (1 + exp(-2 s^2)) / 2) + q.
    """
    squared = np.square(phase_error_rad)
    off = 1.0 - 2.0 * np.exp(-0.5 * squared) + 0.5 * (1.0 + np.exp(-2.0 * squared))
    silent = np.asarray(truncated, np.float64)
    return np.asarray((1.0 - silent) * off + silent)
