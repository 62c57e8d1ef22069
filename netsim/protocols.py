"""Who talks to whom, and when: the synchronous hierarchy, and terminals on their own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simpy import AllOf, Event

from netsim.base_station import BaseStation
from netsim.lone_terminal import LoneTerminal
from netsim.port import Method
from netsim.prices import PriceWatch
from netsim.recorder import Recorder, snapshot
from netsim.world import World

Steps = Generator[Event, Any, None]


def hierarchical(world: World, method: Method, stations: list[BaseStation], recorder: Recorder) -> Steps:
    """The cloud's process: plan, send to all base stations, wait for all of them, aggregate, until a budget is met.

    The run also ends when the controller has nothing more to plan.
    """
    prices = PriceWatch(world, snapshot(world))
    cloud_round = seen = 0
    while True:
        plan = method.plan(prices.observe(cloud_round, world.budget.remaining()))
        if plan is None:
            world.budget.end("plan complete")
            return
        sizes = method.sizes(plan)
        here = yield from _taking_part(world, stations)
        rounds = [world.env.process(station.cloud_round(cloud_round, plan, sizes)) for station in here]
        yield AllOf(world.env, rounds)
        method.combine()
        if not method.blind:
            prices.measure(plan, snapshot(world), recorder.participation.since(seen))
            seen = len(recorder.participation)
        recorder.cloud(cloud_round, plan)
        cloud_round += 1


def _taking_part(world: World, stations: list[BaseStation]) -> Generator[Event, Any, list[BaseStation]]:
    """Return the base stations that are there for a cloud round; wait for the first one if none is."""
    while True:
        here = [station for station in stations if station.takes_part_from_s() <= world.env.now]
        if here:
            return here
        yield world.env.timeout(min(station.takes_part_from_s() for station in stations) - world.env.now)


def isolated(world: World, method: Method, terminals: list[LoneTerminal], recorder: Recorder) -> Steps:
    """No radio: every terminal goes through chunks of local work at its own pace.

    The plan's K is the number of chunks. A measurement is taken whenever as many chunks have been finished as there
    are terminals.
    """
    plan = method.plan(PriceWatch(world, snapshot(world)).observe(0, world.budget.remaining()))
    finished = 0

    def on_chunk() -> None:
        nonlocal finished
        finished += 1
        if finished % len(terminals) == 0:
            recorder.cloud(finished // len(terminals) - 1, plan)

    if plan is not None:
        yield AllOf(world.env, [terminal.work_alone(plan, on_chunk) for terminal in terminals])
    world.budget.end("plan complete" if any(terminal.alive for terminal in terminals) else "no terminal left")
