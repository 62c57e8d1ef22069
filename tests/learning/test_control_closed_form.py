"""The planner: the optimal H is Lambert's, budgets are used up and never passed, whatever the resources."""

from __future__ import annotations

from math import ceil, exp, expm1, log, log1p
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.special import lambertw

from learning.control.closed_form import (
    ClosedFormControl,
    affordable_iterations,
    affordable_local_iterations,
    optimal_local_iterations,
)
from learning.messages import Plan
from netsim.port import Observation, Price

Q = -log(51 / 52)
DEFAULT = Price(0.17 * 25, 10.0 * 5)  # five base stations with five terminals each


def observation(left: dict[str, float], prices: dict[str, Price], cloud_round: int = 0) -> Observation:
    """Return what a controller is told."""
    return Observation(cloud_round, 25, 5, left, prices)


def cost_of(plan: Plan, price: Price) -> float:
    """Return what a cloud round costs."""
    return plan.bs_iterations * (price.bs_iteration + plan.local_iterations * price.local_iteration)


def run(controller: ClosedFormControl, budget: float, price: Price = DEFAULT, q: float | None = None) -> list[Plan]:
    """Return the plans of a whole run that pays exactly what it plans."""
    plans: list[Plan] = []
    left = budget
    while (plan := controller.plan(observation({"cost": left}, {"cost": price}, len(plans)), q)) is not None:
        plans.append(plan)
        left -= cost_of(plan, price)
    return plans


@pytest.mark.parametrize(
    ("c_dev", "c_bs", "expected"),
    [(0.07, 10, 46), (0.1, 10, 40), (0.12, 10, 37), (0.17, 10, 31), (0.2, 10, 29), (0.17, 1, 11), (0.17, 20, 42)],
)
def test_the_optimal_number_of_local_iterations_is_the_known_one(c_dev: float, c_bs: float, expected: int) -> None:
    price = Price(c_dev * 25, c_bs * 5.0)
    assert round(optimal_local_iterations(Q, price)) == expected
    plan = ClosedFormControl(2, Q).plan(observation({"cost": 1e5}, {"cost": price}), None)
    assert plan is not None and plan.local_iterations == expected


@settings(max_examples=300)
@given(q=st.floats(1e-6, 10.0), local=st.floats(1e-6, 1e6), bs=st.floats(1e-6, 1e6))
def test_the_optimum_is_the_lower_branch_of_lamberts_function(q: float, local: float, bs: float) -> None:
    kappa = q * bs / local
    x = q * optimal_local_iterations(q, Price(local, bs))
    assert expm1(x) - x == pytest.approx(kappa, rel=1e-9)
    if 1e-4 < kappa < 500.0:  # outside, Lambert's own argument loses its digits
        expected = -(1.0 + kappa) - lambertw(-exp(-(1.0 + kappa)), -1).real
        assert x == pytest.approx(expected, rel=1e-6)


@settings(max_examples=100)
@given(kappa=st.floats(1e-25, 1e300))
def test_the_optimum_is_found_for_vanishing_and_for_gigantic_prices(kappa: float) -> None:
    x = optimal_local_iterations(1.0, Price(1.0, kappa))
    if kappa < 1e-6:
        assert x == pytest.approx((2.0 * kappa) ** 0.5, rel=1e-3)
    else:
        assert x == pytest.approx(log1p(kappa + x), rel=1e-7)


@pytest.mark.parametrize("H", [0.5, 0.9, 1.1, 2.0])
def test_no_other_number_makes_more_progress_per_cost(H: float) -> None:
    best = optimal_local_iterations(Q, DEFAULT)

    def progress(h: float) -> float:
        return -expm1(-Q * h) / (DEFAULT.bs_iteration + h * DEFAULT.local_iteration)

    assert progress(H * best) < progress(best)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (-1.0, 1.0, 1.0)])
def test_what_is_not_positive_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        optimal_local_iterations(wrong[0], Price(*wrong[1:]))


