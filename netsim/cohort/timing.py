"""The timing of a cloud round of all cells at once, and of terminals on their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy.special import ndtri

from netsim.cohort.alone import Tries, work_alone
from netsim.cohort.book import Book, blank
from netsim.cohort.cell import Story, cloud_round
from netsim.cohort.clockwork import EVERYBODY, Clockwork, Course, Stop, Stretch
from netsim.cohort.gathering import MERGED, End, Load
from netsim.cohort.plant import LOGNORMAL, Plant, Rules
from netsim.collection import share_of
from netsim.port import Plan, Sizes
from scenarios.errors import ScenarioError
from scenarios.schema import Budget
from scenarios.streams import Streams

Array = NDArray[Any]
# A participant: receiving (2), cost, computing, asking (bytes, power, site), over (refund, carried, power, site).
_LINES_A_PARTICIPANT = 12
_LINES_A_MESSAGE = 3  # to one participant alone: receiving (2), carried
_LINES_AN_ITERATION, _LINES_A_ROUND, _LINES_A_TRY = 20, 10, 3
_WORTH_SHARING = 20_000  # lines; below, the round is over before a second thread has woken up


class RoundTiming(Clockwork):
    """Simulates cloud rounds one after the other; see :class:`netsim.cohort.clockwork.Clockwork`."""

    def __init__(self, plant: Plant, rules: Rules, limits: Budget, streams: Streams) -> None:
        super().__init__(plant, rules, limits, streams)
        self._most_asked = _most_asked(plant, rules)
        self._place = np.concatenate([[0], np.cumsum(self._most_asked)])
        self._absences = len(plant.entity) if not (self._steady and plant.covered.all()) else 0
        self._threads = min(get_num_threads(), len(plant.first) - 1)
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    def run(self, plan: Plan, sizes: Sizes) -> Stretch:
        """Simulate the next cloud round, up to the end of the run if that comes before."""
        load, rules = self._load(plan, sizes), self.rules
        if plan.deadline_s is not None:  # plans are of rounds, the rest of the rules of runs
            rules = rules._replace(deadline_s=float(plan.deadline_s))
        return self.advance(lambda end: self._round(load, rules, end))

    def _load(self, plan: Plan, sizes: Sizes) -> Load:
        normals = None
        if self.rules.slowdown == LOGNORMAL:
            first = np.repeat(self.population.sites.edge_rounds, np.diff(self.plant.first))
            rounds = first + np.arange(plan.bs_iterations)[:, None]
            normals = ndtri(self.streams.uniform("slowdown", self.plant.entity, rounds))
        return load_of(sizes, normals, self.ledger.time_s, plan.bs_iterations)

    def _round(self, load: Load, rules: Rules, end: End) -> Course:
        plant, everybody, sites, K = self.plant, self.population, len(self._most_asked), load.bs_iterations
        story = _blank_story(self._place, K, self._absences)
        book = _blank_book(self._most_asked, K, load.personal_bits > 0.0)

        def follow(first: int, last: int) -> None:
            state = (everybody.accounts, everybody.presence, everybody.tally, everybody.sites)
            cloud_round(plant, rules, load, *state, story, book, end, first, last)

        if self._pool is not None and len(book.time_s) > _WORTH_SHARING:
            edges = np.linspace(0, sites, self._threads + 1).astype(np.int64).tolist()
            list(self._pool.map(follow, edges[:-1], edges[1:]))
        else:
            follow(0, sites)
        return _course(story, book, end)


def _course(story: Story, book: Book, end: End) -> Course:
    """Say what happened in a cloud round."""
    site, over_s = int(story.stranded_s.argmin()), float(story.reported_s.max())
    stranded_s, merged_s = float(story.stranded_s[site]), np.sort(story.merged_s, axis=None)
    stops = [Stop(End(stranded_s, EVERYBODY, 0), f"no terminal left at bs-{site:02d}")] if stranded_s < np.inf else []
    if over_s == np.inf:
        over_s = min(end.horizon_s, stranded_s)
    return Course(story, book, merged_s[: np.searchsorted(merged_s, np.inf)], over_s, stops)


class LoneTiming(Clockwork):
    """Simulates terminals that learn on their own; see :class:`netsim.cohort.clockwork.Clockwork`."""

    def run(self, plan: Plan, sizes: Sizes) -> Stretch:
        """Simulate K chunks of work of every terminal; the story is :class:`netsim.cohort.alone.Tries` by end."""
        return self.advance(lambda end: self._alone(plan.bs_iterations, sizes, end))

    def _alone(self, chunks: int, sizes: Sizes, end: End) -> Course:
        plant, everybody = self.plant, self.population
        begun, over_s = np.zeros(len(plant.entity), np.int64), np.zeros(len(plant.entity))
        load, nothing, room = load_of(sizes), _blank_tries(0), chunks
        while True:  # how often a chunk must be done again is only known afterwards
            if self.rules.slowdown == LOGNORMAL:
                numbers = np.arange(room)[:, None]
                load = load_of(sizes, ndtri(self.streams.uniform("slowdown", plant.entity, numbers)))
            trial = everybody.copy(self._steady)
            blank_book = blank(np.zeros(len(plant.entity), np.int64))
            state = (trial.accounts, trial.presence, trial.tally, blank_book, nothing)
            n = work_alone(plant, self.rules, load, *state, end, chunks, begun, over_s, True)
            if self.rules.slowdown != LOGNORMAL or begun.max() <= room:
                break
            room *= 2
        tries, book = _blank_tries(n), blank(_LINES_A_TRY * begun)
        state = (everybody.accounts, everybody.presence, everybody.tally, book, tries)
        work_alone(plant, self.rules, load, *state, end, chunks, begun, over_s, False)
        order = np.lexsort((tries.terminal, tries.end_s))
        story = Tries(*(column[order] for column in tries))
        finished_s = story.end_s[story.outcome == MERGED]
        complete = bool(np.all(over_s < np.inf))
        everyone = len(plant.entity)
        last_s = float(over_s.max()) if complete else end.horizon_s
        return Course(story, book, finished_s[everyone - 1 :: everyone], last_s, [])


def load_of(sizes: Sizes, normals: Array | None = None, start_s: float = 0.0, bs_iterations: int = 1) -> Load:
    """Return sizes in the form compiled code takes.

    Raises:
        ScenarioError: terminals send updates of different sizes.
    """
    if sizes.own_update_bits is not None:
        raise ScenarioError("engine", "cohort", "process, because terminals send updates of different sizes")
    return Load(
        start_s=start_s,
        cloud_bits=float(sizes.cloud_bits),
        broadcast_bits=float(sizes.broadcast_bits),
        personal_bits=float(sizes.personal_bits),
        update_bits=float(sizes.update_bits),
        aggregate_bits=float(sizes.aggregate_bits),
        bs_iterations=bs_iterations,
        samples=np.ascontiguousarray(sizes.samples, np.float64),
        fixed_samples=np.ascontiguousarray(sizes.fixed_samples, np.float64),
        normals=np.zeros((1, 1)) if normals is None else normals,
    )


def _blank_tries(n: int) -> Tries:
    return Tries(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int8), *(np.empty(n) for _ in range(3)))


def _most_asked(plant: Plant, rules: Rules) -> Array:
    """Return (S,) how many terminals a site asks at most."""
    here = np.diff(plant.first).tolist()
    return np.array([share_of(rules.scheduled_fraction, count) if count else 0 for count in here])


def _blank_story(place: Array, K: int, absences: int) -> Story:
    """Return a story of K iterations without terminals and outcomes (-1) yet, with room for ``absences`` in each."""
    sites, places = len(place) - 1, int(place[-1])
    start_s, compute_s, upload_s, finish_s = np.empty((4, K, places))
    asked, merged = np.zeros((2, K, sites), np.int64)
    scheduled_s, merged_s = np.full((2, K, sites), np.inf)
    adopted_s, reported_s, stranded_s = np.full((3, sites), np.inf)
    return Story(
        place=place,
        terminal=np.full((K, places), -1, np.int32),
        outcome=np.full((K, places), -1, np.int8),
        start_s=start_s,
        compute_s=compute_s,
        upload_s=upload_s,
        finish_s=finish_s,
        worked=np.zeros((K, places), np.bool_),
        asked=asked,
        merged=merged,
        scheduled_s=scheduled_s,
        merged_s=merged_s,
        absent=np.zeros((K, absences), np.bool_),
        adopted_s=adopted_s,
        reported_s=reported_s,
        stranded_s=stranded_s,
    )


def _blank_book(most_asked: Array, K: int, personal: bool) -> Book:
    """Return a book with room for all lines a participant, with a message of its own or not, and an iteration write."""
    lines = _LINES_A_PARTICIPANT + (_LINES_A_MESSAGE if personal else 0)
    return blank(K * (lines * most_asked + _LINES_AN_ITERATION) + _LINES_A_ROUND)
