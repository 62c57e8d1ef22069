"""Hexagonal sites and terminals placed uniformly in a hexagon."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.stats import qmc

from channel_models.layout import (
    SITE_BLOCK,
    WRAPPED,
    hexagonal_sites,
    nearest_sites,
    uniform_in_hexagon,
    wrap_around_images_m,
)

ISD_M = 500.0
UNIFORMS = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(0.0, 1.0))


def side_coordinates(offsets: NDArray[np.float64], first_deg: float = 0.0) -> NDArray[np.float64]:
    """Distance along the normals of a hexagon's three pairs of sides, the first at first_deg, (n, 3)."""
    angle = np.deg2rad(first_deg + np.array([0.0, 60.0, 120.0]))
    return offsets @ np.stack([np.cos(angle), np.sin(angle)])


def low_discrepancy(count: int) -> NDArray[np.float64]:
    return np.asarray(qmc.Sobol(3, scramble=True, rng=np.random.default_rng(3)).random(count))


@given(st.integers(2, 130), st.floats(1.0, 5000.0))
def test_neighbouring_sites_are_one_inter_site_distance_apart(count: int, isd_m: float) -> None:
    distance = squareform(pdist(hexagonal_sites(count, isd_m)))
    nearest = np.where(np.eye(count, dtype=bool), np.inf, distance).min(axis=1)
    np.testing.assert_allclose(nearest, isd_m, rtol=1e-9)


@pytest.mark.parametrize(("count", "rings"), [(1, 0), (7, 1), (19, 2), (37, 3), (61, 4)])
def test_full_rings_are_whole_hexagons_with_six_neighbours_inside(count: int, rings: int) -> None:
    sites = hexagonal_sites(count, ISD_M)
    # A ring of sites is a hexagon with corners towards the neighbours, so its sides are turned by 30 degrees.
    ring_of_site = np.abs(side_coordinates(sites, 30.0)).max(axis=1) / (np.sqrt(3.0) / 2.0 * ISD_M)
    np.testing.assert_allclose(ring_of_site, np.repeat(range(rings + 1), [1, *range(6, 6 * rings + 1, 6)]), atol=1e-9)
    np.testing.assert_allclose(sites.sum(axis=0), 0.0, atol=1e-6)
    distance = squareform(pdist(sites)) if count > 1 else np.zeros((1, 1))
    neighbours = np.sum(np.isclose(distance, ISD_M), axis=1)
    assert np.all(neighbours[ring_of_site < rings - 0.5] == 6)


@given(st.integers(1, 60), st.integers(1, 60))
def test_more_sites_continue_the_same_spiral(count: int, more: int) -> None:
    longer = hexagonal_sites(count + more, ISD_M)
    np.testing.assert_array_equal(longer[:count], hexagonal_sites(count, ISD_M))


@given(st.integers(1, 130), st.integers(0, 140), st.floats(1.0, 5000.0))
def test_the_nearest_sites_are_those_of_a_sorted_list_and_ties_go_by_index(count: int, most: int, isd_m: float) -> None:
    sites = hexagonal_sites(count, isd_m)
    away = np.round(squareform(pdist(sites)) / isd_m, 6) if count > 1 else np.zeros((1, 1))
    for site, found in enumerate(nearest_sites(sites, most, isd_m)):
        others = sorted((float(away[site, other]), other) for other in range(count) if other != site)
        assert found.tolist() == [other for _, other in others[:most]]


@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(-900, 900).map(float)))
def test_off_the_grid_the_nearest_sites_are_still_those_of_a_sorted_list(sites: NDArray[np.float64]) -> None:
    away = squareform(pdist(sites, "sqeuclidean")) if len(sites) > 1 else np.zeros((1, 1))
    for site, found in enumerate(nearest_sites(sites, 20, ISD_M)):  # sites at the same place among them
        others = sorted((float(away[site, other]), other) for other in range(len(sites)) if other != site)
        assert found.tolist() == [other for _, other in others]


@pytest.mark.parametrize("count", WRAPPED)
def test_a_network_and_its_copies_tile_the_plane(count: int) -> None:
    sites, images = hexagonal_sites(count, ISD_M), wrap_around_images_m(count, ISD_M)
    everywhere = np.concatenate([sites + image for image in images])
    distance = squareform(pdist(everywhere))
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_allclose(distance.min(axis=1), ISD_M)  # no overlap
    assert np.all(np.sum(np.isclose(distance[:count], ISD_M), axis=1) == 6)  # no gap
    found = nearest_sites(sites, 6, ISD_M, images)
    nearest = np.linalg.norm(sites[:, None, None] - sites[found][:, :, None] - images, axis=-1).min(axis=-1)
    np.testing.assert_allclose(nearest, ISD_M)


def test_only_whole_rings_are_wrapped_around() -> None:
    with pytest.raises(ValueError, match="7, 19 or 37 sites can be wrapped around, got 20"):
        wrap_around_images_m(20, ISD_M)


