"""When something is there: on/off trajectories of terminals and sites, generated lazily and alike whoever asks.

Period i of a trajectory depends on (seed, entity, i) alone, so it is the same whenever, and however often, it is asked
about. Three laws: two states with exponential periods; a daily rhythm; intervals that were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import acos, floor, inf, log, pi

from scenarios.equipment import Availability, Diurnal, Outage
from scenarios.streams import Streams

Period = tuple[bool, float]
"""Whether it is on, and until when (absolute, seconds); the next period begins there."""


class Trajectory:
    """Alternating on and off periods; time must be asked in non-decreasing order.

    Args:
        periods: one after the other, on and off in turn; the last may be endless.
    """

    def __init__(self, periods: Iterator[Period]) -> None:
        self._periods = periods
        self._on, self._until_s = next(periods)

    def _forward(self, time_s: float) -> None:
        while time_s >= self._until_s:
            self._on, self._until_s = next(self._periods)

    def on_until_s(self, time_s: float) -> float:
        """Return when it is next gone, or ``time_s`` itself if it is away."""
        if time_s >= self._until_s:
            self._forward(time_s)
        return self._until_s if self._on else time_s

    def back_at_s(self, time_s: float) -> float:
        """Return when it is next there: ``time_s`` itself if it is there now."""
        if time_s >= self._until_s:
            self._forward(time_s)
        return time_s if self._on else self._until_s


class Presence(Trajectory):
    """The on/off trajectory of one terminal with exponential periods.

    Args:
        law: mean periods, or None for always on.
        terminal: stream index of the terminal.
        streams: the run's randomness.
    """

    def __init__(self, law: Availability | None, terminal: int, streams: Streams) -> None:
        super().__init__(
            always() if law is None else exponential(law.mean_on_s, law.mean_off_s, "presence", terminal, streams)
        )


def always() -> Iterator[Period]:
    """One endless period."""
    yield True, inf


def exponential(mean_on_s: float, mean_off_s: float, purpose: str, entity: int, streams: Streams) -> Iterator[Period]:
    """Two states with exponential periods, stationary: memoryless, so the first period may start at time 0."""
    on = streams.number(f"first {purpose}", entity) < mean_on_s / (mean_on_s + mean_off_s)
    until_s = 0.0
    for period in count():
        until_s += -(mean_on_s if on else mean_off_s) * log(streams.number(purpose, entity, period))
        yield on, until_s
        on = not on


def outages_of(law: Outage | None, site: int, streams: Streams) -> Trajectory:
    """Return when a site is up; the same whoever walks along it."""
    if law is None:
        return Trajectory(always())
    return Trajectory(exponential(law.mean_up_s, law.mean_down_s, "outage", site, streams))


def rhythm(law: Diurnal, terminal: int, streams: Streams) -> Iterator[Period]:
    """A daily rhythm: on while the share a + b cos(w (t - peak)) is above the terminal's level.

    The level is uniform and drawn anew at the points of a Poisson process, whatever the time of day: it is uniform at
    any instant, so the chance to be on is the share itself. The instants of change are solved for, not searched.
    """
    if law.swing == 0.0 and law.mean_share in (0.0, 1.0):
        return iter([(law.mean_share == 1.0, inf)])
    zone = floor(streams.number("time zone", terminal) * law.time_zones)
    peak_s = law.peak_s + zone * law.period_s / law.time_zones
    return alternating(_habits(law, peak_s, terminal, streams))


def _habits(law: Diurnal, peak_s: float, terminal: int, streams: Streams) -> Iterator[Period]:
    """The periods of one level after another; neighbours may be alike."""
    start_s = 0.0
    for habit in count():
        end_s = start_s - law.mean_habit_s * log(streams.number("habit", terminal, habit, 0))
        level = streams.number("habit", terminal, habit, 1)
        yield from _above(level, law, peak_s, start_s, end_s)
        start_s = end_s


def _above(level: float, law: Diurnal, peak_s: float, start_s: float, end_s: float) -> Iterator[Period]:
    """Between two instants: whether the share is above a level."""
    excess = level - law.mean_share
    if abs(excess) >= law.swing:
        yield excess < 0.0, end_s
        return
    half_s = acos(excess / law.swing) / (2.0 * pi) * law.period_s
    now_s = start_s
    for day in count(floor((start_s - peak_s) / law.period_s)):
        for on, from_peak_s in ((False, -half_s), (True, half_s)):
            until_s = min(end_s, peak_s + day * law.period_s + from_peak_s)
            if until_s > now_s:
                yield on, until_s
                now_s = until_s
        if now_s >= end_s:
            return


def measured(intervals: Sequence[tuple[float, float]], repeat_s: float | None) -> Iterator[Period]:
    """On in given intervals, ascending and apart; again and again if ``repeat_s`` says when they begin anew."""
    if repeat_s is not None and list(alternating(_once(intervals, 0.0, repeat_s))) == [(True, repeat_s)]:
        return always()
    return alternating(_repeated(intervals, repeat_s))


def _repeated(intervals: Sequence[tuple[float, float]], repeat_s: float | None) -> Iterator[Period]:
    if repeat_s is None:
        yield from _once(intervals, 0.0, inf)
        return
    for turn in count():
        yield from _once(intervals, turn * repeat_s, (turn + 1) * repeat_s)


def _once(intervals: Sequence[tuple[float, float]], start_s: float, end_s: float) -> Iterator[Period]:
    for on_s, off_s in intervals:
        yield False, start_s + on_s
        yield True, min(end_s, start_s + off_s)
    yield False, end_s


def alternating(periods: Iterator[Period]) -> Iterator[Period]:
    """Join neighbours that are alike, and leave out what has no length."""
    now_s, on, until_s = 0.0, True, 0.0
    for next_on, next_until_s in periods:
        if next_until_s <= max(now_s, until_s):
            continue
        if next_on != on and until_s > now_s:
            yield on, until_s
            now_s = until_s
        on, until_s = next_on, next_until_s
    yield on, until_s
