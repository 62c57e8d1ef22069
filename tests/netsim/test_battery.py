"""Batteries that are charged while they are drained: every turn at its exact instant, every joule accounted for."""

from collections.abc import Generator
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simpy import Environment, Event

from netsim.battery import Battery, packets
from netsim.port import Cohort
from netsim.port import Plan as AnyPlan
from netsim.world import World
from scenarios.equipment import DeviceClass, Harvest
from scenarios.streams import Streams
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

CLOSE = 1e-9
STEADY = {"slowdown": {"kind": "none"}}
Turns = list[tuple[str, float]]
Drains = list[tuple[float, float]]
"""(how long, watts)."""


def battery(env: Environment, turns: Turns, terminal: int = 0, **fields: Any) -> Battery:
    """Return a battery that writes down when it turned."""
    return Battery(
        env,
        DeviceClass(name="device", **fields),
        terminal,
        Streams(0),
        lambda: turns.append(("empty", env.now)),
        lambda: turns.append(("restart", env.now)),
    )


def drain(env: Environment, cell: Battery, drains: Drains) -> Generator[Event, Any, None]:
    for wait_s, watts in drains:
        cell.set_rate(watts)
        yield env.timeout(wait_s)


def test_a_battery_is_empty_when_what_is_drawn_and_not_harvested_is_what_it_held() -> None:
    env, turns = Environment(), []  # type: ignore[var-annotated]
    cell = battery(env, turns, battery_j=10.0, initial_charge=0.5, harvest={"power_w": 0.25, "restart_fraction": 0.4})
    cell.set_rate(1.25)
    env.run(until=30.0)
    assert turns[0] == ("empty", 5.0)
    # While it is empty nothing is drawn; it restarts with 4 J, and is drained again.
    assert turns[1] == ("restart", 5.0 + 16.0)
    assert turns[2] == ("empty", 21.0 + 4.0)
    assert cell.charge_j == pytest.approx(0.25 * 5.0)


def test_a_full_battery_holds_no_more() -> None:
    env, turns = Environment(), []  # type: ignore[var-annotated]
    cell = battery(env, turns, battery_j=6.0, harvest={"power_w": 3.0})
    env.process(drain(env, cell, [(100.0, 1.0), (100.0, 5.0)]))
    env.run(until=99.0)
    assert cell.charge_j == 6.0
    env.run(until=110.0)
    assert turns[0] == ("empty", 103.0)


def reference(drains: Drains, fields: dict[str, Any], law: Harvest) -> tuple[Turns, float]:
    """Step from instant to instant: switches, packets, and the turns in between."""
    capacity = fields["battery_j"]
    charge, now, empty = fields["initial_charge"] * capacity, 0.0, False
    turns: Turns = []
    switches = np.cumsum([0.0] + [wait_s for wait_s, _ in drains])
    source = packets(law, 0, Streams(0))
    packet_s, packet_j = next(source)
    while now < switches[-1]:
        at = int(np.searchsorted(switches, now, side="right")) - 1
        net = law.power_w - (0.0 if empty else drains[at][1])
        until = min(switches[at + 1], packet_s)
        goal = law.restart_fraction * capacity if empty else 0.0
        turn = now + max(0.0, (goal - charge) / net) if (net > 0.0 if empty else net < 0.0) else inf
        if turn < until:
            charge, now, empty = goal, turn, not empty
            turns.append(("empty" if empty else "restart", now))
            continue
        charge, now = min(capacity, charge + net * (until - now)), until
        if until == packet_s:
            charge = min(capacity, charge + packet_j)
            packet_s, packet_j = next(source)
            if empty and charge >= goal:
                empty = False
                turns.append(("restart", now))
    return turns, charge


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 20.0), st.sampled_from([0.0, 0.3, 1.0, 2.7])), min_size=1, max_size=8),
    st.sampled_from(
        [
            {"power_w": 0.4},
            {"packets_per_s": 0.5, "packet_j": 1.3},
            {"power_w": 0.1, "packets_per_s": 0.3, "packet_j": 2.0},
        ]
    ),
    st.sampled_from([0.05, 0.3, 1.0]),
    st.lists(st.floats(0.0, 100.0), max_size=6).map(sorted),
)
def test_any_history_of_draining_and_harvesting_is_followed_exactly_however_often_it_is_looked_at(
    drains: Drains, harvest: dict[str, float], restart: float, looks: list[float]
) -> None:
    law = Harvest(**harvest, restart_fraction=restart)
    fields = {"battery_j": 5.0, "initial_charge": 0.7}
    expected, charge_j = reference(drains, fields, law)
    env, turns = Environment(), []  # type: ignore[var-annotated]
    cell = battery(env, turns, **fields, harvest=law.model_dump())

    def look() -> Generator[Event, Any, None]:
        for at_s in looks:
            yield env.timeout(max(0.0, at_s - env.now))
            assert 0.0 <= cell.charge_j <= 5.0

    env.process(drain(env, cell, drains))
    env.process(look())
    env.run(until=float(np.cumsum([wait_s for wait_s, _ in drains])[-1]) + 1e-12)
    assert [kind for kind, _ in turns] == [kind for kind, _ in expected]
    assert [at for _, at in turns] == pytest.approx([at for _, at in expected], rel=CLOSE)
    assert cell.charge_j == pytest.approx(charge_j, rel=1e-8, abs=1e-8)


