"""Blocks across unequal SINRs: the effective SINR between its limits, and the factors of the two tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from channel_models.mcs_tables import MCS_TABLES, effective_sinr
from channel_models.units import linear_to_db

LEVELS = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=20)


@given(LEVELS, st.floats(0.5, 150.0))
def test_the_effective_sinr_is_the_log_of_a_mean_of_exponentials(levels: list[float], beta: float) -> None:
    expected = -beta * (logsumexp(-np.array(levels) / beta) - np.log(len(levels)))
    assert effective_sinr(levels, beta) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(LEVELS, st.floats(0.5, 100.0))
def test_the_effective_sinr_lies_between_the_weakest_and_the_mean_and_grows_with_beta(
    levels: list[float], beta: float
) -> None:
    low, high = effective_sinr(levels, np.array([beta, 1.5 * beta]))
    assert min(levels) <= low <= high * (1.0 + 1e-12) + 1e-12
    assert high <= np.mean(levels) * (1.0 + 1e-9) + 1e-9


def test_the_limits_of_beta_are_the_weakest_and_the_mean() -> None:
    levels = np.array([2.0, 3.0, 10.0])
    assert effective_sinr(levels, 1e-6) == pytest.approx(2.0, abs=1e-4)
    assert effective_sinr(levels, 1e6) == pytest.approx(5.0, abs=1e-4)


@pytest.mark.parametrize("table", [1, 2])
def test_a_flat_block_fails_as_on_one_sinr(table: int) -> None:
    schemes = MCS_TABLES[table]
    sinr = np.array([0.5, 3.0, 40.0])
    flat = schemes.selective_block_error_rate(np.repeat(sinr[:, None], 7, axis=1))
    np.testing.assert_allclose(flat, schemes.block_error_rate(linear_to_db(sinr)), atol=1e-9)


def test_a_block_with_a_hole_fails_more_often_than_one_of_the_same_mean() -> None:
    schemes = MCS_TABLES[1]
    holed = schemes.selective_block_error_rate(np.array([0.1, 9.9]))
    assert np.all(holed >= schemes.block_error_rate(linear_to_db(5.0)) - 1e-12)
    assert np.any(holed > schemes.block_error_rate(linear_to_db(5.0)) + 0.5)


@pytest.mark.parametrize("table", [1, 2])
def test_beta_grows_with_the_rate_of_the_scheme(table: int) -> None:
    schemes = MCS_TABLES[table]
    assert len(schemes.eesm_beta) == len(schemes.bits_per_symbol)
    assert np.all(np.diff(schemes.eesm_beta) > 0.0)


def test_schemes_that_both_tables_hold_have_one_beta() -> None:
    shared = [
        dict(zip(zip(t.bits_per_symbol, t.code_rate_x1024, strict=True), t.eesm_beta, strict=True))
        for t in MCS_TABLES.values()
    ]
    both = shared[0].keys() & shared[1].keys()
    assert len(both) == 20
    assert all(shared[0][scheme] == shared[1][scheme] for scheme in both)
