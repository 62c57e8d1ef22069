"""Whether a terminal is there: a two-state process with exponential periods that does not care when it is asked."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsim.availability import Presence
from scenarios.equipment import Availability
from scenarios.streams import Streams
from tests.netsim.worlds import device, run, scenario, world

LAW = Availability(mean_on_s=30.0, mean_off_s=10.0)
TIMES = st.lists(st.floats(0.0, 500.0), min_size=1, max_size=30).map(sorted)


def trajectory(presence: Presence, until_s: float) -> list[tuple[bool, float]]:
    """Walk along a trajectory; return (on, length) of every period, the first and the last cut by the window."""
    periods, now = [], 0.0
    while now < until_s:
        on = presence.on_until_s(now) > now
        end_s = presence.on_until_s(now) if on else presence.back_at_s(now)
        periods.append((on, min(end_s, until_s) - now))
        now = end_s
    return periods


@pytest.mark.parametrize("time_s", [0.0, 17.0, 400.0])
def test_the_share_of_terminals_that_are_there_is_the_stationary_one_at_all_times(time_s: float) -> None:
    n = 2000
    here = sum(Presence(LAW, i, Streams(1)).on_until_s(time_s) > time_s for i in range(n))
    assert stats.binomtest(here, n, 0.75).pvalue > 0.01


def test_periods_are_exponential_with_the_means_asked_for_and_alternate() -> None:
    periods = [trajectory(Presence(LAW, i, Streams(2)), 2000.0)[1:-1] for i in range(30)]
    for walk in periods:
        states = [on for on, _ in walk]
        assert all(one != other for one, other in pairwise(states))
    for on, mean_s in ((True, 30.0), (False, 10.0)):
        lengths = [length for walk in periods for state, length in walk if state == on]
        assert len(lengths) > 1000
        assert stats.kstest(lengths, "expon", args=(0.0, mean_s)).pvalue > 0.01


def test_the_time_to_the_next_change_has_no_memory_of_when_it_is_asked() -> None:
    left_s = []
    for i in range(3000):
        presence = Presence(LAW, i, Streams(3))
        until_s = presence.on_until_s(100.0)
        if until_s > 100.0:
            left_s.append(until_s - 100.0)
    assert stats.kstest(left_s, "expon", args=(0.0, 30.0)).pvalue > 0.01


@given(TIMES, TIMES, st.integers(0, 50))
def test_a_trajectory_does_not_depend_on_how_often_it_is_asked_about(
    some: list[float], more: list[float], terminal: int
) -> None:
    rarely, often = (Presence(LAW, terminal, Streams(4)) for _ in range(2))
    asked = {time_s: (often.on_until_s(time_s), often.back_at_s(time_s)) for time_s in sorted({*some, *more})}
    for time_s in some:
        assert (rarely.on_until_s(time_s), rarely.back_at_s(time_s)) == asked[time_s]


@given(TIMES, st.integers(0, 50))
def test_a_terminal_is_either_here_now_or_back_later(times: list[float], terminal: int) -> None:
    presence = Presence(LAW, terminal, Streams(5))
    for time_s in times:
        here = presence.on_until_s(time_s) > time_s
        assert (presence.back_at_s(time_s) == time_s) == here
        assert presence.back_at_s(time_s) >= time_s


def test_without_a_law_a_terminal_is_always_there() -> None:
    presence = Presence(None, 3, Streams(0))
    assert presence.on_until_s(1e9) == float("inf")
    assert presence.back_at_s(1e9) == 1e9


def test_a_terminal_draws_idle_power_while_it_is_on_and_only_then() -> None:
    absences = {"availability": {"mean_on_s": 0.8, "mean_off_s": 0.4}}
    where = world(scenario(budget={"time_s": 20.0}, terminals=device(idle_power_w=0.02) | absences), seed=6)
    result = run(where)
    for row in result.terminals:
        entity = int(where.deployment.entity[row["terminal"]])
        walk = trajectory(Presence(where.scenario.terminals.availability, entity, Streams(6)), 20.0)
        on_s = sum(length for on, length in walk if on)
        assert row["energy_idle_j"] == pytest.approx(0.02 * on_s, rel=1e-9)
    shares = np.array([row["energy_idle_j"] for row in result.terminals]) / (0.02 * 20.0)
    assert shares.min() > 0.0 and shares.max() < 1.0
