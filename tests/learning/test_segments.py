"""Sums over runs of rows: exact where exactness is possible, and blind to everything outside the run."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import fsum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.segments import segment_sums, within

Array = NDArray[Any]
LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=8)


def offsets_of(lengths: list[int]) -> Array:
    """Return the ranges of runs of these lengths."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@given(lengths=LENGTHS, seed=st.integers(0, 99), width=st.sampled_from([None, 1, 3]))
def test_sums_of_whole_numbers_are_exact_and_those_of_empty_runs_are_zero(
    lengths: list[int], seed: int, width: int | None
) -> None:
    offsets = offsets_of(lengths)
    shape = (offsets[-1],) if width is None else (offsets[-1], width)
    values = np.random.default_rng(seed).integers(-(2**40), 2**40, shape)
    expected = [values[a:b].sum(axis=0) for a, b in pairwise(offsets)]
    np.testing.assert_array_equal(segment_sums(values, offsets), np.array(expected))


@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_single_precision_is_summed_in_double(lengths: list[int], seed: int) -> None:
    offsets = offsets_of(lengths)
    values = np.random.default_rng(seed).normal(size=offsets[-1]).astype(np.float32)
    sums = segment_sums(values, offsets)
    assert sums.dtype == np.float64
    for total, a, b in zip(sums, offsets[:-1], offsets[1:], strict=True):
        exact = sum((Fraction(float(value)) for value in values[a:b]), Fraction(0))
        assert abs(Fraction(float(total)) - exact) <= Fraction(1, 2**50) * sum(abs(Fraction(float(v))) for v in values)


@settings(max_examples=100)
@given(lengths=LENGTHS, seed=st.integers(0, 10**6), width=st.sampled_from([None, 1, 2, 5, 17]))
def test_a_sum_has_the_same_last_bit_whatever_runs_are_around_it(
    lengths: list[int], seed: int, width: int | None
) -> None:
    offsets, rng = offsets_of(lengths), np.random.default_rng(seed)
    shape = (offsets[-1],) if width is None else (offsets[-1], width)
    values = rng.normal(size=shape) * 10.0 ** rng.integers(-8, 8, shape)
    together = segment_sums(values, offsets)
    for s, length in enumerate(lengths):
        alone = segment_sums(values[offsets[s] : offsets[s + 1]], offsets_of([length]))
        assert alone[0].tobytes() == together[s].tobytes()
        np.testing.assert_allclose(alone[0], values[offsets[s] : offsets[s + 1]].sum(axis=0), rtol=1e-12, atol=1e-6)


def test_a_long_run_loses_next_to_nothing() -> None:
    values = np.full(10**6, 0.1)
    total = segment_sums(values, np.array([0, 10**6]))[0]
    assert total == pytest.approx(fsum(values), rel=1e-13)


@given(lengths=LENGTHS, seed=st.integers(0, 99), share=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_what_remains_of_the_runs_is_what_is_kept_of_each(lengths: list[int], seed: int, share: float) -> None:
    offsets = offsets_of(lengths)
    kept = np.random.default_rng(seed).random(offsets[-1]) < share
    remaining = within(kept, offsets)
    assert remaining.dtype == np.int64
    np.testing.assert_array_equal(np.diff(remaining), segment_sums(kept, offsets))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    np.testing.assert_array_equal(np.repeat(np.arange(len(lengths)), np.diff(remaining)), owner[kept])
