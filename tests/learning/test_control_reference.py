"""The published rule gives the published plans, oddities included, and keeps to the first one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learning.control.fixed import FixedControl
from learning.control.reference import ReferenceControl, reference_plan
from learning.messages import Plan
from netsim.port import Observation, Price
from scenarios.errors import ScenarioError

PRICE = Price(0.17 * 25, 10.0 * 5)
PUBLISHED = [(1, 11), (1, 35), (1, 58), (1, 82), (1, 105), (1, 129), (1, 103), (14, 1), (13, 4)]


def cost_of(plan: Plan) -> float:
    """Return what a cloud round costs."""
    return plan.bs_iterations * (PRICE.bs_iteration + plan.local_iterations * PRICE.local_iteration)


def run(controller: ReferenceControl, budget: float) -> list[Plan]:
    """Return the plans of a whole run."""
    plans: list[Plan] = []
    left = budget
    while True:
        plan = controller.plan(Observation(len(plans), 25, 5, {"cost": left}, {"cost": PRICE}))
        if plan is None:
            return plans
        plans.append(plan)
        left -= cost_of(plan)


@pytest.mark.parametrize(("budget", "plan"), list(zip(range(200, 2000, 200), PUBLISHED, strict=True)))
def test_every_published_budget_gets_its_published_plan_in_both_rounds(budget: float, plan: tuple[int, int]) -> None:
    K, H = plan
    assert reference_plan(budget / 2, PRICE, 1300, 5, 52) == Plan(H, K)
    assert run(ReferenceControl(2, 1300, 5, 52), budget) == [Plan(H, K)] * 2


def published(budget: float) -> Plan:
    """Apply the rule to arrays, for a budget that pays for the cheapest candidate."""
    H = np.arange(1, 139)
    K = np.floor(np.log(1300 / (5 * 1e-4)) * (1 - 1 / 52) ** H).astype(int)
    costs = K * (PRICE.bs_iteration + H * PRICE.local_iteration)
    crossings = np.flatnonzero((costs[:-1] <= budget) & (budget < costs[1:]))
    later = crossings[crossings > np.flatnonzero(np.diff(costs) < 0)[0]]
    chosen = [*later, *crossings, int(costs.argmin())][0]
    return Plan(int(H[chosen]), int(K[chosen]))


@settings(max_examples=300)
@given(budget=st.floats(500.0, 1500.0))
@example(budget=760.0)
def test_the_plan_is_the_last_before_the_cost_rises_again_over_the_budget(budget: float) -> None:
    assert reference_plan(budget, PRICE, 1300, 5, 52) == published(budget)


@settings(max_examples=200)
@given(budget=st.floats(0.0, 5e3), rounds=st.integers(1, 10))
def test_a_budget_is_never_passed(budget: float, rounds: int) -> None:
    plans = run(ReferenceControl(rounds, 1300, 5, 52), budget)
    assert sum(map(cost_of, plans)) <= budget * (1.0 + 1e-8)
    assert len(plans) == (rounds if budget / rounds >= 54.25 else 0)


def test_one_sample_a_terminal_asks_for_no_aggregation_and_gets_one() -> None:
    assert reference_plan(100.0, PRICE, 25, 5, 1.0 + 1e-9) == Plan(11, 1)


def test_a_run_without_a_cost_budget_is_refused_in_one_line() -> None:
    with pytest.raises(ScenarioError, match=r"^budget\.cost = None: allowed: [^\n]*$"):
        ReferenceControl(2, 1300, 5, 52).plan(Observation(0, 25, 5, {"time_s": 60.0}, {"cost": PRICE}))


def test_a_fixed_plan_repeats_until_its_last_round() -> None:
    endless, three = FixedControl(2, 5), FixedControl(2, 5, 3)
    assert all(endless.plan(Observation(t, 1, 1)) == Plan(2, 5) for t in (0, 3, 10**6))
    assert [three.plan(Observation(t, 1, 1)) is not None for t in range(5)] == [True] * 3 + [False] * 2
