"""How much an antenna favours a direction: omnidirectional, an array element of TR 38.901, a sector of TR 36.814.

Azimuths run counter-clockwise from east and zenith angles down from straight up (90 degrees is the horizon), both in
degrees, as seen from the antenna.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from channel_models.units import FloatArray, FloatLike

SECTOR_BORESIGHTS_DEG = (30.0, 150.0, 270.0)
"""Azimuths of the three sectors of a site (TR 38.901 calibration): towards the corners of the site's hexagon."""


class Antenna(Protocol):
    """A law from direction to gain."""

    def gain_dbi(self, azimuth_deg: FloatLike, zenith_deg: FloatLike) -> FloatArray:
        """Return the gain over an isotropic antenna in dB; the azimuth counts from boresight. Arrays broadcast."""
        ...


@dataclass(frozen=True)
class Omni:
    """The same gain in all directions: 0 dBi for a terminal, 5 dBi is usual for a micro base station."""

    max_gain_dbi: float = 0.0

    def gain_dbi(self, azimuth_deg: FloatLike, zenith_deg: FloatLike) -> FloatArray:
        """Return the gain for every direction."""
        return np.full(np.broadcast_shapes(np.shape(azimuth_deg), np.shape(zenith_deg)), self.max_gain_dbi)


@dataclass(frozen=True)
class Parabolic:
    """A main lobe that falls off as 12 (angle / width)^2 dB in both planes, down to a floor.

    Parameters
    ----------
    max_gain_dbi
        Gain at boresight, dBi.
    azimuth_width_deg, zenith_width_deg
        Angle between the two directions 3 dB below boresight, degrees.
    azimuth_floor_db, zenith_floor_db
        Largest attenuation within each plane (A_max and SLA_V), dB; the first also bounds the sum of both.
    downtilt_deg
        How far below the horizon the main lobe points, degrees; the whole vertical pattern shifts.
    """

    max_gain_dbi: float
    azimuth_width_deg: float
    zenith_width_deg: float
    azimuth_floor_db: float
    zenith_floor_db: float
    downtilt_deg: float = 0.0

    def gain_dbi(self, azimuth_deg: FloatLike, zenith_deg: FloatLike) -> FloatArray:
        """Return G_max - min(A_H + A_V, A_max) in dBi; azimuth from boresight, degrees, in any turn."""
        off_azimuth = wrapped_deg(azimuth_deg) / self.azimuth_width_deg
        off_zenith = (np.asarray(zenith_deg) - 90.0 - self.downtilt_deg) / self.zenith_width_deg
        horizontal_db = np.minimum(12.0 * np.square(off_azimuth), self.azimuth_floor_db)
        vertical_db = np.minimum(12.0 * np.square(off_zenith), self.zenith_floor_db)
        return np.asarray(self.max_gain_dbi - np.minimum(horizontal_db + vertical_db, self.azimuth_floor_db))


def array_element(downtilt_deg: float = 0.0) -> Parabolic:
    """Return the element of a base station's panel: 8 dBi, 65 by 65 degrees, 30 dB (TR 38.901 Table 7.3-1)."""
    return Parabolic(8.0, 65.0, 65.0, 30.0, 30.0, downtilt_deg)


def handheld() -> Parabolic:
    """Return the directional antenna of a handheld terminal: 5.3 dBi, 125 degrees, 22.5 dB (TR 38.901, Release 19)."""
    return Parabolic(5.3, 125.0, 125.0, 22.5, 22.5)


def macro_sector(downtilt_deg: float = 15.0) -> Parabolic:
    """Return a column of an LTE macro site: 14 dBi, 70 by 10 degrees, 25 and 20 dB (defaults in the way of TR 36.814).

    It stands for a whole panel, where elements and beams are not modelled. 15 degrees of downtilt suit an inter-site
    distance of 500 m.
    """
    return Parabolic(14.0, 70.0, 10.0, 25.0, 20.0, downtilt_deg)


def sector_gains_dbi(
    antenna: Antenna,
    azimuth_deg: ArrayLike,
    zenith_deg: ArrayLike,
    boresight_deg: ArrayLike = SECTOR_BORESIGHTS_DEG,
) -> FloatArray:
    """Return the gain of every sector of a site towards directions, (..., sectors) dBi.

    Parameters
    ----------
    antenna
        The antenna of each sector.
    azimuth_deg, zenith_deg
        Directions as seen from the site, degrees; they broadcast to (...).
    boresight_deg
        Azimuths that the sectors face, (sectors,) degrees.
    """
    relative_deg = np.asarray(azimuth_deg, dtype=np.float64)[..., None] - np.asarray(boresight_deg)
    return antenna.gain_dbi(relative_deg, np.asarray(zenith_deg, dtype=np.float64)[..., None])


def direction_deg(east_m: FloatLike, north_m: FloatLike, up_m: FloatLike) -> tuple[FloatArray, FloatArray]:
    """Return azimuth in (-180, 180] and zenith angle in [0, 180], degrees, of something displaced by this much.

    For a terminal seen from its base station ``up_m`` is h_UT - h_BS, so that the zenith angle exceeds 90 degrees.
    Arrays broadcast; right above or below, the azimuth is 0.
    """
    azimuth = np.rad2deg(np.arctan2(north_m, east_m))
    zenith = np.rad2deg(np.arctan2(np.hypot(east_m, north_m), up_m))
    return np.asarray(azimuth), np.asarray(zenith)


def wrapped_deg(angle_deg: FloatLike) -> FloatArray:
    """Return the same direction as an angle in [-180, 180) degrees."""
    return np.asarray((np.asarray(angle_deg) + 180.0) % 360.0 - 180.0)
