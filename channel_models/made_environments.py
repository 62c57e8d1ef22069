"""Environments made from parameters: one law for every link, and terahertz links that bodies block."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from channel_models import terahertz as thz
from channel_models.environment import Environment, PathLossLaw, ValidityRange
from channel_models.los_probability import never_los
from channel_models.path_loss_generic import log_distance_db
from channel_models.path_loss_outdoor import distance_3d_m
from channel_models.units import FloatArray, FloatLike

ANYWHERE = ValidityRange()


def log_distance_environment(reference_loss_db: float, exponent: float, sigma_db: float) -> Environment:
    """Return the law reference_loss_db + 10 exponent log10(d / 1 m) for every link, whatever carrier and heights.

    Horizontal distances below 1 m count as 1 m. An exponent of 0 is a loss that is the same everywhere. Sites stand
    500 m apart by default.
    """

    def law_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
        return log_distance_db(d2d_m, exponent, reference_loss_db)

    return stateless_environment("log-distance", law_db, (25.0, 1.5), 1.0, sigma_db)


def stateless_environment(
    name: str,
    law_db: PathLossLaw,
    heights_m: tuple[float, float],
    min_d2d_m: float,
    sigma_db: float,
    validity: ValidityRange = ANYWHERE,
) -> Environment:
    """Return an environment with one law for every link: no line-of-sight state, hence no Rician factor.

    Parameters
    ----------
    name
        Its key.
    law_db
        Median path loss, dB.
    heights_m
        Default heights of base station and terminal.
    min_d2d_m
        Shortest distance of the law; terminals keep as far from a site by default.
    sigma_db
        Standard deviation of shadowing, dB.
    validity
        Where the law holds.
    """
    return Environment(
        name=name,
        h_bs_m=heights_m[0],
        h_ut_m=heights_m[1],
        inter_site_distance_m=500.0,
        min_d2d_m=min_d2d_m,
        min_placement_d2d_m=min_d2d_m,
        los_law_db=law_db,
        nlos_law_db=law_db,
        los_probability_law=never_los,
        sigma_los_db=sigma_db,
        sigma_nlos_db=sigma_db,
        correlation_los_m=50.0,
        correlation_nlos_m=50.0,
        correlation_los_state_m=50.0,
        validity=validity,
    )


@dataclass(frozen=True)
class Bodies:
    """People in the way of a beam.

    Parameters
    ----------
    per_m2
        Their density.
    radius_m, height_m
        Their size.
    loss_db
        What a blocked link loses besides.
    """

    per_m2: float = 0.1
    radius_m: float = 0.3
    height_m: float = 1.7
    loss_db: float = 20.0


def terahertz_environment(bodies: Bodies) -> Environment:
    """Return spreading and absorption of :mod:`channel_models.terahertz`, with lines of sight that bodies block.

    No shadowing besides: whoever sees the site hears it as free space and the air let them. Sites hang 5 m high,
    20 m apart by default.
    """
    clear_db = _terahertz_db(0.0)
    return Environment(
        name="THz",
        h_bs_m=5.0,
        h_ut_m=1.5,
        inter_site_distance_m=20.0,
        min_d2d_m=0.5,
        min_placement_d2d_m=0.5,
        los_law_db=clear_db,
        nlos_law_db=_terahertz_db(bodies.loss_db),
        los_probability_law=partial(_seen_past, bodies=bodies),
        sigma_los_db=0.0,
        sigma_nlos_db=0.0,
        correlation_los_m=10.0,
        correlation_nlos_m=10.0,
        correlation_los_state_m=2.0,
        validity=ValidityRange(fc_hz=(28e9, 450e9)),
    )


def _terahertz_db(blocked_db: float) -> PathLossLaw:
    def law_db(d2d_m: FloatLike, fc_hz: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike) -> FloatArray:
        return thz.path_loss_db(distance_3d_m(d2d_m, h_bs_m, h_ut_m), fc_hz) + blocked_db

    return law_db


def _seen_past(d2d_m: FloatLike, h_bs_m: FloatLike, h_ut_m: FloatLike, bodies: Bodies) -> FloatArray:
    """Probability that nobody stands in the way."""
    site_m, terminal_m = float(np.max(h_bs_m)), float(np.max(h_ut_m))
    blocked = thz.blockage_probability(d2d_m, bodies.per_m2, site_m, terminal_m, bodies.radius_m, bodies.height_m)
    return np.asarray(1.0 - blocked)
