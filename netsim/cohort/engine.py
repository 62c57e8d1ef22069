"""One run of a hierarchical method with terminals as cohorts: timing first, then the method is told what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.cohort.cell import Story
from netsim.cohort.clockwork import Stretch
from netsim.cohort.keeping import Keeper, activity, missed, usage, used_by_then, used_so_far
from netsim.cohort.lone_engine import LoneRun
from netsim.cohort.plant import make_plant, make_rules
from netsim.cohort.timing import RoundTiming
from netsim.participation import MERGED
from netsim.port import CLOUD, Cohort, Method, Metrics, Node, Plan, Sizes
from netsim.prices import PriceWatch
from netsim.recorder import Row, count_outcomes
from netsim.result import Records, Result, make_result
from netsim.world import Ground

Array = NDArray[Any]


class CohortRun:
    """A hierarchical run in progress.

    Args:
        ground: the network.
        method: a fresh method.
        on_cloud: told every cloud aggregation, for progress.
    """

    def __init__(self, ground: Ground, method: Method, on_cloud: Callable[[Row], None] | None = None) -> None:
        self.ground, self.method = ground, method
        limits = ground.scenario.budget
        self.timing = RoundTiming(make_plant(ground), make_rules(ground), limits, ground.streams)
        self.keeper = Keeper(limits, ground.sites, on_cloud)
        self._prices = PriceWatch(ground, self._used())

    def run(self) -> str:
        """Go through cloud rounds until a budget is met or the controller plans no more; return what ended the run."""
        keeper, method, log = self.keeper, self.method, self.keeper.log
        ended_by, cloud_round, counted, used = None, 0, 0, self._used()
        keeper.add("start", CLOUD, used, None, {}, method.evaluate(CLOUD))
        while ended_by is None:
            plan = method.plan(self._prices.observe(cloud_round, keeper.remaining(used)))
            if plan is None:
                ended_by = "plan complete"
                break
            sizes = method.sizes(plan)
            first_rounds = self.timing.population.sites.edge_rounds.copy()
            done = self.timing.run(plan, sizes)
            self._tell(done, plan, cloud_round, first_rounds)
            self._log(done.story, sizes, cloud_round, first_rounds)
            ended_by, used = done.ended_by, self._used()
            if ended_by is None:
                method.combine()
                fresh, counted = log.since(counted), len(log)
                if not method.blind:
                    self._prices.measure(plan, used, fresh)
                keeper.add_cloud(cloud_round, used, plan, fresh, method.evaluate(CLOUD))
            cloud_round += 1
        keeper.add("end", CLOUD, used, None, count_outcomes(log.since(counted)), method.evaluate(CLOUD))
        method.settle()
        return ended_by

    def _used(self) -> dict[str, float]:
        return used_so_far(self.timing.ledger.time_s, self.timing.ledger.total)

    def _tell(self, done: Stretch, plan: Plan, cloud_round: int, first_rounds: Array) -> None:
        """Let the method do what the network has done, and record every aggregation."""
        measured: list[Metrics] = []
        story = done.story
        was_asked, aggregated = story.terminal >= 0, story.merged_s < np.inf
        arrived = (story.outcome == MERGED) & aggregated.repeat(np.diff(story.place), axis=1)
        self.method.adopt(np.flatnonzero(story.adopted_s < np.inf))
        for k in range(plan.bs_iterations):
            sites, places = np.flatnonzero(story.asked[k]), np.flatnonzero(was_asked[k])
            if len(sites) == 0:
                break
            offsets = np.zeros(len(sites) + 1, np.int64)
            story.asked[k, sites].cumsum(out=offsets[1:])
            cohort = Cohort(sites, offsets, story.terminal[k, places].astype(np.int64))
            work = self.method.train(cohort, plan)
            self.method.merge(cohort, work, arrived[k, places])
            if self.ground.scenario.output.edge_metrics:
                nodes = [Node("base_station", site) for site in np.flatnonzero(aggregated[k]).tolist()]
                measured += map(self.method.evaluate, nodes)
        self._record_aggregations(done, plan, cloud_round, first_rounds, measured)

    def _record_aggregations(
        self, done: Stretch, plan: Plan, cloud_round: int, first_rounds: Array, measured: list[Metrics]
    ) -> None:
        """Write down all aggregations of a round in order of time; measurements come iteration by iteration."""
        story = done.story
        of_site = story.merged_s.T.argsort(axis=None, kind="stable")[: len(done.record_s) - 1]
        site, k = np.divmod(of_site, plan.bs_iterations)
        extra = {
            "cloud_round": np.broadcast_to(cloud_round, len(site)),
            "edge_round": first_rounds[site] + k,
            "scheduled": story.asked[k, site],
            "participants": story.merged[k, site],
        }
        used = used_by_then(done.record_s[:-1], done.levels.total[:-1])
        metrics = [measured[i] for i in np.lexsort((site, k)).argsort().tolist()] if measured else []
        self.keeper.add_aggregations(site, used, plan, extra, metrics)

    def _log(self, story: Story, sizes: Sizes, cloud_round: int, first_rounds: Array) -> None:
        """Write down what became of every assignment of the round."""
        owner = self.ground.deployment.serving
        at = np.flatnonzero(story.outcome >= 0)
        k, who = at // story.outcome.shape[1], story.terminal.take(at).astype(np.int64)
        site, worked = owner[who], story.worked.take(at)
        rows = {
            "base_station": site,
            "cloud_round": np.broadcast_to(cloud_round, len(at)),
            "edge_round": first_rounds[site] + k,
            "terminal": who,
            "outcome": story.outcome.take(at),
            "start_s": story.start_s.take(at),
            "compute_s": story.compute_s.take(at),
            "upload_s": story.upload_s.take(at),
            "finish_s": story.finish_s.take(at),
            "samples": np.where(worked, sizes.samples[who], 0.0),
            "fixed_samples": np.where(worked, sizes.fixed_samples[who], 0.0),
        }
        if story.absent.shape[1]:
            when, away = np.nonzero(story.absent & (story.scheduled_s[:, owner] < np.inf))
            site = owner[away]
            others = missed(site, cloud_round, first_rounds[site] + when, away, story.scheduled_s[when, site])
            order = np.argsort(np.concatenate([when, k]), kind="stable")  # iteration by iteration
            rows = {name: np.concatenate([others[name], rows[name]])[order] for name in rows}
        self.keeper.log.extend(rows)


def simulate_cohorts(
    ground: Ground, method: Method, task_names: list[str], on_cloud: Callable[[Row], None] | None = None
) -> Result:
    """Run ``method`` on ``ground`` until it ends; see :func:`netsim.simulation.simulate`."""
    alone = method.protocol == "isolated"
    run = LoneRun(ground, method, on_cloud) if alone else CohortRun(ground, method, on_cloud)
    ended_by = run.run()
    records = Records(run.keeper.rows, run.keeper.log)
    return make_result(ground, task_names, ended_by, records, usage(run.timing), activity(run.timing))
