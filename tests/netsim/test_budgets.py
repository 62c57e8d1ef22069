"""A run ends at the very instant its first budget is met, says which one it was, and leaves a defined state."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netsim.simulation import Result
from netsim.world import World
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

CLOSE = 1e-9
FEW = settings(max_examples=30, deadline=None)
REASONS = {
    "time_s": "time budget",
    "energy_j": "energy budget",
    "energy_per_terminal_j": "energy budget of terminal",
    "bytes": "bytes budget",
    "cost": "cost budget",
}
LIMIT = {
    "time_s": st.floats(0.01, 2.0),
    "energy_j": st.floats(1.0, 1500.0),
    "energy_per_terminal_j": st.floats(1e-3, 0.4),
    "bytes": st.floats(1e3, 1e6),
    "cost": st.floats(1.0, 1500.0),
}


def spend(limits: dict[str, float], seed: int = 0, **changes: Any) -> tuple[World, Result]:
    """Run with these limits alone."""
    where = world(scenario(budget=limits, **changes), seed=seed)
    return where, run(where)


@FEW
@given(LIMIT["time_s"])
def test_a_time_budget_ends_the_run_on_the_second(limit_s: float) -> None:
    _, result = spend({"time_s": limit_s})
    assert result.ended_by == "time budget"
    assert result.totals["time_s"] == limit_s


@FEW
@given(st.floats(1.0, 50.0), st.sampled_from(["none", "airtime", "always"]), st.sampled_from(["tdma", "ofdma"]))
def test_an_energy_budget_is_met_to_the_joule_at_the_instant_the_unlimited_run_passes_it(
    limit_j: float, static: str, share: str
) -> None:
    changes: dict[str, Any] = {"base_stations": {"static_power": static}, "network": {"uplink": {"share": share}}}
    _, result = spend({"energy_j": limit_j}, **changes)
    assert result.ended_by == "energy budget"
    assert result.totals["energy_j"] == pytest.approx(limit_j, rel=CLOSE)
    _, timed = spend({"time_s": result.totals["time_s"]}, **changes)
    assert timed.totals["energy_j"] == pytest.approx(limit_j, rel=CLOSE)


@FEW
@given(LIMIT["energy_per_terminal_j"])
def test_a_budget_per_terminal_ends_the_run_with_the_first_terminal_that_has_used_it(limit_j: float) -> None:
    _, result = spend({"energy_per_terminal_j": limit_j})
    energies = [row["energy_j"] for row in result.terminals]
    hungriest = max(range(len(energies)), key=energies.__getitem__)
    assert result.ended_by == f"energy budget of terminal {hungriest}"
    assert energies[hungriest] == pytest.approx(limit_j, rel=CLOSE)


@FEW
@given(st.sampled_from(["bytes", "cost"]), st.data())
def test_a_run_that_pays_in_advance_ends_when_the_next_payment_does_not_fit(resource: str, data: st.DataObject) -> None:
    limit = data.draw(LIMIT[resource])
    generous = world(scenario(budget={"time_s": 5.0}))
    payments: list[tuple[float, float]] = []
    pay = generous.budget.pay

    def paid(name: str, amount: float) -> bool:
        if name == resource:
            payments.append((generous.env.now, amount))
        return pay(name, amount)

    generous.budget.pay = paid  # type: ignore[method-assign,assignment]
    run(generous)
    levels = np.cumsum([amount for _, amount in payments])
    assert levels[-1] > limit
    refused = int(np.argmax(levels > limit * (1.0 + 1e-12)))
    spent = levels[refused - 1] if refused else 0.0
    where, result = spend({resource: limit})
    assert result.ended_by == f"{resource} budget"
    assert result.totals["time_s"] == payments[refused][0]
    assert result.totals[resource] <= limit * (1.0 + CLOSE)
    if resource == "cost":
        assert result.totals["cost"] == pytest.approx(spent, rel=CLOSE)
    else:  # what was paid for and not yet sent has been given back
        in_flight = spent - result.totals["bytes"]
        assert -CLOSE * limit <= in_flight <= where.terminals * Counting().bits_up / 8.0


@FEW
@given(st.sampled_from(list(LIMIT)), st.sampled_from(list(LIMIT)), st.data())
def test_of_two_budgets_the_one_that_is_met_first_binds(one: str, other: str, data: st.DataObject) -> None:
    assume(one != other)
    limits = {name: data.draw(LIMIT[name], label=name) for name in (one, other)}
    alone = {name: spend({name: limit})[1] for name, limit in limits.items()}
    first = min(alone, key=lambda name: alone[name].totals["time_s"])
    assume(len({result.totals["time_s"] for result in alone.values()}) == 2)
    _, both = spend(limits)
    assert both.ended_by == alone[first].ended_by
    assert both.ended_by.startswith(REASONS[first])
    assert both.totals["time_s"] == pytest.approx(alone[first].totals["time_s"], rel=CLOSE)


@pytest.mark.parametrize("resource", list(LIMIT))
def test_the_last_row_is_the_end_and_holds_the_totals(resource: str) -> None:
    limit = {"time_s": 0.5, "energy_j": 300.0, "energy_per_terminal_j": 0.05, "bytes": 3e5, "cost": 300.0}[resource]
    _, result = spend({resource: limit})
    assert [row["event"] for row in result.rounds].count("end") == 1
    last = result.rounds[-1]
    assert last["event"] == "end" and last["node"] == "cloud"
    assert result.totals == {name: last[name] for name in ("time_s", "energy_j", "bytes", "cost")}
    assert last["time_s"] >= result.rounds[-2]["time_s"]
    carried = last["bytes_uplink"] + last["bytes_downlink"] + last["bytes_backhaul"]
    assert last["bytes_uplink"] == pytest.approx(sum(row["bytes_up"] for row in result.terminals), rel=CLOSE)
    assert last["bytes"] - carried <= 2 * Counting().bits_down / 8.0 + 1e-6  # a broadcast of each site may be under way
    assert result.ended_by.startswith(REASONS[resource])


@pytest.mark.parametrize("resource", list(LIMIT))
def test_a_budget_only_cuts_the_run_short_it_does_not_change_what_came_before(resource: str) -> None:
    limit = {"time_s": 0.5, "energy_j": 300.0, "energy_per_terminal_j": 0.05, "bytes": 3e5, "cost": 300.0}[resource]
    _, short = spend({resource: limit})
    _, long = spend({resource: 2.0 * limit})
    before = short.rounds[:-1]
    assert len(before) > 5
    assert repr(before) == repr(long.rounds[: len(before)])


def test_nothing_changes_any_more_after_the_end() -> None:
    where, result = spend({"bytes": 1.01e5})
    traffic, spent = repr(where.traffic), dict(where.budget.spent)
    assert where.traffic.uplink == result.rounds[-1]["bytes_uplink"]
    assert all(row["outcome"] == "merged" for row in result.participation)
    assert not where.budget.pay("cost", 0.0)
    assert repr(where.traffic) == traffic and where.budget.spent == spent


def test_a_plan_that_is_complete_ends_the_run_at_its_last_aggregation() -> None:
    where = world(scenario(budget={"time_s": 1e3}))
    result = run(where, Counting(samples=1.0, fixed_samples=7.0, cloud_rounds=3, bs_iterations=2))
    assert result.ended_by == "plan complete"
    assert [row["event"] for row in result.rounds].count("cloud") == 3
    assert result.rounds[-2]["event"] == "cloud" and result.rounds[-2]["time_s"] == result.totals["time_s"]
    prices = where.scenario.budget
    each = 2 * prices.cost_per_bs_iteration + 6 * 2 * prices.cost_per_local_iteration
    assert result.totals["cost"] == pytest.approx(3 * 2 * each)
    assert result.rounds[-1]["count"] == 3 * 2 * 6


def test_a_base_station_that_has_no_terminal_left_ends_the_run_and_is_named() -> None:
    where = world(scenario(budget={"time_s": 1e3}, terminals=device(battery_j=0.05)))
    result = run(where)
    assert result.ended_by in ("no terminal left at bs-00", "no terminal left at bs-01")
    site = where.terminals_of(int(result.ended_by[-2:]))
    assert [result.terminals[i]["energy_j"] for i in site] == pytest.approx([0.05] * 3, rel=CLOSE)


def test_terminals_out_of_coverage_are_no_terminals() -> None:
    where = world(scenario(budget={"time_s": 1e3}, terminals=device(tx_power_dbm=-90.0)))
    result = run(where)
    assert result.ended_by == "no terminal left at bs-00"
    assert len(result.participation) == 0


def test_the_method_is_told_what_is_left_and_what_things_cost() -> None:
    method = Counting(cloud_rounds=2)
    limits = {"time_s": 1e3, "cost": 1e4, "cost_per_local_iteration": 0.2, "cost_per_bs_iteration": 9.0}
    where = world(scenario(budget=limits))
    result = run(where, method)
    first, second, _ = method.observations
    assert first.remaining == {"time_s": 1e3, "cost": 1e4}
    after = next(row for row in result.rounds if row["event"] == "cloud")
    assert second.remaining == {"time_s": 1e3 - after["time_s"], "cost": pytest.approx(1e4 - after["cost"])}
    assert (second.terminals, second.base_stations, second.cloud_round) == (6, 2, 1)
    assert first.prices["cost"].local_iteration == pytest.approx(6 * 0.2)
    assert first.prices["cost"].bs_iteration == pytest.approx(2 * 9.0)
