"""What a wall, the rooms behind it or a car body take from a link to a terminal outside: TR 38.901 clause 7.4.3.

The loss belongs to the terminal, not to the link: one draw counts towards every site. The outdoor law is read at the
outdoor part of the distance and in the state of sight drawn there; shadowing of such a link has the deviation
``sigma_o2i_db`` of its environment, and it fades without a line-of-sight ray.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from channel_models.units import FloatArray, FloatLike, db_to_linear, linear_to_db

BuildingModel = Literal["low", "high", "mixed", "legacy"]

INDOOR_LOSS_DB_PER_M = 0.5
DEVIATION_DB = MappingProxyType({"low": 4.4, "high": 6.5, "legacy": 0.0})
"""Standard deviation of the penetration loss (Table 7.4.3-2)."""

LEGACY_WALL_LOSS_DB = 20.0
LEGACY_MAX_FC_HZ = 6e9
"""The legacy model is for single-frequency simulations below 6 GHz (Table 7.4.3-3)."""

GLASS_SHARE = MappingProxyType({"low": 0.3, "high": 0.7})
"""Share of the wall that is glass; the rest is concrete. High-loss glass is infrared-reflecting."""

CAR_LOSS_DB = MappingProxyType({"plain": 9.0, "metallised": 20.0})
CAR_DEVIATION_DB = 5.0


def glass_loss_db(fc_hz: FloatLike) -> FloatArray:
    """Return the loss of standard multi-pane glass in dB (Table 7.4.3-1)."""
    return np.asarray(2.0 + 0.2 * np.asarray(fc_hz) / 1e9)


def reflecting_glass_loss_db(fc_hz: FloatLike, release: Literal[18, 19] = 18) -> FloatArray:
    """Return the loss of infrared-reflecting glass in dB: of Table 7.4.3-1 up to Release 18, or from Release 19."""
    constant, slope = (23.0, 0.3) if release == 18 else (25.4, 0.11)
    return np.asarray(constant + slope * np.asarray(fc_hz) / 1e9)


def concrete_loss_db(fc_hz: FloatLike) -> FloatArray:
    """Return the loss of concrete in dB (Table 7.4.3-1)."""
    return np.asarray(5.0 + 4.0 * np.asarray(fc_hz) / 1e9)


def wood_loss_db(fc_hz: FloatLike) -> FloatArray:
    """Return the loss of wood in dB (Table 7.4.3-1)."""
    return np.asarray(4.85 + 0.12 * np.asarray(fc_hz) / 1e9)


def wall_loss_db(
    fc_hz: FloatLike, walls: Literal["low", "high", "legacy"], release: Literal[18, 19] = 18
) -> FloatArray:
    """Return the median loss through an outer wall in dB.

    Parameters
    ----------
    fc_hz
        Carrier frequency, hertz, of any shape.
    walls
        "low": 30 % standard glass in concrete; "high": 70 % infrared-reflecting glass in concrete, each with 5 dB
        for oblique incidence (Table 7.4.3-2); "legacy": 20 dB at any frequency (Table 7.4.3-3).
    release
        Release of the standard whose infrared-reflecting glass is taken.
    """
    if walls == "legacy":
        return np.full(np.shape(fc_hz), LEGACY_WALL_LOSS_DB)
    glass_db = glass_loss_db(fc_hz) if walls == "low" else reflecting_glass_loss_db(fc_hz, release)
    share = GLASS_SHARE[walls]
    passed = share * db_to_linear(-glass_db) + (1.0 - share) * db_to_linear(-concrete_loss_db(fc_hz))
    return np.asarray(5.0 - linear_to_db(passed))


@dataclass(frozen=True)
class Buildings:
    """The buildings that indoor terminals stay in.

    Parameters
    ----------
    model
        "low" or "high" loss walls, "mixed" for both, or "legacy", which is 20 dB, has no spread and ends at 6 GHz.
        The standard knows only low-loss buildings in RMa. At 3.5 GHz they take 12.7, 26.9 and 20 dB: a choice of
        model as much as of building.
    high_loss_share
        Of the "mixed" model, the share of terminals behind high-loss walls, in [0, 1].
    release
        Release of the standard whose infrared-reflecting glass is taken.
    max_indoor_m
        Depth d_2D-in of a terminal inside is drawn up to this, metres: 25 (UMa, UMi) or 10 (RMa).

    Raises
    ------
    ValueError
        If the share or the depth is out of range.
    """

    model: BuildingModel = "low"
    high_loss_share: float = 0.5
    release: Literal[18, 19] = 18
    max_indoor_m: float = 25.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.high_loss_share <= 1.0 or not self.max_indoor_m >= 0.0:
            raise ValueError(
                f"need high_loss_share in [0, 1] and max_indoor_m >= 0, got {self.high_loss_share:g} "
                f"and {self.max_indoor_m:g}"
            )

    def loss_db(self, fc_hz: float, u: ArrayLike) -> FloatArray:
        """Return the penetration loss of terminals in dB: wall, rooms and deviation.

        Parameters
        ----------
        fc_hz
            Carrier frequency, hertz.
        u
            Independent uniform numbers in (0, 1), (..., 4): kind of wall, two for the depth inside, deviation.

        Raises
        ------
        ValueError
            If the legacy model is asked for a carrier above 6 GHz.
        """
        if self.model == "legacy" and fc_hz > LEGACY_MAX_FC_HZ:
            raise ValueError(f"the legacy penetration model ends at 6 GHz, got {fc_hz / 1e9:g} GHz")
        draws = np.asarray(u, dtype=np.float64)
        inside_db = INDOOR_LOSS_DB_PER_M * self.indoor_distance_m(draws[..., 1:3])
        normal = ndtri(draws[..., 3])
        if self.model != "mixed":
            return np.asarray(
                wall_loss_db(fc_hz, self.model, self.release) + inside_db + DEVIATION_DB[self.model] * normal
            )
        high = draws[..., 0] < self.high_loss_share
        wall_db = np.where(high, wall_loss_db(fc_hz, "high", self.release), wall_loss_db(fc_hz, "low"))
        return np.asarray(wall_db + inside_db + np.where(high, DEVIATION_DB["high"], DEVIATION_DB["low"]) * normal)

    def indoor_distance_m(self, u: ArrayLike) -> FloatArray:
        """Return how deep terminals are inside, metres, for uniform numbers (..., 2).

        The smaller of two uniform depths (clause 7.4.3.1); one uniform depth in the legacy model.
        """
        draws = np.asarray(u, dtype=np.float64)
        share = draws[..., 0] if self.model == "legacy" else draws.min(axis=-1)
        return np.asarray(self.max_indoor_m * share)


def car_loss_db(u: ArrayLike, windows: Literal["plain", "metallised"] = "plain") -> FloatArray:
    """Return the loss into a car in dB (clause 7.4.3.2) for uniform numbers in (0, 1) of any shape.

    Normal with deviation 5 dB around 9 dB, or 20 dB behind metallised windows.
    """
    return np.asarray(CAR_LOSS_DB[windows] + CAR_DEVIATION_DB * ndtri(u))
