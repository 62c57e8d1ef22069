"""Decibel conversions and thermal noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.constants import Boltzmann

from channel_models.units import db_to_linear, dbm_to_watt, linear_to_db, thermal_noise_dbm, watt_to_dbm


@given(st.floats(-200.0, 200.0))
def test_decibels_survive_a_round_trip(db: float) -> None:
    assert linear_to_db(db_to_linear(db)) == pytest.approx(db, abs=1e-9)
    assert watt_to_dbm(dbm_to_watt(db)) == pytest.approx(db, abs=1e-9)


def test_known_levels_convert_as_everyone_knows_them() -> None:
    assert db_to_linear(3.0) == pytest.approx(1.99526, rel=1e-5)
    assert dbm_to_watt(0.0) == pytest.approx(1e-3, rel=1e-15)
    assert dbm_to_watt(23.0) == pytest.approx(0.1995, rel=1e-3)
    np.testing.assert_allclose(watt_to_dbm(np.array([1.0, 20.0])), [30.0, 43.0103], atol=1e-4)


def test_zero_power_is_minus_infinity_and_back_without_a_warning() -> None:
    assert linear_to_db(0.0) == -np.inf
    assert watt_to_dbm(0.0) == -np.inf
    assert db_to_linear(-np.inf) == 0.0


def test_thermal_noise_is_boltzmann_times_290_kelvin_to_the_rounding_of_link_budgets() -> None:
    assert thermal_noise_dbm(20e6, 5.0) == pytest.approx(-95.99, abs=5e-3)
    exact_dbm = watt_to_dbm(Boltzmann * 290.0 * 20e6) + 5.0
    assert thermal_noise_dbm(20e6, 5.0) == pytest.approx(exact_dbm, abs=0.03)
