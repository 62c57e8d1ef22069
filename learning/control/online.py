"""Learns while it plans: what rounds cost, how fast terminals are, and what a cloud round is worth.

A terminal's H is counted in passes over its own rows. Up to one pass every dual step settles a row that it has not
looked at since the model was sent, and progress is as good as proportional to H; further passes only polish. So
terminals with more rows take more steps. Where time is scarce, slow ones are cut to what they can do in a common time.

What a cloud round is worth is the decrease of the logarithm of the certified gap,

    1 / decrease^2 = (pace / (K progress))^2 + drag^2:

the rounds that base-station iterations need on their own, and those that moving the shared vector needs however well
the tasks were solved; the slower of both decides. What pairs of pace and drag are likely is learned from the gaps that
terminals measure, by Bayes' rule. The plan is the one with which all that is left brings the greatest total decrease
that is to be expected: as long as the drag is not known, long rounds are not trusted to bring what it would forbid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, log

import numpy as np
from numpy.typing import ArrayLike

from learning.control.forecast import Array, Ledger, affordable_rounds
from learning.control.observation import Observation, Reading
from learning.messages import IntArray, Plan

PASSES = 2.0 ** np.arange(-3.0, 3.01, 0.25)
CAPS = 0.75 ** np.arange(1.0, 13.0)
"""Longest working times to choose from, as shares of that of the slowest terminal at one pass."""
DEADLINES = np.array([1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 16.0])
"""Deadlines to choose from, over the time that the slowest terminal works if it is not slowed down."""
CUT_PASSES = np.array([0.5, 1.0, 2.0])
"""Passes of terminals that are fast enough for them."""
ITERATIONS = np.array([1, 2, 3, 4, 6, 8, 12, 16])
VARIETY = 0.12
"""Half a pass makes (1 + VARIETY / 2) / 2 of the progress of one: it starts from models that are newer."""
POLISH = 0.02
"""Progress of e passes is that of one and this."""
PACE = 10.0
"""Base-station iterations of a pass each that reduce the gap to 1/e: what is likely."""
LIKELY_DRAG = 0.2  # over that of the bound, which holds for the direction in which tasks differ least
_DOUBT = np.array([0.9, 0.5])  # standard deviations of the logarithms of pace and drag
_NOISE = 0.3  # standard deviation of the logarithm of a decrease, given pace and drag
_MEMORY = 0.7  # weight of a reading relative to that of the one after it
_LEAST = 1e-13  # gaps below this share of the first are rounding
_LAGGING = 4.0  # how much those that lag behind hold up the others: 1 is a harmonic mean, infinity the minimum
_LOOKED_AT = 20_000  # terminals that options are weighed with; of more, every so many-th
_MEASURED = ("time_s", "energy_j")  # resources whose prices are forecasts
_SAFE = 1.15  # how many times over the forecast must be there for the last round


def likely_drag(outer: float) -> float:
    """Return the cloud rounds that reduce the gap to 1/e, given a bound on what one leaves of it; below 1 in both.

    On the data at hand a cloud round was worth several times as much as the bound says.
    """
    return LIKELY_DRAG / -log(max(min(outer, 1.0 - 1e-9), 1e-9))


def progress(passes: Array) -> Array:
    """Return how much further so many passes over a terminal's rows get it, one pass being 1."""
    polished = 1.0 + POLISH * np.log(np.maximum(passes, 1.0))
    return np.where(passes <= 1.0, passes * (1.0 + VARIETY * (1.0 - passes)), polished)


@dataclass(frozen=True, eq=False)
class Worth:
    """What cloud rounds are worth, as far as it is known.

    Attributes:
        paces: (g,) base-station iterations of one pass that may be what reduces the gap to 1/e.
        drags: (g,) cloud rounds that may be what does so if every task is solved exactly.
        odds: (g,) how likely each pair is; they add up to 1.
    """

    paces: Array
    drags: Array
    odds: Array

    def decrease(self, work: Array) -> Array:
        """Return (n,) by how much a round is expected to lower the logarithm of the gap, for (n,) K progress."""
        return np.asarray(decrease(work[:, None], self.paces, self.drags) @ self.odds, np.float64)


def decrease(work: Array, pace: ArrayLike, drag: ArrayLike) -> Array:
    """Return by how much a round of so much K progress lowers the logarithm of the gap."""
    return np.asarray(1.0 / np.hypot(np.asarray(pace) / work, drag), np.float64)


def likely_worth(drag: float) -> Worth:
    """Return what rounds may be worth before any gap was measured, given the most likely drag."""
    off = np.linspace(-2.5, 2.5, 21)
    log_pace, log_drag = (off * _DOUBT[:, None]) + np.log([[PACE], [drag]])
    paces, drags = np.meshgrid(np.exp(log_pace), np.exp(log_drag))
    odds = np.exp(-0.5 * (off**2 + off[:, None] ** 2)).ravel()
    return Worth(paces.ravel(), drags.ravel(), odds / odds.sum())


