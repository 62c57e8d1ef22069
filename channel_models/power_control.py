"""How much power a terminal sends with: fractional uplink power control (3GPP TS 38.213 clause 7.1.1)."""

import numpy as np
from numpy.typing import ArrayLike

from channel_models.units import FloatArray, FloatLike

LOWEST_POWER_DBM = -40.0
"""Minimum output power of a terminal (default)."""


def uplink_power_dbm(
    path_loss_db: FloatLike,
    resource_blocks: ArrayLike,
    p0_dbm: float,
    alpha: float,
    max_power_dbm: FloatLike = 23.0,
    numerology: int = 0,
    min_power_dbm: float = LOWEST_POWER_DBM,
    correction_db: FloatLike = 0.0,
) -> FloatArray:
    """Return transmit power in dBm: P0 + 10 log10(2^mu M_RB) + alpha PL + corrections, within the terminal's range.

    Parameters
    ----------
    path_loss_db
        Slow loss that the terminal measures, shadowing and antennas included, dB. Arrays broadcast.
    resource_blocks
        Allocated resource blocks M_RB > 0; a share of a block is allowed.
    p0_dbm
        Power aimed at in a resource block of 15 kHz subcarriers, dBm. Usual pairs with alpha are (-90 to -100, 1),
        (-80, 0.8) and (-60 to -57, 0.6).
    alpha
        Share of the loss that is made up for, in [0, 1]: 1 receives all terminals alike, 0 sends all alike. The
        standard knows 0 and 0.4 to 1 in steps of 0.1.
    max_power_dbm
        Largest power: 23 dBm (class 3), 26 dBm (class 2), 14 and 20 dBm for machines; infinity for none.
    numerology
        mu of the subcarrier spacing 15 kHz 2^mu: a wider block gets 2^mu times the power.
    min_power_dbm
        Smallest power, dBm.
    correction_db
        Closed-loop and format terms, dB.

    Raises
    ------
    ValueError
        If alpha lies outside [0, 1] or a terminal has no resource block.
    """
    blocks = np.asarray(resource_blocks, dtype=np.float64)
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha:g}")
    if not np.all(blocks > 0.0):
        raise ValueError(f"a transmission takes some resource block, got {np.min(blocks):g}")
    wanted = p0_dbm + 10.0 * np.log10(2.0**numerology * blocks) + alpha * np.asarray(path_loss_db) + correction_db
    return np.asarray(np.minimum(np.maximum(wanted, min_power_dbm), max_power_dbm))


def power_headroom_db(wanted_power_dbm: FloatLike, max_power_dbm: FloatLike) -> FloatArray:
    """Return how much more power a terminal could send than it wants to; negative where it is limited, dB.

    ``wanted_power_dbm`` is :func:`uplink_power_dbm` with an infinite ``max_power_dbm``.
    """
    return np.asarray(np.asarray(max_power_dbm) - np.asarray(wanted_power_dbm))
