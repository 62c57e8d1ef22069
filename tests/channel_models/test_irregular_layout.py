"""Sites of a Poisson process, and how far their cells reach."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import Voronoi

from channel_models.irregular_layout import cell_reach_m, poisson_sites, uniform_in_ring
from channel_models.layout import hexagonal_sites

ISD_M = 500.0


def uniforms(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 2))


def test_poisson_sites_have_the_density_of_the_grid_and_know_nothing_of_each_other() -> None:
    sites = poisson_sites(uniforms(4000), ISD_M)
    radius = np.hypot(*sites.T)
    edge_m = np.sqrt(4000 * np.sqrt(3.0) / 2.0 * ISD_M**2 / np.pi)
    assert stats.kstest((radius / edge_m) ** 2, "uniform").pvalue > 1e-3
    assert stats.kstest(np.arctan2(sites[:, 1], sites[:, 0]) / (2.0 * np.pi) + 0.5, "uniform").pvalue > 1e-3
    inner = sites[radius < 0.8 * edge_m]
    apart = np.linalg.norm(inner[:, None] - sites[None], axis=2)
    apart[apart == 0.0] = np.inf
    # The nearest neighbour of a Poisson process of density d is beyond r with probability exp(-pi d r^2).
    density = 1.0 / (np.sqrt(3.0) / 2.0 * ISD_M**2)
    assert stats.kstest(np.pi * density * apart.min(axis=1) ** 2, "expon").pvalue > 1e-3


def test_offsets_fill_a_ring_evenly_each_its_own() -> None:
    outer = np.where(np.arange(8000) < 4000, 100.0, 300.0)
    radius = np.hypot(*uniform_in_ring(uniforms(8000), 50.0, outer).T)
    assert np.all((radius >= 50.0 * (1 - 1e-12)) & (radius <= outer * (1 + 1e-12)))
    assert stats.kstest((radius**2 - 50.0**2) / (outer**2 - 50.0**2), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("inner_m", "outer_m"), [(-1.0, 5.0), (5.0, 5.0)])
def test_a_ring_without_room_is_refused(inner_m: float, outer_m: float) -> None:
    with pytest.raises(ValueError, match="inner_m < outer_m"):
        uniform_in_ring(uniforms(3), inner_m, outer_m)


def test_a_cell_reaches_to_the_farthest_corner_of_its_voronoi_cell() -> None:
    sites = poisson_sites(uniforms(300, 2), ISD_M)
    reach_m, cells = cell_reach_m(sites, 3.0 * ISD_M), Voronoi(sites)
    checked = 0
    for site, region in enumerate(cells.point_region):
        corners = cells.regions[region]
        if -1 in corners or np.hypot(*sites[site]) > 6.0 * ISD_M:
            continue
        farthest_m = np.linalg.norm(cells.vertices[corners] - sites[site], axis=1).max()
        assert 0.94 * farthest_m <= reach_m[site] <= farthest_m * (1.0 + 1e-9) or farthest_m > 3.0 * ISD_M
        checked += 1
    assert checked > 100


def test_on_the_grid_cells_reach_to_the_corners_of_hexagons_and_at_the_edge_as_far_as_allowed() -> None:
    sites = hexagonal_sites(19, ISD_M)
    reach_m = cell_reach_m(np.concatenate([sites, sites[:1]]), 400.0)
    inner = np.r_[:7, 19]
    np.testing.assert_allclose(reach_m[inner], ISD_M / np.sqrt(3.0), rtol=3e-3)
    np.testing.assert_array_equal(reach_m[7:19], 400.0)
    np.testing.assert_array_equal(cell_reach_m(np.zeros((2, 2)), 70.0), 70.0)
