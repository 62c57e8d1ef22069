"""What a short block carries: the normal approximation of Polyanskiy, Poor and Verdu for the complex AWGN channel.

log2(1 + g) - sqrt(V / n) Q^-1(eps) log2(e) + log2(n) / (2 n) bits a channel use, with dispersion V = 1 - (1 + g)^-2.
It matters below some 2000 channel uses (control messages, one-bit updates); a megabit loses less than 1 %.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from channel_models.units import FloatArray, FloatLike


@dataclass(frozen=True)
class FiniteBlocklength:
    """The rate of the best code of one length and error probability; a link law like any other.

    Parameters
    ----------
    channel_uses
        Length n of a block in complex symbols, >= 1.
    error_probability
        Share eps of the blocks that may be lost, in (0, 1). The rate does not count the loss.

    Raises
    ------
    ValueError
        If either is out of range.
    """

    channel_uses: float
    error_probability: float = 1e-3

    def __post_init__(self) -> None:
        if not self.channel_uses >= 1.0 or not 0.0 < self.error_probability < 1.0:
            raise ValueError(
                f"need channel_uses >= 1 and error_probability in (0, 1), got {self.channel_uses:g} "
                f"and {self.error_probability:g}"
            )

    def spectral_efficiency(self, sinr_linear: FloatLike) -> FloatArray:
        """Return bit/s/Hz for linear SINR >= 0 of any shape.

        Zero where the first two terms leave nothing: the approximation has no meaning there, and above it grows
        with the SINR.
        """
        n = self.channel_uses
        backed_off = _capacity(sinr_linear) + _deviation(sinr_linear, n) * ndtri(self.error_probability)
        return np.where(backed_off > 0.0, backed_off + math.log2(n) / (2.0 * n), 0.0)


def block_error_probability(sinr_linear: FloatLike, bits: FloatLike, channel_uses: FloatLike) -> FloatArray:
    """Return the error probability of the best code for this many bits in this many complex symbols.

    The inverse of :meth:`FiniteBlocklength.spectral_efficiency`; certain error without SINR. Arrays broadcast.
    """
    n = np.asarray(channel_uses, dtype=np.float64)
    deviation = _deviation(sinr_linear, n)
    margin = _capacity(sinr_linear) - np.asarray(bits) / n + np.log2(n) / (2.0 * n)
    deviation, margin = np.broadcast_arrays(deviation, margin)
    spreads = np.divide(margin, deviation, out=np.full(margin.shape, -np.inf), where=deviation > 0.0)
    return np.asarray(ndtr(-spreads))


def _capacity(sinr: FloatLike) -> FloatArray:
    """log2(1 + g)."""
    return np.asarray(np.log1p(sinr) / math.log(2.0))


def _deviation(sinr: FloatLike, channel_uses: FloatLike) -> FloatArray:
    """sqrt(V / n) log2(e): the spread of the information that a block of n symbols carries a symbol, in bits."""
    dispersion = -np.expm1(-2.0 * np.log1p(sinr))
    return np.asarray(np.sqrt(dispersion / channel_uses) / math.log(2.0))
