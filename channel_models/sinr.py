"""Link budget and signal-to-interference-plus-noise ratio of terminals in a network of cells."""

import numpy as np

from channel_models.units import FloatArray, FloatLike


def received_power_dbm(
    tx_power_dbm: FloatLike,
    path_loss_db: FloatLike,
    antenna_gain_db: FloatLike = 0.0,
    shadowing_db: FloatLike = 0.0,
    other_loss_db: FloatLike = 0.0,
) -> FloatArray:
    """Return received power in dBm: transmit power + antenna gains - path loss - shadowing - other losses.

    All arguments broadcast. Shadowing counts as a loss: a positive draw weakens the link. ``antenna_gain_db`` is
    the sum of both ends.
    """
    gains = np.asarray(tx_power_dbm, dtype=np.float64) + antenna_gain_db
    return np.asarray(gains - path_loss_db - shadowing_db - other_loss_db)


def downlink_sinr(
    tx_power_w: FloatLike,
    serving_gain: FloatLike,
    neighbour_gain: FloatLike,
    noise_w: FloatLike,
    activity: float,
) -> FloatArray:
    """Return the linear SINR P g / (N + a P G) of terminals whose sites all transmit with the same power.

    The neighbours' sum is kept apart from the wanted signal, so weak interference stays exact beside it. Arrays
    broadcast.

    Parameters
    ----------
    tx_power_w
        Transmit power P of every site, watts.
    serving_gain
        Linear power gain g from the site that serves the terminal; it is always taken as transmitting.
    neighbour_gain
        Sum G of the linear power gains from all other sites.
    noise_w
        Noise power N, watts, > 0.
    activity
        Share a of time and band in which an interfering site transmits, in [0, 1]. 0 is the noise-limited network,
        1 the full-buffer one.

    Raises
    ------
    ValueError
        If the activity is outside [0, 1].
    """
    if not 0.0 <= activity <= 1.0:
        raise ValueError(f"activity must lie in [0, 1], got {activity:g}")
    wanted_w = np.asarray(serving_gain, dtype=np.float64) * tx_power_w
    interference_w = np.asarray(neighbour_gain, dtype=np.float64) * tx_power_w * activity
    return np.asarray(wanted_w / (noise_w + interference_w))
