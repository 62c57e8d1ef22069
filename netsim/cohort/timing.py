"""The timing of one cloud round, first without looking at the budget and then up to where the budget ends it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy.special import ndtri

from netsim.cohort.book import COST, IDLE, PAID, POWERS, SITE_STATIC, Book, blank
from netsim.cohort.cell import Story, cloud_round
from netsim.cohort.gathering import End, Load
from netsim.cohort.idling import idle_changes, settle
from netsim.cohort.ledger import Ledger, Levels
from netsim.cohort.plant import ALWAYS, LOGNORMAL, Plant, Rules
from netsim.cohort.population import new_population
from netsim.port import Plan, Sizes
from scenarios.schema import Budget
from scenarios.streams import Streams

Array = NDArray[Any]
_EVERYBODY = 2**31
# A participant: receiving (2), cost, computing, asking (bytes, power, site), over (refund, carried, power, site).
_LINES_A_PARTICIPANT = 12
_WORTH_SHARING = 20_000  # lines; below, the round is over before a second thread has woken up
_LINES_AN_ITERATION, _LINES_A_ROUND = 20, 10


@dataclass(frozen=True)
class Round:
    """What happened in a cloud round.

    Attributes:
        story: when and to whom.
        record_s: (n,) instants that are recorded, ascending: all aggregations and the end.
        levels: totals at these instants.
        over_s: when the round was over, or the run.
        ended_by: what ended the run, None if nothing has.
    """

    story: Story
    record_s: Array
    levels: Levels
    over_s: float
    ended_by: str | None


class Timing:
    """Simulates cloud rounds one after the other.

    Args:
        plant, rules: the network.
        streams: the run's randomness.
        limits: the budget.
    """

    def __init__(self, plant: Plant, rules: Rules, streams: Streams, limits: Budget) -> None:
        self.plant, self.rules, self._streams, self._limits = plant, rules, streams, limits
        self.population = new_population(plant, rules)
        self.ledger = Ledger(self._resting_w(0.0))
        self._threads = min(get_num_threads(), len(plant.first) - 1)
        self._pool = ThreadPoolExecutor(self._threads)
        self._idles_simply = not (rules.mortal or rules.mean_on_s < np.inf)

    def run(self, plan: Plan, sizes: Sizes) -> Round:
        """Simulate the next cloud round, up to the end of the run if that comes before."""
        load, limits = self._load(plan, sizes), self._limits
        end = End(np.inf if limits.time_s is None else limits.time_s, _EVERYBODY, 0)
        before = self.population.copy() if self._may_end_early() else None
        story, books, over_s = self._follow(load, end)
        record_s, levels = self._recorded(story, books, over_s)
        ended_by = "time budget" if over_s == end.horizon_s else None
        stop = min(self._stops(story, books, record_s, levels), key=lambda stop: stop.end.horizon_s, default=None)
        if stop is not None and stop.end.horizon_s <= over_s:
            assert before is not None
            self.population = before
            story, books, over_s = self._follow(load, stop.end)
            record_s, levels = self._recorded(story, books, over_s)
            ended_by = stop.reason
        self.ledger.close(levels, over_s, self._resting_w(over_s))
        return Round(story, record_s, levels, over_s, ended_by)

    def idle_j(self) -> Array:
        """Return (M,) joules every terminal has idled away so far."""
        if self._idles_simply:
            return np.asarray(self.plant.idle_w[self.plant.kind] * self.ledger.time_s)
        return self.population.idle_j

    def _load(self, plan: Plan, sizes: Sizes) -> Load:
        normals = np.zeros((1, 1))
        if self.rules.slowdown == LOGNORMAL:
            first = np.repeat(self.population.sites.edge_rounds, np.diff(self.plant.first))
            rounds = first + np.arange(plan.bs_iterations)[:, None]
            normals = ndtri(self._streams.uniform("slowdown", self.plant.entity, rounds))
        return Load(
            start_s=self.ledger.time_s,
            cloud_bits=float(sizes.cloud_bits),
            broadcast_bits=float(sizes.broadcast_bits),
            update_bits=float(sizes.update_bits),
            aggregate_bits=float(sizes.aggregate_bits),
            bs_iterations=plan.bs_iterations,
            samples=np.ascontiguousarray(sizes.samples, np.float64),
            fixed_samples=np.ascontiguousarray(sizes.fixed_samples, np.float64),
            normals=normals,
        )

    def _may_end_early(self) -> bool:
        """Whether anything but the clock may end the run in the middle of a round."""
        limits = self._limits
        limited = any(limit is not None for limit in (limits.energy_j, limits.bytes, limits.cost))
        return limited or self.rules.mortal or not self.plant.covered.all()

    def _follow(self, load: Load, end: End) -> tuple[Story, list[Book], float]:
        """Bring the population to the end of the round, or to ``end``; return what happened and until when."""
        plant, rules, everybody = self.plant, self.rules, self.population
        story, book = _blank_story(plant, rules, load.bs_iterations), _blank_book(plant, rules, load.bs_iterations)
        threads = self._threads if len(book.time_s) > _WORTH_SHARING else 1
        edges = np.linspace(0, len(plant.first) - 1, threads + 1).astype(np.int64).tolist()

        def follow(cells: tuple[int, int]) -> None:
            state = (everybody.accounts, everybody.presence, everybody.tally, everybody.sites)
            cloud_round(plant, rules, load, *state, story, book, end, *cells)

        for _ in self._pool.map(follow, pairwise(edges)) if threads > 1 else map(follow, pairwise(edges)):
            pass
        complete = bool(np.all(story.reported_s < np.inf))
        over_s = float(story.reported_s.max()) if complete else min(end.horizon_s, float(story.stranded_s.min()))
        if self._idles_simply:
            return story, [book], over_s
        accounts = everybody.accounts
        if rules.mortal:
            settle(plant, rules, accounts, over_s)
        idling = idle_changes(
            plant, rules, everybody.idle, accounts.death_s, everybody.idle_j, self.ledger.time_s, over_s
        )
        return story, [book, idling], over_s

    def _recorded(self, story: Story, books: list[Book], over_s: float) -> tuple[Array, Levels]:
        merged_s = np.sort(story.merged_s[story.merged_s < np.inf])
        record_s = np.append(merged_s, np.nextafter(over_s, np.inf))  # with all that is settled at the last instant
        return record_s, self.ledger.levels(books, record_s)

    def _stops(self, story: Story, books: list[Book], record_s: Array, levels: Levels) -> list[Stop]:
        """Return everything but the clock that would end the run in this round; of equal times the first counts."""
        stops, limits, everybody = [], self._limits, _EVERYBODY
        met_s = self.population.accounts.limit_s
        if met_s.min(initial=np.inf) < np.inf:
            terminal = int(met_s.argmin())
            stops.append(Stop(End(float(met_s[terminal]), everybody, 0), f"energy budget of terminal {terminal}"))
        if limits.energy_j is not None:
            energy_met_s = self.ledger.energy_met_s(books, record_s, levels, limits.energy_j)
            if energy_met_s < np.inf:
                stops.append(Stop(End(energy_met_s, everybody, 0), "energy budget"))
        for name, channel, limit in (("bytes", PAID, limits.bytes), ("cost", COST, limits.cost)):
            failed = None if limit is None else self.ledger.unpayable(books, record_s, levels, channel, limit)
            if failed is not None:
                stops.append(Stop(End(failed.time_s, failed.site, failed.terminal), f"{name} budget"))
        site, stranded_s = int(story.stranded_s.argmin()), float(story.stranded_s.min())
        if stranded_s < np.inf:
            stops.append(Stop(End(stranded_s, everybody, 0), f"no terminal left at bs-{site:02d}"))
        return stops

    def _resting_w(self, time_s: float) -> Array:
        """Return (7,) powers drawn while nobody computes or sends."""
        power_w, population, rules = np.zeros(POWERS), self.population, self.rules
        idles = population.idle.on & (population.accounts.death_s > time_s)
        power_w[IDLE] = self.plant.idle_w[self.plant.kind[idles]].sum()
        if rules.static == ALWAYS:
            power_w[SITE_STATIC] = rules.static_w * (len(self.plant.first) - 1)
        return power_w


@dataclass(frozen=True)
class Stop:
    """Where the run would end, and why."""

    end: End
    reason: str


def _most_asked(plant: Plant, rules: Rules) -> Array:
    """Return (S,) how many terminals a site asks at most."""
    here = np.diff(plant.first)
    return np.maximum(1, np.ceil(rules.scheduled_fraction * here - 1e-9)).astype(np.int64) * (here > 0)


def _blank_story(plant: Plant, rules: Rules, K: int) -> Story:
    place = np.concatenate([[0], np.cumsum(_most_asked(plant, rules))])
    sites, places = len(plant.first) - 1, int(place[-1])
    may_miss = rules.mortal or rules.mean_on_s < np.inf or not plant.covered.all()
    never = np.inf
    return Story(
        place=place,
        terminal=np.zeros((K, places), np.int32),
        outcome=np.full((K, places), -1, np.int8),
        start_s=np.empty((K, places)),
        compute_s=np.empty((K, places)),
        upload_s=np.empty((K, places)),
        finish_s=np.empty((K, places)),
        worked=np.zeros((K, places), np.bool_),
        asked=np.zeros((K, sites), np.int64),
        merged=np.zeros((K, sites), np.int64),
        scheduled_s=np.full((K, sites), never),
        merged_s=np.full((K, sites), never),
        absent=np.zeros((K, len(plant.entity) if may_miss else 0), np.bool_),
        adopted_s=np.full(sites, never),
        reported_s=np.full(sites, never),
        stranded_s=np.full(sites, never),
    )


def _blank_book(plant: Plant, rules: Rules, K: int) -> Book:
    """Return a book with room for all lines a participant and an iteration can write."""
    return blank(K * (_LINES_A_PARTICIPANT * _most_asked(plant, rules) + _LINES_AN_ITERATION) + _LINES_A_ROUND)
