"""Hexagons and nearest-site cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.cells import cell_polygons, hexagon
from tests.analysis.fabricated_trial import hexagonal_sites


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _holds(polygon: np.ndarray, point: np.ndarray) -> bool:
    sides = np.roll(polygon, -1, axis=0) - polygon
    offsets = point - polygon
    return bool((sides[:, 0] * offsets[:, 1] - sides[:, 1] * offsets[:, 0] > 0).all())


def test_a_hexagon_has_the_area_of_its_inter_site_distance() -> None:
    assert _area(hexagon(np.array([3.0, 4.0]), 500.0, 0.3)) == pytest.approx(np.sqrt(3) / 2 * 500.0**2)


@pytest.mark.parametrize("turn", [0.0, 0.2, 1.0])
def test_hexagons_of_a_grid_share_their_sides_however_it_is_turned(turn: float) -> None:
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    sites = hexagonal_sites(500.0) @ rotation
    corners = np.concatenate(cell_polygons(sites, 100.0))
    assert len(np.unique(corners.round(3), axis=0)) == 24  # 7 hexagons of a honeycomb have 24 corners, not 42
    middle, neighbour = cell_polygons(sites, 100.0)[:2]
    shared = [corner for corner in middle if np.hypot(*(neighbour - corner).T).min() < 1e-6]
    assert len(shared) == 2


@given(st.integers(3, 12), st.integers(0, 10_000))
def test_irregular_cells_divide_the_frame_and_hold_their_own_site(count: int, seed: int) -> None:
    sites = np.random.default_rng(seed).uniform(0, 1000, (count, 2))
    sites[1] = sites[0] + [1.0, 2.0]  # a pair closer than any grid would have it
    _assert_divides(sites, 50.0)


def test_a_square_grid_has_square_cells() -> None:
    axis = np.arange(3) * 100.0
    sites = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    _assert_divides(sites, 50.0)
    assert [_area(cell) for cell in cell_polygons(sites, 50.0)] == pytest.approx([1e4] * 9)


def _assert_divides(sites: np.ndarray, reach_m: float) -> None:
    cells = cell_polygons(sites, reach_m)
    frame = np.prod(np.ptp(sites, axis=0) + 2 * reach_m)
    assert sum(_area(cell) for cell in cells) == pytest.approx(frame)
    for place, cell in enumerate(cells):
        assert [_holds(cell, site) for site in sites] == [other == place for other in range(len(sites))]


def test_a_single_site_has_a_hexagon_that_holds_its_terminals() -> None:
    (cell,) = cell_polygons(np.array([[10.0, 20.0]]), 100.0)
    inner = np.hypot(*(cell - [10.0, 20.0]).T).min() * np.sqrt(3) / 2
    assert inner == pytest.approx(100.0)