def test_the_number_of_station_iterations_is_the_known_one() -> None:
    assert [run(ClosedFormControl(2, Q), budget)[0].bs_iterations for budget in (400, 1000, 1800)] == [1, 2, 4]


def test_what_is_left_over_is_spent_on_local_iterations_in_the_last_round() -> None:
    plans = run(ClosedFormControl(2, Q), 1800.0)
    assert [plan.local_iterations for plan in plans] == [31, 38]
    left = 1800.0 - sum(cost_of(plan, DEFAULT) for plan in plans)
    assert left < plans[-1].bs_iterations * DEFAULT.local_iteration


@settings(max_examples=300)
@given(budget=st.floats(108.5, 1e5), q=st.none() | st.floats(1e-5, 1.0))
def test_a_budget_is_never_passed_and_no_further_iteration_would_fit(budget: float, q: float | None) -> None:
    plans = run(ClosedFormControl(2, Q), budget, q=q)
    assert len(plans) == 2 and all(plan.local_iterations >= 1 for plan in plans)
    spent = sum(cost_of(plan, DEFAULT) for plan in plans)
    assert spent <= budget * (1.0 + 1e-8)
    last = plans[-1]
    if last.local_iterations < 1000:
        assert spent + last.bs_iterations * DEFAULT.local_iteration > budget * (1.0 - 1e-8)


@pytest.mark.parametrize(("budget", "rounds"), [(54.2, 0), (0.0, 0), (54.25, 1), (108.4, 1), (108.5, 2)])
def test_below_the_cost_of_one_local_iteration_a_round_the_run_is_shorter_or_empty(budget: float, rounds: int) -> None:
    assert len(run(ClosedFormControl(2, Q), budget)) == rounds


def test_a_run_has_no_more_cloud_rounds_than_wanted() -> None:
    assert len(run(ClosedFormControl(7, Q), 1e4)) == 7


def test_a_measured_contraction_replaces_the_assumed_one() -> None:
    first, measured = (run(ClosedFormControl(5, Q), 1e5, q=q)[0].local_iterations for q in (None, 0.0083))
    assert (first, measured) == (31, 50)
    assert run(ClosedFormControl(5, Q), 1e5, q=0.0)[0].local_iterations == 31


def test_before_any_price_is_known_one_pass_over_the_samples_is_tried() -> None:
    plan = ClosedFormControl(5, Q).plan(observation({"time_s": 60.0}, {"cost": DEFAULT}), None)
    assert plan == Plan(52, 1)


def test_a_limit_on_what_costs_nothing_limits_nothing() -> None:
    free = Price(0.0, 0.0)
    alone = ClosedFormControl(5, Q).plan(observation({"cost": 10.0}, {"cost": free}), None)
    assert alone == Plan(52, 1)
    left = {"cost": 10.0, "energy_j": 1800.0}
    both = ClosedFormControl(5, Q).plan(observation(left, {"cost": free, "energy_j": DEFAULT}), None)
    assert both == ClosedFormControl(5, Q).plan(observation({"cost": 1800.0}, {"cost": DEFAULT}), None)


def test_while_the_price_of_a_limited_resource_is_unknown_a_round_is_short() -> None:
    left, control = {"cost": 1e5, "time_s": 60.0}, ClosedFormControl(5, Q)
    assert control.plan(observation(left, {"cost": DEFAULT}), None) == Plan(31, 1)
    plan = control.plan(observation(left, {"cost": DEFAULT, "time_s": Price(0.0, 0.01)}), None)
    assert plan is not None and plan.bs_iterations > 1
    last = control.plan(observation(left, {"cost": DEFAULT}, 4), None)
    assert last is not None and last.bs_iterations > 1  # there will be no later round to make up for it


