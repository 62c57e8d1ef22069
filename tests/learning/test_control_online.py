"""The planner that learns: its law is fitted exactly where it holds, budgets are kept, slow terminals are cut."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.control.observation import Reading
from learning.control.online import (
    OnlineControl,
    Worth,
    arriving,
    decrease,
    learned_worth,
    likely_drag,
    likely_worth,
    loads_of,
    options,
    progress,
    steps_of,
)
from learning.messages import Plan
from netsim.port import Observation, Price

ROWS = np.array([3, 5, 4, 6, 8, 4])
COST = {"cost": Price(6.0, 20.0)}  # six terminals


def observation(
    left: dict[str, float], prices: dict[str, Price], cloud_round: int = 0, seconds: list[float] | None = None
) -> Observation:
    """Return what a controller is told."""
    return Observation(cloud_round, 6, 2, left, prices, None if seconds is None else np.array(seconds))


def steps(plan: Plan | None) -> list[int]:
    """Return H of every terminal."""
    assert plan is not None
    return plan.steps(np.arange(len(ROWS))).tolist()


def cost_of(plan: Plan) -> float:
    """Return what a round costs."""
    return plan.bs_iterations * (20.0 + 6.0 * float(np.mean(steps(plan))))


def test_progress_is_that_of_the_share_of_a_pass_and_little_more_beyond() -> None:
    passes = np.linspace(0.01, 8.0, 400)
    found = progress(passes)
    assert (np.diff(found) > 0.0).all()
    assert progress(np.array([1.0])) == pytest.approx(1.0)
    assert (found[passes > 1.0] < 1.05).all() and (found[passes < 1.0] / passes[passes < 1.0] < 1.13).all()


def expected(worth: Worth, values: np.ndarray) -> float:
    """Return the mean of logarithms under the odds."""
    return float(worth.odds @ np.log(values))


@settings(max_examples=50)
@given(st.floats(4.0, 25.0), st.floats(0.6, 1.7), st.floats(0.5, 2.0))
def test_readings_of_short_and_long_rounds_tell_pace_and_drag_apart(pace: float, odd: float, likely: float) -> None:
    drag, prior = odd * likely, likely_worth(likely)
    work = [np.full(6, K) for K in (1.0, 1.0, 256.0, 256.0)]
    found = learned_worth(prior, [float(decrease(w, pace, drag).sum()) for w in work], work)
    for values, truth in ((found.paces, pace), (found.drags, drag)):
        off = np.log(values) - np.log(truth)
        assert found.odds @ off**2 <= prior.odds @ off**2 + 1e-9
        assert abs(found.odds @ off) < 0.4
    assert found.odds.sum() == pytest.approx(1.0)


@given(st.floats(0.02, 0.5), st.floats(0.1, 2.0))
def test_short_rounds_that_bring_little_leave_the_drag_as_unknown_as_it_was(drop: float, likely: float) -> None:
    prior, one = likely_worth(likely), np.ones(1)
    found = learned_worth(prior, [0.1 * drop] * 3, [0.1 * one] * 3)
    slow = learned_worth(prior, [drop / 30.0] * 3, [0.1 * one] * 3)
    assert expected(found, found.drags) == pytest.approx(np.log(likely), abs=0.3)
    assert expected(slow, slow.paces) > expected(found, found.paces)


def test_a_decrease_that_was_measured_is_about_the_one_expected_of_such_rounds() -> None:
    """No round is believed to bring much more than the like of it have brought."""
    for drop in (0.1, 0.5, 0.9):
        found = learned_worth(likely_worth(0.5), [4.0 * drop] * 3, [np.full(4, 2.0)] * 3)
        assert found.decrease(np.array([2.0]))[0] == pytest.approx(drop, rel=0.15)
        assert (np.diff(found.decrease(np.array([1.0, 2.0, 4.0, 8.0, 1e9]))) > 0.0).all()
        assert found.decrease(np.array([1e9]))[0] == pytest.approx(float(found.odds @ (1.0 / found.drags)), rel=1e-6)


@pytest.mark.parametrize("drops", [[], [-1.0], [0.0, -2.0]])
def test_gaps_that_did_not_fall_teach_nothing(drops: list[float]) -> None:
    prior = likely_worth(0.3)
    np.testing.assert_array_equal(learned_worth(prior, drops, [np.ones(3)] * len(drops)).odds, prior.odds)


def test_gaps_that_are_rounding_teach_nothing() -> None:
    plan, plans = Plan(1, 1), []
    for last in ([], [Reading(7, 1e-16, None, plan)], [Reading(7, 0.0, None, plan)]):
        control = OnlineControl(ROWS, 0.1)
        for t in range(9):
            found = control.plan(observation({"cost": 1e5}, COST, t), None, [Reading(3, 9.0, None, plan), *last])
        plans.append(found)
    assert plans[0] == plans[1] == plans[2]


@given(st.floats(0.0, 1.0))
def test_the_likely_drag_is_finite_and_positive(outer: float) -> None:
    assert 0.0 < likely_drag(outer) < np.inf


def test_every_terminal_goes_once_over_its_own_rows_where_an_aggregation_is_dear() -> None:
    control = OnlineControl(ROWS, 0.01)
    assert steps(control.plan(observation({"cost": 1e4}, COST))) == ROWS.tolist()


@settings(max_examples=50, deadline=None)
@given(budget=st.floats(26.0, 3e3), drag=st.floats(0.01, 3.0))
def test_a_cost_budget_is_used_and_never_passed(budget: float, drag: float) -> None:
    control, left, rounds = OnlineControl(ROWS, drag), budget, 0
    while (plan := control.plan(observation({"cost": left}, COST, rounds))) is not None:
        left -= cost_of(plan)
        rounds += 1
        assert left >= -1e-6 * budget
    assert left < 26.0 and rounds >= 1


def test_a_budget_that_pays_for_no_round_ends_the_run() -> None:
    assert OnlineControl(ROWS, 0.1).plan(observation({"cost": 25.9}, COST)) is None


@pytest.mark.parametrize("scarce", ["time_s", "energy_j", "bytes"])
def test_the_last_round_of_a_forecast_budget_is_made_to_fit(scarce: str) -> None:
    prices = {scarce: Price(0.0 if scarce == "bytes" else 0.1, 1.0)}
    control = OnlineControl(ROWS, 0.1)
    control.plan(observation({scarce: 100.0}, prices))
    for cloud_round, left in ((1, 50.0), (2, 30.0), (4, 2.4)):
        plan = control.plan(observation({scarce: left}, prices, cloud_round, [0.1] * 6))
    assert plan is not None
    assert plan.bs_iterations * (1.0 + prices[scarce].local_iteration * np.mean(steps(plan))) <= 2.4


def test_the_scarcest_of_several_resources_decides() -> None:
    prices = COST | {"bytes": Price(0.0, 30.0, 29.0)}
    plans = []
    for left in ({"cost": 4e3, "bytes": 1e9}, {"cost": 1e9, "bytes": 4e3}):
        control = OnlineControl(ROWS, 0.01)
        for cloud_round in range(3):
            plan = control.plan(observation(left, prices, cloud_round))
        assert plan is not None
        plans.append(plan.bs_iterations)
    assert plans[0] == 1 < plans[1]  # a cloud round costs 29 of 30 bytes: iterations are as good as free


def test_iterations_at_most_double_from_round_to_round() -> None:
    control, prices = OnlineControl(ROWS, 0.01), {"bytes": Price(0.0, 30.0, 30.0)}
    found = [control.plan(observation({"bytes": 1e6}, prices, t)) for t in (0, 1, 2, 4)]
    assert [plan.bs_iterations for plan in found if plan] == [1, 2, 4, 8]


def test_rounds_that_measure_gaps_are_short_and_come_at_powers_of_two() -> None:
    control = OnlineControl(ROWS, 0.01)
    assert [t + 1 for t in range(40) if control.measures_gap(t)] == [4, 8, 16, 32]
    prices = {"bytes": Price(0.0, 30.0, 30.0)}
    plans = [control.plan(observation({"bytes": 1e6}, prices, t)) for t in range(8)]
    assert [plan.bs_iterations for plan in plans if plan] == [1, 2, 4, 1, 8, 16, 16, 1]


def test_slow_terminals_are_cut_where_time_is_scarce_and_only_there() -> None:
    seconds = [0.01] * 5 + [1.0]
    prices = {"time_s": Price(1.0, 0.01), "energy_j": Price(1.0, 0.01)}
    for scarce, is_cut in (("time_s", True), ("energy_j", False)):
        control = OnlineControl(ROWS, 0.1)
        control.plan(observation({scarce: 1e3}, prices))
        each = steps(control.plan(observation({scarce: 1e3}, prices, 1, seconds)))
        assert bool(each[5] / ROWS[5] < 0.8 * each[3] / ROWS[3]) is is_cut


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 50), st.floats(1e-3, 1e2)), min_size=1, max_size=12), st.booleans())
def test_every_option_asks_everybody_for_something(terminals: list[tuple[int, float]], cut: bool) -> None:
    rows, slow = np.array([n for n, _ in terminals]), np.array([s for _, s in terminals])
    found = options(rows, slow, 3.0, cut)
    each = steps_of(found.passes, found.longest_s, rows, slow)
    assert (each >= 1).all() and (found.done > 0.0).all()
    assert ((each == 1) | (each * slow <= (1.0 + 1e-9) * found.longest_s[:, None])).all()
    assert all((load > 0.0).all() and len(load) == len(found.done) for load in found.loads.values())


def test_many_that_are_nearly_the_slowest_take_longer_than_one() -> None:
    alone = loads_of(np.array([[10, 1, 1, 1]]), np.ones(4), 2.0)["time_s"][0]
    many = loads_of(np.array([[10, 10, 10, 10]]), np.ones(4), 2.0)["time_s"][0]
    assert alone == pytest.approx(np.sqrt(103.0)) and many == pytest.approx(20.0)


def test_a_plan_does_not_depend_on_what_another_run_has_learned() -> None:
    one, other = OnlineControl(ROWS, 0.1), OnlineControl(ROWS, 0.1)
    for t in range(6):
        one.plan(observation({"cost": 1e4}, COST, t), None, [Reading(0, 9.0, None, Plan(1, 1))])
    assert other._work == [] and other._last is None


def test_very_many_terminals_are_planned_for_like_few() -> None:
    few, many = OnlineControl(ROWS, 0.1), OnlineControl(np.tile(ROWS, 7001), 0.1)
    slow = np.array([0.01, 0.02, 0.01, 0.05, 0.01, 0.03])
    for t in range(4):
        prices = {"cost": Price(6.0, 20.0)}
        plan = few.plan(Observation(t, 6, 2, {"cost": 900.0}, prices, slow))
        same = many.plan(Observation(t, 6, 2, {"cost": 900.0}, prices, np.tile(slow, 7001)))
        assert plan is not None and same is not None and plan == same
        np.testing.assert_array_equal(same.each, np.tile(steps(plan), 7001))


def late_observation(deadline_s: float | None, **more: Any) -> Observation:
    """Return what is told after a few rounds of terminals of which one is slow; time is scarce."""
    seconds = np.array([0.01, 0.01, 0.02, 0.01, 0.01, 0.05])
    prices = {"time_s": Price(0.1, 0.05)}
    more = {"seconds_per_sample": seconds, "deadline_s": deadline_s, "upload_s": 0.02} | more
    return Observation(1, 6, 2, {"time_s": 60.0}, prices, **more)


def planned(seen: Observation) -> Plan:
    """Return the second plan of a run, when prices are known."""
    control = OnlineControl(ROWS, 0.1)
    control.plan(observation({"time_s": 60.0}, {}))
    plan = control.plan(seen)
    assert plan is not None
    return plan


@settings(max_examples=50)
@given(st.integers(1, 400), st.floats(0.01, 400.0), st.floats(0.01, 5.0))
def test_a_planned_deadline_leaves_time_for_what_an_undisturbed_update_needs(
    computed: int, excess: float, deadline_s: float
) -> None:
    seen = late_observation(deadline_s, computed=computed, excess=excess)
    plan = planned(seen)
    assert seen.seconds_per_sample is not None and plan.each is not None and plan.deadline_s is not None
    assert plan.deadline_s >= 0.02 + (plan.each * seen.seconds_per_sample).max() * (1.0 - 1e-12)


def test_deadlines_are_planned_only_where_base_stations_have_them() -> None:
    assert planned(late_observation(None)).deadline_s is None
    control = OnlineControl(ROWS, 0.1)
    first = control.plan(Observation(0, 6, 2, {"time_s": 60.0}, {}, deadline_s=0.3))
    assert first is not None and first.deadline_s is None  # as the scenario says, as long as nothing is known
    free = planned(dataclasses.replace(late_observation(0.3, computed=200, excess=200.0), remaining={"bytes": 1e9}))
    assert free.deadline_s is not None and free.each is not None
    assert free.deadline_s > 0.02 + 15.0 * 0.05 * free.each[5]  # where time is not limited nobody is left behind


def test_work_is_in_time_as_often_as_the_law_of_pareto_says() -> None:
    work, tail = np.array([[1.0, 2.0, 4.0]]), 1.5
    found = arriving(work, np.array([4.0]), tail)
    draws = (1.0 - np.random.default_rng(0).random((100_000, 1))) ** (-1.0 / tail)
    np.testing.assert_allclose(found[0], (work * draws <= 4.0).mean(axis=0), atol=0.01)
    assert (arriving(work, np.array([np.inf]), tail) == 1.0).all()
