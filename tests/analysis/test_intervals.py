"""Student's t interval against SciPy's, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.intervals import mean_interval

values = st.lists(st.floats(-100, 100), min_size=2, max_size=12)


@given(values)
def test_the_interval_is_scipys_t_interval(sample: list[float]) -> None:
    interval = mean_interval(sample)
    scale = np.std(sample, ddof=1) / np.sqrt(len(sample))
    if scale > 1e-9:
        expected = stats.t.interval(0.95, len(sample) - 1, loc=np.mean(sample), scale=scale)
        assert (float(interval.low), float(interval.high)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert float(interval.mean) == pytest.approx(np.mean(sample), abs=1e-9)


def test_missing_values_are_left_out_and_counted() -> None:
    with_gaps = mean_interval([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]])
    assert with_gaps.count.tolist() == [2, 1]
    assert with_gaps.mean.tolist() == [2.0, 5.0]
    full = mean_interval([1.0, 3.0])
    assert with_gaps.low[0] == full.low
    assert np.isnan(with_gaps.low[1])


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    one, none = mean_interval([2.0]), mean_interval([np.nan])
    assert (float(one.mean), int(one.count)) == (2.0, 1)
    assert np.isnan([one.low, one.high, none.mean, none.low]).all()


def test_equal_values_have_an_interval_of_no_width() -> None:
    interval = mean_interval(np.full(5, 0.25))
    assert (float(interval.low), float(interval.high)) == (0.25, 0.25)


def test_the_axis_of_repetitions_can_be_chosen() -> None:
    table = np.arange(6.0).reshape(2, 3)
    assert mean_interval(table, axis=1).mean.tolist() == mean_interval(table.T).mean.tolist() == [1.0, 4.0]
