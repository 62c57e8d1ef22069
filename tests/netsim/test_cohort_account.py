"""Batteries and energy limits in compiled code: emptied at the instants at which the accounts of processes are."""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simpy import Environment, Event

from netsim.accounts import Account
from netsim.availability import Presence
from netsim.cohort.account import Accounts, crossing_s, foreseen_death_s, live_until, spend
from netsim.cohort.plant import Plant, Rules, make_plant, make_rules
from netsim.cohort.population import new_population
from netsim.world import Ground
from tests.netsim.worlds import device, scenario, world

COMPILED = settings(max_examples=150, deadline=None)  # the first example waits for the compiler
CLOSE = 1e-9
IDLE_W = 0.02
ABSENCES = {"mean_on_s": 0.8, "mean_off_s": 0.3}
STEPS = st.lists(st.tuples(st.floats(0.01, 3.0), st.sampled_from([0.0, 0.1, 0.73, 2.0])), min_size=1, max_size=12)
"""Duration and power besides idling."""
LIMIT_J = st.floats(1e-3, 20.0)
COMING_AND_GOING = st.booleans()


class Owner(NamedTuple):
    """Terminal 1 of a network, whose number differs from its stream index by nothing but its place."""

    where: Ground
    plant: Plant
    rules: Rules
    accounts: Accounts
    j: int = 1


def _owner(absent: bool, battery_j: float | None = None, limit_j: float | None = None) -> Owner:
    """Return a fresh terminal."""
    terminals = device(idle_power_w=IDLE_W, battery_j=battery_j) | {"availability": ABSENCES if absent else None}
    where = world(scenario(terminals=terminals, budget={"time_s": 1e3, "energy_per_terminal_j": limit_j}), seed=9)
    plant, rules = make_plant(where), make_rules(where)
    return Owner(where, plant, rules, new_population(plant, rules).accounts)


def _followed(owner: Owner, steps: list[tuple[float, float]], limit_j: float) -> tuple[float, Account]:
    """Let an account of the other engine live through the steps; return when it met the limit, and the account."""
    env, met_s = Environment(), [inf]
    account = Account(env, limit_j, lambda: met_s.__setitem__(0, env.now))
    entity = int(owner.where.deployment.entity[owner.j])
    presence = Presence(owner.where.scenario.terminals.availability, entity, owner.where.streams)
    env.process(_draw(env, account, presence, steps))
    env.run()
    return met_s[0], account


def _draw(
    env: Environment, account: Account, presence: Presence, steps: list[tuple[float, float]]
) -> Generator[Event, Any, None]:
    """Draw idle power while on, and each step's power besides, until the steps are over."""
    end_s = 0.0
    for duration_s, extra_w in steps:
        end_s += duration_s
        while env.now < end_s:
            on_until_s = presence.on_until_s(env.now)
            on = on_until_s > env.now
            account.set_rate(extra_w + (IDLE_W if on else 0.0))
            changes_s = on_until_s if on else presence.back_at_s(env.now)
            yield env.timeout(min(changes_s, end_s) - env.now)
    account.set_rate(0.0)


