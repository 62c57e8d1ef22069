"""The bound: its factors are those of the maps it describes, its constants are found again, its plan is the best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.control.convergence_bound import ConvergenceBoundControl, outer_contraction, remaining_gap
from learning.control.observation import Reading
from learning.messages import Plan
from netsim.port import Observation, Price

COST = {"cost": Price(1.0, 40.0)}


def observation(left: dict[str, float], prices: dict[str, Price], cloud_round: int = 0) -> Observation:
    """Return what a controller is told."""
    return Observation(cloud_round, 9, 3, left, prices)


@given(st.floats(0.0, 0.999), st.floats(0.1, 1.9))
def test_no_direction_contracts_less_than_the_outer_contraction_says(share: float, omega: float) -> None:
    eigenvalues = 1.0 - omega * (1.0 - np.linspace(0.0, share, 101))
    assert outer_contraction(share, omega) == pytest.approx(float((eigenvalues**2).max()), rel=1e-9, abs=1e-15)


@given(st.floats(1e-3, 1.0), st.floats(0.01, 1.0), st.floats(0.0, 0.99))
def test_more_work_never_leaves_more_and_never_less_than_exact_solutions(q: float, s: float, outer: float) -> None:
    H, K = np.array([1.0, 4.0, 16.0, 1e4]), np.array([1.0, 3.0, 9.0, 1e4])
    for left in (remaining_gap(H, np.ones(4), q, s, outer), remaining_gap(np.full(4, 5.0), K, q, s, outer)):
        assert (np.diff(left) <= 1e-12).all() and (left >= outer - 1e-12).all() and (left < 1.0).all()


@given(st.floats(0.02, 0.8), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4))
def test_the_share_that_an_iteration_closes_is_found_again_from_two_gaps(s: float, H: int, K: int, apart: int) -> None:
    q, outer, plan = 0.1, 0.3, Plan(H, K)
    factor = float(remaining_gap(np.float64(H), np.float64(K), q, s, outer))
    readings = [Reading(0, 7.0, None, plan), Reading(apart, 7.0 * factor**apart, None, Plan(99, 9))]
    found = ConvergenceBoundControl(q, outer)._share(q, readings)
    assert found == pytest.approx(s, rel=1e-6)


@pytest.mark.parametrize("left", [{"cost": 5e3}, {"cost": 5e3, "bytes": 30.0}, {"cost": 2e4, "time_s": 60.0}])
def test_no_other_plan_has_a_lower_bound_on_the_final_gap(left: dict[str, float]) -> None:
    prices = {"cost": Price(1.0, 40.0), "bytes": Price(0.0, 1.5, 0.5), "time_s": Price(0.01, 0.2)}
    control, q, outer = ConvergenceBoundControl(0.2, 0.5), 0.2, 0.5
    control.plan(observation(left, prices), q)
    plan = control.plan(observation(left, prices, 1), q)
    assert plan is not None

    def final(H: int, K: int) -> float:
        rounds = min(left[name] / _round(prices[name], H, K, name) for name in left)
        return rounds * float(np.log(remaining_gap(np.float64(H), np.float64(K), q, 0.5, outer)))

    found = final(plan.local_iterations, plan.bs_iterations)
    rivals = [final(H, K) for H in range(1, 150) for K in (1, 2, 3, 4, 6, 8)]
    assert found <= min(rivals) * (1.0 - 0.01)  # H is searched in steps of a tenth


def _round(price: Price, H: int, K: int, name: str) -> float:
    if name == "bytes":
        return 0.5 + K * 1.0  # the first round had K = 1, so that 0.5 of its 1.5 were the cloud's
    return K * (price.bs_iteration + H * price.local_iteration)


@given(st.floats(41.0, 1e4), st.floats(0.001, 2.0))
def test_a_cost_budget_is_never_passed(budget: float, q: float) -> None:
    control, left, rounds = ConvergenceBoundControl(0.2, 0.5), budget, 0
    while (plan := control.plan(observation({"cost": left}, COST, rounds), q)) is not None:
        left -= plan.bs_iterations * (40.0 + plan.local_iterations)
        rounds += 1
        assert left >= -1e-6 * budget
    assert left < 41.0 and rounds >= 1


def test_before_prices_are_known_one_short_round_is_planned() -> None:
    plan = ConvergenceBoundControl(-np.log(1 - 1 / 20), 0.5).plan(observation({"time_s": 9.0}, COST), None)
    assert plan == Plan(20, 1)