def test_scarce_messages_do_not_drive_the_local_work_beyond_what_the_cost_allows() -> None:
    prices = {"cost": Price(1.0, 60.0), "bytes": Price(0.0, 1.0)}
    plan = ClosedFormControl(1, Q).plan(observation({"cost": 1000.0, "bytes": 7.0}, prices), Q)
    assert plan == Plan(82, 7)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """Return limited resources with prices, some without, some at no charge."""
    names = draw(st.sets(st.sampled_from(["time_s", "energy_j", "bytes", "cost"]), min_size=1))
    amount = st.floats(1e-3, 1e4)
    price = st.builds(Price, st.just(0.0) | st.floats(1e-4, 1e2), st.just(0.0) | st.floats(1e-4, 1e2))
    return {
        "left": {name: draw(amount) for name in sorted(names)},
        "prices": {name: draw(price) for name in sorted(names) if draw(st.booleans())},
        "rounds": draw(st.integers(1, 12)),
        "q": draw(st.floats(1e-4, 2.0)),
    }


def costly(prices: dict[str, Price]) -> dict[str, Price]:
    """Return the prices that are not 0."""
    return {name: price for name, price in prices.items() if price != Price(0.0, 0.0)}


@settings(max_examples=500)
@given(world=worlds())
def test_no_plan_passes_any_remaining_budget(world: dict[str, Any]) -> None:
    left, prices = world["left"], world["prices"]
    plan = ClosedFormControl(world["rounds"], world["q"]).plan(observation(left, prices), None)
    costs = costly(prices)
    one = Plan(1, 1)
    if plan is None:
        assert any(cost_of(one, price) > left[name] * (1.0 - 1e-8) for name, price in costs.items())
        return
    assert plan.local_iterations >= 1 and plan.bs_iterations >= 1
    for name, price in costs.items():
        assert cost_of(plan, price) <= left[name] * (1.0 + 1e-8)


FREE_AGGREGATION = {
    "left": {"bytes": 64.0, "cost": 60.0},
    "prices": {"bytes": Price(4.0, 0.0), "cost": Price(1.0, 5.0)},
    "rounds": 2,
    "q": 1.0,
}


@settings(max_examples=200)
@given(world=worlds())
@example(world=FREE_AGGREGATION)
def test_with_several_resources_the_plan_beats_that_of_each_resources_own_optimum(world: dict[str, Any]) -> None:
    left, prices, q = world["left"], world["prices"], world["q"]
    left = {name: left[name] for name in prices}
    plan = ClosedFormControl(2, q).plan(observation(left, prices), None)
    if plan is None:
        return
    for price in prices.values():
        if not (price.local_iteration and price.bs_iteration):
            continue
        H = min(1000, max(1, round(optimal_local_iterations(q, price))))
        K = min(affordable_iterations(left[name] / 2, prices[name], H) for name in costly(prices))
        rival = K * -expm1(-q * H)
        assert plan.bs_iterations * -expm1(-q * plan.local_iterations) >= rival * (1.0 - 1e-12)


@settings(max_examples=200)
@given(K=st.integers(1, 1000), H=st.integers(1, 1000), local=st.floats(1e-3, 1e3), bs=st.floats(1e-3, 1e3))
def test_a_budget_of_exactly_so_many_iterations_allows_them(K: int, H: int, local: float, bs: float) -> None:
    price = Price(local, bs)
    budget = cost_of(Plan(H, K), price)
    assert affordable_iterations(budget, price, H) == K
    assume(bs / local < 1e5)  # beyond, a local iteration drowns in the rounding of the rest
    assert affordable_local_iterations(budget, price, K) == H


def test_local_work_is_bounded_when_a_station_iteration_is_dear() -> None:
    plan = ClosedFormControl(1, 1e-3, max_local_iterations=200).plan(
        observation({"bytes": 50.0}, {"bytes": Price(0.0, 10.0)}), None
    )
    assert plan == Plan(200, 5)


def test_without_a_price_for_aggregation_every_iteration_is_a_single_step() -> None:
    plan = ClosedFormControl(2, Q).plan(observation({"cost": 100.0}, {"cost": Price(1.0, 0.0)}), None)
    assert plan == Plan(1, 50)


def test_the_assumed_rate_is_that_of_one_sample_at_a_time() -> None:
    n = 52
    assert ceil(1.0 / -np.expm1(-Q) - 1e-9) == n
