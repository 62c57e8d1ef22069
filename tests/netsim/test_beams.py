"""Pencil beams: what splitting costs a wide band, and that a link counts as a flat one that carries as much."""

from dataclasses import replace

import numpy as np
import pytest

from channel_models.units import dbm_to_watt, thermal_noise_dbm
from netsim.beams import flat_snr, make_beams
from netsim.deployment import deploy
from netsim.link_tables import uplink_tables
from netsim.radio import Radio, link_budget
from scenarios.network import Network
from scenarios.streams import Streams

SERVING = np.repeat(np.arange(3), 40)


def network(bandwidth_hz: float = 10e9, **terahertz: float) -> Network:
    band = {"bandwidth_hz": bandwidth_hz, "interference_margin_db": 0.0, "share": "tdma"}
    return Network.model_validate(
        {
            "layout": {"environment": "THz"},
            "propagation": {
                "carrier_frequency_hz": 300e9,
                "fading": "none",
                "base_station_antenna_gain_dbi": 0.0,
                "terahertz": terahertz,
            },
            "link": {"model": "shannon", "shannon_gap_db": 0.0, "max_bit_s_hz": 40.0, "min_sinr_db": -300.0},
            "uplink": band,
            "downlink": {"bandwidth_hz": bandwidth_hz, "tx_power_dbm": 20.0},
        }
    )


def links(where: Network) -> Radio:
    return link_budget(where, deploy(where, SERVING, 3, Streams(1)), np.full(len(SERVING), 10.0), Streams(1))


def test_a_narrow_band_sees_the_whole_gain_of_both_arrays() -> None:
    where = network(1e6, base_station_antennas=64, terminal_antennas=8)
    radio, deployment = links(where), deploy(where, SERVING, 3, Streams(1))
    noise_w = dbm_to_watt(thermal_noise_dbm(1e6, 5.0))
    plain = dbm_to_watt(10.0) * deployment.serving_gain / noise_w
    np.testing.assert_allclose(radio.uplink_snr, 64 * 8 * plain, rtol=2e-3)


def test_a_wide_band_loses_to_the_split_and_true_delays_win_it_back() -> None:
    split, mended, whole = (
        links(network(30e9, base_station_antennas=256, terminal_antennas=1, true_time_delays=delays)).uplink_snr
        for delays in (1, 16, 256)
    )
    assert np.all(split <= mended * (1 + 1e-9)) and np.all(mended <= whole * (1 + 1e-9))
    assert np.median(split / whole) < 0.5
    assert np.median(mended / whole) > 0.9


def test_the_flat_band_carries_the_mean_over_the_sub_bands() -> None:
    where = network(20e9)
    radio = links(where)
    beams = make_beams(where, deploy(where, SERVING, 3, Streams(1)), Streams(1))
    assert beams is not None and beams.uplink.shape == (len(SERVING), 16)
    assert beams.uplink.max() <= 1.0 + 1e-12
    middle = replace(radio, beams=None).copy()
    middle.refresh(slice(None))
    carried = np.log2(1.0 + middle.uplink_snr[:, None] * beams.uplink).mean(axis=1)
    np.testing.assert_allclose(radio.uplink_efficiency, 0.86 * carried, rtol=1e-3)


def test_a_flat_beam_changes_nothing_and_a_silent_one_carries_nothing() -> None:
    tables, fading = uplink_tables(network()), np.zeros(3, np.int64)
    snr = np.array([0.5, 3.0, 40.0])
    np.testing.assert_allclose(flat_snr(tables, fading, np.ones((3, 8)), snr), snr, rtol=1e-9)
    np.testing.assert_array_equal(flat_snr(tables, fading, np.zeros((3, 8)), snr), 0.0)


def test_other_environments_have_no_beams() -> None:
    where = Network()
    assert make_beams(where, deploy(where, SERVING, 3, Streams(1)), Streams(1)) is None


def test_delays_that_do_not_divide_the_array_are_refused() -> None:
    with pytest.raises(ValueError, match="true_time_delays that divide"):
        network(1e9, base_station_antennas=10, true_time_delays=3)
