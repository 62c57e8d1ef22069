"""Rows and participation of a run, in the form in which the other engine writes them."""

from __future__ import annotations

from collections.abc import Callable
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
from netsim.cohort.clockwork import Clockwork
from netsim.cohort.plant import ALWAYS
from netsim.participation import UNAVAILABLE, Columns, ParticipationLog
from netsim.port import CLOUD, Metrics, Node, Plan
from netsim.recorder import Batch, Row, count_outcomes, site_names, state
from netsim.result import Activity, Usage
from scenarios.schema import Budget

Array = NDArray[Any]
_EDGE = np.array(["edge"], object)
_CHANNELS = {
    "energy_terminal_compute_j": COMPUTE,
    "energy_terminal_transmit_j": TRANSMIT,
    "energy_terminal_receive_j": RECEIVE,
    "energy_terminal_idle_j": IDLE,
    "energy_bs_transmit_j": SITE_TRANSMIT,
    "energy_bs_static_j": SITE_STATIC,
    "energy_backhaul_j": BACKHAUL,
    "bytes": PAID,
    "bytes_uplink": UPLINK,
    "bytes_downlink": DOWNLINK,
    "bytes_backhaul": WIRES,
    "cost": COST,
}


class Keeper:
    """Writes down what a run is asked for.

    Args:
        limits: the budget.
        sites: number of base stations.
        on_cloud: told every cloud aggregation, for progress.
    """

    def __init__(self, limits: Budget, sites: int, on_cloud: Callable[[Row], None] | None) -> None:
        limited = {"time_s": limits.time_s, "energy_j": limits.energy_j, "bytes": limits.bytes, "cost": limits.cost}
        self._limits = {name: limit for name, limit in limited.items() if limit is not None}
        self._names, self._on_cloud = site_names(sites), on_cloud
        self.log = ParticipationLog()
        self.rows: list[Row | Batch] = []

    def remaining(self, used: dict[str, float]) -> dict[str, float]:
        """Return what is left of every limited resource."""
        return {name: max(0.0, limit - used[name]) for name, limit in self._limits.items()}

    def add(
        self, event: str, node: Node, used: dict[str, float], plan: Plan | None, extra: dict[str, int], metrics: Metrics
    ) -> Row:
        """Write down an event."""
        share_spent = min(1.0, max((used[name] / limit for name, limit in self._limits.items()), default=0.0))
        row = Row(state(event, node, used, plan) | extra, metrics, share_spent)
        self.rows.append(row)
        return row

    def add_aggregations(self, site: Array, used: Columns, plan: Plan, extra: Columns, metrics: list[Metrics]) -> None:
        """Write down aggregations at base stations, measured or not."""
        n, planned = len(site), {"local_iterations": plan.local_iterations, "bs_iterations": plan.bs_iterations}
        if n:
            common = {"event": _EDGE.repeat(n), "node": self._names[site]}
            same = {name: np.broadcast_to(value, n) for name, value in planned.items()}
            self.rows.append(Batch(common | used | same | extra, metrics))

    def add_cloud(
        self, number: int, used: dict[str, float], plan: Plan | None, fresh: Columns, metrics: Metrics
    ) -> None:
        """Write down an aggregation at the cloud, with what became of the assignments since the one before."""
        row = self.add("cloud", CLOUD, used, plan, {"cloud_round": number} | count_outcomes(fresh), metrics)
        if self._on_cloud is not None:
            self._on_cloud(row)


def missed(site: Array, cloud_round: int, edge_round: Array, terminal: Array, start_s: Array) -> Columns:
    """Return the participation of terminals that were not there."""
    n = len(site)
    nothing: Columns = {name: np.full(n, np.nan) for name in ("compute_s", "upload_s", "finish_s")}
    return {
        "base_station": site,
        "cloud_round": np.full(n, cloud_round),
        "edge_round": edge_round,
        "terminal": terminal,
        "outcome": np.full(n, UNAVAILABLE, np.int8),
        "start_s": start_s,
        **nothing,
        "samples": np.zeros(n),
        "fixed_samples": np.zeros(n),
    }


def used_by_then(time_s: Array, total: Array) -> Columns:
    """Return the columns of :func:`netsim.recorder.snapshot` at n instants from the (n, 12) totals by channel."""
    amounts = {name: total[:, channel] for name, channel in _CHANNELS.items()}
    return {"time_s": time_s, "energy_j": total[:, :POWERS].sum(axis=1)} | amounts


def used_so_far(time_s: float, total: Array) -> dict[str, float]:
    """Return the same at one instant, as plain numbers."""
    amounts = total.tolist()
    used = {"time_s": time_s, "energy_j": float(total[:POWERS].sum())}
    return used | {name: amounts[channel] for name, channel in _CHANNELS.items()}


def usage(clockwork: Clockwork) -> Usage:
    """Return what every terminal has used."""
    tally = clockwork.population.tally
    energy_j = {"compute": tally.compute_j, "transmit": tally.transmit_j, "receive": tally.receive_j}
    return Usage(energy_j | {"idle": clockwork.idle_j()}, tally.bytes_up, tally.bytes_down)


def activity(clockwork: Clockwork) -> Activity:
    """Return what every base station has done."""
    sites, rules = clockwork.population.sites, clockwork.rules
    always_j = rules.static_w * clockwork.ledger.time_s if rules.static == ALWAYS else 0.0
    energy_j = {"transmit": sites.transmit_j, "static": sites.static_j + always_j}
    return Activity(energy_j, sites.uplink_airtime_s, sites.edge_rounds)
