"""Links between 100 and 450 GHz: spreading, absorption by water vapour, beams that split, bodies in the way.

Absorption is that of ITU-R P.676 at sea level (15 degrees C, 7.5 g/m3 of water vapour) at twelve frequencies; between
them it is interpolated linearly in the logarithm, which is coarse near the lines at 183, 325, 380 and 448 GHz. The
windows below 320, 330 to 370 and 390 to 430 GHz are where links run.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from channel_models.path_loss_generic import free_space_db
from channel_models.units import FloatArray, FloatLike, db_to_linear

ABSORPTION_FC_HZ = 1e9 * np.array([28.0, 60.0, 100.0, 140.0, 220.0, 280.0, 300.0, 325.0, 340.0, 380.0, 410.0, 450.0])
ABSORPTION_DB_PER_KM = np.array([0.10, 14.8, 0.46, 0.92, 2.49, 4.12, 5.25, 37.9, 9.26, 298.0, 17.6, 243.0])
"""Specific attenuation by gases at those frequencies: ITU-R P.676 as computed by the package itur 0.4.0."""

REFERENCE_TEMPERATURE_K = 290.0
HALF_POWER_OFFSET = 0.886
"""A long array's main lobe is 3 dB down where N pi u / 2 = 1.392, which is u = 0.886 / N."""


def absorption_db_per_km(fc_hz: FloatLike) -> FloatArray:
    """Return the specific attenuation by gases in dB/km, flat outside 28 to 450 GHz."""
    return np.asarray(np.exp(np.interp(fc_hz, ABSORPTION_FC_HZ, np.log(ABSORPTION_DB_PER_KM))))


def absorption_per_m(fc_hz: FloatLike) -> FloatArray:
    """Return the absorption coefficient k in 1/m: a power of exp(-k d) is left after d metres."""
    return np.asarray(absorption_db_per_km(fc_hz) / (1e4 / np.log(10.0)))


def path_loss_db(distance_m: FloatLike, fc_hz: FloatLike) -> FloatArray:
    """Return spreading and absorption in dB, 20 log10(4 pi d f / c) + 10 log10(e) k d, for a 3D distance > 0."""
    return np.asarray(free_space_db(distance_m, fc_hz) + absorption_db_per_km(fc_hz) * np.asarray(distance_m) / 1e3)


def absorption_noise_k(
    distance_m: FloatLike, fc_hz: FloatLike, temperature_k: float = REFERENCE_TEMPERATURE_K
) -> FloatArray:
    """Return the noise temperature T0 (1 - exp(-k d)) in kelvins that absorbing air may add to the receiver's.

    An upper bound, that all absorbed power is radiated again into the receiver; it adds to T0 times the noise factor.
    """
    lost = -np.expm1(-absorption_per_m(fc_hz) * np.asarray(distance_m))
    return np.asarray(temperature_k * lost)


def split_beam_gain(
    f_hz: FloatLike, fc_hz: float, steering_deg: FloatLike, antennas: int, delays: int = 1
) -> FloatArray:
    """Return the power gain of a linear array in the direction it was steered to at another frequency.

    Half-wavelength spacing at the carrier, one phase shifter an antenna. Phases that fit f_c point elsewhere at f:
    G = N [sin(n pi u / 2) / (n sin(pi u / 2))]^2 with u = (f / f_c - 1) sin(angle) and n = N / delays.

    Parameters
    ----------
    f_hz
        Frequency, hertz. Arrays broadcast.
    fc_hz
        Carrier the phase shifters are set for, hertz.
    steering_deg
        Angle of the beam from broadside, degrees.
    antennas
        Number of antennas N.
    delays
        True-time delays, a divisor of N: one for each group of N / delays antennas, whose own phases alone go
        wrong. 1 is the plain analog array, N an array that does not split.

    Raises
    ------
    ValueError
        If the delays do not divide the antennas.
    """
    if antennas < 1 or delays < 1 or antennas % delays:
        raise ValueError(f"delays must divide the antennas, got {delays} delays and {antennas} antennas")
    group = antennas // delays
    u = (np.asarray(f_hz, dtype=np.float64) / fc_hz - 1.0) * np.sin(np.deg2rad(steering_deg))
    bottom = group * np.sin(np.pi * u / 2.0)
    ratio = np.divide(np.sin(group * np.pi * u / 2.0), bottom, out=np.ones_like(u), where=np.abs(bottom) > 1e-12)
    return np.asarray(antennas * np.square(ratio))


