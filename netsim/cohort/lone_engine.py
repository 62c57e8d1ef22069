"""One run of a method whose terminals learn on their own, all of them in arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.cohort.alone import Tries
from netsim.cohort.gathering import MERGED
from netsim.cohort.keeping import Keeper, used_so_far
from netsim.cohort.plant import make_plant, make_rules
from netsim.cohort.timing import LoneTiming
from netsim.participation import Columns
from netsim.port import CLOUD, Cohort, Method, Plan, Sizes
from netsim.prices import PriceWatch
from netsim.recorder import Row, count_outcomes
from netsim.world import Ground

Array = NDArray[Any]


class LoneRun:
    """An isolated run, see :func:`netsim.protocols.isolated`.

    Args:
        ground: the network, of which only the terminals matter.
        method: a fresh method.
        on_cloud: told every measurement, for progress.
    """

    def __init__(self, ground: Ground, method: Method, on_cloud: Callable[[Row], None] | None = None) -> None:
        self.ground, self.method = ground, method
        limits = ground.scenario.budget
        self.timing = LoneTiming(make_plant(ground), make_rules(ground), limits, ground.streams)
        self.keeper = Keeper(limits, ground.sites, on_cloud)

    def run(self) -> str:
        """Let every terminal do its chunks until a budget is met; return what ended the run."""
        keeper, method, ended_by = self.keeper, self.method, "plan complete"
        used = used_so_far(0.0, self.timing.ledger.total)
        keeper.add("start", CLOUD, used, None, {}, method.evaluate(CLOUD))
        plan = method.plan(PriceWatch(self.ground, used).observe(0, keeper.remaining(used)))
        fresh: Columns = keeper.log.since(0)
        if plan is not None:
            sizes, before = method.sizes(plan), 0
            done = self.timing.run(plan, sizes)
            for number, (time_s, total) in enumerate(zip(done.record_s, done.levels.total, strict=True)):
                last = number == len(done.record_s) - 1
                after = len(done.story.end_s) if last else int(np.searchsorted(done.story.end_s, time_s, "right"))
                fresh = self._tell(Tries(*(column[before:after] for column in done.story)), plan, sizes)
                before = after
                if not last:
                    used = used_so_far(float(time_s), total)
                    keeper.add_cloud(number, used, plan, fresh, method.evaluate(CLOUD))
            alive = np.any(self.timing.population.accounts.death_s > done.over_s)
            ended_by = done.ended_by or ("plan complete" if alive else "no terminal left")
        used = used_so_far(self.timing.ledger.time_s, self.timing.ledger.total)
        keeper.add("end", CLOUD, used, None, count_outcomes(fresh), method.evaluate(CLOUD))
        method.settle()
        return ended_by

    def _tell(self, tries: Tries, plan: Plan, sizes: Sizes) -> Columns:
        """Let the method do what ended between two measurements, every terminal in its own order; write it down."""
        for chosen in _first_second_and_so_on(tries.terminal):
            terminals = tries.terminal[chosen]
            sites, counts = np.unique(self.ground.deployment.serving[terminals], return_counts=True)
            cohort = Cohort(sites, np.concatenate([[0], np.cumsum(counts)]), terminals)
            work = self.method.train(cohort, plan)
            self.method.merge(cohort, work, tries.outcome[chosen] == MERGED)
        seen = len(self.keeper.log)
        rows: Columns = {
            "base_station": self.ground.deployment.serving[tries.terminal],
            "cloud_round": np.zeros(len(tries.terminal), np.int64),
            "edge_round": tries.number,
            "terminal": tries.terminal,
            "outcome": tries.outcome,
            "start_s": tries.start_s,
            "compute_s": tries.compute_s,
            "upload_s": np.zeros(len(tries.terminal)),
            "finish_s": np.where(tries.outcome == MERGED, tries.end_s, np.nan),
            "samples": sizes.samples[tries.terminal],
            "fixed_samples": sizes.fixed_samples[tries.terminal],
        }
        self.keeper.log.extend(rows)
        return self.keeper.log.since(seen)


def _first_second_and_so_on(terminal: Array) -> list[Array]:
    """Return the positions of the terminals' first occurrences, of the second ones, and so on, by terminal."""
    order = np.argsort(terminal, kind="stable")
    starts = np.flatnonzero(np.diff(terminal[order], prepend=-1))
    occurrence = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return [order[occurrence == n] for n in range(int(occurrence.max(initial=-1)) + 1)]
