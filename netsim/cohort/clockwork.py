"""Time and budget of a run: what happens is followed first without looking at the budget, then up to where it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.cohort.book import COST, IDLE, PAID, POWERS, SITE_STATIC, Book
from netsim.cohort.gathering import End
from netsim.cohort.idling import idle_changes, settle
from netsim.cohort.ledger import Ledger, Levels
from netsim.cohort.plant import ALWAYS, Plant, Rules
from netsim.cohort.population import new_population
from scenarios.schema import Budget
from scenarios.streams import Streams

Array = NDArray[Any]
EVERYBODY = 2**31
"""As the site of an :class:`End`: whatever is due at the last instant is paid."""


@dataclass(frozen=True)
class Stop:
    """Where the run would end, and why."""

    end: End
    reason: str


@dataclass(frozen=True)
class Course:
    """What compiled code found to happen in a stretch of time.

    Attributes:
        story: when and to whom, in terms of the protocol.
        book: changes for the ledger.
        record_s: (n,) instants within that are recorded, ascending.
        over_s: when the stretch is over.
        stops: why the run would end there by itself.
    """

    story: Any
    book: Book
    record_s: Array
    over_s: float
    stops: list[Stop]


@dataclass(frozen=True)
class Stretch:
    """What has happened, with totals.

    Attributes:
        story: see :class:`Course`.
        record_s: (n + 1,) instants that are recorded; the last is the end.
        levels: totals at these instants.
        over_s: when it was over.
        ended_by: what ended the run, None if nothing has.
    """

    story: Any
    record_s: Array
    levels: Levels
    over_s: float
    ended_by: str | None


class Clockwork:
    """Moves a population through time.

    Args:
        plant, rules: the network.
        limits: the budget.
        streams: the run's randomness.
    """

    def __init__(self, plant: Plant, rules: Rules, limits: Budget, streams: Streams) -> None:
        self.plant, self.rules, self._limits, self.streams = plant, rules, limits, streams
        self.population = new_population(plant, rules)
        self.ledger = Ledger(self._resting_w(0.0))
        self._steady = not (rules.mortal or rules.mean_on_s < np.inf)  # everybody is there, and idles, all the time
        limited = any(limit is not None for limit in (limits.energy_j, limits.bytes, limits.cost))
        self._may_end_early = limited or rules.mortal or not plant.covered.all()  # before the clock ends the run

    def advance(self, follow: Callable[[End], Course]) -> Stretch:
        """Move on, to the end of the run if that comes before.

        Args:
            follow: brings the population to an end, or less far if nothing more happens, and says what happened.
        """
        end = End(np.inf if self._limits.time_s is None else self._limits.time_s, EVERYBODY, 0)
        before = self.population.copy(self._steady) if self._may_end_early else None
        course, books, record_s, levels = self._follow(follow, end)
        ended_by = "time budget" if course.over_s == end.horizon_s else None
        stops = self._limits_met(books, record_s, levels) + course.stops
        stop = min(stops, key=lambda stop: stop.end.horizon_s, default=None)
        if stop is not None and stop.end.horizon_s <= course.over_s:
            assert before is not None
            self.population = before
            course, _, record_s, levels = self._follow(follow, stop.end)
            ended_by = stop.reason
        self.ledger.close(levels, course.over_s, self._resting_w(course.over_s))
        return Stretch(course.story, record_s, levels, course.over_s, ended_by)

    def idle_j(self) -> Array:
        """Return (M,) joules every terminal has idled away so far."""
        if self._steady:
            return np.asarray(self.plant.idle_w[self.plant.kind] * self.ledger.time_s)
        return self.population.idle_j

    def _follow(self, follow: Callable[[End], Course], end: End) -> tuple[Course, list[Book], Array, Levels]:
        course = follow(end)
        books = [course.book] if self._steady else [course.book, self._idling(course.over_s)]
        # The last record is taken just after the end, with all that is settled at that instant.
        record_s = np.concatenate([course.record_s, [np.nextafter(course.over_s, np.inf)]])
        return course, books, record_s, self.ledger.levels(books, record_s)

    def _idling(self, over_s: float) -> Book:
        """Bring batteries and idle energy up to ``over_s``."""
        everybody = self.population
        if self.rules.mortal:
            settle(self.plant, self.rules, everybody.accounts, over_s)
        death_s, since_s = everybody.accounts.death_s, self.ledger.time_s
        return idle_changes(self.plant, self.rules, everybody.idle, death_s, everybody.idle_j, since_s, over_s)

    def _limits_met(self, books: list[Book], record_s: Array, levels: Levels) -> list[Stop]:
        """Return the limits that would end the run in this stretch; of equal times the first counts."""
        stops, limits = [], self._limits
        met_s = self.population.accounts.limit_s
        if met_s.min(initial=np.inf) < np.inf:
            terminal = int(met_s.argmin())
            stops.append(Stop(End(float(met_s[terminal]), EVERYBODY, 0), f"energy budget of terminal {terminal}"))
        if limits.energy_j is not None:
            energy_met_s = self.ledger.energy_met_s(books, record_s, levels, limits.energy_j)
            if energy_met_s < np.inf:
                stops.append(Stop(End(energy_met_s, EVERYBODY, 0), "energy budget"))
        for name, channel, limit in (("bytes", PAID, limits.bytes), ("cost", COST, limits.cost)):
            failed = None if limit is None else self.ledger.unpayable(books, record_s, levels, channel, limit)
            if failed is not None:
                stops.append(Stop(End(failed.time_s, failed.site, failed.terminal), f"{name} budget"))
        return stops

    def _resting_w(self, time_s: float) -> Array:
        """Return (7,) powers drawn while nobody computes or sends."""
        power_w, population, rules = np.zeros(POWERS), self.population, self.rules
        idles = population.idle.on & (population.accounts.death_s > time_s)
        power_w[IDLE] = self.plant.idle_w[self.plant.kind[idles]].sum()
        if rules.static == ALWAYS:
            power_w[SITE_STATIC] = rules.static_w * (len(self.plant.first) - 1)
        return power_w
