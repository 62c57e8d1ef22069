"""Link budgets and interference between cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.sinr import downlink_sinr, received_power_dbm

GAIN = np.array([[1e-9, 2e-10, 5e-12], [3e-11, 8e-10, 1e-10], [4e-12, 6e-12, 7e-12]])
SERVING = np.array([0, 1, 2])
NOISE_W = 1e-13


def test_gains_add_and_losses_subtract() -> None:
    assert received_power_dbm(46.0, 120.0) == -74.0
    budget = received_power_dbm(23.0, np.array([100.0, 110.0]), 8.0, np.array([-4.0, 6.0]), 2.0)
    np.testing.assert_allclose(budget, [-67.0, -87.0])


def test_sinr_is_the_ratio_summed_by_hand() -> None:
    sinr = downlink_sinr(20.0, GAIN, SERVING, NOISE_W, 0.5)
    by_hand = [
        20 * 1e-9 / (1e-13 + 0.5 * 20 * (2e-10 + 5e-12)),
        20 * 8e-10 / (1e-13 + 0.5 * 20 * (3e-11 + 1e-10)),
        20 * 7e-12 / (1e-13 + 0.5 * 20 * (4e-12 + 6e-12)),
    ]
    np.testing.assert_allclose(sinr, by_hand, rtol=1e-14)


def test_sites_may_differ_in_power_and_activity_and_terminals_in_noise() -> None:
    power_w, activity = np.array([20.0, 5.0, 0.1]), np.array([1.0, 0.2, 0.0])
    noise_w = np.array([1e-13, 2e-13, 3e-13])
    sinr = downlink_sinr(power_w, GAIN, np.array([1, 0, 2]), noise_w, activity)
    by_hand = [
        5 * 2e-10 / (1e-13 + 20 * 1e-9),
        20 * 3e-11 / (2e-13 + 0.2 * 5 * 8e-10),
        0.1 * 7e-12 / (3e-13 + 20 * 4e-12 + 0.2 * 5 * 6e-12),
    ]
    np.testing.assert_allclose(sinr, by_hand, rtol=1e-14)


def test_silent_neighbours_leave_only_noise() -> None:
    expected = 20.0 * GAIN[np.arange(3), SERVING] / NOISE_W
    np.testing.assert_allclose(downlink_sinr(20.0, GAIN, SERVING, NOISE_W, 0.0), expected, rtol=1e-15)


def test_weak_interference_survives_beside_a_strong_signal() -> None:
    gain = np.array([[1.0, 1e-18]])
    assert downlink_sinr(1.0, gain, np.array([0]), 1e-30, 1.0)[0] == pytest.approx(1e18, rel=1e-9)


def test_terminals_at_equal_gain_from_all_sites_share_the_classic_limit() -> None:
    sinr = downlink_sinr(10.0, np.full((4, 7), 1e-8), np.arange(4), 1e-30, 1.0)
    np.testing.assert_allclose(sinr, 1.0 / 6.0)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.01, 100.0))
def test_sinr_falls_with_activity_and_power_helps_everyone_only_against_noise(a: float, b: float, p: float) -> None:
    quiet, busy = sorted((a, b))
    at_quiet = downlink_sinr(p, GAIN, SERVING, NOISE_W, quiet)
    at_busy = downlink_sinr(p, GAIN, SERVING, NOISE_W, busy)
    assert np.all(at_busy <= at_quiet)
    assert np.all(downlink_sinr(2.0 * p, GAIN, SERVING, 2.0 * NOISE_W, busy) == pytest.approx(at_busy, rel=1e-12))


def test_the_gain_matrix_of_the_caller_stays_as_it_was() -> None:
    gain = GAIN.copy()
    downlink_sinr(1.0, gain, SERVING, NOISE_W, 1.0)
    np.testing.assert_array_equal(gain, GAIN)


@pytest.mark.parametrize("activity", [-0.1, 1.1, np.nan])
def test_activities_outside_zero_to_one_are_refused(activity: float) -> None:
    with pytest.raises(ValueError, match="activity must lie in"):
        downlink_sinr(1.0, GAIN, SERVING, NOISE_W, activity)


def test_a_serving_site_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="one of 3 sites"):
        downlink_sinr(1.0, GAIN, np.array([0, 1, -1]), NOISE_W, 1.0)
