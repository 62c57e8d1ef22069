"""Terahertz links: absorption at its table, beams that split where theory says, blocked paths by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.link_adaptation import ShannonGap
from channel_models.path_loss_generic import free_space_db
from channel_models.terahertz import (
    ABSORPTION_DB_PER_KM,
    ABSORPTION_FC_HZ,
    absorption_db_per_km,
    absorption_noise_k,
    absorption_per_m,
    blockage_probability,
    first_null_offset_hz,
    half_power_offset_hz,
    path_loss_db,
    split_beam_gain,
    sub_band_centres_hz,
    sub_band_rate_bit_s,
)

SHANNON = ShannonGap(0.0, np.inf, -np.inf)


def test_absorption_passes_through_its_table_and_halfway_through_the_geometric_mean() -> None:
    np.testing.assert_allclose(absorption_db_per_km(ABSORPTION_FC_HZ), ABSORPTION_DB_PER_KM)
    assert absorption_db_per_km(290e9) == pytest.approx(np.sqrt(4.12 * 5.25))


@given(st.floats(1.0, 500.0), st.sampled_from([140e9, 300e9, 380e9]))
def test_loss_beyond_spreading_is_beer_lamberts(distance_m: float, fc_hz: float) -> None:
    excess_db = float(path_loss_db(distance_m, fc_hz) - free_space_db(distance_m, fc_hz))
    left = np.exp(-absorption_per_m(fc_hz) * distance_m)
    assert excess_db == pytest.approx(-10.0 * np.log10(left), rel=1e-7, abs=1e-10)


def test_absorption_below_300_ghz_and_100_metres_is_half_a_decibel_beside_110_of_spreading() -> None:
    fc_hz = np.array([100e9, 140e9, 220e9, 280e9, 300e9])
    absorbed_db = path_loss_db(100.0, fc_hz) - free_space_db(100.0, fc_hz)
    assert np.all(absorbed_db < 0.53)
    assert np.all(free_space_db(100.0, fc_hz) > 110.0)


def test_the_coefficient_is_the_decibels_over_4343() -> None:
    assert absorption_per_m(380e9) == pytest.approx(298.0 / 4343.0, rel=1e-4)


def test_absorbing_air_is_as_warm_as_what_it_absorbs() -> None:
    assert absorption_noise_k(0.0, 300e9) == 0.0
    assert absorption_noise_k(1e6, 380e9, 300.0) == pytest.approx(300.0)
    half_m = np.log(2.0) / absorption_per_m(380e9)
    assert absorption_noise_k(half_m, 380e9, 300.0) == pytest.approx(150.0)


@pytest.mark.parametrize(("antennas", "delays"), [(64, 1), (256, 1), (256, 8)])
@pytest.mark.parametrize("steering_deg", [20.0, -60.0])
def test_a_beam_is_halved_and_lost_where_its_closed_forms_say(antennas: int, delays: int, steering_deg: float) -> None:
    fc_hz = 300e9
    half_hz = half_power_offset_hz(fc_hz, steering_deg, antennas, delays)
    null_hz = first_null_offset_hz(fc_hz, steering_deg, antennas, delays)
    for sign in (-1.0, 1.0):
        gain = split_beam_gain(fc_hz + sign * half_hz, fc_hz, steering_deg, antennas, delays)
        assert gain == pytest.approx(antennas / 2.0, rel=2e-3)
        lost = split_beam_gain(fc_hz + sign * null_hz, fc_hz, steering_deg, antennas, delays)
        assert lost == pytest.approx(0.0, abs=1e-18 * antennas**2)
        inside_hz = fc_hz + sign * np.linspace(0.0, 1.0, 200) * null_hz
        inside = split_beam_gain(inside_hz, fc_hz, steering_deg, antennas, delays)
        assert np.all(np.diff(inside) < 0.0)


def test_the_gain_is_that_of_the_array_summed_antenna_by_antenna() -> None:
    fc_hz, antennas, delays, angle = 140e9, 48, 6, np.deg2rad(35.0)
    f_hz = np.linspace(130e9, 150e9, 101)
    n = np.arange(antennas)[:, None]
    group_start = n - n % (antennas // delays)
    arrives = np.pi * n * np.sin(angle) * f_hz / fc_hz
    # A delay follows the frequency; the phase shifters within a group are set for the carrier.
    set_to = np.pi * group_start * np.sin(angle) * f_hz / fc_hz + np.pi * (n - group_start) * np.sin(angle)
    summed = np.abs(np.exp(1j * (arrives - set_to)).sum(axis=0)) ** 2 / antennas
    np.testing.assert_allclose(split_beam_gain(f_hz, fc_hz, 35.0, antennas, delays), summed, atol=1e-9)


def test_broadside_beams_and_fully_delayed_arrays_do_not_split() -> None:
    f_hz = np.linspace(270e9, 330e9, 7)
    np.testing.assert_allclose(split_beam_gain(f_hz, 300e9, 0.0, 128), 128.0)
    np.testing.assert_allclose(split_beam_gain(f_hz, 300e9, 50.0, 128, 128), 128.0)


def test_the_rate_of_sub_bands_is_shannons_of_the_band_when_nothing_varies_over_it() -> None:
    f_hz = np.full(16, 140e9)
    rate = sub_band_rate_bit_s([10.0, 50.0], f_hz, 1e8, 0.1 / 16, 1e4, 4e-20, SHANNON.spectral_efficiency)
    snr = 0.1 * 1e4 * 10.0 ** (-path_loss_db(np.array([10.0, 50.0]), 140e9) / 10.0) / (4e-20 * 1.6e9)
    np.testing.assert_allclose(rate, 1.6e9 * np.log2(1.0 + snr))


def test_a_split_beam_costs_rate_and_delays_win_it_back() -> None:
    fc_hz, antennas = 300e9, 256
    f_hz = sub_band_centres_hz(fc_hz, 10e9, 16)
    assert f_hz.mean() == pytest.approx(fc_hz)
    assert np.ptp(f_hz) == pytest.approx(10e9 * 15.0 / 16.0)
    rates = []
    for delays in (1, 4, 16, 256):
        gain = split_beam_gain(f_hz, fc_hz, 45.0, antennas, delays) * 100.0
        rates.append(float(sub_band_rate_bit_s(20.0, f_hz, 10e9 / 16, 1e-3, gain, 4e-20, SHANNON.spectral_efficiency)))
    assert rates == sorted(rates)
    assert rates[0] < 0.8 * rates[-1]
    assert rates[2] > 0.98 * rates[-1]


def test_paths_are_cut_as_often_as_when_bodies_are_scattered() -> None:
    rng = np.random.default_rng(3)
    density, radius, h_bs, h_ut, height, d2d = 0.05, 0.3, 3.0, 1.0, 1.7, 20.0
    exposed = d2d * (height - h_ut) / (h_bs - h_ut)
    cut = 0
    for _ in range(20_000):
        east = rng.uniform(-2.0, d2d + 2.0, rng.poisson(density * (d2d + 4.0) * 4.0))
        north = rng.uniform(-2.0, 2.0, east.size)
        # The law counts a rectangle around the exposed stretch, half a radius longer at either end.
        cut += bool(np.any((np.abs(north) < radius) & (east > -radius / 2.0) & (east < exposed + radius / 2.0)))
    assert cut / 20_000 == pytest.approx(
        float(blockage_probability(d2d, density, h_bs, h_ut, radius, height)), abs=4.0 * 0.5 / np.sqrt(20_000)
    )


def test_nobody_in_the_way_blocks_nothing() -> None:
    assert blockage_probability(50.0, 0.0, 10.0, 1.5) == 0.0
    assert blockage_probability(50.0, 1.0, 10.0, 2.0, blocker_height_m=1.7) == 0.0
    distance_m = np.linspace(0.0, 100.0, 50)
    assert np.all(np.diff(blockage_probability(distance_m, 0.1, 10.0, 1.5)) > 0.0)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="3 delays and 64 antennas"):
        split_beam_gain(300e9, 300e9, 30.0, 64, 3)
    with pytest.raises(ValueError, match="above the terminal"):
        blockage_probability(10.0, 0.1, 1.5, 1.5)