def half_power_offset_hz(fc_hz: float, steering_deg: FloatLike, antennas: int, delays: int = 1) -> FloatArray:
    """Return how far from f_c the gain of :func:`split_beam_gain` is halved: 0.886 f_c / (n |sin angle|), hertz."""
    return np.asarray(HALF_POWER_OFFSET * fc_hz * delays / (antennas * np.abs(np.sin(np.deg2rad(steering_deg)))))


def first_null_offset_hz(fc_hz: float, steering_deg: FloatLike, antennas: int, delays: int = 1) -> FloatArray:
    """Return how far from f_c the steered direction first receives nothing: 2 f_c / (n |sin angle|), hertz."""
    return np.asarray(2.0 * fc_hz * delays / (antennas * np.abs(np.sin(np.deg2rad(steering_deg)))))


def sub_band_centres_hz(fc_hz: float, bandwidth_hz: float, sub_bands: int) -> FloatArray:
    """Return the centres of equal parts of a band around f_c, (sub_bands,) hertz; 8 to 16 parts are enough."""
    return np.asarray(fc_hz + bandwidth_hz * ((np.arange(sub_bands) + 0.5) / sub_bands - 0.5))


def sub_band_rate_bit_s(
    distance_m: ArrayLike,
    f_hz: ArrayLike,
    sub_band_hz: float,
    tx_power_w: ArrayLike,
    antenna_gain: ArrayLike,
    noise_w_hz: ArrayLike,
    spectral_efficiency: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Return the rate summed over sub-bands, df SE(P_m G_m 10^(-PL(f_m)/10) / (N_m df)), in bit/s.

    Parameters
    ----------
    distance_m
        3D distances > 0, (...) metres.
    f_hz
        Centres of the sub-bands, (sub_bands,) hertz.
    sub_band_hz
        Width df of each, hertz.
    tx_power_w
        Power in each sub-band, watts, broadcast to (..., sub_bands).
    antenna_gain
        Linear gains of both ends together, broadcast to (..., sub_bands).
    noise_w_hz
        Noise density, k T of all contributions, W/Hz, broadcast to (..., sub_bands).
    spectral_efficiency
        Link law from linear SNR to bit/s/Hz.
    """
    loss_db = path_loss_db(np.asarray(distance_m, dtype=np.float64)[..., None], np.asarray(f_hz))
    received_w = np.asarray(tx_power_w) * np.asarray(antenna_gain) * db_to_linear(-loss_db)
    snr = received_w / (np.asarray(noise_w_hz) * sub_band_hz)
    return np.asarray(sub_band_hz * spectral_efficiency(snr).sum(axis=-1))


def blockage_probability(
    d2d_m: FloatLike,
    blockers_per_m2: float,
    h_bs_m: float,
    h_ut_m: float,
    blocker_radius_m: float = 0.3,
    blocker_height_m: float = 1.7,
) -> FloatArray:
    """Return the probability that bodies scattered at random (a Poisson process of cylinders) cut the straight path.

    1 - exp(-2 lambda r [d (h_B - h_UT) / (h_BS - h_UT) + r]): only the last stretch of the path, below the height
    of a body, can be cut. Zero where bodies are not above the terminal.

    Parameters
    ----------
    d2d_m
        Horizontal distance, metres, of any shape.
    blockers_per_m2
        Density lambda of bodies.
    h_bs_m, h_ut_m
        Heights of base station and terminal, metres.
    blocker_radius_m, blocker_height_m
        Size of a body (defaults).

    Raises
    ------
    ValueError
        If the base station is not above the terminal.
    """
    if h_bs_m <= h_ut_m:
        raise ValueError(f"the base station must be above the terminal, got {h_bs_m:g} m and {h_ut_m:g} m")
    distance = np.asarray(d2d_m, dtype=np.float64)
    if blocker_height_m <= h_ut_m:
        return np.zeros_like(distance)
    exposed_m = distance * min((blocker_height_m - h_ut_m) / (h_bs_m - h_ut_m), 1.0)
    return np.asarray(-np.expm1(-2.0 * blockers_per_m2 * blocker_radius_m * (exposed_m + blocker_radius_m)))
