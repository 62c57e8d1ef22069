"""Path-loss laws with no street or roof in them: free space, log-distance, and two LTE-era rules."""

import numpy as np

from channel_models.path_loss_outdoor import distance_3d_m
from channel_models.units import FloatArray, FloatLike

LIGHT_SPEED_M_S = 299_792_458.0


def free_space_db(distance_m: FloatLike, fc_hz: FloatLike) -> FloatArray:
    """Return Friis' 20 log10(4 pi d f / c) in dB for a distance > 0 (3D) and isotropic antennas."""
    distance = np.asarray(distance_m)
    return np.asarray(20.0 * np.log10(4.0 * np.pi * distance * fc_hz / LIGHT_SPEED_M_S))


def log_distance_db(
    distance_m: FloatLike, exponent: float, reference_loss_db: float, reference_distance_m: float = 1.0
) -> FloatArray:
    """Return reference_loss_db + 10 exponent log10(d / d0) in dB.

    An exponent of 2 with the free-space loss at d0 is free space itself; 3 to 5 is usual without line of sight.
    """
    distance = np.asarray(distance_m)
    return np.asarray(reference_loss_db + 10.0 * exponent * np.log10(distance / reference_distance_m))


def macro_128_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return 128.1 + 37.6 log10(d / km) in dB, the macro-cell default of federated-learning papers (2 GHz).

    Carrier and heights do not enter; they are accepted so that all laws share one signature.
    """
    return log_distance_db(d2d_m, 3.76, 128.1, 1000.0)


def pico_140_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return 140.7 + 36.7 log10(d / km) in dB, the pico-cell companion of :func:`macro_128_db`."""
    return log_distance_db(d2d_m, 3.67, 140.7, 1000.0)


def free_space_link_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return :func:`free_space_db` over the 3D distance between the two antennas."""
    return free_space_db(distance_3d_m(d2d_m, h_bs_m, h_ut_m), fc_hz)
