"""What base stations send through the wires: to the cloud and back, and to each other."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simpy import Event

from netsim.accounts import OutOfBudgetError
from netsim.backhaul import DOWN, UP
from netsim.world import World

Steps = Generator[Event, Any, None]


def carry(world: World, site: int, bits: float, way: int) -> Steps:
    """Carry something between the cloud and a base station.

    Raises:
        OutOfBudgetError: its bytes do not fit into what is left.
    """
    if not world.budget.pay("bytes", bits / 8.0):
        raise OutOfBudgetError
    if world.shared_wires is not None and bits > 0.0:
        yield world.shared_wires.send(site, bits, way)
    else:
        world.wires[site].change(+1)
        yield world.env.timeout(world.backhaul.sending_s(site, bits))
        world.wires[site].change(-1)
    world.traffic.backhaul += bits / 8.0
    yield world.env.timeout(world.backhaul.latency_s(site))


def relay(world: World, origin: int, goal: int, bits: float) -> Steps:
    """Carry something from one base station to another: over the wires of both, where it counts twice.

    It waits for either to work.

    Raises:
        OutOfBudgetError: its bytes do not fit into what is left.
    """
    yield from working(world, origin)
    yield from carry(world, origin, bits, UP)
    yield from working(world, goal)
    yield from carry(world, goal, bits, DOWN)


def working(world: World, site: int) -> Steps:
    """Wait until a site that is down has been repaired, unless it is only its radio that fails."""
    outage = world.scenario.base_stations.outage
    if outage is None or outage.recovery == "reassociate":
        return
    while (back_s := world.outages[site].back_at_s(world.env.now)) > world.env.now:
        yield world.env.timeout(back_s - world.env.now)
