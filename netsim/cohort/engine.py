"""One run of a hierarchical method with terminals as cohorts: timing first, then the method is told what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.cohort.book import (
    BACKHAUL,
    COMPUTE,
    COST,
    DOWNLINK,
    IDLE,
    PAID,
    POWERS,
    RECEIVE,
    SITE_STATIC,
    SITE_TRANSMIT,
    TRANSMIT,
    UPLINK,
    WIRES,
)
from netsim.cohort.cell import Story
from netsim.cohort.plant import ALWAYS, make_plant, make_rules
from netsim.cohort.timing import Round, Timing
from netsim.participation import OUTCOMES, Columns, ParticipationLog
from netsim.port import CLOUD, Cohort, Method, Metrics, Node, Plan, Sizes
from netsim.prices import PriceWatch
from netsim.recorder import NOTHING, Row, count_outcomes, state
from netsim.result import Activity, Records, Result, Usage, make_result
from netsim.world import Ground

Array = NDArray[Any]
_NAMES = np.array(OUTCOMES, object)


class CohortRun:
    """A run in progress.

    Args:
        ground: the network.
        method: a fresh hierarchical method.
        on_cloud: told every cloud aggregation, for progress.
    """

    def __init__(self, ground: Ground, method: Method, on_cloud: Callable[[Row], None] | None = None) -> None:
        self.ground, self.method, self._on_cloud = ground, method, on_cloud
        limits = ground.scenario.budget
        self.timing = Timing(make_plant(ground), make_rules(ground), ground.streams, limits)
        limited = {"time_s": limits.time_s, "energy_j": limits.energy_j, "bytes": limits.bytes, "cost": limits.cost}
        self._limits = {name: limit for name, limit in limited.items() if limit is not None}
        self.log = ParticipationLog()
        self.rows: list[Row] = []
        self._prices = PriceWatch(ground, self._used())

    def run(self) -> str:
        """Go through cloud rounds until a budget is met or the controller plans no more; return what ended the run."""
        self._record("start", CLOUD, self._used(), None)
        ended_by, cloud_round, counted = None, 0, 0
        while ended_by is None:
            plan = self.method.plan(self._prices.observe(cloud_round, self._remaining()))
            if plan is None:
                ended_by = "plan complete"
                break
            sizes = self.method.sizes(plan)
            first_rounds = self.timing.population.sites.edge_rounds.copy()
            done = self.timing.run(plan, sizes)
            self._tell(done, plan, cloud_round, first_rounds)
            self._log(done.story, sizes, plan, cloud_round, first_rounds)
            ended_by = done.ended_by
            if ended_by is None:
                self.method.combine()
                fresh = self.log.since(counted)
                counted = len(self.log)
                self._prices.measure(plan, self._used(), fresh)
                counts = {"cloud_round": cloud_round} | count_outcomes(fresh)
                self._record("cloud", CLOUD, self._used(), plan, counts)
                if self._on_cloud is not None:
                    self._on_cloud(self.rows[-1])
            cloud_round += 1
        self._record("end", CLOUD, self._used(), None, count_outcomes(self.log.since(counted)))
        self.method.settle()
        return ended_by

    def _tell(self, done: Round, plan: Plan, cloud_round: int, first_rounds: Array) -> None:
        """Let the method do what the network has done, and record every aggregation."""
        story, metrics = done.story, {}
        self.method.adopt(np.flatnonzero(story.adopted_s < np.inf))
        for k in range(plan.bs_iterations):
            sites = np.flatnonzero(story.scheduled_s[k] < np.inf)
            if len(sites) == 0:
                break
            places = _places(story, k, sites)
            offsets = np.concatenate([[0], np.cumsum(story.asked[k, sites])])
            cohort = Cohort(sites, offsets, story.terminal[k, places].astype(np.int64))
            work = self.method.train(cohort, plan)
            aggregated = story.merged_s[k, sites] < np.inf
            arrived = (story.outcome[k, places] == 0) & np.repeat(aggregated, story.asked[k, sites])
            self.method.merge(cohort, work, arrived)
            if self.ground.scenario.output.edge_metrics:
                for site in sites[aggregated].tolist():
                    metrics[k, site] = self.method.evaluate(Node("base_station", site))
        self._record_aggregations(done, plan, cloud_round, first_rounds, metrics)

    def _record_aggregations(
        self,
        done: Round,
        plan: Plan,
        cloud_round: int,
        first_rounds: Array,
        metrics: Mapping[tuple[int, int], Metrics],
    ) -> None:
        """Write down all aggregations of a round in order of time."""
        story = done.story
        k, site = np.nonzero(story.merged_s < np.inf)
        order = np.lexsort((site, story.merged_s[k, site]))
        k, site = k[order], site[order]
        counts = (first_rounds[site] + k, story.asked[k, site], story.merged[k, site])
        columns = (k, site, *counts, done.record_s[:-1])
        for (i, where, number, asked, merged, time_s), total in zip(
            zip(*(column.tolist() for column in columns), strict=True), done.levels.total, strict=False
        ):
            used = _used(time_s, total)
            row = state("edge", Node("base_station", where), used, plan)
            row |= {"cloud_round": cloud_round, "edge_round": number, "scheduled": asked, "participants": merged}
            self.rows.append(Row(row, metrics.get((i, where), NOTHING), self._share_spent(used)))

    def _record(
        self, event: str, node: Node, used: dict[str, float], plan: Plan | None, extra: dict[str, int] | None = None
    ) -> None:
        row = state(event, node, used, plan) | (extra or {})
        self.rows.append(Row(row, self.method.evaluate(node), self._share_spent(used)))

    def _log(self, story: Story, sizes: Sizes, plan: Plan, cloud_round: int, first_rounds: Array) -> None:
        """Write down what became of every assignment of the round."""
        owner = self.ground.deployment.serving
        for k in range(plan.bs_iterations):
            if story.absent.shape[1]:
                away = np.flatnonzero(story.absent[k] & (story.scheduled_s[k, owner] < np.inf))
                site = owner[away]
                block = _block(
                    site, cloud_round, first_rounds[site] + k, away, "unavailable", story.scheduled_s[k, site]
                )
                self.log.extend(block)
            places = np.flatnonzero(story.outcome[k] >= 0)
            who = story.terminal[k, places].astype(np.int64)
            site, worked = owner[who], story.worked[k, places]
            outcome = _NAMES[story.outcome[k, places]]
            block = _block(site, cloud_round, first_rounds[site] + k, who, outcome, story.start_s[k, places])
            for name in ("compute_s", "upload_s", "finish_s"):
                block[name] = getattr(story, name)[k, places]
            block["samples"] = np.where(worked, sizes.samples[who], 0.0)
            block["fixed_samples"] = np.where(worked, sizes.fixed_samples[who], 0.0)
            self.log.extend(block)

    def _used(self) -> dict[str, float]:
        return _used(self.timing.ledger.time_s, self.timing.ledger.total)

    def _remaining(self) -> dict[str, float]:
        used = self._used()
        return {name: max(0.0, limit - used[name]) for name, limit in self._limits.items()}

    def _share_spent(self, used: dict[str, float]) -> float:
        return min(1.0, max((used[name] / limit for name, limit in self._limits.items()), default=0.0))

    def usage(self) -> Usage:
        """Return what every terminal has used."""
        tally = self.timing.population.tally
        energy_j = {"compute": tally.compute_j, "transmit": tally.transmit_j, "receive": tally.receive_j}
        return Usage(energy_j | {"idle": self.timing.idle_j()}, tally.bytes_up, tally.bytes_down)

    def activity(self) -> Activity:
        """Return what every base station has done."""
        sites, rules = self.timing.population.sites, self.timing.rules
        always_j = rules.static_w * self.timing.ledger.time_s if rules.static == ALWAYS else 0.0
        energy_j = {"transmit": sites.transmit_j, "static": sites.static_j + always_j}
        return Activity(energy_j, sites.uplink_airtime_s, sites.edge_rounds)


def simulate_cohorts(
    ground: Ground, method: Method, task_names: list[str], on_cloud: Callable[[Row], None] | None = None
) -> Result:
    """Run ``method`` on ``ground`` until it ends; see :func:`netsim.simulation.simulate`."""
    run = CohortRun(ground, method, on_cloud)
    ended_by = run.run()
    return make_result(ground, task_names, ended_by, Records(run.rows, run.log), run.usage(), run.activity())


def _places(story: Story, k: int, sites: Array) -> Array:
    """Return the places of the terminals that ``sites`` asked in iteration k, site after site."""
    asked = story.asked[k, sites]
    ends = np.cumsum(asked)
    return np.repeat(story.place[sites] - (ends - asked), asked) + np.arange(int(asked.sum()))


def _block(site: Array, cloud_round: int, edge_round: Array, terminal: Array, outcome: Any, start_s: Array) -> Columns:
    n = len(site)
    nothing: Columns = {name: np.full(n, np.nan) for name in ("compute_s", "upload_s", "finish_s")}
    return {
        "base_station": site,
        "cloud_round": np.full(n, cloud_round),
        "edge_round": edge_round,
        "terminal": terminal,
        "outcome": np.full(n, outcome, object) if isinstance(outcome, str) else outcome,
        "start_s": start_s,
        **nothing,
        "samples": np.zeros(n),
        "fixed_samples": np.zeros(n),
    }


def _used(time_s: float, total: Array) -> dict[str, float]:
    """Return the columns of :func:`netsim.recorder.snapshot`."""
    amounts = total.tolist()
    return {
        "time_s": time_s,
        "energy_j": float(total[:POWERS].sum()),
        "energy_terminal_compute_j": amounts[COMPUTE],
        "energy_terminal_transmit_j": amounts[TRANSMIT],
        "energy_terminal_receive_j": amounts[RECEIVE],
        "energy_terminal_idle_j": amounts[IDLE],
        "energy_bs_transmit_j": amounts[SITE_TRANSMIT],
        "energy_bs_static_j": amounts[SITE_STATIC],
        "energy_backhaul_j": amounts[BACKHAUL],
        "bytes": amounts[PAID],
        "bytes_uplink": amounts[UPLINK],
        "bytes_downlink": amounts[DOWNLINK],
        "bytes_backhaul": amounts[WIRES],
        "cost": amounts[COST],
    }
