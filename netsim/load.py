"""Interference that follows from a load: every terminal asks for so many bit/s, and cells are as busy as that takes.

Busy cells disturb each other, which keeps them busy for longer; where that settles is worked out once, before a run,
and holds all the time. Both directions count time in which a terminal has the whole band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from channel_models.load_coupling import StrongestCells, settle_loads
from channel_models.units import dbm_to_watt, thermal_noise_dbm
from netsim.radio import Radio

FloatArray = NDArray[np.float64]
_SWEEPS = 1000
_UNDAMPED = 100  # overloaded cells may make the noise swing
_SETTLED = 1e-12  # relative change of the noise at every site in the last sweep


def with_load(radio: Radio, near: StrongestCells) -> Radio:
    """Return the same links under the interference of the load that the scenario says terminals offer.

    Who is out of coverage even when nobody interferes asks for nothing.

    Args:
        radio: links, whatever their interference.
        near: links of every terminal to its site and to others.
    """
    demand_bps = np.where(_alone(radio).reachable, radio.network.interference.offered_load_bps, 0.0)
    loaded = radio.copy(
        neighbour_gain=near.downlink_interference_w(downlink_activity(radio, near, demand_bps)),  # at 1 W a site
        neighbour_activity=1.0,
        uplink_noise_w=uplink_noise_w(radio, near, demand_bps)[near.cell[:, 0]],
    )
    loaded.refresh(slice(None))
    return loaded


def downlink_activity(radio: Radio, near: StrongestCells, demand_bps: FloatArray) -> FloatArray:
    """Return the share of its time that each site transmits, (sites,); 1 if even that does not suffice.

    Args:
        radio, near: links.
        demand_bps: (terminals,) what terminals ask for.
    """
    down = radio.network.downlink
    noise_w = dbm_to_watt(thermal_noise_dbm(down.bandwidth_hz, down.noise_figure_db))
    power_w, band_hz = dbm_to_watt(down.tx_power_dbm), down.bandwidth_hz * down.duty
    return settle_loads(near, demand_bps, power_w, noise_w, band_hz, radio.downlink_law).activity


def uplink_noise_w(radio: Radio, near: StrongestCells, demand_bps: FloatArray) -> FloatArray:
    """Return noise and interference at each site, (sites,) watts.

    Terminal j transmits a_j = D_j / (B SE_j) of the time, and site c receives the sum of a_j P_j G_jc from the other
    cells. As long as no cell is overloaded this is a standard interference function: one fixed point, which grows with
    the demand and which sweeps from thermal noise reach from below. Terminals of an overloaded cell get time in
    proportion to what they need.

    Args:
        radio, near: links.
        demand_bps: (terminals,) what terminals ask for.

    Raises:
        RuntimeError: the sweeps do not settle.
    """
    up, serving = radio.network.uplink, near.cell[:, 0]
    thermal_w = float(dbm_to_watt(thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db)))
    received_w, noise_w = radio.tx_power_w * radio.serving_gain, np.full(near.cells, thermal_w)
    for sweep in range(_SWEEPS):
        rate_bps = up.bandwidth_hz * up.duty * radio.uplink_law(received_w / noise_w[serving])
        slowest_bps = 1e-9 * up.bandwidth_hz  # whom interference silences is on the air all the time
        share = demand_bps / np.maximum(rate_bps, slowest_bps)
        share /= np.maximum(np.bincount(serving, share, near.cells), 1.0)[serving]
        settled_w = thermal_w + near.uplink_interference_w(share * radio.tx_power_w)
        if np.all(np.abs(settled_w - noise_w) <= _SETTLED * noise_w):
            return noise_w
        noise_w = settled_w if sweep < _UNDAMPED else 0.5 * (noise_w + settled_w)
    raise RuntimeError(f"the interference between uplinks still moves after {_SWEEPS} sweeps")


def _alone(radio: Radio) -> Radio:
    """Return the links without any interference."""
    up = radio.network.uplink
    thermal_w = dbm_to_watt(thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db))
    alone = radio.copy(neighbour_activity=0.0, uplink_noise_w=np.full_like(radio.uplink_noise_w, thermal_w))
    alone.refresh(slice(None))
    return alone
