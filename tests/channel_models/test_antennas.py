"""Antenna patterns: their widths, floors, symmetry and tilt, and the directions they are read at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.antennas import (
    SECTOR_BORESIGHTS_DEG,
    Antenna,
    Omni,
    Parabolic,
    array_element,
    direction_deg,
    handheld,
    macro_sector,
    sector_gains_dbi,
    wrapped_deg,
)
from channel_models.units import db_to_linear

PATTERNS = [array_element(), array_element(12.0), handheld(), macro_sector()]


@pytest.mark.parametrize("pattern", PATTERNS, ids=repr)
def test_half_the_width_off_boresight_costs_three_decibels_in_either_plane(pattern: Parabolic) -> None:
    down = 90.0 + pattern.downtilt_deg
    assert pattern.gain_dbi(0.0, down) == pattern.max_gain_dbi
    for sign in (-0.5, 0.5):
        aside = pattern.gain_dbi(sign * pattern.azimuth_width_deg, down)
        above = pattern.gain_dbi(0.0, down + sign * pattern.zenith_width_deg)
        assert aside == above == pytest.approx(pattern.max_gain_dbi - 3.0)


@pytest.mark.parametrize(
    ("pattern", "behind_dbi", "up_dbi"),
    [
        (array_element(), -22.0, 8.0 - 12.0 * (90.0 / 65.0) ** 2),
        (handheld(), -17.2, 5.3 - 12.0 * (90.0 / 125.0) ** 2),
        (macro_sector(), -11.0, -6.0),
    ],
)
def test_behind_and_above_the_gain_ends_at_the_floor(pattern: Parabolic, behind_dbi: float, up_dbi: float) -> None:
    assert pattern.gain_dbi(180.0, 90.0 + pattern.downtilt_deg) == pytest.approx(behind_dbi)
    assert pattern.gain_dbi(0.0, 0.0) == pytest.approx(up_dbi)


@given(st.sampled_from(PATTERNS), st.floats(-720.0, 720.0), st.floats(0.0, 180.0))
def test_no_direction_exceeds_boresight_or_falls_below_the_floor(
    pattern: Parabolic, azimuth: float, zenith: float
) -> None:
    gain = float(pattern.gain_dbi(azimuth, zenith))
    assert pattern.max_gain_dbi - pattern.azimuth_floor_db <= gain <= pattern.max_gain_dbi
    assert gain == pytest.approx(float(pattern.gain_dbi(-azimuth, zenith)))
    assert gain == pytest.approx(float(pattern.gain_dbi(azimuth + 360.0, zenith)))


def test_the_element_is_the_tables_formula_off_both_axes() -> None:
    expected = 8.0 - 12.0 * (20.0 / 65.0) ** 2 - 12.0 * (30.0 / 65.0) ** 2
    assert array_element().gain_dbi(20.0, 120.0) == pytest.approx(expected)


@pytest.mark.parametrize("pattern", PATTERNS, ids=repr)
def test_no_pattern_radiates_more_than_it_is_fed_nor_less_than_half_of_it(pattern: Parabolic) -> None:
    zenith_deg, azimuth_deg = np.arange(0.5, 180.0)[:, None], np.arange(-179.5, 180.0)
    gain = db_to_linear(pattern.gain_dbi(azimuth_deg, zenith_deg))
    area = np.broadcast_to(np.sin(np.deg2rad(zenith_deg)), gain.shape)
    assert 0.5 < np.average(gain, weights=area) <= 1.0


def test_an_omnidirectional_antenna_favours_nobody() -> None:
    assert Omni(5.0).gain_dbi(np.arange(3.0), np.zeros((2, 1))).tolist() == [[5.0] * 3] * 2


@pytest.mark.parametrize("antenna", [array_element(), macro_sector(6.0)])
def test_each_sector_serves_its_own_third_of_the_circle(antenna: Antenna) -> None:
    azimuth = np.arange(0.5, 360.0)
    gains = sector_gains_dbi(antenna, azimuth, 95.0)
    assert gains.shape == (360, 3)
    nearest = np.argmin(np.abs(wrapped_deg(azimuth[:, None] - np.array(SECTOR_BORESIGHTS_DEG))), axis=1)
    best = gains.max(axis=1)
    np.testing.assert_array_equal(best, gains[np.arange(360), nearest])
    # Turning the site by a third of a turn changes nothing but the sectors' names.
    np.testing.assert_allclose(np.sort(gains, axis=1), np.sort(np.roll(gains, 120, axis=0), axis=1))


def test_tilt_points_the_lobe_at_the_ground_where_geometry_says() -> None:
    azimuth, zenith = direction_deg(0.0, 23.5 / np.tan(np.deg2rad(15.0)), 1.5 - 25.0)
    assert (float(azimuth), float(zenith)) == pytest.approx((90.0, 105.0))
    assert macro_sector(15.0).gain_dbi(0.0, zenith) == pytest.approx(14.0)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-50.0, 50.0).filter(lambda up: abs(up) > 0.1))
def test_directions_lead_back_to_where_they_point(east: float, north: float, up: float) -> None:
    azimuth, zenith = np.deg2rad(direction_deg(east, north, up))
    distance = np.sqrt(east**2 + north**2 + up**2)
    there = distance * np.array([np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)])
    np.testing.assert_allclose(there, [east, north, up], atol=1e-9)


def test_wrapped_angles_lie_within_half_a_turn() -> None:
    assert wrapped_deg(np.array([-180.0, 180.0, 190.0, 540.0, -10.0])).tolist() == [
        -180.0,
        -180.0,
        -170.0,
        -180.0,
        -10.0,
    ]