def _instants(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the end and the power of every step."""
    ends_s = np.cumsum([duration_s for duration_s, _ in steps]).tolist()
    return [(end_s, extra_w) for end_s, (_, extra_w) in zip(ends_s, steps, strict=True)]


def _level_j(owner: Owner, steps: list[tuple[float, float]]) -> float:
    """Return what the steps use without a limit, from the other engine."""
    return _followed(owner, steps, inf)[1].level


@COMPILED
@given(STEPS, COMING_AND_GOING)
def test_an_account_without_limit_only_adds_up(steps: list[tuple[float, float]], absent: bool) -> None:
    owner = _owner(absent)
    for end_s, extra_w in _instants(steps):
        assert live_until(owner.plant, owner.rules, owner.accounts, owner.j, end_s, extra_w) == end_s
    assert owner.accounts.level_j[owner.j] == pytest.approx(_level_j(owner, steps), rel=CLOSE, abs=1e-12)
    assert owner.accounts.since_s[owner.j] == _instants(steps)[-1][0]
    assert owner.accounts.death_s.min() == owner.accounts.limit_s.min() == inf


@COMPILED
@given(STEPS, LIMIT_J, COMING_AND_GOING)
def test_a_battery_is_empty_when_the_account_of_a_process_is(
    steps: list[tuple[float, float]], battery_j: float, absent: bool
) -> None:
    owner = _owner(absent, battery_j=battery_j)
    theirs_s, _ = _followed(owner, steps, battery_j)
    assume(abs(_level_j(owner, steps) - battery_j) > CLOSE * battery_j)  # empty at the very end: either is right
    for end_s, extra_w in _instants(steps):
        lived_s = live_until(owner.plant, owner.rules, owner.accounts, owner.j, end_s, extra_w)
        assert lived_s == min(end_s, owner.accounts.death_s[owner.j])
    death_s, level_j = owner.accounts.death_s[owner.j], owner.accounts.level_j[owner.j]
    assert death_s == pytest.approx(theirs_s, rel=CLOSE)
    if death_s < inf:
        assert level_j == pytest.approx(battery_j, rel=CLOSE)  # the dead draw nothing
    else:
        assert level_j == pytest.approx(_level_j(owner, steps), rel=CLOSE, abs=1e-12)
    others = np.delete(owner.accounts.level_j, owner.j)
    assert (others == 0.0).all()


@COMPILED
@given(STEPS, LIMIT_J, COMING_AND_GOING)
def test_a_limit_is_met_when_the_account_of_a_process_meets_it_and_work_goes_on(
    steps: list[tuple[float, float]], limit_j: float, absent: bool
) -> None:
    owner = _owner(absent, limit_j=limit_j)
    theirs_s, _ = _followed(owner, steps, limit_j)
    assume(abs(_level_j(owner, steps) - limit_j) > CLOSE * limit_j)
    for end_s, extra_w in _instants(steps):
        assert live_until(owner.plant, owner.rules, owner.accounts, owner.j, end_s, extra_w) == end_s
    assert owner.accounts.limit_s[owner.j] == pytest.approx(theirs_s, rel=CLOSE)
    assert owner.accounts.level_j[owner.j] == pytest.approx(_level_j(owner, steps), rel=CLOSE, abs=1e-12)


@COMPILED
@given(STEPS, LIMIT_J, LIMIT_J, COMING_AND_GOING)
def test_a_limit_beyond_the_battery_is_never_met(
    steps: list[tuple[float, float]], battery_j: float, limit_j: float, absent: bool
) -> None:
    assume(abs(limit_j - battery_j) > CLOSE * battery_j)
    owner = _owner(absent, battery_j, limit_j)
    for end_s, extra_w in _instants(steps):
        live_until(owner.plant, owner.rules, owner.accounts, owner.j, end_s, extra_w)
    death_s, limit_s = owner.accounts.death_s[owner.j], owner.accounts.limit_s[owner.j]
    assert limit_s == inf if limit_j > battery_j else limit_s < death_s or death_s == inf


@COMPILED
@given(STEPS, LIMIT_J, COMING_AND_GOING, st.lists(st.floats(0.0, 30.0), max_size=20))
def test_it_does_not_matter_in_how_many_pieces_a_life_is_followed(
    steps: list[tuple[float, float]], battery_j: float, absent: bool, stops_s: list[float]
) -> None:
    whole, pieces = _owner(absent, battery_j, 0.5), _owner(absent, battery_j, 0.5)
    for end_s, extra_w in _instants(steps):
        live_until(whole.plant, whole.rules, whole.accounts, whole.j, end_s, extra_w)
        for stop_s in sorted([stop_s for stop_s in stops_s if stop_s < end_s] + [end_s]):  # the past is passed over
            live_until(pieces.plant, pieces.rules, pieces.accounts, pieces.j, stop_s, extra_w)
    for name in ("level_j", "death_s", "limit_s"):
        mine, theirs = (getattr(each.accounts, name)[each.j] for each in (pieces, whole))
        assert mine == pytest.approx(theirs, rel=CLOSE, abs=1e-12), name


@COMPILED
@given(st.floats(0.0, 2.0), st.floats(0.01, 3.0), st.floats(0.0, 2.0), LIMIT_J, COMING_AND_GOING)
def test_a_foreseen_death_comes_about_to_the_last_bit_and_foreseeing_changes_nothing(
    start_s: float, work_s: float, wait_s: float, battery_j: float, absent: bool
) -> None:
    owner = _owner(absent, battery_j, 0.1)
    plant, rules, accounts, j = owner.plant, owner.rules, owner.accounts, owner.j
    live_until(plant, rules, accounts, j, start_s, 0.0)
    assume(accounts.death_s[j] == inf)
    before = _copied(accounts)
    foreseen_s = foreseen_death_s(plant, rules, accounts, j, start_s + work_s, 0.73, start_s + work_s + wait_s)
    for mine, theirs in zip(_copied(accounts), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    live_until(plant, rules, accounts, j, start_s + work_s, 0.73)
    live_until(plant, rules, accounts, j, start_s + work_s + wait_s, 0.0)
    assert accounts.death_s[j] == foreseen_s


def _copied(accounts: Accounts) -> list[Any]:
    """Return copies of all arrays."""
    flat = (accounts.level_j, accounts.since_s, *accounts.cursor, accounts.death_s, accounts.limit_s)
    return [values.copy() for values in flat]


def test_a_steady_power_crosses_where_its_line_does() -> None:
    owner = _owner(absent=False)
    plant, rules, accounts, j = owner.plant, owner.rules, owner.accounts, owner.j
    spend(plant, rules, accounts, j, 2.0, 0.48)  # 1 J
    assert accounts.level_j[j] == pytest.approx(1.0, rel=1e-15)
    assert crossing_s(plant, rules, accounts, j, 10.0, 0.98, 5.0) == pytest.approx(6.0, rel=1e-15)
    assert crossing_s(plant, rules, accounts, j, 5.999, 0.98, 5.0) == inf
    assert crossing_s(plant, rules, accounts, j, 6.0, 0.98, 5.0) == pytest.approx(6.0, rel=1e-15)
    assert crossing_s(plant, rules, accounts, j, inf, 0.98, inf) == inf


def test_the_present_is_not_lived_twice() -> None:
    owner = _owner(absent=False, battery_j=1.0)
    plant, rules, accounts, j = owner.plant, owner.rules, owner.accounts, owner.j
    live_until(plant, rules, accounts, j, 5.0, 0.08)
    for to_s in (5.0, 3.0):
        assert live_until(plant, rules, accounts, j, to_s, 1e9) == to_s
    assert accounts.level_j[j] == pytest.approx(0.5, rel=1e-15) and accounts.since_s[j] == 5.0
