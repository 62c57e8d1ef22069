"""How fast one of n terminals transmits when a cell shares its band in time or in frequency.

In time (TDMA) a terminal gets the whole band for 1/n of the time. In frequency (OFDMA) it gets 1/n of the band all
the time, and a power-limited terminal then puts its full power into the narrower band: n times the SNR. For weak
terminals the two differ by large factors, so a caller has to choose.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from channel_models.units import FloatArray, FloatLike

CountLike = int | NDArray[np.integer]


def tdma_rate(bandwidth_hz: float, se_full_band: FloatLike, n: CountLike) -> FloatArray:
    """Return the time-shared rate B s / n in bit/s.

    Parameters
    ----------
    bandwidth_hz
        Band of the cell B, hertz.
    se_full_band
        Spectral efficiency s of each terminal over the whole band, (terminals,) bit/s/Hz.
    n
        Number of terminals sharing the cell, >= 1; broadcasts against ``se_full_band``.

    Raises
    ------
    ValueError
        If n is below 1.
    """
    _require_sharers(n)
    return np.asarray(bandwidth_hz * np.asarray(se_full_band, dtype=np.float64) / n)


def ofdma_rate(
    bandwidth_hz: float, snr_full_band: FloatLike, n: CountLike, se: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Return the rate (B / n) se(n snr) in bit/s of a power-limited terminal on its n-th of the band.

    Parameters
    ----------
    bandwidth_hz
        Band of the cell B, hertz.
    snr_full_band
        Linear SNR each terminal would have with its power spread over the whole band, (terminals,).
    n
        Number of terminals sharing the cell, >= 1; broadcasts against ``snr_full_band``.
    se
        Link law from linear SNR to bit/s/Hz, such as ``ShannonGap().spectral_efficiency``.

    Raises
    ------
    ValueError
        If n is below 1.
    """
    _require_sharers(n)
    return np.asarray(bandwidth_hz / np.asarray(n) * se(np.asarray(snr_full_band, dtype=np.float64) * n))


def _require_sharers(n: CountLike) -> None:
    if np.any(np.less(n, 1)):
        raise ValueError(f"a cell is shared by at least one terminal, got n = {np.min(n)}")
