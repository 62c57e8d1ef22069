"""Losses into buildings and cars against a table of another implementation and against the laws of their draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.path_loss import ENVIRONMENTS
from channel_models.penetration import (
    BuildingModel,
    Buildings,
    car_loss_db,
    glass_loss_db,
    reflecting_glass_loss_db,
    wall_loss_db,
    wood_loss_db,
)

FC_HZ = 1e9 * np.array([0.9, 2.0, 3.5, 6.0, 10.0, 28.0, 39.0, 60.0, 100.0])
MEDIANS = np.array([0.5, 0.0, 0.0, 0.5])
"""Draws of a terminal at the wall with no deviation."""


def draws(count: int) -> np.ndarray:
    return np.random.default_rng(12).random((count, 4))


def test_walls_lose_what_another_implementation_says_at_nine_carriers() -> None:
    low = [10.56, 11.83, 12.70, 13.40, 14.23, 17.83, 20.03, 24.23, 32.23]
    high_18 = [18.50, 22.43, 26.85, 30.69, 32.53, 37.95, 41.25, 47.55, 59.55]
    high_19 = [18.63, 22.71, 27.50, 31.75, 33.02, 35.03, 36.24, 38.55, 42.95]
    np.testing.assert_allclose(wall_loss_db(FC_HZ, "low"), low, atol=0.0051)
    np.testing.assert_allclose(wall_loss_db(FC_HZ, "high", 18), high_18, atol=0.0051)
    np.testing.assert_allclose(wall_loss_db(FC_HZ, "high", 19), high_19, atol=0.0051)
    np.testing.assert_array_equal(wall_loss_db(FC_HZ, "legacy"), 20.0)


def test_at_high_frequency_only_the_glass_passes_anything() -> None:
    assert wall_loss_db(200e9, "low") == pytest.approx(5.0 + glass_loss_db(200e9) - 10.0 * np.log10(0.3))
    assert wall_loss_db(200e9, "high") == pytest.approx(5.0 + reflecting_glass_loss_db(200e9) - 10.0 * np.log10(0.7))


def test_wood_lies_between_glass_and_reflecting_glass_where_systems_run() -> None:
    carriers_hz = np.linspace(1e9, 30e9, 30)
    assert np.all(glass_loss_db(carriers_hz) < wood_loss_db(carriers_hz))
    assert np.all(wood_loss_db(carriers_hz) < reflecting_glass_loss_db(carriers_hz))


@pytest.mark.parametrize(("model", "sigma_db"), [("low", 4.4), ("high", 6.5), ("legacy", 0.0)])
def test_the_loss_is_wall_plus_half_a_decibel_a_metre_with_the_tables_deviation(
    model: BuildingModel, sigma_db: float
) -> None:
    buildings = Buildings(model, max_indoor_m=0.0)
    loss_db = buildings.loss_db(3.5e9, draws(100_000))
    assert loss_db.mean() == pytest.approx(float(buildings.loss_db(3.5e9, MEDIANS)), abs=0.1)
    assert loss_db.std() == pytest.approx(sigma_db, rel=0.01)
    deeper = Buildings(model).loss_db(3.5e9, draws(1000)) - Buildings(model, max_indoor_m=0.0).loss_db(
        3.5e9, draws(1000)
    )
    np.testing.assert_allclose(deeper, 0.5 * Buildings(model).indoor_distance_m(draws(1000)[:, 1:3]))


def test_the_depth_inside_is_the_smaller_of_two_uniform_ones() -> None:
    depth_m = Buildings("low", max_indoor_m=25.0).indoor_distance_m(draws(200_000)[:, 1:3])
    # Of the minimum of two: mean L/3, and P(d < x) = 1 - (1 - x/L)^2.
    assert depth_m.mean() == pytest.approx(25.0 / 3.0, rel=0.01)
    assert np.mean(depth_m < 5.0) == pytest.approx(1.0 - 0.8**2, abs=0.005)
    legacy_m = Buildings("legacy").indoor_distance_m(draws(200_000)[:, 1:3])
    assert legacy_m.mean() == pytest.approx(12.5, rel=0.01)


@given(st.floats(0.0, 1.0))
def test_a_mix_gives_its_share_of_terminals_the_high_loss_and_the_others_the_low(share: float) -> None:
    u = draws(2000)
    mixed = Buildings("mixed", high_loss_share=share).loss_db(3.5e9, u)
    high = u[:, 0] < share
    np.testing.assert_array_equal(mixed[high], Buildings("high").loss_db(3.5e9, u[high]))
    np.testing.assert_array_equal(mixed[~high], Buildings("low").loss_db(3.5e9, u[~high]))
    assert high.mean() == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(("windows", "mean_db"), [("plain", 9.0), ("metallised", 20.0)])
def test_cars_take_their_mean_with_five_decibels_of_spread(windows: str, mean_db: float) -> None:
    loss_db = car_loss_db(draws(100_000)[:, 0], windows)  # type: ignore[arg-type]
    assert loss_db.mean() == pytest.approx(mean_db, abs=0.07)
    assert loss_db.std() == pytest.approx(5.0, rel=0.01)


def test_outdoor_environments_say_how_indoor_terminals_are_shadowed() -> None:
    stated = {n: (e.sigma_o2i_db, e.correlation_o2i_m, e.max_indoor_m) for n, e in ENVIRONMENTS.items()}
    assert stated["UMa"] == stated["UMi"] == (7.0, 7.0, 25.0)
    assert stated["RMa"] == (8.0, 120.0, 10.0)
    assert stated["InH-open"] == stated["InF-SL"] == (None, None, None)


def test_what_no_building_is_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at 6 GHz, got 28 GHz"):
        Buildings("legacy").loss_db(28e9, MEDIANS)
    with pytest.raises(ValueError, match="high_loss_share"):
        Buildings("mixed", high_loss_share=1.5)
