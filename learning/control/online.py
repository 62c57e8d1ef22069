"""Learns while it plans: what rounds cost, how fast terminals are, and what a cloud round is worth.

A terminal's H is counted in passes over its own rows. Up to one pass every dual step settles a row nobody has looked at
since the model was sent, and progress is as good as proportional to H; further passes only polish. So terminals with
more rows take more steps, and where time is scarce those that would have to wait take more passes.

What a cloud round is worth is the decrease of the logarithm of the certified gap,

    1 / decrease = pace / (K progress) + drag,

the rounds that base-station iterations need on their own, and those that moving the shared vector needs however well
the tasks were solved. Both are fitted to the gaps that terminals measure. The plan is the one with which all that is
left brings the greatest total decrease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np
from numpy.typing import NDArray

from learning.control.forecast import Array, Ledger, affordable_rounds
from learning.control.observation import Observation, Reading
from learning.messages import Plan

PASSES = 2.0 ** np.arange(-3.0, 3.01, 0.25)
ITERATIONS = np.array([1, 2, 3, 4, 6, 8, 12, 16])
VARIETY = 0.12
"""How much more than half the progress of a pass half a pass makes, times 2: models that are newer are worth more."""
POLISH = 0.1
"""Progress of e times as many passes, beyond the first, by logarithm of e."""
_PACE = 12.0  # base-station iterations of a pass each that reduce the gap to 1/e, before anything was measured
_FILL = 0.7  # share of the longest working time that others fill: not all are unlucky at the same time
_MOST_PASSES = float(__import__("os").environ.get("MP","4"))
FILLFROM = int(__import__("os").environ.get("FF","4"))
_DRAG=float(__import__("os").environ.get("DRAG","0.06"))
_SAFE = 1.15  # how many times over what was measured must pay for the last round


def likely_drag(outer: float) -> float:
    """Return the cloud rounds that reduce the gap to 1/e, given a bound on what one leaves of it; below 1 in both.

    The bound holds for the worst direction, in which tasks hardly differ: on the data at hand rounds were worth 10 to
    20 times as much.
    """
    return _DRAG / -log(max(min(outer, 1.0 - 1e-9), 1e-9))


def progress(passes: Array) -> Array:
    """Return how much further so many passes over a terminal's rows get it, one pass being 1."""
    return np.where(passes <= 1.0, passes * (1.0 + VARIETY * (1.0 - passes)), 1.0 + POLISH * np.log(np.maximum(passes, 1.0)))


@dataclass(frozen=True)
class Worth:
    """What cloud rounds are worth.

    Attributes:
        pace: base-station iterations of one pass that reduce the gap to 1/e.
        drag: cloud rounds that do so if every task is solved exactly.
    """

    pace: float
    drag: float

    def decrease(self, done: Array, K: Array) -> Array:
        """Return by how much a round lowers the logarithm of the gap."""
        return 1.0 / (self.pace / (K * done) + self.drag)


def fitted_worth(rounds: Array, drops: Array, need: Array, drag: float, trust: float = 3.0) -> Worth:
    """Return the least-squares fit of rounds = drop (pace need + drag), with what is likely before measuring.

    Args:
        rounds: (n,) cloud rounds between readings of the gap.
        drops: (n,) by how much its logarithm fell.
        need: (n,) mean of 1 / (K progress) over those rounds.
        drag: what it is likely to be.
        trust: how many units of decrease that likelihood is worth.
    """
    falling = drops > 0.0
    per_unit, x, weight = rounds[falling] / drops[falling], need[falling], drops[falling]
    weight = weight * 0.7 ** np.arange(len(weight))[::-1]
    if len(x) == 0:
        return Worth(_PACE, drag)
    # The likely drag is worth as much as `trust`; a pace must be found from readings alone.
    xx, x1, ones = (weight * x * x).sum(), (weight * x).sum(), weight.sum() + trust
    xy, y = (weight * x * per_unit).sum(), (weight * per_unit).sum() + trust * drag
    determinant = xx * ones - x1 * x1
    found = (xx * y - x1 * xy) / determinant if determinant > 1e-9 * xx * ones else drag
    found = min(max(found, 0.0), 10.0 * drag)
    return Worth(max((xy - found * x1) / xx, 1e-3), found)


