"""What channels cost: large-scale gains of a million terminals to the eight cells nearest to each, on one core.

With the draws given it is the laws alone: distances, line of sight, path loss, shadowing, antennas, decibels. Then with
the draws for every link, and with a landscape that terminals can walk through.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.air import Air
from netsim.deployment import deploy
from netsim.obstacles import Ends
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.benchmarks.timing import best_s, table
from tests.netsim.worlds import scenario

TERMINALS, SITES, STRONGEST = 1_000_000, 1000, 8
WALKERS, AROUND = 1000, 37
DROPPED = 200_000
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Given:
    """Draws made beforehand: (terminals, k) uniform ones for the line of sight and normal ones for the shadowing."""

    u: FloatArray
    z: FloatArray

    def line_of_sight(self, ends: Ends, probability: FloatArray) -> NDArray[np.bool_]:
        """Compare the draws of the terminals with how likely they see."""
        return np.asarray(self.u[ends.entity] < probability)

    def deviation(self, ends: Ends, state: NDArray[np.int64]) -> FloatArray:
        """Return the draws of the terminals."""
        return self.z[ends.entity]


def settings(**propagation: Any) -> Scenario:
    """Return a scenario with these fields of the propagation."""
    layout = {"sectors": 3} if propagation.get("antenna") == "sector" else {}
    return scenario(network={"layout": layout, "propagation": propagation})


def channels(draws: str, terminals: int, repeats: int, **propagation: Any) -> dict[str, float]:
    """Measure one call for the channels of ``terminals`` terminals in a network of 1000 base stations."""
    generator = np.random.default_rng(0)
    air = Air.of(settings(spatial_consistency=draws == "landscape", **propagation).network, SITES, Streams(0))
    serving = np.arange(terminals) * SITES // terminals
    site = np.concatenate([np.arange(SITES)[:, None], air.sites.neighbours(STRONGEST)], axis=1)[serving, :STRONGEST]
    xy_m = air.sites.xy_m[serving] + generator.uniform(-200.0, 200.0, (terminals, 2))
    if draws == "given":
        shape = (terminals, STRONGEST)
        air = replace(air, obstacles=Given(generator.random(shape), generator.standard_normal(shape)))
    duration_s, _ = best_s(lambda: air.links(xy_m, site, np.arange(terminals)), repeats)
    return {"links": float(site.size), "duration_s": duration_s}


def walk() -> dict[str, float]:
    """Measure one step of a thousand walking terminals that listen to 37 sites."""
    air = Air.of(settings(spatial_consistency=True).network, AROUND, Streams(0))
    xy_m = np.random.default_rng(0).uniform(-1500.0, 1500.0, (WALKERS, 2))
    site = np.tile(np.arange(AROUND), (WALKERS, 1))
    duration_s, _ = best_s(lambda: air.links(xy_m, site, np.arange(WALKERS)), 10)
    return {"links": float(site.size), "duration_s": duration_s}


def drop() -> dict[str, float]:
    """Measure putting terminals down, with all redraws, each among the 37 nearest sites."""
    serving = np.arange(DROPPED) * SITES // DROPPED
    started_s = time.perf_counter()
    deploy(settings().network, serving, SITES, Streams(0))
    return {"links": float(DROPPED * AROUND), "duration_s": time.perf_counter() - started_s}


def main() -> dict[str, Any]:
    """Measure everything."""
    return {
        f"{TERMINALS:,} terminals x {STRONGEST} cells, draws given": channels("given", TERMINALS, 3),
        "the same in sectors": channels("given", TERMINALS, 3, antenna="sector"),
        "the same with a draw for every link": channels("per link", TERMINALS, 2),
        "a tenth of them in a landscape": channels("landscape", TERMINALS // 10, 3),
        f"a step of {WALKERS:,} walkers x {AROUND} sites": walk(),
        f"dropping {DROPPED:,} terminals among {SITES} cells": drop(),
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    columns = ["", "links", "seconds", "ns/link"]
    rows = [
        [name, f"{f['links']:,.0f}", f"{f['duration_s']:.3f}", f"{f['duration_s'] / f['links'] * 1e9:.0f}"]
        for name, f in figures.items()
    ]
    return table("Large-scale channels, one core", columns, rows)


if __name__ == "__main__":
    print(text(main()))
