"""How likely a terminal sees its base station at a given distance: 3GPP TR 38.901 Table 7.4.2-1.

All laws take (d2d_m, h_bs_m, h_ut_m) and return a probability in [0, 1]; the table states no largest distance.
``d2d_m`` is the outdoor part of the horizontal distance. Draw once per (site, terminal).
"""

import numpy as np

from channel_models.units import FloatArray, FloatLike


def uma_los_probability(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the urban-macro probability; terminals above 13 m see farther (table valid to 23 m).

    For high terminals just beyond 18 m the table's product exceeds 1 by some thousandths; it is cut at 1.
    """
    d, height = np.asarray(d2d_m), np.asarray(h_ut_m)
    if height.ndim == 0 and height <= 13.0:
        return _street(d, 63.0)
    lift = np.maximum((height - 13.0) / 10.0, 0.0) ** 1.5
    bonus = 1.0 + lift * 1.25 * (d / 100.0) ** 3 * np.exp(-d / 150.0)
    return np.minimum(_street(d, 63.0) * bonus, 1.0)


def umi_los_probability(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the street-canyon probability: certain up to 18 m, then 18/d + exp(-d/36)(1 - 18/d)."""
    return _street(np.asarray(d2d_m), 36.0)


def rma_los_probability(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the rural probability: certain up to 10 m, then exp(-(d - 10)/1000)."""
    return np.exp(-np.maximum(np.asarray(d2d_m) - 10.0, 0.0) / 1000.0)


def inh_mixed_los_probability(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the probability in an office of cubicles, rooms and corridors."""
    d = np.asarray(d2d_m)
    near = np.exp(-np.maximum(d - 1.2, 0.0) / 4.7)
    return np.where(d < 6.5, near, 0.32 * np.exp(-(d - 6.5) / 32.6))


def inh_open_los_probability(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return the probability in an open-plan office."""
    d = np.asarray(d2d_m)
    near = np.exp(-np.maximum(d - 5.0, 0.0) / 70.8)
    return np.where(d <= 49.0, near, 0.54 * np.exp(-(d - 49.0) / 211.7))


def inf_low_los_probability(
    d2d_m: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    clutter_density: float,
    clutter_size_m: float,
) -> FloatArray:
    """Return exp(-d/k), k = -size/ln(1 - density), for factory antennas among the clutter (SL, DL)."""
    return np.exp(-np.asarray(d2d_m) / _clutter_range_m(clutter_density, clutter_size_m))


def inf_high_los_probability(
    d2d_m: FloatLike,
    h_bs_m: FloatLike,
    h_ut_m: FloatLike,
    clutter_density: float,
    clutter_size_m: float,
    clutter_height_m: float,
) -> FloatArray:
    """Return exp(-d/k) for a base station above the clutter (SH, DH).

    k grows by (h_BS - h_UT)/(h_clutter - h_UT): only the last stretch of the ray runs among the clutter. The
    formula needs h_UT < h_clutter <= h_BS.

    Raises
    ------
    ValueError
        If a terminal is not below the clutter or the clutter not below the base station.
    """
    h_bs, h_ut = np.asarray(h_bs_m), np.asarray(h_ut_m)
    if np.any(h_ut >= clutter_height_m) or np.any(h_bs < clutter_height_m):
        raise ValueError(
            f"the high-antenna factory law needs h_ut_m < clutter height {clutter_height_m:g} m <= h_bs_m, "
            f"got h_ut_m up to {np.max(h_ut):g} and h_bs_m down to {np.min(h_bs):g}"
        )
    range_m = _clutter_range_m(clutter_density, clutter_size_m) * (h_bs - h_ut) / (clutter_height_m - h_ut)
    return np.exp(-np.asarray(d2d_m) / range_m)


def always_los(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return ones: both antennas above the clutter (InF-HH) or free space."""
    return np.ones(np.broadcast_shapes(np.shape(d2d_m), np.shape(h_bs_m), np.shape(h_ut_m)))


def never_los(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
    """Return zeros: laws without a line-of-sight state, whose links fade as without one."""
    return np.zeros(np.broadcast_shapes(np.shape(d2d_m), np.shape(h_bs_m), np.shape(h_ut_m)))


def _street(d: FloatArray, decay_m: float) -> FloatArray:
    """18/d + exp(-d/decay)(1 - 18/d) beyond 18 m, and 1 at 18 m or less (so that d = 0 divides nothing)."""
    corner = 18.0 / np.maximum(d, 18.0)
    return np.asarray(corner + np.exp(-d / decay_m) * (1.0 - corner))


def _clutter_range_m(density: float, size_m: float) -> float:
    return -size_m / float(np.log1p(-density))
