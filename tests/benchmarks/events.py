"""How fast the process engine handles events, against raw SimPy in the same run: ``python -m tests.benchmarks.events``.

Network only: the method counts and learns nothing. Raw SimPy timeouts bound what an event engine on SimPy can do.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import Any

import simpy

from netsim.simulation import simulate
from netsim.world import build_world
from scenarios.streams import Streams
from tests.benchmarks.timing import best_s, table
from tests.netsim.counting import Counting
from tests.netsim.worlds import scenario

SITES, PER_SITE = 20, 20
CLOUD_ROUNDS, BS_ITERATIONS = 10, 5


def raw_timeouts(processes: int = 80, events: int = 40_000) -> int:
    """Run SimPy processes that do nothing but wait; return the number of events."""
    env = simpy.Environment()

    def wait() -> Generator[simpy.Event, Any, None]:
        for step in range(events // processes):
            yield env.timeout(1.0 + step % 7)

    for _ in range(processes):
        env.process(wait())
    env.run()
    return events


def network_only(share: str, counting: bool = False) -> tuple[int, int]:
    """Simulate all cells with one way of sharing the uplink; return updates, and events if they are to be counted."""
    output = {"trace": False, "edge_metrics": False}
    settings = scenario(budget={"time_s": 1e9}, network={"uplink": {"share": share}}, output=output)
    world = build_world(settings, [site for site in range(SITES) for _ in range(PER_SITE)], SITES, Streams(0))
    events, step = count(), world.env.step

    def counted() -> None:
        next(events)
        step()

    if counting:
        world.env.step = counted  # type: ignore[method-assign]
    method = Counting(cloud_rounds=CLOUD_ROUNDS, bs_iterations=BS_ITERATIONS)
    updates = len(simulate(world, method, [str(site) for site in range(SITES)]).participation)
    return updates, next(events)


def main() -> dict[str, Any]:
    """Measure and return figures, one entry per way of sharing the uplink."""
    figures = {}
    for share in ("ofdma", "tdma"):
        _, events = network_only(share, counting=True)
        duration_s, (updates, _) = best_s(lambda share=share: network_only(share))  # type: ignore[misc]
        timeouts_s, timeouts = best_s(raw_timeouts)
        figures[share] = {
            "updates_per_s": updates / duration_s,
            "events_per_update": events / updates,
            "events_per_s": events / duration_s,
            "raw_timeouts_per_s": timeouts / timeouts_s,
            "of_raw": events / duration_s / (timeouts / timeouts_s),
        }
    return figures


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    columns = ["", "updates/s", "events/update", "events/s", "raw SimPy timeouts/s", "of raw"]
    rows = [
        [
            name,
            f"{f['updates_per_s']:,.0f}",
            f"{f['events_per_update']:.2f}",
            f"{f['events_per_s']:,.0f}",
            f"{f['raw_timeouts_per_s']:,.0f}",
            f"{f['of_raw']:.0%}",
        ]
        for name, f in figures.items()
    ]
    return table(f"The process engine, {SITES} cells of {PER_SITE} terminals, no learning", columns, rows)


if __name__ == "__main__":
    print(text(main()))
