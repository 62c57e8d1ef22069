"""Who does how many local steps: drawn shares, and what fits into the time of another terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.control.local_work import DrawnWork, PacedWork, Workload
from netsim.port import Observation
from scenarios.streams import Streams

ROWS = np.array([10, 20, 40, 3, 1])


def seen(cloud_round: int = 0, seconds: Any = None) -> Observation:
    """Return what a controller knows of five terminals."""
    known = None if seconds is None else np.array(seconds)
    return Observation(cloud_round, 5, 5, seconds_per_sample=known)


def test_a_workload_visits_its_share_of_the_rows_and_ends_after_its_rounds() -> None:
    work = Workload(rows=ROWS, bottom=0.1, top=0.5, bs_iterations=3, cloud_rounds=2)
    plan = work.plan(seen(1))
    assert plan is not None and plan.each is not None
    assert (plan.local_iterations, plan.bs_iterations, plan.each.tolist()) == (20, 3, [5, 10, 20, 1, 1])
    assert work.plan(seen(2)) is None
    assert not work.measures_gap(0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cloud_round=st.integers(0, 10**6))
def test_drawn_work_lies_within_its_limits_and_is_the_same_whenever_it_is_drawn(seed: int, cloud_round: int) -> None:
    work = DrawnWork(rows=ROWS, bottom=0.3, top=0.6, streams=Streams(seed))
    first, again, next_ = (work.plan(seen(number)) for number in (cloud_round, cloud_round, cloud_round + 1))
    assert first is not None and again is not None and next_ is not None
    np.testing.assert_array_equal(first.each, again.each)
    assert np.all(first.each >= np.maximum(1, np.floor(0.3 * ROWS))) and np.all(first.each <= np.maximum(1, 0.6 * ROWS))
    fewer = DrawnWork(rows=ROWS[:2], bottom=0.3, top=0.6, streams=Streams(seed)).plan(seen(cloud_round))
    assert fewer is not None and fewer.each is not None and first.each is not None
    assert fewer.each.tolist() == first.each[:2].tolist()


def test_shares_are_drawn_evenly() -> None:
    work = DrawnWork(rows=np.full(20_000, 1000), bottom=0.1, top=1.0, streams=Streams(1))
    shares = work.shares(seen())
    assert [shares.min(), shares.mean(), shares.max()] == pytest.approx([0.1, 0.55, 1.0], abs=0.01)


@pytest.mark.parametrize(
    ("quantile", "steps"),
    [(0.0, [10, 2, 10, 1, 1]), (0.5, [10, 8, 40, 3, 1]), (1.0, [10, 20, 40, 3, 1])],
)
def test_paced_work_fits_into_the_time_of_the_terminal_that_sets_the_pace(quantile: float, steps: list[int]) -> None:
    work = PacedWork(rows=ROWS, bottom=0.1, top=1.0, quantile=quantile)
    plan = work.plan(seen(1, [1.0, 5.0, 1.0, 10.0, 100.0]))  # 10, 100, 40, 30 and 100 seconds for all rows
    assert plan is not None and plan.each is not None
    assert plan.each.tolist() == steps


def test_a_terminal_that_nobody_has_heard_of_does_the_least() -> None:
    work = PacedWork(rows=ROWS, bottom=0.25, top=1.0)
    for seconds, steps in ((None, [2, 5, 10, 1, 1]), ([np.nan] * 5, [2, 5, 10, 1, 1])):
        plan = work.plan(seen(0, seconds))
        assert plan is not None and plan.each is not None and plan.each.tolist() == steps
    plan = work.plan(seen(3, [1.0, np.nan, np.nan, 0.0, np.nan]))
    assert plan is not None and plan.each is not None and plan.each.tolist() == [5, 5, 10, 3, 1]