def learned_worth(prior: Worth, drops: Sequence[float], work: Sequence[Array]) -> Worth:
    """Return what rounds are worth by Bayes' rule, newer readings counting for more.

    Args:
        prior: what was likely before.
        drops: by how much the logarithm of the gap fell between readings; what rose says nothing.
        work: K progress of every round between them.
    """
    evidence = np.zeros(len(prior.odds))
    for drop, rounds in zip(drops, work, strict=True):
        evidence *= _MEMORY
        if drop > 0.0:
            foreseen = decrease(np.asarray(rounds)[:, None], prior.paces, prior.drags).sum(axis=0)
            evidence -= 0.5 * (np.log(drop / foreseen) / _NOISE) ** 2
    odds = prior.odds * np.exp(evidence - evidence.max())
    return Worth(prior.paces, prior.drags, odds / odds.sum())


@dataclass(frozen=True, eq=False)
class Options:
    """Plans to choose from.

    Attributes:
        passes: (c,) passes that a terminal makes over its rows.
        longest_s: (c,) time it stops after, if it is not slowed down.
        waits_s: (c,) time for which its work is awaited; infinity without a deadline.
        done: (c,) progress of a base-station iteration.
        loads: (c,) what H counts as, by resource.
    """

    passes: Array
    longest_s: Array
    waits_s: Array
    done: Array
    loads: dict[str, Array]


def options(rows: IntArray, slow: Array, tail: float, cut: bool, deadlines: bool = False) -> Options:
    """Return what terminals may be asked to do in a base-station iteration.

    Args:
        rows: (terminals,) of each, at least 1.
        slow: (terminals,) time of a visit of a row.
        tail: see :func:`loads_of`.
        cut: whether slow terminals may be asked for less than others.
        deadlines: whether base stations may be told how long to wait.
    """
    passes, longest_s = PASSES, np.full(len(PASSES), np.inf)
    if cut:
        passes = np.concatenate([passes, np.repeat(CUT_PASSES, len(CAPS))])
        longest_s = np.concatenate([longest_s, np.tile(CAPS, len(CUT_PASSES)) * (rows * slow).max()])
    times = DEADLINES if deadlines else np.full(1, np.inf)
    passes, longest_s, times = (
        np.repeat(passes, len(times)),
        np.repeat(longest_s, len(times)),
        np.tile(times, len(passes)),
    )
    each = steps_of(passes, longest_s, rows, slow)
    waits_s = times * (each * slow).max(axis=1)
    done = arriving(each * slow, waits_s, tail) * progress(each / rows)
    done = (np.maximum(done, 1e-9) ** -_LAGGING @ (rows / rows.sum())) ** (-1.0 / _LAGGING)
    return Options(passes, longest_s, waits_s, done, loads_of(each, slow, tail, waits_s))


def arriving(work: Array, waits_s: Array, tail: float) -> Array:
    """Return (c, terminals) chances that work is done in time, given (c, terminals) times it takes at best.

    Slow-downs follow Pareto's law with index ``tail``. No deadline here cuts off what one undisturbed update needs, so
    even a chance of 0 is that of the slowest terminal alone.
    """
    return np.asarray(1.0 - np.minimum(1.0, work / waits_s[:, None]) ** tail, np.float64)


def steps_of(passes: Array, longest_s: Array, rows: IntArray, slow: Array) -> IntArray:
    """Return (c, terminals) H of every terminal under options: whole numbers, at least 1."""
    wanted = np.rint(passes[:, None] * rows)
    return np.maximum(1, np.minimum(wanted, longest_s[:, None] / slow)).astype(np.int64)


def loads_of(each: IntArray, slow: Array, tail: float, waits_s: ArrayLike = np.inf) -> dict[str, Array]:
    """Return (c,) what (c, terminals) local iterations count as, by resource.

    The slowest of terminals with working times w and slow-downs of Pareto's law with index a takes in proportion to
    (sum w^a)^(1/a): of many that are nearly the slowest, one will be. Nobody waits longer than until the deadline.
    """
    mean, work = each.mean(axis=1), each * slow
    most = work.max(axis=1)
    longest = most * ((work / most[:, None]) ** tail).sum(axis=1) ** (1.0 / tail)
    return {"cost": mean, "energy_j": mean, "bytes": mean, "time_s": np.minimum(longest, waits_s)}