def test_six_eighteen_and_thirty_six_nearest_sites_are_whole_rings_around_every_inner_site() -> None:
    sites = hexagonal_sites(SITE_BLOCK + 141, ISD_M)  # eleven rings, worked off in two blocks
    inner = np.flatnonzero(np.hypot(*sites.T) < 6.0 * ISD_M)
    for rings in (1, 2, 3):
        whole = hexagonal_sites(3 * rings * (rings + 1) + 1, ISD_M)[1:]
        nearest = nearest_sites(sites, len(whole), ISD_M)
        for site in inner:
            offsets = sites[nearest[site]] - sites[site]
            np.testing.assert_allclose(offsets[np.lexsort(np.rint(offsets).T)], whole[np.lexsort(np.rint(whole).T)])


def test_a_negative_number_of_neighbours_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        nearest_sites(hexagonal_sites(3, ISD_M), -1, ISD_M)


def test_consecutive_sites_touch_and_the_spiral_starts_in_the_middle() -> None:
    sites = hexagonal_sites(61, ISD_M)
    assert sites[0].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(sites[1], [ISD_M, 0.0])
    steps = np.hypot(*np.diff(sites, axis=0).T)
    assert np.all(steps <= np.sqrt(3.0) * ISD_M * (1.0 + 1e-12))


@given(UNIFORMS, st.floats(0.0, 200.0))
def test_terminals_lie_in_the_hexagon_and_outside_the_disc(u: NDArray[np.float64], min_distance_m: float) -> None:
    offsets = uniform_in_hexagon(u, ISD_M, min_distance_m)
    assert offsets.shape == (len(u), 2)
    assert np.all(np.abs(side_coordinates(offsets)) <= ISD_M / 2.0 + 1e-6)
    assert np.all(np.hypot(offsets[:, 0], offsets[:, 1]) >= min_distance_m * (1.0 - 1e-12))


@given(UNIFORMS)
def test_each_row_is_placed_by_its_own_numbers_alone(u: NDArray[np.float64]) -> None:
    together = uniform_in_hexagon(u, ISD_M, 150.0)
    alone = np.concatenate([uniform_in_hexagon(row[None, :], ISD_M, 150.0) for row in u])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("min_distance_m", [0.0, 35.0, 150.0, 240.0])
def test_placement_has_the_second_moments_of_a_uniform_hexagon_with_a_hole(min_distance_m: float) -> None:
    offsets = uniform_in_hexagon(low_discrepancy(2**17), ISD_M, min_distance_m)
    corner_m = ISD_M / np.sqrt(3.0)
    hole = np.pi * min_distance_m**2 / (1.5 * np.sqrt(3.0) * corner_m**2)
    expected = (5.0 / 24.0 * corner_m**2 - hole * min_distance_m**2 / 4.0) / (1.0 - hole)
    # Redrawn rows lose the low discrepancy of their numbers and scatter as ordinary draws do.
    tolerance = 1e-4 if min_distance_m == 0.0 else 0.01
    np.testing.assert_allclose(np.mean(offsets**2, axis=0), expected, rtol=tolerance)
    np.testing.assert_allclose(offsets.mean(axis=0), 0.0, atol=0.01 * ISD_M)
    assert np.mean(offsets[:, 0] * offsets[:, 1]) == pytest.approx(0.0, abs=0.01 * expected)


def test_equal_areas_hold_equal_shares_of_the_terminals() -> None:
    offsets = uniform_in_hexagon(low_discrepancy(2**17), ISD_M, 100.0)
    area = np.sqrt(3.0) / 2.0 * ISD_M**2 - np.pi * 100.0**2
    radius = np.hypot(offsets[:, 0], offsets[:, 1])
    for inner_m, outer_m in ((100.0, 130.0), (130.0, 180.0), (180.0, 250.0)):
        share = np.mean((radius >= inner_m) & (radius < outer_m))
        assert share == pytest.approx(np.pi * (outer_m**2 - inner_m**2) / area, rel=0.02)
    sector = np.floor(np.arctan2(offsets[:, 1], offsets[:, 0]) / (np.pi / 3.0)).astype(int)
    np.testing.assert_allclose(np.unique(sector, return_counts=True)[1] / len(offsets), 1.0 / 6.0, rtol=0.02)


@pytest.mark.parametrize("min_distance_m", [-1.0, 250.0])
def test_a_disc_that_does_not_fit_is_refused(min_distance_m: float) -> None:
    with pytest.raises(ValueError, match="half the inter-site distance"):
        uniform_in_hexagon(np.full((1, 3), 0.5), ISD_M, min_distance_m)


def test_malformed_requests_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(n, 3\) numbers"):
        uniform_in_hexagon(np.full((4, 2), 0.5), ISD_M)
    with pytest.raises(ValueError, match=r"\(n, 3\) numbers"):
        uniform_in_hexagon(np.full((4, 3), 1.5), ISD_M)
    with pytest.raises(ValueError, match="count >= 1"):
        hexagonal_sites(0, ISD_M)
