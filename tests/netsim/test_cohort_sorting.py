"""Sorting and selecting without arrays of its own gives what numpy gives."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from netsim.cohort.sorting import rank_by, smallest

NUMBERS = st.lists(st.integers(0, 30) | st.just(np.inf), min_size=1, max_size=200)


@njit
def _select(values: np.ndarray, n: int, k: int) -> float:
    return smallest(values, n, k)


@njit
def _rank(values: np.ndarray, order: np.ndarray, spare: np.ndarray) -> None:
    rank_by(values, order, spare)


@settings(deadline=None)  # the first call compiles
@given(NUMBERS)
def test_equals_stay_in_their_order(numbers: list[float]) -> None:
    values = np.array(numbers, np.float64)
    order, spare = np.full(len(values), -1), np.full(len(values) + 3, -1)
    _rank(values, order, spare)
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))


@settings(deadline=None)  # the first call compiles
@given(NUMBERS, st.integers(0, 199))
def test_the_number_of_a_rank_is_found_whatever_lies_behind(numbers: list[float], k: int) -> None:
    k %= len(numbers)
    values = np.array([*numbers, -1.0])
    assert _select(values, len(numbers), k) == sorted(numbers)[k]
