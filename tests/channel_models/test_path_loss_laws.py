"""Height, street and building terms of the laws, which reference links at default heights do not exercise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.environment import PathLossLaw
from channel_models.path_loss_outdoor import (
    rma_los_db,
    rma_nlos_db,
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
