"""Link budget and signal-to-interference-plus-noise ratio of terminals in a network of cells."""

import numpy as np
from numpy.typing import NDArray

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
    gain: FloatArray,
    serving: NDArray[np.intp],
    noise_w: FloatLike,
    activity: FloatLike,
) -> FloatArray:
    """Return the linear SINR P g_s / (N + sum over other sites of a P g_c) of each terminal.

    Parameters
    ----------
    tx_power_w
        Transmit power P of the sites, scalar or (sites,), watts.
    gain
        Linear power gain from each site to each terminal, (terminals, sites).
    serving
        Index of the site that serves each terminal, (terminals,).
    noise_w
        Noise power N, scalar or (terminals,), watts, > 0.
    activity
        Share a of time and band in which an interfering site transmits, in [0, 1], scalar or (sites,). 0 is the
        noise-limited network, 1 the full-buffer one. A terminal's own site is always taken as transmitting.

    Returns
    -------
    (terminals,) float64.

    Raises
    ------
    ValueError
        If an activity is outside [0, 1] or a serving index is not a site.
    """
    received_w = np.asarray(gain, dtype=np.float64) * tx_power_w
    terminals, sites = received_w.shape
    share = np.broadcast_to(np.asarray(activity, dtype=np.float64), (sites,))
    if not np.all((share >= 0.0) & (share <= 1.0)):
        raise ValueError(f"activity must lie in [0, 1], got [{share.min():g}, {share.max():g}]")
    chosen = np.asarray(serving)
    if np.any((chosen < 0) | (chosen >= sites)):
        raise ValueError(f"serving must index one of {sites} sites, got [{chosen.min()}, {chosen.max()}]")
    rows = np.arange(terminals)
    wanted_w = received_w[rows, chosen]
    # Zeroing the wanted signal, rather than subtracting it from a total, keeps weak interference exact beside it.
    received_w[rows, chosen] = 0.0
    return np.asarray(wanted_w / (noise_w + received_w @ share))
