"""Conversions between the decibels of link budgets and the SI units used everywhere else, and thermal noise."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
FloatLike = float | FloatArray
"""What the formulas of this package take: one number or an array of them."""

FloatOrArray = TypeVar("FloatOrArray", float, FloatArray)

THERMAL_NOISE_DBM_PER_HZ = -174.0
"""Noise density k T at about 290 K, rounded as 3GPP link budgets do (k T itself is -173.98 dBm/Hz)."""


def db_to_linear(db: FloatOrArray) -> FloatOrArray:
    """Return the power ratio 10^(db/10); minus infinity maps to 0."""
    return 10.0 ** (db / 10.0)


def linear_to_db(ratio: FloatOrArray) -> FloatOrArray:
    """Return 10 log10 of a power ratio >= 0; a ratio of 0 maps to minus infinity without a warning."""
    with np.errstate(divide="ignore"):
        decibels: FloatOrArray = 10.0 * np.log10(ratio)
    return decibels


def dbm_to_watt(dbm: FloatOrArray) -> FloatOrArray:
    """Return the power in watts of a level in dBm (0 dBm is 1 mW)."""
    return 10.0 ** ((dbm - 30.0) / 10.0)


def watt_to_dbm(power_w: FloatOrArray) -> FloatOrArray:
    """Return the level in dBm of a power >= 0 in watts; 0 W maps to minus infinity without a warning."""
    return linear_to_db(power_w) + 30.0


def thermal_noise_dbm(bandwidth_hz: FloatOrArray, noise_figure_db: float) -> FloatOrArray:
    """Return receiver noise power in dBm: -174 + 10 log10(bandwidth_hz) + noise_figure_db.

    Parameters
    ----------
    bandwidth_hz
        Bandwidth the noise is collected over, > 0, hertz.
    noise_figure_db
        Noise figure of the receiver; 5 dB (base station) and 7 to 9 dB (terminal) are usual defaults.
    """
    return linear_to_db(bandwidth_hz) + (THERMAL_NOISE_DBM_PER_HZ + noise_figure_db)
