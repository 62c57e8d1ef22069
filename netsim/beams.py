"""Pencil beams: analog arrays at both ends of every link, which split over a wide band.

The beam of phase shifters points where it should at the carrier alone; the edges of the band see less of it. A link
then carries the mean over sub-bands, and counts as one with the SNR at which a flat band would carry as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channel_models.antennas import SECTOR_BORESIGHTS_DEG
from channel_models.terahertz import split_beam_gain, sub_band_centres_hz
from netsim.deployment import Deployment
from netsim.link_tables import LinkTables
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TERMINAL_PANELS = 4
"""A terminal has as many arrays, each for its part of all directions, and is turned at random."""


@dataclass(frozen=True, eq=False)
class Beams:
    """What the beams of all serving links do to their signals.

    Attributes:
        gain: linear gain of both arrays in the middle of the band, over single antennas.
        uplink, downlink: (terminals, sub-bands) what is left of it in each part of the band.
    """

    gain: float
    uplink: FloatArray
    downlink: FloatArray


def make_beams(network: Network, deployment: Deployment, streams: Streams) -> Beams | None:
    """Return the beams of all serving links, None unless the environment is THz.

    A site has arrays facing 30, 150 and 270 degrees and uses the one that a terminal is in front of.
    """
    if network.layout.environment != "THz":
        return None
    arrays, fc_hz = network.propagation.terahertz, network.propagation.carrier_frequency_hz
    offset_m = deployment.terminal_xy_m - deployment.site_xy_m[deployment.serving]
    azimuth_deg = np.rad2deg(np.arctan2(offset_m[:, 1], offset_m[:, 0]))
    off_site_deg = _off_nearest(azimuth_deg, np.array(SECTOR_BORESIGHTS_DEG, np.float64))
    turn_deg = 360.0 * streams.uniform("terminal orientation", deployment.entity)
    panels_deg = np.linspace(0.0, 360.0, TERMINAL_PANELS, endpoint=False)
    off_terminal_deg = _off_nearest(turn_deg, panels_deg)

    def left(bandwidth_hz: float) -> FloatArray:
        f_hz = sub_band_centres_hz(fc_hz, bandwidth_hz, arrays.sub_bands)
        site, terminal = arrays.base_station_antennas, arrays.terminal_antennas
        of_site = split_beam_gain(f_hz, fc_hz, off_site_deg[:, None], site, arrays.true_time_delays)
        return of_site * split_beam_gain(f_hz, fc_hz, off_terminal_deg[:, None], terminal) / (site * terminal)

    gain = float(arrays.base_station_antennas * arrays.terminal_antennas)
    return Beams(gain, left(network.uplink.bandwidth_hz), left(network.downlink.bandwidth_hz))


def _off_nearest(angle_deg: FloatArray, facing_deg: FloatArray) -> FloatArray:
    """(n,) angles to whichever of the directions ``facing_deg`` is nearest, degrees."""
    off_deg = (angle_deg[:, None] - facing_deg + 180.0) % 360.0 - 180.0
    return np.asarray(np.take_along_axis(off_deg, np.abs(off_deg).argmin(axis=1)[:, None], axis=1)[:, 0])


def flat_snr(tables: LinkTables, fading: IntArray, left: FloatArray, snr: FloatArray) -> FloatArray:
    """Return the linear SNRs at which flat bands carry what split ones do.

    Args:
        tables: spectral efficiency by row of ``fading``.
        fading: (n,) which table holds.
        left: (n, sub-bands) share of the SNR in each part of the band.
        snr: (n,) in the middle of the band.
    """
    flat = np.empty_like(snr)
    for row in np.unique(fading).tolist():
        of_row, table = np.flatnonzero(fading == row), tables[row]
        carried = table(snr[of_row, None] * left[of_row]).mean(axis=1)
        inverse = np.interp(carried, table.efficiency_grid, table.snr_grid)
        flat[of_row] = np.where(carried > 0.0, np.minimum(inverse, snr[of_row]), 0.0)
    return flat
