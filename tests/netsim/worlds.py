"""Small scenarios, worlds and runs for the tests of this room."""

from __future__ import annotations

from typing import Any

from netsim.simulation import Result, simulate
from netsim.world import Ground, World, build_world
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.netsim.counting import Counting

PLAIN = {
    "name": "test",
    "methods": {"counting": {}},
    "budget": {"time_s": 30.0},
    "network": {"propagation": {"fading": "none"}, "link": {"model": "shannon"}},
    "output": {"trace": True},
}
ENERGY_COLUMNS = (
    "energy_terminal_compute_j",
    "energy_terminal_transmit_j",
    "energy_terminal_receive_j",
    "energy_terminal_idle_j",
    "energy_bs_transmit_j",
    "energy_bs_static_j",
    "energy_backhaul_j",
)


def scenario(**changes: Any) -> Scenario:
    """Return a scenario without fading, changed in the given (nested) fields."""
    return Scenario.model_validate(_merged(PLAIN, changes))


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in changes.items():
        inner = both.get(key)
        nested = isinstance(inner, dict) and isinstance(value, dict) and key != "budget"
        both[key] = _merged(inner, value) if nested and isinstance(inner, dict) else value
    return both


def device(**changes: Any) -> dict[str, Any]:
    """Return a scenario's terminals section with one class of hardware."""
    return {"classes": [{"name": "device", **changes}]}


def world(settings: Scenario, sites: int = 2, per_site: int = 3, seed: int = 0) -> World:
    """Return a fresh world with ``per_site`` terminals at each of ``sites`` base stations."""
    serving = [site for site in range(sites) for _ in range(per_site)]
    return build_world(settings, serving, sites, Streams(seed))


def change(where: Ground, terminal: int, **fields: float) -> None:
    """Give one terminal a hardware of its own."""
    where.devices.classes.append(where.devices[terminal].model_copy(update=fields))
    where.devices.kind[terminal] = len(where.devices.classes) - 1


def run(where: World, method: Counting | None = None) -> Result:
    """Let a method count in a world until it ends."""
    return simulate(where, method or Counting(), [f"task {site}" for site in range(where.sites)])
