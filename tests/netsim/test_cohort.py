"""Terminals simulated as cohorts: the same records as with a process for every terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.cohort.engine import simulate_cohorts
from netsim.world import World
from tests.netsim.agreement import assert_agree
from tests.netsim.any_scenario import methods, worlds
from tests.netsim.counting import Counting
from tests.netsim.worlds import change, device, run, scenario, world

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def budgets(draw: st.DrawFn) -> dict[str, float]:
    """Return a time budget and perhaps another one that may end the run before."""
    kinds = {"energy_j": (1.0, 3e3), "bytes": (1e4, 1e6), "cost": (5.0, 300.0), "energy_per_terminal_j": (0.01, 1.0)}
    limits: dict[str, float] = {"time_s": draw(st.floats(0.1, 3.0))}
    kind: Any = draw(st.sampled_from([None, *kinds]))
    if kind is not None:
        limits[kind] = draw(st.floats(*kinds[kind]))
    return limits


@MANY
@given(st.data())
def test_both_engines_record_the_same(data: st.DataObject) -> None:
    _hold_to_each_other(data, "hierarchical")


@MANY
@given(st.data())
def test_both_engines_record_the_same_of_terminals_on_their_own(data: st.DataObject) -> None:
    _hold_to_each_other(data, "isolated")


def _hold_to_each_other(data: st.DataObject, protocol: str) -> None:
    where: World = data.draw(worlds(30.0, ("tdma", "ofdma"), fading=False, budget=data.draw(budgets())))
    for j, hardware in enumerate(list(where.devices)):
        if hardware.battery_j is not None:  # what happens first is not defined where two batteries die together
            change(where, j, battery_j=hardware.battery_j * (1.0 + 0.01 * j))
    method: Counting = data.draw(methods(spread=0.381966, protocol=protocol))
    again = method.twin()
    assert_agree(run(where, method), simulate_cohorts(where, again, [f"task {s}" for s in range(where.sites)]))
    assert method.total == again.total


@pytest.mark.parametrize("policy", ["highest", "most_efficient"])
def test_clocks_and_conventions_that_never_change_are_the_same_to_both_engines(policy: str) -> None:
    hardware = device(dvfs={"levels_hz": [0.2e9, 0.5e9], "policy": policy}, battery_j=20.0, cycles_per_sample=1e5)
    made = scenario(budget={"time_s": 2.0}, terminals=hardware | {"paper_energy": True})
    one, other = (Counting(spread=0.381966) for _ in range(2))
    where = world(made, 2, 4)
    result = run(where, one)
    assert_agree(result, simulate_cohorts(where, other, ["task 0", "task 1"]))
    assert result.terminals[0]["cpu_hz"] == {"highest": 0.5e9, "most_efficient": 0.2e9}[policy]


@pytest.mark.parametrize("engine", ["process", "cohort"])
def test_a_deadline_that_is_planned_is_that_of_the_scenario_in_all_but_who_says_it(engine: str) -> None:
    slow = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "pareto", "tail_index": 1.5}}
    results, methods_ = [], []
    for said_s, planned_s in ((0.2, None), (1.0, 0.2)):
        waits = {"policy": "deadline", "deadline_s": said_s}
        where = world(scenario(budget={"time_s": 4.0}, terminals=slow, collection=waits), 2, 4)
        method = Counting(deadlines_s=(planned_s,))
        tasks = [f"task {s}" for s in range(where.sites)]
        results.append(run(where, method) if engine == "process" else simulate_cohorts(where, method, tasks))
        methods_.append(method)
    outcomes = {row["outcome"] for row in results[0].participation}
    assert {"merged", "late"} <= outcomes and methods_[0].total == methods_[1].total
    assert results[0].rounds == results[1].rounds and results[0].totals == results[1].totals


def test_plans_have_no_deadline_where_the_scenario_has_none() -> None:
    results = []
    for deadlines_s in ((None,), (1e-3,)):
        method = Counting(deadlines_s=deadlines_s)
        results.append(run(world(scenario(budget={"time_s": 1.0}), 2, 3), method))
    assert results[0].rounds == results[1].rounds
