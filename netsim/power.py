"""Power that a terminal radiates: all it can, or what open-loop power control asks of it (TS 38.213, 7.1.1)."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from channel_models.power_control import LOWEST_POWER_DBM, uplink_power_dbm
from channel_models.units import dbm_to_watt, linear_to_db
from scenarios.network import Uplink

RESOURCE_BLOCK_HZ = 180e3
"""P0 is stated for twelve subcarriers of 15 kHz; wider ones make the same power for each hertz."""
LEAST_POWER_W = dbm_to_watt(LOWEST_POWER_DBM)
"""What a transmitter radiates at least."""


def wanted_power_w(uplink: Uplink, gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what power control asks for over the whole uplink band, whatever a terminal can do, watts.

    In one of n equal slices it asks for an n-th of that.

    Args:
        uplink: band and power control; without it all that a terminal can do is asked for, infinity.
        gain: linear power gain of the serving links, shadowing and antennas included.
    """
    control = uplink.power_control
    if control is None:
        return np.full_like(gain, inf)
    blocks = uplink.bandwidth_hz / RESOURCE_BLOCK_HZ
    p0_dbm, loss_db = control.p0_dbm_per_rb, -linear_to_db(gain)
    wanted_dbm = uplink_power_dbm(loss_db, blocks, p0_dbm, control.alpha, max_power_dbm=inf, min_power_dbm=-inf)
    return dbm_to_watt(wanted_dbm)
