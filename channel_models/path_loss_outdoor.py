"""Median radio attenuation outdoors between a base station and a terminal: 3GPP TR 38.901 Table 7.4.1-1.

Every law takes the horizontal distance ``d2d_m``, the carrier ``fc_hz`` and the two antenna heights, broadcasts
them, and returns dB. The laws are the bare formulas: range checks and the lower clamp of the distance belong to
:class:`channel_models.path_loss.Environment`.
"""

import numpy as np

from channel_models.units import FloatArray, FloatLike

BREAKPOINT_LIGHT_SPEED_M_S = 3.0e8
"""TR 38.901 rounds the speed of light to 3e8 m/s in its breakpoint distances (Table 7.4.1-1, notes 1 and 5)."""

EFFECTIVE_ENVIRONMENT_HEIGHT_M = 1.0
"""h_E of the breakpoint; for UMa terminals above 13 m the standard draws it (:func:`uma_environment_height_m`)."""

LOWEST_ROOF_M, FLOOR_M, BELOW_TERMINAL_M = 12.0, 3.0, 1.5
"""A drawn h_E is 12, 15, 18, ... m and at least 1.5 m below the terminal."""


def distance_3d_m(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the antenna-to-antenna distance in metres."""
    return np.hypot(d2d_m, h_bs_m - h_ut_m)


def urban_breakpoint_m(
    fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike, h_e_m: FloatLike = EFFECTIVE_ENVIRONMENT_HEIGHT_M
) -> FloatArray:
    """Return d'_BP = 4 (h_BS - h_E)(h_UT - h_E) f_c / c in metres, for UMa and UMi."""
    heights_m2 = (h_bs_m - h_e_m) * (h_ut_m - h_e_m)
    return np.asarray(4.0 * heights_m2 * fc_hz / BREAKPOINT_LIGHT_SPEED_M_S)


def uma_environment_height_m(u: FloatLike, d2d_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the effective environment height h_E of UMa links in metres (Table 7.4.1-1, note 1).

    1 m with probability 1 / (1 + C), with C = ((h_UT - 13) / 10)^1.5 g(d) and g = 1.25 (d / 100)^3 exp(-d / 150)
    beyond 18 m, else 0; otherwise equally likely to be any of 12, 15, ... up to h_UT - 1.5. So it is 1 m for all
    terminals up to 13 m; for those below 13.5 m, whom the series leaves no height, it may be 12 m.

    Parameters
    ----------
    u
        Uniform numbers in (0, 1), one for each pair of site and terminal. All arguments broadcast.
    d2d_m
        Horizontal distance, metres.
    h_ut_m
        Height of the terminal, metres.
    """
    d, height = np.asarray(d2d_m, dtype=np.float64), np.asarray(h_ut_m, dtype=np.float64)
    lift = np.maximum((height - 13.0) / 10.0, 0.0) ** 1.5
    odds = np.where(d > 18.0, lift * 1.25 * (d / 100.0) ** 3 * np.exp(-d / 150.0), 0.0)
    # What is left of u above 1 / (1 + C) picks the roof; 1e-9 keeps heights that are sums of floors on their level.
    over = (np.asarray(u) * (1.0 + odds) - 1.0) / np.where(odds > 0.0, odds, 1.0)
    roofs = np.maximum(np.floor((height - BELOW_TERMINAL_M - LOWEST_ROOF_M) / FLOOR_M + 1e-9) + 1.0, 1.0)
    roof = LOWEST_ROOF_M + FLOOR_M * np.minimum(np.floor(over * roofs), roofs - 1.0)
    return np.where((over >= 0.0) & (odds > 0.0), roof, EFFECTIVE_ENVIRONMENT_HEIGHT_M)


def uma_los_db(
    d2d_m: FloatLike,
    fc_hz: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    h_e_m: FloatLike = EFFECTIVE_ENVIRONMENT_HEIGHT_M,
) -> FloatArray:
    """Return UMa line-of-sight path loss in dB (slope 22 before the breakpoint, 40 after)."""
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    breakpoint_m = urban_breakpoint_m(fc_hz, h_bs_m, h_ut_m, h_e_m)
    return _urban_los_db((28.0, 22.0, 9.0), log_d3d, carrier, d2d_m, breakpoint_m, h_bs_m, h_ut_m)


def uma_nlos_db(
    d2d_m: FloatLike,
    fc_hz: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    h_e_m: FloatLike = EFFECTIVE_ENVIRONMENT_HEIGHT_M,
) -> FloatArray:
    """Return UMa path loss without line of sight in dB, never below the line-of-sight law."""
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    blocked = 13.54 + 39.08 * log_d3d + carrier - 0.6 * (h_ut_m - 1.5)
    breakpoint_m = urban_breakpoint_m(fc_hz, h_bs_m, h_ut_m, h_e_m)
    with_los = _urban_los_db((28.0, 22.0, 9.0), log_d3d, carrier, d2d_m, breakpoint_m, h_bs_m, h_ut_m)
    return np.maximum(with_los, blocked)


def uma_optional_nlos_db(
    d2d_m: FloatLike,
    fc_hz: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    h_e_m: FloatLike = EFFECTIVE_ENVIRONMENT_HEIGHT_M,
) -> FloatArray:
    """Return the optional UMa path loss without line of sight, 32.4 + 20 log10(f_c) + 30 log10(d3D), in dB.

    The environment height does not enter; it is accepted so that all UMa laws share one signature.
    """
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.asarray(32.4 + carrier + 30.0 * log_d3d)


def umi_los_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return UMi street-canyon line-of-sight path loss in dB (slope 21 before the breakpoint, 40 after)."""
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    breakpoint_m = urban_breakpoint_m(fc_hz, h_bs_m, h_ut_m)
    return _urban_los_db((32.4, 21.0, 9.5), log_d3d, carrier, d2d_m, breakpoint_m, h_bs_m, h_ut_m)


def umi_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return UMi street-canyon path loss without line of sight in dB, never below the line-of-sight law."""
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    blocked = 22.4 + 35.3 * log_d3d + 21.3 * carrier / 20.0 - 0.3 * (h_ut_m - 1.5)
    breakpoint_m = urban_breakpoint_m(fc_hz, h_bs_m, h_ut_m)
    with_los = _urban_los_db((32.4, 21.0, 9.5), log_d3d, carrier, d2d_m, breakpoint_m, h_bs_m, h_ut_m)
    return np.maximum(with_los, blocked)


def umi_optional_nlos_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the optional UMi path loss without line of sight, 32.4 + 20 log10(f_c) + 31.9 log10(d3D), in dB."""
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    return np.asarray(32.4 + carrier + 31.9 * log_d3d)


def rma_breakpoint_m(fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return d_BP = 2 pi h_BS h_UT f_c / c in metres; unlike the urban one it has no environment height."""
    wave_number = 2.0 * np.pi * fc_hz / BREAKPOINT_LIGHT_SPEED_M_S
    return np.asarray(wave_number * h_bs_m * h_ut_m)


def rma_los_db(
    d2d_m: FloatLike,
    fc_hz: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    building_height_m: float = 5.0,
) -> FloatArray:
    """Return RMa line-of-sight path loss in dB for an average building height (default 5 m, range 5 to 50)."""
    d3d = distance_3d_m(d2d_m, h_bs_m, h_ut_m)
    breakpoint_m = rma_breakpoint_m(fc_hz, h_bs_m, h_ut_m)
    near = _rma_near_db(d3d, fc_hz, building_height_m)
    far = _rma_near_db(breakpoint_m, fc_hz, building_height_m) + 40.0 * np.log10(d3d / breakpoint_m)
    return np.where(d2d_m <= breakpoint_m, near, far)


def rma_nlos_db(
    d2d_m: FloatLike,
    fc_hz: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    building_height_m: float = 5.0,
    street_width_m: float = 20.0,
) -> FloatArray:
    """Return RMa path loss without line of sight in dB, never below the line-of-sight law.

    ``street_width_m`` is the average street width (default 20 m, range 5 to 50).
    """
    log_d3d, carrier = _log_distance_and_carrier_db(d2d_m, fc_hz, h_bs_m, h_ut_m)
    log_h_bs = np.log10(h_bs_m)
    rooftop = 24.37 - 3.7 * np.square(building_height_m / h_bs_m)
    streets = 161.04 - 7.1 * np.log10(street_width_m) + 7.5 * np.log10(building_height_m)
    slope = (43.42 - 3.1 * log_h_bs) * (log_d3d - 3.0)
    terminal = 3.2 * np.square(np.log10(11.75 * h_ut_m)) - 4.97
    blocked = streets - rooftop * log_h_bs + slope + carrier - terminal
    return np.maximum(rma_los_db(d2d_m, fc_hz, h_bs_m, h_ut_m, building_height_m), blocked)


def _urban_los_db(
    coefficients: tuple[float, float, float],
    log_d3d: FloatArray,
    carrier_db: FloatArray,
    d2d_m: FloatLike,
    breakpoint_m: FloatArray,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
) -> FloatArray:
    """PL1 and PL2 of the UMa and UMi rows for coefficients (constant, near slope, corner slope)."""
    constant, slope, corner_slope = coefficients
    near = constant + slope * log_d3d + carrier_db
    corner = np.log10(breakpoint_m**2 + (h_bs_m - h_ut_m) ** 2)
    far = constant + 40.0 * log_d3d + carrier_db - corner_slope * corner
    return np.where(d2d_m <= breakpoint_m, near, far)


def _rma_near_db(distance_m: FloatArray, fc_hz: FloatLike, building_height_m: float) -> FloatArray:
    """PL1 of the RMa row: free space plus a building-height term in log distance and in distance."""
    fc_ghz = fc_hz / 1e9
    height_power = building_height_m**1.72
    free_space = 20.0 * np.log10(40.0 * np.pi * distance_m * fc_ghz / 3.0)
    log_term = min(0.03 * height_power, 10.0) * np.log10(distance_m)
    linear_term = 0.002 * np.log10(building_height_m) * distance_m
    return np.asarray(free_space + log_term - min(0.044 * height_power, 14.77) + linear_term)


def _log_distance_and_carrier_db(
    d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike
) -> tuple[FloatArray, FloatArray]:
    """Return log10 of the 3D distance in metres and 20 log10 of the carrier in GHz."""
    carrier_db = 20.0 * np.log10(fc_hz / 1e9)
    return np.asarray(np.log10(distance_3d_m(d2d_m, h_bs_m, h_ut_m))), np.asarray(carrier_db)
