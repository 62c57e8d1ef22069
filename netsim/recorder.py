"""What is written down while a run goes on: plain rows, with the method's measurements still pending."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.participation import Columns, ParticipationLog, count
from netsim.port import CLOUD, Method, Metrics, Node, Plan
from netsim.world import World


@dataclass(frozen=True)
class EdgeRound:
    """One base-station iteration, as far as the network saw it; ``air_noise`` if updates were summed over the air."""

    site: int
    cloud_round: int
    edge_round: int
    plan: Plan
    scheduled: int
    participants: int
    air_noise: float | None = None


@dataclass(frozen=True)
class Unmeasured:
    """No measurement."""

    scalars: Mapping[str, float] = field(default_factory=dict)
    tasks: Sequence[Mapping[str, Any]] = ()


NOTHING = Unmeasured()


@dataclass
class Row:
    """One recorded event.

    Attributes:
        world: the state of the world then.
        metrics: a measurement that may still be pending.
        share_spent: largest share spent of any limited resource, from 0 to 1.
    """

    world: dict[str, Any]
    metrics: Metrics
    share_spent: float


@dataclass
class Batch:
    """Many recorded events that have the same columns.

    Attributes:
        world: the states of the world then: name -> (n,) array.
        metrics: (n,) measurements, if any were taken.
    """

    world: Columns
    metrics: list[Metrics]


class Recorder:
    """Collects the rows of one run.

    Args:
        world: the physical world.
        method: the learning method, asked for measurements.
        on_cloud: called with every recorded cloud aggregation, for progress.
    """

    def __init__(self, world: World, method: Method, on_cloud: Callable[[Row], None] | None = None) -> None:
        self.world, self.method, self.on_cloud = world, method, on_cloud
        self.rows: list[Row] = []
        self.participation = ParticipationLog()
        self._counted = 0

    def start(self) -> None:
        """Record the models before anything has happened."""
        self._add("start", CLOUD)

    def edge(self, done: EdgeRound) -> None:
        """Record an aggregation at a base station."""
        row = self._add("edge", Node("base_station", done.site), done.plan)
        row.world |= {
            "cloud_round": done.cloud_round,
            "edge_round": done.edge_round,
            "scheduled": done.scheduled,
            "participants": done.participants,
        }
        if done.air_noise is not None:
            row.world["air_noise"] = done.air_noise

    def cloud(self, cloud_round: int, plan: Plan | None) -> None:
        """Record an aggregation at the cloud."""
        row = self._add("cloud", CLOUD, plan)
        row.world |= {"cloud_round": cloud_round} | self._count_outcomes()
        if self.on_cloud is not None:
            self.on_cloud(row)

    def end(self) -> None:
        """Record the state in which the run ended."""
        row = self._add("end", CLOUD)
        row.world |= self._count_outcomes()

    def _count_outcomes(self) -> dict[str, int]:
        """Participation since it was counted last."""
        fresh = self.participation.since(self._counted)
        self._counted = len(self.participation)
        return count_outcomes(fresh)

    def _add(self, event: str, node: Node, plan: Plan | None = None) -> Row:
        world = state(event, node, snapshot(self.world), plan)
        quiet = event == "edge" and not self.world.scenario.output.edge_metrics
        row = Row(world, NOTHING if quiet else self.method.evaluate(node), self.world.budget.share_spent())
        self.rows.append(row)
        return row


def state(event: str, node: Node, used: dict[str, float], plan: Plan | None) -> dict[str, Any]:
    """Return the columns that every recorded event has."""
    return {
        "event": event,
        "node": f"bs-{node.index:02d}" if node.tier == "base_station" else node.tier,
        **used,
        "local_iterations": plan.local_iterations if plan else None,
        "bs_iterations": plan.bs_iterations if plan else None,
    }


def site_names(sites: int) -> NDArray[Any]:
    """Return what the tables call every base station."""
    return np.array([f"bs-{site:02d}" for site in range(sites)], object)


def count_outcomes(fresh: Columns) -> dict[str, int]:
    """Return how many were scheduled, took part, and came to nothing for which reason."""
    merged, late, dropped, unavailable = count(fresh)
    return {
        "scheduled": merged + late + dropped,
        "participants": merged,
        "late": late,
        "dropped": dropped,
        "unavailable": unavailable,
    }


def snapshot(world: World) -> dict[str, float]:
    """Return what has been used since the start: seconds, joules by component, bytes by kind of link, cost."""
    traffic, terminal, site = world.traffic, world.terminal_meter, world.site_meter
    return {
        "time_s": world.env.now,
        "energy_j": world.budget.energy.level,
        "energy_terminal_compute_j": terminal.component_j("compute"),
        "energy_terminal_transmit_j": terminal.component_j("transmit"),
        "energy_terminal_receive_j": terminal.component_j("receive"),
        "energy_terminal_idle_j": terminal.component_j("idle"),
        "energy_bs_transmit_j": site.component_j("transmit"),
        "energy_bs_static_j": site.component_j("static"),
        "energy_backhaul_j": world.backhaul_meter.component_j("backhaul"),
        "bytes": world.budget.spent["bytes"],
        "bytes_uplink": traffic.uplink,
        "bytes_downlink": traffic.downlink,
        "bytes_backhaul": traffic.backhaul,
        "cost": world.budget.spent["cost"],
    }
