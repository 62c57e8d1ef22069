"""Link budgets and interference between cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.sinr import downlink_sinr, received_power_dbm

SERVING_GAIN = np.array([1e-9, 8e-10, 7e-12])
NEIGHBOUR_GAIN = np.array([2e-10 + 5e-12, 3e-11 + 1e-10, 4e-12 + 6e-12])
NOISE_W = 1e-13


def test_gains_add_and_losses_subtract() -> None:
    assert received_power_dbm(46.0, 120.0) == -74.0
    budget = received_power_dbm(23.0, np.array([100.0, 110.0]), 8.0, np.array([-4.0, 6.0]), 2.0)
    np.testing.assert_allclose(budget, [-67.0, -87.0])


def test_sinr_is_the_ratio_worked_out_by_hand() -> None:
    sinr = downlink_sinr(20.0, SERVING_GAIN, NEIGHBOUR_GAIN, NOISE_W, 0.5)
    by_hand = [
        20 * 1e-9 / (1e-13 + 0.5 * 20 * (2e-10 + 5e-12)),
        20 * 8e-10 / (1e-13 + 0.5 * 20 * (3e-11 + 1e-10)),
        20 * 7e-12 / (1e-13 + 0.5 * 20 * (4e-12 + 6e-12)),
    ]
    np.testing.assert_allclose(sinr, by_hand, rtol=1e-14)


def test_terminals_may_differ_in_noise() -> None:
    noise_w = np.array([1e-13, 2e-13, 3e-13])
    together = downlink_sinr(20.0, SERVING_GAIN, NEIGHBOUR_GAIN, noise_w, 0.2)
    for i in range(3):
        alone = downlink_sinr(20.0, SERVING_GAIN[i], NEIGHBOUR_GAIN[i], noise_w[i], 0.2)
        assert together[i] == alone


def test_silent_neighbours_leave_only_noise() -> None:
    sinr = downlink_sinr(20.0, SERVING_GAIN, NEIGHBOUR_GAIN, NOISE_W, 0.0)
    np.testing.assert_allclose(sinr, 20.0 * SERVING_GAIN / NOISE_W, rtol=1e-15)


def test_weak_interference_survives_beside_a_strong_signal() -> None:
    assert downlink_sinr(1.0, 1.0, 1e-18, 1e-30, 1.0) == pytest.approx(1e18, rel=1e-9)


def test_equal_gain_from_all_seven_sites_leaves_the_classic_limit() -> None:
    np.testing.assert_allclose(downlink_sinr(10.0, np.full(4, 1e-8), np.full(4, 6e-8), 1e-30, 1.0), 1.0 / 6.0)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.01, 100.0))
def test_sinr_falls_with_activity_and_power_helps_everyone_only_against_noise(a: float, b: float, p: float) -> None:
    quiet, busy = sorted((a, b))
    at_quiet = downlink_sinr(p, SERVING_GAIN, NEIGHBOUR_GAIN, NOISE_W, quiet)
    at_busy = downlink_sinr(p, SERVING_GAIN, NEIGHBOUR_GAIN, NOISE_W, busy)
    assert np.all(at_busy <= at_quiet)
    louder = downlink_sinr(2.0 * p, SERVING_GAIN, NEIGHBOUR_GAIN, 2.0 * NOISE_W, busy)
    assert np.all(louder == pytest.approx(at_busy, rel=1e-12))


@pytest.mark.parametrize("activity", [-0.1, 1.1, np.nan])
def test_activities_outside_zero_to_one_are_refused(activity: float) -> None:
    with pytest.raises(ValueError, match="activity must lie in"):
        downlink_sinr(1.0, SERVING_GAIN, NEIGHBOUR_GAIN, NOISE_W, activity)
