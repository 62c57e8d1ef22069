"""Uplink power control: the standard's line, its limits, and what it does to the received power."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.power_control import power_headroom_db, uplink_power_dbm


def test_a_hundred_decibels_over_fifty_blocks_takes_the_sum_of_the_formula() -> None:
    power = uplink_power_dbm(100.0, 50, p0_dbm=-80.0, alpha=0.8, numerology=1)
    assert power == pytest.approx(-80.0 + 10.0 * np.log10(2.0 * 50.0) + 80.0)


@given(st.floats(60.0, 180.0), st.floats(1.0, 273.0), st.floats(-110.0, -50.0), st.floats(0.0, 1.0))
def test_power_stays_within_the_terminals_range_and_grows_with_loss(
    loss_db: float, blocks: float, p0_dbm: float, alpha: float
) -> None:
    near, far = uplink_power_dbm(np.array([loss_db, loss_db + 10.0]), blocks, p0_dbm, alpha)
    assert -40.0 <= near <= far <= 23.0


def test_full_compensation_receives_everybody_alike_and_none_sends_everybody_alike() -> None:
    loss_db = np.array([80.0, 95.0, 110.0])
    np.testing.assert_allclose(uplink_power_dbm(loss_db, 1, -95.0, 1.0) - loss_db, -95.0)
    np.testing.assert_allclose(uplink_power_dbm(loss_db, 1, 10.0, 0.0), 10.0)


@given(st.floats(0.0, 1.0))
def test_received_power_falls_by_the_part_of_the_loss_that_is_not_made_up_for(alpha: float) -> None:
    loss_db = np.array([90.0, 100.0])
    received = uplink_power_dbm(loss_db, 1, -90.0, alpha, max_power_dbm=np.inf, min_power_dbm=-np.inf) - loss_db
    assert received[0] - received[1] == pytest.approx(10.0 * (1.0 - alpha))


@given(st.floats(1.0, 100.0), st.integers(0, 3))
def test_power_for_each_hertz_does_not_depend_on_the_allocation(blocks: float, mu: int) -> None:
    power_dbm = uplink_power_dbm(90.0, blocks, -90.0, 0.8, np.inf, mu)
    density = power_dbm - 10.0 * np.log10(blocks * 180e3 * 2.0**mu)
    assert density == pytest.approx(float(uplink_power_dbm(90.0, 1.0, -90.0, 0.8, np.inf)) - 10.0 * np.log10(180e3))


def test_the_limits_hold_at_either_end() -> None:
    assert uplink_power_dbm(150.0, 100, -80.0, 0.8, max_power_dbm=20.0) == 20.0
    assert uplink_power_dbm(60.0, 1, -110.0, 0.4) == -40.0
    assert uplink_power_dbm(100.0, 1, -80.0, 0.8, correction_db=3.0) == pytest.approx(3.0)


def test_headroom_is_negative_where_the_terminal_wants_more_than_it_has() -> None:
    wanted = uplink_power_dbm(np.array([100.0, 140.0]), 1, -90.0, 1.0, np.inf)
    np.testing.assert_allclose(power_headroom_db(wanted, 23.0), [13.0, -27.0])


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha must lie in"):
        uplink_power_dbm(100.0, 1, -90.0, 1.1)
    with pytest.raises(ValueError, match="some resource block"):
        uplink_power_dbm(100.0, [1, 0], -90.0, 1.0)
