"""Budgets: a limit is met at its exact instant, nothing is overspent, and the first reason to end is the one kept."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment, Event

from netsim.accounts import Account, Budget

RATE = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))
STEPS = st.lists(st.tuples(st.floats(0.01, 10.0), RATE), min_size=1, max_size=30)


def crossing(steps: list[tuple[float, float]], limit: float) -> tuple[float, float]:
    """Return when a piecewise linear quantity meets the limit (infinity if never) and its level at the end."""
    now = level = 0.0
    met = float("inf")
    for duration, rate in steps:
        if met == float("inf") and level + rate * duration >= limit:
            met = now + (limit - level) / rate
        now, level = now + duration, level + rate * duration
    return met, level


def walk(env: Environment, account: Account, steps: list[tuple[float, float]]) -> Generator[Event, Any, None]:
    for duration, rate in steps:
        account.set_rate(rate)
        yield env.timeout(duration)
    account.set_rate(0.0)


@given(STEPS, st.floats(0.1, 1e4))
def test_the_limit_is_met_at_the_instant_a_piecewise_linear_level_crosses_it(
    steps: list[tuple[float, float]], limit: float
) -> None:
    env = Environment()
    met: list[tuple[float, float]] = []
    account = Account(env, limit, lambda: met.append((env.now, account.level)))
    env.process(walk(env, account, steps))
    env.run()
    expected_s, end = crossing(steps, limit)
    assert account.level == pytest.approx(end, rel=1e-9)
    if abs(end - limit) <= 1e-9 * limit:
        return  # met at the very end, to rounding: either answer is right
    assert len(met) == (expected_s < float("inf"))
    for at_s, level in met:
        assert at_s == pytest.approx(expected_s, rel=1e-9, abs=1e-12)
        assert level == pytest.approx(limit, rel=1e-9)


@given(STEPS)
def test_an_account_without_limit_only_adds_up(steps: list[tuple[float, float]]) -> None:
    env = Environment()
    account = Account(env)
    env.process(walk(env, account, steps))
    env.run()
    assert account.level == pytest.approx(sum(duration * rate for duration, rate in steps), rel=1e-9)
    assert account.remaining == float("inf") and not account.met


def test_a_limit_that_an_alarm_rings_for_too_early_is_met_later() -> None:
    env = Environment()
    met: list[float] = []
    account = Account(env, 10.0, lambda: met.append(env.now))
    env.process(walk(env, account, [(1.0, 5.0), (4.0, 0.5), (1.0, 0.0), (9.0, 3.0)]))
    env.run()
    assert met == [pytest.approx(7.0, rel=1e-12)]


def test_the_level_is_exact_in_the_middle_of_a_stretch() -> None:
    env = Environment()
    account = Account(env, 8.0)
    account.set_rate(2.0)
    env.run(until=3.0)
    assert account.level == 6.0 and account.remaining == 2.0
    env.run(until=4.0)
    account.set_rate(0.0)
    env.run(until=5.0)
    assert account.level == 8.0 and account.remaining == 0.0


def test_a_crossing_late_in_a_long_run_is_met_although_the_clock_is_coarse_there() -> None:
    env = Environment(initial_time=1e9)  # one tick of the clock is 1e-7 s
    met: list[float] = []
    account = Account(env, 1e-3, lambda: met.append(account.level))
    account.set_rate(1e3)
    env.run(until=1e9 + 1.0)
    assert len(met) == 1


@given(st.lists(st.floats(0.0, 50.0), max_size=20), st.floats(1.0, 200.0), st.sampled_from(["bytes", "cost"]))
def test_payments_never_pass_the_limit_and_the_first_that_does_not_fit_ends_the_run(
    amounts: list[float], limit: float, resource: str
) -> None:
    env = Environment()
    budget = Budget(env, **{"bytes_" if resource == "bytes" else resource: limit})
    paid, refused = 0.0, False
    for amount in amounts:
        fits = not refused and paid + amount <= limit * (1.0 + 1e-12)
        assert budget.pay(resource, amount) == fits
        paid, refused = paid + amount * fits, refused or not fits
        assert budget.spent[resource] == pytest.approx(paid) and budget.spent[resource] <= limit * (1.0 + 1e-9)
    assert budget.ended.triggered == refused
    if refused:
        assert budget.ended.value == f"{resource} budget"


def test_what_is_refunded_can_be_spent_again() -> None:
    budget = Budget(Environment(), bytes_=100.0)
    assert budget.pay("bytes", 80.0)
    budget.refund("bytes", 30.0)
    assert budget.pay("bytes", 50.0)
    assert budget.remaining() == {"bytes": 0.0}


def test_the_first_reason_to_end_is_the_one_recorded() -> None:
    env = Environment()
    budget = Budget(env, time_s=2.0)
    budget.end("plan complete")
    assert env.run(until=budget.ended) == "plan complete"
    env.run(until=5.0)
    assert budget.ended.value == "plan complete"


def test_time_and_energy_end_the_run_where_their_lines_meet_the_limits() -> None:
    for energy_j, reason, end_s in ((30.0, "energy budget", 3.0), (90.0, "time budget", 5.0)):
        env = Environment()
        budget = Budget(env, time_s=5.0, energy_j=energy_j)
        budget.energy.set_rate(10.0)
        assert env.run(until=budget.ended) == reason
        assert env.now == end_s


def test_a_budget_knows_what_is_left_of_what_is_limited_and_nothing_else() -> None:
    env = Environment()
    budget = Budget(env, time_s=10.0, cost=4.0)
    budget.pay("cost", 1.0)
    budget.pay("bytes", 1e9)
    env.run(until=4.0)
    assert budget.remaining() == {"time_s": 6.0, "cost": 3.0}
    assert budget.share_spent() == 0.4
    assert Budget(env).share_spent() == 0.0
