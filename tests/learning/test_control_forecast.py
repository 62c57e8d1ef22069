"""Forecasts: prices explain rounds of any H and K that follow the law, and the scarcest resource counts rounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.control.forecast import Ledger, Tariff, affordable_rounds
from learning.messages import Plan
from netsim.port import Observation, Price

AMOUNT = st.floats(1e-3, 1e3)


def priced(law: Tariff, plan: Plan, load: float) -> Price:
    """Return what the network would measure of a round that costs what the law says."""
    once = law.cloud + law.wait * load * np.sqrt(plan.bs_iterations)
    local = law.local * load / plan.local_iterations
    return Price(local, law.bs + once / plan.bs_iterations, once, once - law.cloud)


@given(AMOUNT, AMOUNT, AMOUNT, st.integers(1, 20), st.integers(1, 50), st.floats(0.5, 1.0))
def test_one_round_tells_what_any_other_of_the_same_law_costs(
    local: float, bs: float, once: float, K: int, H: int, share: float
) -> None:
    laws = {"time_s": Tariff(local, bs, 0.5 * bs, once), "bytes": Tariff(local, bs, once)}
    plan, load = Plan(H, K), H * share
    prices = {name: priced(law, plan, load) for name, law in laws.items()}
    ledger, seen = Ledger(), Observation(1, 4, 2, dict.fromkeys(laws, 1.0), prices)
    ledger.take(seen, plan, dict.fromkeys(laws, load))
    for name, found in ledger.tariffs(seen).items():
        loads, iterations = np.array([1.0, 3.0, 7.5]), np.array([1, 4, 9])
        np.testing.assert_allclose(found.of(loads, iterations), laws[name].of(loads, iterations), rtol=1e-9)


def test_what_base_stations_wait_grows_with_the_work_and_like_the_root_of_the_iterations() -> None:
    law = Tariff(local=0.0, bs=0.0, wait=2.0)
    assert law.of(np.array([3.0]), 1) == pytest.approx(6.0)
    assert law.of(np.array([6.0]), 4) == pytest.approx(24.0)


def test_prices_are_averaged_over_rounds_the_latest_ones_counting_more() -> None:
    ledger, plan = Ledger(memory=0.5), Plan(1, 1)
    for local in (1.0, 4.0):
        seen = Observation(1, 4, 2, {"time_s": 9.0}, {"time_s": Price(local, 1.0)})
        ledger.take(seen, plan, {"time_s": 1.0})
    assert ledger.tariffs(seen)["time_s"].local == pytest.approx((0.5 * 1.0 + 4.0) / 1.5)


def test_the_price_of_cost_is_known_before_the_first_round_and_others_are_not() -> None:
    seen = Observation(0, 4, 2, {"cost": 9.0, "time_s": 9.0}, {"cost": Price(2.0, 5.0)})
    assert Ledger().tariffs(seen) == {"cost": Tariff(2.0, 5.0)}


def test_what_is_not_limited_or_costs_nothing_counts_no_rounds() -> None:
    free = Observation(0, 4, 2, {"cost": 9.0}, {"cost": Price(0.0, 0.0)})
    unlimited = Observation(0, 4, 2, {}, {"cost": Price(2.0, 5.0)})
    for seen in (free, unlimited):
        rounds = affordable_rounds(seen.remaining, Ledger().tariffs(seen), {"cost": np.ones(3)}, np.ones(3))
        assert np.isinf(rounds).all()


@given(st.lists(st.tuples(AMOUNT, AMOUNT, AMOUNT), min_size=1, max_size=4), st.integers(1, 30), st.integers(1, 9))
def test_the_scarcest_resource_says_how_many_rounds_there_are(
    laws: list[tuple[float, float, float]], H: int, K: int
) -> None:
    tariffs = {f"r{i}": Tariff(local, bs) for i, (local, bs, _) in enumerate(laws)}
    left = {f"r{i}": amount for i, (_, _, amount) in enumerate(laws)}
    loads = {name: np.array([float(H)]) for name in tariffs}
    found = affordable_rounds(left, tariffs, loads, np.array([K]))[0]
    spent = [found * K * (bs + H * local) / amount for local, bs, amount in laws]
    assert max(spent) == pytest.approx(1.0, rel=1e-8)


def test_a_budget_of_exactly_one_round_allows_one() -> None:
    assert affordable_rounds({"cost": 0.3}, {"cost": Tariff(0.1, 0.1)}, {"cost": np.array([2.0])}, 1)[0] >= 1.0
