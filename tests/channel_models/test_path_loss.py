"""Propagation environments against reference values, their own continuity, and their range of validity."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from channel_models.path_loss import ENVIRONMENTS, with_optional_nlos
from channel_models.path_loss_generic import free_space_db, log_distance_db
from channel_models.path_loss_outdoor import rma_breakpoint_m, urban_breakpoint_m

REFERENCE = Path(__file__).parents[1] / "data" / "path_loss_tr38901.csv"
REFERENCE_NAMES = (
    "UMa",
    "UMi",
    "RMa",
    "InH-mixed",
    "InH-open",
    "InF-SL",
    "InF-DL",
    "InF-SH",
    "InF-DH",
)
WITH_BOTH_STATES = (*REFERENCE_NAMES, "macro-128", "pico-140")


def reference_columns(name: str) -> dict[str, NDArray[np.float64]]:
    with REFERENCE.open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == name]
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0] if key != "model"}


def test_the_reference_file_covers_1350_links() -> None:
    assert sum(reference_columns(name)["los"].size for name in REFERENCE_NAMES) == 1350


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_every_reference_link_has_the_reference_path_loss(name: str) -> None:
    ref = reference_columns(name)
    # Some rural rows without line of sight lie beyond 5 km.
    loss = ENVIRONMENTS[name].path_loss_db(
        ref["los"] == 1.0, ref["d2d_m"], ref["fc_GHz"] * 1e9, ref["h_bs"], ref["h_ut"], extrapolate=True
    )
    np.testing.assert_allclose(loss, ref["pathloss_db"], rtol=0.0, atol=0.01)


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_every_reference_link_has_the_reference_los_probability(name: str) -> None:
    ref = reference_columns(name)
    probability = ENVIRONMENTS[name].los_probability(ref["d2d_m"], ref["h_ut"], ref["h_bs"])
    # The reference is printed to six decimals, so half of the last one is all that may be left.
    np.testing.assert_allclose(probability, ref["los_probability"], rtol=0.0, atol=0.5000001e-6)


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_every_reference_link_has_exactly_the_reference_shadowing_deviation(name: str) -> None:
    ref = reference_columns(name)
    sigma = ENVIRONMENTS[name].shadowing_sigma_db(
        ref["los"] == 1.0, ref["d2d_m"], ref["fc_GHz"] * 1e9, ref["h_bs"], ref["h_ut"]
    )
    np.testing.assert_array_equal(sigma, ref["sigma_sf_db"])


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_links_that_no_urban_or_rural_breakpoint_touches_are_exact_to_the_printed_digits(name: str) -> None:
    ref = reference_columns(name)
    kept = ref["los"] == (0.0 if name in ("UMa", "UMi", "RMa") else ref["los"])
    # The reference takes 299 792 458 m/s where the standard's breakpoints take 3e8: at most 0.006 dB elsewhere.
    d2d_m, fc_hz = ref["d2d_m"][kept], ref["fc_GHz"][kept] * 1e9
    loss = ENVIRONMENTS[name].path_loss_db(ref["los"][kept] == 1.0, d2d_m, fc_hz, extrapolate=True)
    np.testing.assert_allclose(loss, ref["pathloss_db"][kept], rtol=0.0, atol=0.5001e-4)


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_default_heights_are_those_of_the_reference(name: str) -> None:
    ref = reference_columns(name)
    assert set(ref["h_bs"]) == {ENVIRONMENTS[name].h_bs_m}
    assert set(ref["h_ut"]) == {ENVIRONMENTS[name].h_ut_m}


def test_path_loss_at_5_ghz_and_1_km_matches_a_second_independent_implementation() -> None:
    for name, with_los, without in (("UMa", 109.7252, 144.7641), ("RMa", 108.5577, 133.5223)):
        loss = ENVIRONMENTS[name].path_loss_db([True, False], 1000.0, 5e9)
        np.testing.assert_allclose(loss, [with_los, without], rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("name", ["UMa", "UMi", "RMa"])
def test_line_of_sight_loss_has_no_jump_at_the_breakpoint(name: str) -> None:
    env = ENVIRONMENTS[name]
    law = rma_breakpoint_m if name == "RMa" else urban_breakpoint_m
    corner_m = float(law(2e9, env.h_bs_m, env.h_ut_m))
    before, after = env.path_loss_db(True, np.array([corner_m * (1 - 1e-9), corner_m * (1 + 1e-9)]), 2e9)
    # The rural law measures the corner in 3D before and in 2D after, which costs a hundredth of a dB.
    assert after - before == pytest.approx(0.0, abs=0.01 if name == "RMa" else 1e-6)


def test_rural_shadowing_widens_from_4_to_6_db_beyond_the_breakpoint() -> None:
    env = ENVIRONMENTS["RMa"]
    corner_m = float(rma_breakpoint_m(2e9, env.h_bs_m, env.h_ut_m))
    sigma = env.shadowing_sigma_db([True, True, False], [corner_m, corner_m * 1.001, 50.0], 2e9)
    np.testing.assert_array_equal(sigma, [4.0, 6.0, 8.0])


@given(st.sampled_from(WITH_BOTH_STATES), st.floats(0.0, 1.0), st.floats(0.7e9, 28e9))
def test_losing_sight_never_helps(name: str, place: float, fc_hz: float) -> None:
    env = ENVIRONMENTS[name]
    with_los, without = env.path_loss_db([True, False], place * env.validity.max_d2d_nlos_m, fc_hz)
    assert without >= with_los


@given(
    st.sampled_from(WITH_BOTH_STATES), st.booleans(), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.7e9, 28e9)
)
def test_path_loss_never_falls_with_distance(name: str, los: bool, a: float, b: float, fc_hz: float) -> None:
    env = ENVIRONMENTS[name]
    distance_m = np.sort([a, b]) * env.validity.max_d2d_nlos_m
    near, far = env.path_loss_db(los, distance_m, fc_hz)
    assert far >= near


@pytest.mark.parametrize("name", ["UMa", "UMi", "RMa", "macro-128"])
def test_distances_below_the_minimum_count_as_the_minimum(name: str) -> None:
    env = ENVIRONMENTS[name]
    loss = env.path_loss_db(False, [0.0, env.min_d2d_m, env.min_d2d_m * 1.5], 2e9)
    assert loss[0] == loss[1] < loss[2]


@pytest.mark.parametrize(
    ("name", "los", "limit_m"),
    [
        ("UMa", True, 5000.0),
        ("UMi", False, 5000.0),
        ("RMa", True, 10000.0),
        ("RMa", False, 5000.0),
        ("InH-open", True, 150.0),
        ("InF-DL", False, 600.0),
    ],
)
def test_a_link_beyond_the_range_is_refused_by_distance_and_limit(name: str, los: bool, limit_m: float) -> None:
    env = ENVIRONMENTS[name]
    inside = env.path_loss_db(los, limit_m, 2e9)
    too_far_m = limit_m + 50.0
    with pytest.raises(ValueError, match=rf"{name}: d2d_m = {too_far_m:g} m .* {limit_m:g} m limit"):
        env.path_loss_db(los, [20.0, too_far_m], 2e9)
    assert env.path_loss_db(los, too_far_m, 2e9, extrapolate=True) > inside


def test_only_links_in_the_refused_state_are_refused() -> None:
    env = ENVIRONMENTS["RMa"]
    assert np.all(env.path_loss_db([True, False], [9000.0, 4000.0], 2e9) > 100.0)
    with pytest.raises(ValueError, match="7000 m is beyond the 5000 m limit of the law without"):
        env.path_loss_db([True, False], [9000.0, 7000.0], 2e9)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_one_carrier_for_all_links_is_that_carrier_for_each(name: str) -> None:
    env = ENVIRONMENTS[name]
    distance_m = np.geomspace(env.min_d2d_m / 2.0, min(env.validity.max_d2d_nlos_m, 9000.0), 400).reshape(4, 100)
    state = (
        np.random.default_rng(0).random(distance_m.shape) < 0.3 if env.nlos_law_db else np.full(distance_m.shape, True)
    )
    together = env.path_loss_db(state, distance_m, 3.5e9)
    each = env.path_loss_db(state, distance_m, np.full(distance_m.shape, 3.5e9))
    np.testing.assert_allclose(together, each, rtol=1e-14)


def test_states_distances_and_carriers_broadcast() -> None:
    env = ENVIRONMENTS["RMa"]
    fc_hz = np.array([[[0.7e9]], [[3.5e9]]])
    table = env.path_loss_db([[True], [False]], [100.0, 300.0, 900.0], fc_hz)
    assert table.shape == (2, 2, 3)
    assert table[1, 0, 2] == env.path_loss_db(True, 900.0, 3.5e9)
    assert env.shadowing_sigma_db([[True], [False]], [100.0, 300.0, 900.0], fc_hz).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("fc_hz", "h_bs_m", "h_ut_m", "quantity"),
    [(60e9, 35.0, 1.5, "fc_hz"), (2e9, 5.0, 1.5, "h_bs_m"), (2e9, 35.0, 12.0, "h_ut_m")],
)
def test_carriers_and_heights_outside_the_range_are_refused(
    fc_hz: float, h_bs_m: float, h_ut_m: float, quantity: str
) -> None:
    with pytest.raises(ValueError, match=f"RMa: {quantity} = "):
        ENVIRONMENTS["RMa"].path_loss_db(True, 100.0, fc_hz, h_bs_m, h_ut_m)
    assert np.isfinite(ENVIRONMENTS["RMa"].path_loss_db(True, 100.0, fc_hz, h_bs_m, h_ut_m, extrapolate=True))


@pytest.mark.parametrize("distance_m", [-1.0, np.nan])
def test_distances_that_are_no_distances_are_refused_even_when_extrapolating(distance_m: float) -> None:
    with pytest.raises(ValueError, match="d2d_m must be a number >= 0"):
        ENVIRONMENTS["UMa"].path_loss_db(True, [10.0, distance_m], 2e9, extrapolate=True)


def test_a_factory_with_both_antennas_above_the_clutter_has_only_line_of_sight() -> None:
    env = ENVIRONMENTS["InF-HH"]
    assert env.los_probability([1.0, 500.0]).tolist() == [1.0, 1.0]
    assert env.path_loss_db(True, 100.0, 1e9) == pytest.approx(31.84 + 43.0)
    with pytest.raises(ValueError, match="has line of sight"):
        env.path_loss_db([True, False], 100.0, 1e9)


def test_dense_low_factory_clutter_never_beats_sparse_clutter() -> None:
    distance_m = np.geomspace(1.0, 600.0, 200)
    dense = ENVIRONMENTS["InF-DL"].path_loss_db(False, distance_m, 3.5e9)
    sparse = ENVIRONMENTS["InF-SL"].path_loss_db(False, distance_m, 3.5e9)
    assert np.all(dense >= sparse)
    assert np.any(dense > sparse)


@pytest.mark.parametrize(
    ("name", "constant_db", "slope", "sigma_db"),
    [
        ("UMa", 32.4, 30.0, 7.8),
        ("UMi", 32.4, 31.9, 8.2),
        ("InH-mixed", 32.4, 31.9, 8.29),
        ("InH-open", 32.4, 31.9, 8.29),
    ],
)
def test_the_optional_law_is_one_slope_in_3d_distance_with_its_own_deviation(
    name: str, constant_db: float, slope: float, sigma_db: float
) -> None:
    standard = ENVIRONMENTS[name]
    optional = with_optional_nlos(standard)
    d3d_m = np.hypot(100.0, standard.h_bs_m - standard.h_ut_m)
    expected_db = constant_db + 20.0 * np.log10(3.5) + slope * np.log10(d3d_m)
    assert optional.path_loss_db(False, 100.0, 3.5e9) == pytest.approx(expected_db)
    assert optional.path_loss_db(True, 100.0, 3.5e9) == standard.path_loss_db(True, 100.0, 3.5e9)
    assert optional.shadowing_sigma_db([True, False], [100.0, 100.0], 3.5e9).tolist() == [
        standard.sigma_los_db,
        sigma_db,
    ]


@given(st.sampled_from(["UMa", "InH-mixed", "InH-open"]), st.floats(0.0, 1.0), st.floats(0.5e9, 100e9))
def test_losing_sight_never_helps_under_the_optional_law_either(name: str, place: float, fc_hz: float) -> None:
    env = with_optional_nlos(ENVIRONMENTS[name])
    with_los, without = env.path_loss_db([True, False], place * env.validity.max_d2d_nlos_m, fc_hz)
    assert without >= with_los


def test_the_optional_street_canyon_law_dips_below_line_of_sight_only_far_out_at_low_carriers() -> None:
    env = with_optional_nlos(ENVIRONMENTS["UMi"])
    distance_m, fc_hz = np.geomspace(10.0, 5000.0, 200), np.geomspace(0.5e9, 100e9, 80)[:, None]
    penalty_db = env.path_loss_db(False, distance_m, fc_hz) - env.path_loss_db(True, distance_m, fc_hz)
    assert penalty_db.min() == pytest.approx(-1.58, abs=0.01)
    assert np.all(penalty_db[:, distance_m < 2000.0] > 0.0)
    assert np.all(penalty_db[fc_hz[:, 0] > 1e9] > 0.0)


def test_environments_without_an_optional_law_say_so() -> None:
    with pytest.raises(ValueError, match="RMa has no optional law, only UMa, UMi"):
        with_optional_nlos(ENVIRONMENTS["RMa"])


def test_shadowing_and_rician_factors_have_the_statistics_of_table_7_5_6() -> None:
    stated = {
        name: (env.correlation_los_m, env.correlation_nlos_m, env.rician_k_db_mean, env.rician_k_db_sigma)
        for name, env in ENVIRONMENTS.items()
    }
    assert stated["UMa"] == (37.0, 50.0, 9.0, 3.5)
    assert stated["UMi"] == (10.0, 13.0, 9.0, 5.0)
    assert stated["RMa"] == (37.0, 120.0, 7.0, 4.0)
    assert stated["InH-mixed"] == stated["InH-open"] == (10.0, 6.0, 7.0, 4.0)
    assert {stated[f"InF-{clutter}"] for clutter in ("SL", "DL", "SH", "DH", "HH")} == {(10.0, 10.0, 7.0, 8.0)}


def test_the_macro_rule_is_128_db_at_a_kilometre_whatever_the_state() -> None:
    env = ENVIRONMENTS["macro-128"]
    loss = env.path_loss_db([[True], [False]], [1000.0, 100.0], 3.5e9)
    np.testing.assert_allclose(loss, [[128.1, 90.5], [128.1, 90.5]])
    assert env.los_probability(50.0) == 0.0
    assert env.shadowing_sigma_db(True, 50.0, 2e9) == 8.0
    assert env.rician_k_db_mean is None


def test_free_space_loses_6_db_per_doubling_and_32_45_db_at_one_metre_and_one_gigahertz() -> None:
    assert free_space_db(1.0, 1e9) == pytest.approx(32.4478, abs=1e-4)
    assert free_space_db(200.0, 1e9) - free_space_db(100.0, 1e9) == pytest.approx(20.0 * np.log10(2.0))
    straight_up = ENVIRONMENTS["free-space"].path_loss_db(True, 30.0, 1e9, h_bs_m=41.5, h_ut_m=1.5)
    assert straight_up == pytest.approx(float(free_space_db(50.0, 1e9)))


@given(st.floats(1.0, 1e4), st.floats(0.5e9, 100e9))
def test_log_distance_with_exponent_two_is_free_space(distance_m: float, fc_hz: float) -> None:
    reference_db = float(free_space_db(1.0, fc_hz))
    assert log_distance_db(distance_m, 2.0, reference_db) == pytest.approx(float(free_space_db(distance_m, fc_hz)))
