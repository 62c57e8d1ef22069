"""Sites with several base stations: one place, one name, and borders half-way between antennas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.figures.cells import hexagon
from analysis.figures.coverage import leads
from analysis.figures.masts import Mast, masts, sector_borders_m


def _stations() -> pd.DataFrame:
    names = [f"bs-{number:02d}" for number in range(7)]
    x_m = [0.0, 1e-9, -1e-9, 500.0, 500.0, 500.0, 900.0]
    azimuth_deg = [30.0, 150.0, 270.0, 30.0, 150.0, 270.0, 90.0]
    return pd.DataFrame({"base_station": names, "x_m": x_m, "y_m": 7.0, "azimuth_deg": azimuth_deg})


def test_base_stations_of_one_place_share_a_mast_and_a_name() -> None:
    places = masts(_stations())
    assert [mast.label for mast in places] == ["bs-00–02", "bs-03–05", "bs-06"]
    assert [mast.azimuths_deg for mast in places] == [(30.0, 150.0, 270.0)] * 2 + [(90.0,)]
    assert [mast.x_m for mast in places] == pytest.approx([0.0, 500.0, 900.0])
    blind = masts(_stations().drop(columns="azimuth_deg"))
    assert all(mast.azimuths_deg == () for mast in blind)


@pytest.mark.parametrize("turn_deg", [0.0, 17.0, 100.0])
def test_sectors_meet_half_way_between_their_antennas_and_end_at_the_outline(turn_deg: float) -> None:
    mast = Mast(40.0, -10.0, ("a", "b", "c"), tuple(np.mod(np.array([30.0, 150.0, 270.0]) + turn_deg, 360.0)))
    centre = np.array([40.0, -10.0])
    borders = sector_borders_m(mast, hexagon(centre, 200.0, 0.0))
    ways = np.array([end - start for start, end in borders])
    angles = np.mod(np.rad2deg(np.arctan2(ways[:, 1], ways[:, 0])), 360.0)
    assert sorted(angles) == pytest.approx(sorted(np.mod(np.array([90.0, 210.0, 330.0]) + turn_deg, 360.0)))
    off_corner = np.abs(np.mod(angles - 30.0 + 30.0, 60.0) - 30.0)  # a hexagon's radius, by the angle off its sides
    assert np.hypot(*ways.T) == pytest.approx(100.0 / np.cos(np.deg2rad(30.0 - off_corner)))
    assert sector_borders_m(Mast(0.0, 0.0, ("a",), (30.0,)), hexagon(np.zeros(2), 1.0, 0.0)) == []


def test_a_lone_place_with_another_best_cell_is_no_cell_on_the_map() -> None:
    best = np.zeros((30, 40), np.int64)
    best[:, 20:] = 1
    best[10, 5] = 1
    ahead = leads(best)
    assert (ahead[0, :, :18] > 0).all()
    assert (ahead[1, :, 23:] > 0).all()
    np.testing.assert_allclose(ahead[0], -ahead[1])