def test_packets_are_a_compound_poisson_process() -> None:
    law = Harvest(packets_per_s=2.0, packet_j=0.3)
    drawn = []
    for terminal in range(20):
        source = packets(law, terminal, Streams(1))
        drawn.append([next(source) for _ in range(100)])
    times, joules = np.array(drawn).transpose(2, 0, 1)
    waits = np.diff(times, axis=1, prepend=0.0).ravel()
    assert stats.kstest(waits, "expon", args=(0.0, 0.5)).pvalue > 0.01
    assert stats.kstest(joules.ravel(), "expon", args=(0.0, 0.3)).pvalue > 0.01
    assert abs(np.corrcoef(waits, joules.ravel())[0, 1]) < 0.06


class Watching(Counting):
    """Writes down what each asked terminal has used when it is asked."""

    def watch(self, where: World) -> None:
        self.where, self.asked = where, []  # type: ignore[var-annotated]

    def train(self, cohort: Cohort, plan: AnyPlan) -> Any:
        now = self.where.env.now
        self.asked += [(now, j, self.where.terminal_meter.node_j(j)) for j in cohort.terminals.tolist()]
        return super().train(cohort, plan)


def watched(where: World) -> Watching:
    method = Watching()
    method.watch(where)
    return method


def test_a_terminal_takes_no_work_below_its_threshold_and_is_asked_as_soon_as_it_has_charged_to_it() -> None:
    harvest = {"power_w": 0.05}
    hardware = device(battery_j=0.4, initial_charge=0.9, refuse_below=0.6, harvest=harvest, cycles_per_sample=1e6)
    where = world(scenario(budget={"time_s": 60.0}, terminals=hardware | STEADY), 1, 1)
    method = watched(where)
    run(where, method)
    charges = [0.36 + 0.05 * now - used for now, _, used in method.asked]  # it is never full
    assert len(charges) > 10
    assert min(charges) >= 0.24 * (1.0 - CLOSE)
    waited = [charge for charge in charges if charge < 0.2401]
    assert len(waited) > 5
    assert waited == pytest.approx([0.24] * len(waited), abs=1e-9)


def test_without_a_harvester_a_terminal_that_refuses_work_has_left_for_good() -> None:
    hardware = device(battery_j=0.2, refuse_below=0.5) | STEADY
    where = world(scenario(budget={"time_s": 1e3}, terminals=hardware), 1, 3)
    result = run(where)
    assert result.ended_by == "no terminal left at bs-00"
    for row in result.terminals:
        assert row["state_of_charge"] == pytest.approx(1.0 - row["energy_j"] / 0.2)
        assert 0.0 < row["state_of_charge"] < 0.5


def test_a_terminal_that_ran_empty_comes_back_and_what_it_was_doing_is_lost() -> None:
    harvest = {"power_w": 0.08, "restart_fraction": 0.5}
    hardware = device(battery_j=0.1, harvest=harvest, cycles_per_sample=2e6) | STEADY
    where = world(scenario(budget={"time_s": 30.0}, terminals=hardware), 1, 1)
    result = run(where)
    assert result.ended_by == "time budget"
    outcomes = [row["outcome"] for row in result.participation]
    assert outcomes.count("dropped") > 3 and outcomes.count("merged") > 3
    rows = list(result.participation)
    for lost, following in pairwise(rows):
        if lost["outcome"] == "dropped":
            died_s = lost["start_s"] + np.nansum([lost["compute_s"], lost["upload_s"]])
            airtime_s = 2e4 / where.radio.broadcast_bps([0])
            assert following["start_s"] - 0.004 - airtime_s == pytest.approx(died_s + 0.05 / 0.08, abs=1e-8)


def test_a_battery_ends_with_what_was_there_and_harvested_and_not_used() -> None:
    harvest = {"power_w": 0.01, "packets_per_s": 3.0, "packet_j": 0.02}
    hardware = device(battery_j=50.0, initial_charge=0.5, harvest=harvest)
    where = world(scenario(budget={"time_s": 20.0}, terminals=hardware), 2, 2)
    result = run(where)
    for row in result.terminals:
        entity = int(where.deployment.entity[row["terminal"]])
        harvested, source = 0.2, packets(Harvest(**harvest), entity, Streams(0))
        while (packet := next(source))[0] <= 20.0:
            harvested += packet[1]
        assert 50.0 * row["state_of_charge"] == pytest.approx(25.0 + harvested - row["energy_j"], rel=CLOSE)


def test_only_terminals_with_a_battery_have_a_state_of_charge() -> None:
    assert "state_of_charge" not in run(world(scenario(budget={"time_s": 0.5}))).terminals.columns
    two = {"classes": [{"name": "mains"}, {"name": "phone", "battery_j": 10.0}]}
    rows = run(world(scenario(budget={"time_s": 0.5}, terminals=two), 2, 5)).terminals
    for row in rows:
        assert np.isnan(row["state_of_charge"]) == (row["device_class"] == "mains")
    assert {row["device_class"] for row in rows} == {"mains", "phone"}


@pytest.mark.parametrize("fields", [{"harvest": {"power_w": 1.0}}, {"refuse_below": 0.1}, {"initial_charge": 0.5}])
def test_a_charge_without_a_battery_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="battery_j, if"):
        scenario(terminals=device(**fields))
    with pytest.raises(ValueError, match="packets_per_s"):
        scenario(terminals=device(battery_j=1.0, harvest={"packet_j": 1.0}))
