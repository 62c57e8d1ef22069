"""Height, street and building terms of the laws, which reference links at default heights do not exercise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.environment import PathLossLaw
from channel_models.path_loss import ENVIRONMENTS
from channel_models.path_loss_outdoor import (
    rma_los_db,
    rma_nlos_db,
    uma_environment_height_m,
    uma_los_db,
    uma_nlos_db,
    umi_nlos_db,
    urban_breakpoint_m,
)


def test_the_urban_breakpoint_counts_heights_above_one_metre() -> None:
    assert urban_breakpoint_m(3.5e9, 25.0, 1.5) == pytest.approx(4 * 24 * 0.5 * 3.5e9 / 3e8)
    assert urban_breakpoint_m(2e9, 10.0, 2.5) == pytest.approx(4 * 9 * 1.5 * 2e9 / 3e8)


@pytest.mark.parametrize(("law", "slope", "gain_db_m"), [(uma_nlos_db, 39.08, 0.6), (umi_nlos_db, 35.3, 0.3)])
def test_a_higher_terminal_gains_its_height_term_without_line_of_sight(
    law: PathLossLaw, slope: float, gain_db_m: float
) -> None:
    h_bs_m, low_m, high_m, d2d_m = 25.0, 1.5, 11.5, 400.0
    nearer_db = slope * math.log10(math.hypot(d2d_m, h_bs_m - low_m) / math.hypot(d2d_m, h_bs_m - high_m))
    gain_db = law(d2d_m, 3.5e9, h_bs_m, low_m) - law(d2d_m, 3.5e9, h_bs_m, high_m)
    assert gain_db == pytest.approx(nearer_db + gain_db_m * (high_m - low_m), abs=1e-9)


def test_wider_rural_streets_help_by_the_tables_slope() -> None:
    narrow = rma_nlos_db(2000.0, 0.9e9, 35.0, 1.5, street_width_m=10.0)
    wide = rma_nlos_db(2000.0, 0.9e9, 35.0, 1.5, street_width_m=40.0)
    assert narrow - wide == pytest.approx(7.1 * math.log10(4.0))


def test_rural_loss_between_tall_buildings_is_the_sum_of_the_tables_terms() -> None:
    d2d_m, fc_ghz, h_bs_m, h_ut_m, height_m, width_m = 1500.0, 2.0, 50.0, 4.0, 12.0, 30.0
    d3d_m = math.sqrt(d2d_m**2 + (h_bs_m - h_ut_m) ** 2)
    blocked_db = (
        161.04
        - 7.1 * math.log10(width_m)
        + 7.5 * math.log10(height_m)
        - (24.37 - 3.7 * (height_m / h_bs_m) ** 2) * math.log10(h_bs_m)
        + (43.42 - 3.1 * math.log10(h_bs_m)) * (math.log10(d3d_m) - 3.0)
        + 20.0 * math.log10(fc_ghz)
        - (3.2 * math.log10(11.75 * h_ut_m) ** 2 - 4.97)
    )
    loss_db = rma_nlos_db(d2d_m, fc_ghz * 1e9, h_bs_m, h_ut_m, height_m, width_m)
    assert loss_db == pytest.approx(blocked_db, abs=1e-9)
    power = height_m**1.72
    clear_db = (
        20.0 * math.log10(40.0 * math.pi * d3d_m * fc_ghz / 3.0)
        + min(0.03 * power, 10.0) * math.log10(d3d_m)
        - min(0.044 * power, 14.77)
        + 0.002 * math.log10(height_m) * d3d_m
    )
    assert rma_los_db(d2d_m, fc_ghz * 1e9, h_bs_m, h_ut_m, height_m) == pytest.approx(clear_db, abs=1e-9)


@given(st.floats(29.5, 50.0), st.floats(100.0, 4000.0))
def test_building_terms_of_rural_sight_stop_growing_at_their_caps(height_m: float, d2d_m: float) -> None:
    # Both caps bind above 29.5 m; what is left of the height is the term linear in distance.
    d3d_m = math.hypot(d2d_m, 100.0 - 1.5)
    excess_db = rma_los_db(d2d_m, 6e9, 100.0, 1.5, height_m) - rma_los_db(d2d_m, 6e9, 100.0, 1.5, 50.0)
    assert excess_db == pytest.approx(0.002 * d3d_m * math.log10(height_m / 50.0), abs=1e-9)


@given(st.floats(0.001, 0.999), st.floats(0.0, 5000.0), st.floats(1.5, 13.0))
def test_the_environment_of_terminals_up_to_13_metres_is_one_metre_high(u: float, d2d_m: float, h_ut_m: float) -> None:
    assert uma_environment_height_m(u, d2d_m, h_ut_m) == 1.0


@pytest.mark.parametrize(
    ("h_ut_m", "roofs_m"), [(13.2, [12]), (13.5, [12]), (16.5, [12, 15]), (22.5, [12, 15, 18, 21])]
)
def test_higher_terminals_look_over_roofs_as_often_as_the_note_says(h_ut_m: float, roofs_m: list[int]) -> None:
    d2d_m, draws = 300.0, 200_000
    odds = ((h_ut_m - 13.0) / 10.0) ** 1.5 * 1.25 * 27.0 * math.exp(-2.0)
    u = (np.arange(draws) + 0.5) / draws
    heights, counts = np.unique(uma_environment_height_m(u, d2d_m, h_ut_m), return_counts=True)
    assert heights.tolist() == [1.0, *roofs_m]
    shares = [1.0 / (1.0 + odds)] + [odds / (1.0 + odds) / len(roofs_m)] * len(roofs_m)
    np.testing.assert_allclose(counts / draws, shares, atol=2.0 / draws)


def test_right_below_the_site_no_roof_is_in_the_way() -> None:
    assert uma_environment_height_m(0.999, 18.0, 22.5) == 1.0


def test_a_high_roof_moves_the_breakpoint_nearer_and_adds_loss_beyond_it() -> None:
    h_e_m = np.array([1.0, 12.0, 18.0])
    loss_db = ENVIRONMENTS["UMa"].path_loss_db(True, 4000.0, 3.5e9, h_ut_m=19.5, h_e_m=h_e_m)
    corner_m = 4.0 * (25.0 - h_e_m) * (19.5 - h_e_m) * 3.5e9 / 3e8
    assert corner_m[0] > 4000.0 > corner_m[2]
    d3d_m = math.hypot(4000.0, 5.5)
    near_db = 28.0 + 22.0 * math.log10(d3d_m) + 20.0 * math.log10(3.5)
    far_db = 28.0 + 40.0 * math.log10(d3d_m) + 20.0 * math.log10(3.5) - 9.0 * np.log10(corner_m**2 + 5.5**2)
    np.testing.assert_allclose(loss_db, np.where(corner_m >= 4000.0, near_db, far_db))
    assert uma_los_db(4000.0, 3.5e9, 25.0, 19.5) == loss_db[0]


def test_only_the_urban_macro_cell_draws_environment_heights() -> None:
    drawn = {name for name, env in ENVIRONMENTS.items() if env.environment_height_m(0.5, 100.0) is not None}
    assert drawn == {"UMa"}
    with pytest.raises(ValueError, match="UMi: the laws of this environment take no environment height"):
        ENVIRONMENTS["UMi"].path_loss_db(True, 100.0, 2e9, h_e_m=12.0)
    heights_m = ENVIRONMENTS["UMa"].environment_height_m(np.array([0.01, 0.99]), 300.0, 22.5)
    assert heights_m is not None
    assert heights_m.tolist() == [1.0, 21.0]
