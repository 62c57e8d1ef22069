"""Median radio attenuation inside offices and factories: 3GPP TR 38.901 Table 7.4.1-1, rows InH and InF.

Same arguments and conventions as :mod:`channel_models.path_loss_outdoor`. Factory letters: sparse or dense (S, D)
clutter, base station low among it or high above it (L, H); HH has both antennas above the clutter.
"""

import numpy as np

from channel_models.path_loss_outdoor import distance_3d_m
from channel_models.units import FloatArray, FloatLike


def inh_los_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return indoor-office line-of-sight path loss in dB (mixed and open offices share it)."""
    return _power_law_db((32.4, 17.3, 20.0), d2d_m, fc_hz, h_bs_m, h_ut_m)


def inh_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return indoor-office path loss without line of sight in dB, never below the line-of-sight law."""
    blocked = _power_law_db((17.30, 38.3, 24.9), d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.maximum(inh_los_db(d2d_m, fc_hz, h_bs_m, h_ut_m), blocked)


def inh_optional_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the optional indoor-office path loss without line of sight in dB."""
    return _power_law_db((32.4, 31.9, 20.0), d2d_m, fc_hz, h_bs_m, h_ut_m)


def inf_los_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return factory line-of-sight path loss in dB (all clutter kinds share it)."""
    return _power_law_db((31.84, 21.50, 19.00), d2d_m, fc_hz, h_bs_m, h_ut_m)


def inf_sl_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return sparse-clutter, low-antenna factory path loss without line of sight in dB."""
    blocked = _power_law_db((33.0, 25.5, 20.0), d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.maximum(inf_los_db(d2d_m, fc_hz, h_bs_m, h_ut_m), blocked)


def inf_dl_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return dense-clutter, low-antenna factory path loss without line of sight in dB; never below SL's."""
    blocked = _power_law_db((18.6, 35.7, 20.0), d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.maximum(inf_sl_nlos_db(d2d_m, fc_hz, h_bs_m, h_ut_m), blocked)


def inf_sh_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return sparse-clutter, high-antenna factory path loss without line of sight in dB."""
    blocked = _power_law_db((32.4, 23.0, 20.0), d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.maximum(inf_los_db(d2d_m, fc_hz, h_bs_m, h_ut_m), blocked)


def inf_dh_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return dense-clutter, high-antenna factory path loss without line of sight in dB."""
    blocked = _power_law_db((33.63, 21.9, 20.0), d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.maximum(inf_los_db(d2d_m, fc_hz, h_bs_m, h_ut_m), blocked)


def _power_law_db(
    coefficients: tuple[float, float, float],
    d2d_m: FloatLike,
    fc_hz: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
) -> FloatArray:
    """a + b log10(d3D / m) + c log10(f_c / GHz) for coefficients (a, b, c)."""
    constant, slope, carrier_slope = coefficients
    log_distance = np.log10(distance_3d_m(d2d_m, h_bs_m, h_ut_m))
    log_carrier = np.log10(fc_hz / 1e9)
    return np.asarray(constant + slope * log_distance + carrier_slope * log_carrier)