@dataclass
class OnlineControl:
    """Plans every cloud round anew.

    Args:
        rows: (terminals,) training rows of each.
        drag: cloud rounds that reduce the gap to 1/e if every task is solved exactly: what is likely.
        uneven: whether terminals may differ in their number of passes.
    """

    rows: NDArray[np.int64]
    drag: float
    uneven: bool = True
    _ledger: Ledger = field(default_factory=Ledger, init=False)
    _last: Plan | None = field(default=None, init=False)
    _most_iterations: int = field(default=1, init=False)
    _need: list[float] = field(default_factory=list, init=False)

    def measures_gap(self, cloud_round: int) -> bool:
        """Measure in rounds 4, 8, 16, ..., which are kept short."""
        return cloud_round > 2 and (cloud_round + 1) & cloud_round == 0

    def plan(
        self, observation: Observation, contraction: float | None = None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return the plan of the next cloud round; None when it cannot be paid for."""
        slow, tail = self._seconds(observation), self._tail(observation)
        if self._last is not None and not self.measures_gap(observation.cloud_round - 1):
            lasts = {name: float(load[0]) for name, load in _loads(self._each(self._last)[None], slow, tail).items()}
            self._ledger.take(observation, self._last, lasts)
        each, done = self._candidates(slow, observation.cloud_round >= FILLFROM)
        loads = _loads(each, slow, tail)
        of, K = (axis.ravel() for axis in np.meshgrid(np.arange(len(done)), ITERATIONS, indexing="ij"))
        tariffs = self._ledger.tariffs(observation)
        by_resource = {name: load[of] for name, load in loads.items()}
        rounds = affordable_rounds(observation.remaining, tariffs, by_resource, K)
        exact = {name: tariff for name, tariff in tariffs.items() if name == "cost"}
        if self.measures_gap(observation.cloud_round):
            K = np.ones_like(K)
            rounds = affordable_rounds(observation.remaining, tariffs, by_resource, K)
        possible = affordable_rounds(observation.remaining, exact, by_resource, K) >= 1.0
        possible &= (K <= 2 * self._most_iterations) | (K == 1)  # one round is too little to found a long one on
        if not possible.any():
            return None
        best = self._choose(rounds, possible, self._worth(readings).decrease(done[of], K))
        if len(tariffs) < len(observation.remaining) and self._last is None:
            best = int(np.argmin(np.where(possible, np.abs(np.log(done[of])) + K, np.inf)))
        self._most_iterations = max(self._most_iterations, int(K[best]))
        self._need.append(1.0 / (K[best] * done[of[best]]))
        self._last = Plan(int(each[of[best]].max()), int(K[best]), each[of[best]])
        return self._last

    def _choose(self, rounds: Array, possible: NDArray[np.bool_], decrease: Array) -> int:
        """Return the candidate with the greatest total decrease; of a last round, the greatest that fits."""
        free = np.isinf(rounds)
        if free.all():
            return int(np.argmax(np.where(possible, decrease, -np.inf)))
        best = int(np.argmax(np.where(possible, rounds * decrease, -np.inf)))
        if rounds[best] >= 2.0:
            return best
        fits = possible & (rounds >= _SAFE)
        if fits.any():
            return int(np.argmax(np.where(fits, decrease, -np.inf)))
        return int(np.argmax(np.where(possible, rounds, -np.inf)))

    def _each(self, plan: Plan) -> NDArray[np.int64]:
        return plan.steps(np.arange(len(self.rows)))

    def _seconds(self, observation: Observation) -> Array:
        """Return (terminals,) time of a visit: the mean of those that are known where it is not."""
        known = observation.seconds_per_sample
        return np.ones(len(self.rows)) if known is None else np.where(np.isnan(known), np.nanmean(known), known)

    def _tail(self, observation: Observation) -> float:
        """Return the index of the Pareto law whose mean slow-down was seen; unlucky terminals are still to come."""
        seen = observation.cloud_round
        slowdown = (seen * observation.slowdown + 2.0 * 1.5) / (seen + 2.0)
        return min(16.0, slowdown / max(slowdown - 1.0, 1e-9))

    def _candidates(self, slow: Array, known: bool) -> tuple[NDArray[np.int64], Array]:
        """Return (c, terminals) H of every terminal and (c,) the progress they make."""
        rows = np.maximum(self.rows, 1)
        each = np.maximum(1, np.rint(PASSES[:, None] * rows)).astype(np.int64)
        if self.uneven and known:
            longest_s = (each * slow).max(axis=1, keepdims=True)
            most = np.minimum(_FILL * longest_s / slow, _MOST_PASSES * rows).astype(np.int64)
            each = np.concatenate([each, np.maximum(each, most)])
        share = rows / rows.sum()
        done = 1.0 / (share / progress(each / rows)).sum(axis=1)
        return each, done

    def _worth(self, readings: Sequence[Reading]) -> Worth:
        """Fit what rounds are worth to the readings so far."""
        at = [reading.cloud_round for reading in readings]
        gaps = np.log([max(reading.gap, 1e-300) for reading in readings])
        need = [float(np.mean(self._need[a:b])) for a, b in zip(at, at[1:], strict=False)]
        return fitted_worth(np.diff(at).astype(float), -np.diff(gaps), np.array(need), self.drag)


def _loads(each: NDArray[np.int64], slow: Array, tail: float) -> dict[str, Array]:
    """Return (c,) what (c, terminals) local iterations count as, by resource.

    The slowest of terminals with working times w and slow-downs of Pareto's law with index a takes in proportion to
    (sum w^a)^(1/a): of many that are nearly the slowest, one will be.
    """
    mean, work = each.mean(axis=1), each * slow
    most = work.max(axis=1)
    longest = most * ((work / most[:, None]) ** tail).sum(axis=1) ** (1.0 / tail)
    return {"cost": mean, "energy_j": mean, "bytes": mean, "time_s": longest}