@dataclass
class OnlineControl:
    """Plans every cloud round anew.

    Args:
        rows: (terminals,) training rows of each.
        drag: cloud rounds that reduce the gap to 1/e if every task is solved exactly: what is likely.
    """

    rows: IntArray
    drag: float
    _ledger: Ledger = field(default_factory=Ledger, init=False)
    _last: Plan | None = field(default=None, init=False)
    _most_iterations: int = field(default=1, init=False)
    _work: list[float] = field(default_factory=list, init=False)

    def measures_gap(self, cloud_round: int) -> bool:
        """Measure in rounds 4, 8, 16, ..., which are kept short."""
        return cloud_round > 2 and (cloud_round + 1) & cloud_round == 0

    def plan(
        self, observation: Observation, contraction: float | None = None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return the plan of the next cloud round; None when it cannot be paid for."""
        seconds, tail = observation.seconds_per_sample, _tail(observation)
        slow = np.ones(len(self.rows)) if seconds is None else np.where(np.isnan(seconds), np.nanmean(seconds), seconds)
        rows, some = np.maximum(self.rows, 1), np.arange(0, len(self.rows), ceil(len(self.rows) / _LOOKED_AT))
        self._take_prices(observation, some, slow, tail)
        cut = seconds is not None and "time_s" in observation.remaining
        timed = seconds is not None and observation.deadline_s is not None
        choice = options(rows[some], slow[some], tail, cut, timed)
        long = 2 * self._most_iterations  # one short round is too little to found a long one on
        allowed = np.array([1]) if self.measures_gap(observation.cloud_round) else ITERATIONS[long >= ITERATIONS]
        of, K = (axis.ravel() for axis in np.meshgrid(np.arange(len(choice.done)), allowed, indexing="ij"))
        best = self._best(observation, readings, choice, of, K)
        if best is None:
            return None
        chosen, iterations = of[best : best + 1], int(K[best])
        each = steps_of(choice.passes[chosen], choice.longest_s[chosen], rows, slow)[0]
        self._most_iterations = max(self._most_iterations, iterations)
        self._work.append(iterations * float(choice.done[of[best]]))
        deadline_s = float(choice.waits_s[of[best]]) + observation.upload_s if timed else None
        self._last = Plan(int(each.max()), iterations, each, deadline_s)
        return self._last

    def _best(
        self, observation: Observation, readings: Sequence[Reading], choice: Options, of: IntArray, K: IntArray
    ) -> int | None:
        """Return the place of the best option ``of`` with ``K``; None if none can be paid for."""
        left, tariffs = observation.remaining, self._ledger.tariffs(observation)
        loads, done = {name: load[of] for name, load in choice.loads.items()}, choice.done[of]
        exact = {name: tariff for name, tariff in tariffs.items() if name not in _MEASURED}
        possible = affordable_rounds(left, exact, loads, K) >= 1.0
        if not possible.any():
            return None
        if self._last is None and len(tariffs) < len(left):  # prices are found out in a short round
            return int(np.argmin(np.where(possible, np.abs(np.log(done)), np.inf)))
        rounds, worth = affordable_rounds(left, tariffs, loads, K), self._worth(readings).decrease(K * done)
        if np.isinf(rounds).all():
            return int(np.argmax(worth))
        best = int(np.argmax(np.where(possible, rounds * worth, -1.0)))
        if rounds[best] >= 2.0:
            return best
        careful = {name: amount / _SAFE if name in _MEASURED else amount for name, amount in left.items()}
        fits = possible & (affordable_rounds(careful, tariffs, loads, K) >= 1.0)
        return int(np.argmax(np.where(fits, worth, -1.0) if fits.any() else np.where(possible, rounds, -1.0)))

    def _take_prices(self, observation: Observation, some: IntArray, slow: Array, tail: float) -> None:
        """Take what the last round cost, unless it was a dearer one that measured gaps."""
        if self._last is None or self.measures_gap(observation.cloud_round - 1):
            return
        each = self._last.steps(some)
        waits_s = self._waits_s(self._last, observation)
        loads = {name: float(load[0]) for name, load in loads_of(each[None], slow[some], tail, waits_s).items()}
        self._ledger.take(observation, self._last, loads)

    @staticmethod
    def _waits_s(plan: Plan, observation: Observation) -> float:
        """For how long a plan waits for work, uploads apart."""
        deadline_s = observation.deadline_s if plan.deadline_s is None else plan.deadline_s
        return np.inf if deadline_s is None else max(deadline_s - observation.upload_s, 1e-9)

    def _worth(self, readings: Sequence[Reading]) -> Worth:
        """Learn what rounds are worth from the readings so far, save those that are rounding."""
        certain = [reading for reading in readings if reading.gap > _LEAST * readings[0].gap]
        at, gaps = [reading.cloud_round for reading in certain], np.log([reading.gap for reading in certain])
        work = [np.array(self._work[a:b]) for a, b in pairwise(at)]
        return learned_worth(likely_worth(self.drag), (-np.diff(gaps)).tolist(), work)


def _tail(observation: Observation) -> float:
    """Return the index of the Pareto law whose mean slow-down was seen; unlucky terminals are still to come.

    Where base stations do not wait, the mean is of those that were in time: there it is the likeliest index.
    """
    if observation.deadline_s is not None:
        return min(16.0, (observation.computed + 6.0) / (observation.excess + 2.0))
    seen = observation.cloud_round
    slowdown = (seen * observation.slowdown + 2.0 * 1.5) / (seen + 2.0)
    return min(16.0, slowdown / max(slowdown - 1.0, 1e-9))
