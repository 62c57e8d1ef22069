"""Random fields of plane waves: their law at a point, their correlation in space, and sight read from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from channel_models.path_loss import ENVIRONMENTS
from channel_models.spatial_field import DEFAULT_WAVES, PlaneWaves, consistent_line_of_sight


def fields(count: int, correlation_m: float = 50.0, seed: int = 3) -> PlaneWaves:
    return PlaneWaves.from_uniforms(np.random.default_rng(seed).random((count, DEFAULT_WAVES, 3)), correlation_m)


def test_a_point_has_the_normal_law_over_the_draws() -> None:
    values = fields(40_000)(np.array([[321.0, -77.0]]))[0]
    assert values.mean() == pytest.approx(0.0, abs=4.0 / 200.0)
    assert values.var() == pytest.approx(1.0, abs=4.0 * np.sqrt(2.0) / 200.0)
    for z in (-2.0, -1.0, 0.0, 0.5, 1.5):
        assert np.mean(values < z) == pytest.approx(float(ndtr(z)), abs=4.0 * 0.5 / 200.0)


@pytest.mark.parametrize("correlation_m", [6.0, 50.0])
@pytest.mark.parametrize("angle", [0.0, 1.1])
def test_two_points_are_correlated_as_exp_of_minus_their_distance(correlation_m: float, angle: float) -> None:
    distance_m = correlation_m * np.array([0.0, 0.1, 0.5, 1.0, 2.0, 5.0])
    along = np.stack([distance_m * np.cos(angle), distance_m * np.sin(angle)], axis=1)
    values = fields(40_000, correlation_m)(along + np.array([1000.0, 400.0]))
    correlation = (values * values[0]).mean(axis=1)
    np.testing.assert_allclose(correlation, np.exp(-distance_m / correlation_m), atol=4.0 * np.sqrt(2.0) / 200.0)


def test_one_field_varies_over_the_plane_as_the_draws_do_at_a_point() -> None:
    xy_m = np.random.default_rng(8).uniform(-20_000.0, 20_000.0, (20_000, 2))
    field = fields(1)
    here, there = field(xy_m)[:, 0], field(xy_m + np.array([30.0, 0.0]))[:, 0]
    assert here.mean() == pytest.approx(0.0, abs=0.05)
    assert here.var() == pytest.approx(1.0, abs=0.05)
    # A single draw of 64 waves has the correlation to within the spread of their directions.
    assert np.mean(here * there) == pytest.approx(np.exp(-0.6), abs=0.15)


def test_fields_are_independent_of_each_other() -> None:
    values = fields(8)(np.random.default_rng(8).uniform(-20_000.0, 20_000.0, (20_000, 2)))
    np.testing.assert_allclose(np.corrcoef(values.T), np.eye(8), atol=0.05)


@given(st.integers(0, 299), st.integers(1, 40))
def test_a_place_has_the_same_value_to_the_last_bit_whoever_else_is_read(row: int, others: int) -> None:
    xy_m = np.random.default_rng(1).uniform(-1e4, 1e4, (300, 2))
    landscape = fields(5)
    everywhere = landscape(xy_m)
    assert landscape(xy_m[row : row + others])[0].tolist() == everywhere[row].tolist()
    assert landscape(xy_m[[row]], np.array([[4, 2]]))[0].tolist() == everywhere[row, [4, 2]].tolist()


def test_selected_fields_are_those_of_all_fields() -> None:
    rng = np.random.default_rng(2)
    xy_m, index = rng.uniform(-1e3, 1e3, (700, 2)), rng.integers(0, 11, (700, 3))
    landscape = fields(11)
    everywhere = landscape(xy_m)
    np.testing.assert_array_equal(landscape(xy_m, index), np.take_along_axis(everywhere, index, axis=1))
    np.testing.assert_array_equal(landscape(xy_m, index[:, 0]), everywhere[np.arange(700), index[:, 0]])
    np.testing.assert_array_equal(landscape(xy_m, np.array([[7, 1]])), everywhere[:, [7, 1]])


def test_values_are_the_sum_of_cosines_in_double_precision_far_from_the_origin() -> None:
    landscape = fields(3)
    xy_m = np.random.default_rng(4).uniform(-1e5, 1e5, (50, 2))
    turns = np.einsum("nc,fmc->nfm", xy_m, landscape.wave_per_m) + landscape.phase
    exact = np.sqrt(2.0 / DEFAULT_WAVES) * np.cos(2.0 * np.pi * turns).sum(axis=-1)
    np.testing.assert_allclose(landscape(xy_m), exact, atol=5e-6)


def test_each_field_may_have_its_own_correlation_distance() -> None:
    u = np.random.default_rng(5).random((2, 3, 16, 3))
    both = PlaneWaves.from_uniforms(u, np.array([[10.0], [40.0]]))
    assert both.fields == 6
    np.testing.assert_allclose(
        both(np.array([[8.0, 2.0]]))[0, 3:], PlaneWaves.from_uniforms(u[1], 40.0)(np.array([[8.0, 2.0]]))[0]
    )


def test_nobody_is_no_work_and_no_error() -> None:
    assert fields(4)(np.empty((0, 2))).shape == (0, 4)
    assert fields(4)(np.empty((0, 2)), np.empty((0, 2), dtype=np.int64)).shape == (0, 2)


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9])
def test_a_share_of_the_draws_equal_to_the_probability_sees_the_site(probability: float) -> None:
    values = fields(40_000)(np.zeros((1, 2)))
    assert consistent_line_of_sight(values, probability).mean() == pytest.approx(probability, abs=4.0 * 0.5 / 200.0)


def test_certain_sight_is_never_lost_and_impossible_sight_never_gained() -> None:
    values = np.array([-11.0, 0.0, 11.0])
    assert consistent_line_of_sight(values, 1.0).all()
    assert not consistent_line_of_sight(values, 0.0).any()


def test_neighbours_nearer_than_the_correlation_distance_share_their_sight_more_often() -> None:
    values = fields(20_000)(np.array([[0.0, 0.0], [1.0, 0.0], [25.0, 0.0], [500.0, 0.0]]))
    sight = consistent_line_of_sight(values, 0.5)
    agreement = (sight == sight[0]).mean(axis=1)
    # Orthant probability of two normals of correlation rho: 1/2 + arcsin(rho)/pi.
    expected = 0.5 + np.arcsin(np.exp(-np.array([0.0, 1.0, 25.0, 500.0]) / 50.0)) / np.pi
    np.testing.assert_allclose(agreement, expected, atol=4.0 * 0.5 / np.sqrt(20_000))


def test_sight_decorrelates_over_the_distances_of_the_standard() -> None:
    distances = {name: env.correlation_los_state_m for name, env in ENVIRONMENTS.items()}
    assert [distances[name] for name in ("UMa", "UMi", "RMa", "InH-open", "InF-DH")] == [50.0, 50.0, 60.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("u", "correlation_m", "says"),
    [
        (np.full((4, 2), 0.5), 10.0, "waves, 3"),
        (np.full((4, 3), 1.0), 10.0, "waves, 3"),
        (np.full((4, 3), 0.5), 0.0, "positive and finite"),
        (np.full((4, 3), 0.5), np.inf, "positive and finite"),
    ],
)
def test_bad_draws_and_distances_are_refused(u: np.ndarray, correlation_m: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PlaneWaves.from_uniforms(u, correlation_m)
