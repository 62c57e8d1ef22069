"""Whether a terminal is there: a two-state process with exponential periods that does not care when it is asked."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsim.availability import Presence, Trajectory, measured, rhythm
from scenarios.equipment import Availability, Diurnal
from scenarios.streams import Streams
from tests.netsim.worlds import device, run, scenario, world

LAW = Availability(mean_on_s=30.0, mean_off_s=10.0)
TIMES = st.lists(st.floats(0.0, 500.0), min_size=1, max_size=30).map(sorted)


def trajectory(presence: Trajectory, until_s: float) -> list[tuple[bool, float]]:
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


DAY = Diurnal(mean_share=0.55, swing=0.35, period_s=100.0, peak_s=20.0, mean_habit_s=15.0)


def rhythms(law: Diurnal, terminal: int, seed: int = 7) -> Trajectory:
    return Trajectory(rhythm(law, terminal, Streams(seed)))


@pytest.mark.parametrize("time_s", [0.0, 20.0, 45.0, 70.0, 433.0])
@pytest.mark.parametrize("swing", [0.35, 0.8])
def test_the_share_that_is_there_follows_the_time_of_day_exactly(swing: float, time_s: float) -> None:
    law, n = DAY.model_copy(update={"swing": swing}), 2000
    here = sum(rhythms(law, i).on_until_s(time_s) > time_s for i in range(n))
    share = min(1.0, max(0.0, 0.55 + swing * np.cos(2.0 * np.pi * (time_s - 20.0) / 100.0)))
    assert stats.binomtest(here, n, share).pvalue > 0.01


def test_a_terminal_that_keeps_its_habit_is_there_at_the_same_hours_every_day() -> None:
    law = DAY.model_copy(update={"mean_habit_s": 1e12})
    for terminal in range(20):
        level = Streams(7).number("habit", terminal, 0, 1)
        walk = trajectory(rhythms(law, terminal), 1000.0)
        if 0.2 < level < 0.9:
            on_s = np.arccos((level - 0.55) / 0.35) / np.pi * 100.0
            assert [length for on, length in walk[2:-1] if on] == pytest.approx(
                [on_s] * ((len(walk) - 3) // 2), rel=1e-9
            )
            assert len(walk) > 18
        else:
            assert walk == [(level <= 0.2, 1000.0)]


def test_a_rhythm_without_a_swing_is_a_two_state_process_with_exponential_periods() -> None:
    law = DAY.model_copy(update={"mean_share": 0.4, "swing": 0.0})
    periods = [trajectory(rhythms(law, i), 2000.0)[1:-1] for i in range(30)]
    for on, mean_s in ((True, 15.0 / 0.6), (False, 15.0 / 0.4)):
        lengths = [length for walk in periods for state, length in walk if state == on]
        assert stats.kstest(lengths, "expon", args=(0.0, mean_s)).pvalue > 0.01


def test_time_zones_shift_the_day() -> None:
    law = DAY.model_copy(update={"mean_habit_s": 1e12, "time_zones": 4})
    shifts = set()
    for terminal in range(40):
        level = Streams(7).number("habit", terminal, 0, 1)
        if 0.2 < level < 0.9:
            walk = trajectory(rhythms(law, terminal), 300.0)
            ends = np.cumsum([length for _, length in walk])
            middles = [end - length / 2.0 for (on, length), end in zip(walk, ends, strict=True) if on][1:-1]
            shifts |= {round((middle - 20.0) % 100.0, 6) % 100.0 for middle in middles}
    assert shifts == {0.0, 25.0, 50.0, 75.0}


@given(TIMES, TIMES, st.integers(0, 50), st.integers(1, 3))
def test_a_rhythm_does_not_depend_on_how_often_it_is_asked_about_and_alternates(
    some: list[float], more: list[float], terminal: int, zones: int
) -> None:
    law = DAY.model_copy(update={"time_zones": zones, "swing": 0.6})
    rarely, often = (rhythms(law, terminal) for _ in range(2))
    asked = {time_s: (often.on_until_s(time_s), often.back_at_s(time_s)) for time_s in sorted({*some, *more})}
    for time_s in some:
        assert (rarely.on_until_s(time_s), rarely.back_at_s(time_s)) == asked[time_s]
    walk = trajectory(rhythms(law, terminal), 500.0)
    assert all(one[0] != other[0] for one, other in pairwise(walk))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_rhythm_of_all_or_nothing_never_changes(share: float) -> None:
    law = Diurnal(mean_share=share, swing=0.0)
    assert trajectory(rhythms(law, 0), 1e9) == [(share == 1.0, 1e9)]


def test_measured_intervals_are_followed_to_the_second_and_repeated() -> None:
    trace = ((0.0, 2.0), (2.0, 3.0), (5.0, 9.0))
    once = trajectory(Trajectory(measured(trace, None)), 30.0)
    assert once == [(True, 3.0), (False, 2.0), (True, 4.0), (False, 21.0)]
    again = trajectory(Trajectory(measured(trace, 9.0)), 23.0)
    assert again == [(True, 3.0), (False, 2.0), (True, 7.0), (False, 2.0), (True, 7.0), (False, 2.0)]
    assert trajectory(Trajectory(measured(((1.0, 2.0),), 4.0)), 7.0) == [
        (False, 1.0), (True, 1.0), (False, 3.0), (True, 1.0), (False, 1.0)
    ]  # fmt: skip
    assert Trajectory(measured(((0.0, 4.0), (4.0, 5.0)), 5.0)).on_until_s(1e6) == float("inf")


def test_terminals_of_a_run_keep_to_the_rhythm() -> None:
    law = {"mean_share": 0.5, "swing": 0.5, "period_s": 4.0, "mean_habit_s": 0.7, "time_zones": 2}
    where = world(scenario(budget={"time_s": 20.0}, terminals=device(idle_power_w=0.02) | {"diurnal": law}), seed=6)
    for row in run(where).terminals:
        entity = int(where.deployment.entity[row["terminal"]])
        walk = trajectory(rhythms(Diurnal(**law), entity, 6), 20.0)  # type: ignore[arg-type]
        on_s = sum(length for on, length in walk if on)
        assert 0.0 < on_s < 20.0
        assert row["energy_idle_j"] == pytest.approx(0.02 * on_s, rel=1e-9)


def test_only_one_law_says_when_a_terminal_is_there() -> None:
    with pytest.raises(ValueError, match="at most one of"):
        scenario(terminals={"availability": {"mean_on_s": 1.0, "mean_off_s": 1.0}, "diurnal": {}})
