"""The air between terminals: the rate of every link from device to device.

Large-scale channels are those of TR 38.901 with both antennas at the height of a terminal. Fading and link adaptation
are the uplink's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from channel_models.environment import Environment
from channel_models.units import FloatLike, db_to_linear, dbm_to_watt, thermal_noise_dbm
from netsim.link_tables import LinkTables, uplink_tables
from netsim.terrain import laws_of
from netsim.topology import Pairs
from scenarios.errors import ScenarioError
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def sidelinks(network: Network, pairs: Pairs, tx_power_w: FloatArray, streams: Streams) -> tuple[Pairs, FloatArray]:
    """Return which pairs of terminals reach each other, both ways, and all rates.

    Args:
        network: the laws between terminals.
        pairs: the terminals.
        tx_power_w: (terminals,) what each radiates, watts.
        streams: the run's randomness.

    Returns:
        The pairs, and (terminals, terminals) bit/s from one to another, 0 out of reach.

    Raises:
        ScenarioError: the laws do not cover what the scenario asks for.
    """
    side = _between_terminals(network)
    loss_db, los = _channels(side, pairs, streams)
    link, n = network.device_to_device, len(pairs.entity)
    noise_w = dbm_to_watt(thermal_noise_dbm(link.bandwidth_hz, link.noise_figure_db))
    snr = db_to_linear(2.0 * network.propagation.terminal_antenna_gain_dbi - loss_db) / noise_w
    tables, overhead = uplink_tables(side), network.link.overhead
    there, back = (_efficiency(tables, los, snr * tx_power_w[end]) * (1.0 - overhead) for end in (pairs.a, pairs.b))
    in_reach = pairs.in_reach & (np.minimum(there, back) >= network.link.outage_bit_s_hz)
    bps = np.zeros((n, n))
    bps[pairs.a, pairs.b] = np.where(in_reach, link.bandwidth_hz * there, 0.0)
    bps[pairs.b, pairs.a] = np.where(in_reach, link.bandwidth_hz * back, 0.0)
    return replace(pairs, in_reach=in_reach), bps


def _between_terminals(network: Network) -> Network:
    """Return the network as it is between terminals: another environment, and antennas at one height."""
    if network.propagation.indoor_share > 0.0:
        allowed = "0 where terminals send to each other: no walls are between them"
        raise ScenarioError("network.propagation.indoor_share", network.propagation.indoor_share, allowed)
    place = {
        "environment": network.device_to_device.environment,
        "base_station_height_m": network.layout.terminal_height_m,
    }
    layout = network.layout.model_copy(update=place)
    propagation = network.propagation.model_copy(update={"rician_k": "mean"})
    side = network.model_copy(update={"layout": layout, "propagation": propagation})
    _check(side, laws_of(side))
    return side


def _check(side: Network, laws: Environment) -> None:
    """Refuse carriers and heights that the laws were not made for."""
    asked = (
        ("propagation.carrier_frequency_hz", side.propagation.carrier_frequency_hz, laws.validity.fc_hz),
        ("layout.terminal_height_m", side.layout.terminal_height_m, laws.validity.h_ut_m),
    )
    for field, value, (low, high) in asked:
        if not low <= value <= high:
            allowed = f"{low:g} to {high:g} for device_to_device.environment {laws.name}"
            raise ScenarioError(f"network.{field}", value, allowed)


def _channels(side: Network, pairs: Pairs, streams: Streams) -> tuple[FloatArray, BoolArray]:
    """(pairs,) loss in dB, shadowing included, and line of sight; the same both ways."""
    laws, height_m = laws_of(side), side.layout.terminal_height_m
    (low, high), d_m, fc_hz = pairs.ends, pairs.distance_m, side.propagation.carrier_frequency_hz
    los = streams.uniform("sidelink sight", low, draw=high) < laws.los_probability(d_m, height_m, height_m)
    # Pairs beyond the fitted distances are out of reach in the end.
    loss_db = laws.path_loss_db(los, d_m, fc_hz, height_m, height_m, extrapolate=True)
    if not side.propagation.shadowing:
        return loss_db, los
    sigma_db = laws.shadowing_sigma_db(los, d_m, fc_hz, height_m, height_m)
    return loss_db + sigma_db * streams.normal("sidelink shadowing", low, draw=high), los


def _efficiency(tables: LinkTables, los: BoolArray, snr: FloatArray) -> FloatLike:
    """(pairs,) gross bit/s/Hz."""
    efficiency = np.empty_like(snr)
    for row in (0, 1):
        here = los == bool(row)
        if here.any():
            efficiency[here] = tables[row](snr[here])
    return efficiency
