"""Who talks to whom, and when: the synchronous hierarchy, and terminals on their own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simpy import AllOf, Event

from netsim.base_station import BaseStation
from netsim.lone_terminal import LoneTerminal
from netsim.port import CLOUD, Method
from netsim.prices import PriceWatch
from netsim.recorder import Recorder
from netsim.world import World

Steps = Generator[Event, Any, None]


def hierarchical(world: World, method: Method, stations: list[BaseStation], recorder: Recorder) -> Steps:
    """The cloud's process: plan, send to all base stations, wait for all of them, aggregate, until a budget is met.

    The run also ends when the controller has nothing more to plan.
    """
    prices = PriceWatch(recorder)
    cloud_round = 0
    while True:
        plan = method.plan(prices.observe(cloud_round))
        if plan is None:
            world.budget.end("plan complete")
            return
        parcel = method.broadcast(CLOUD, range(world.sites))
        rounds = [world.env.process(station.cloud_round(cloud_round, parcel, plan)) for station in stations]
        arrived = yield AllOf(world.env, rounds)
        method.merge(CLOUD, [arrived[process] for process in rounds])
        prices.measure(plan)
        recorder.cloud(cloud_round, plan)
        cloud_round += 1


def isolated(world: World, method: Method, terminals: list[LoneTerminal], recorder: Recorder) -> Steps:
    """No radio: every terminal goes through chunks of local work at its own pace.

    The plan's K is the number of chunks. A measurement is taken whenever as many chunks have been finished as there
    are terminals.
    """
    plan = method.plan(PriceWatch(recorder).observe(0))
    finished = 0

    def on_chunk() -> None:
        nonlocal finished
        finished += 1
        if finished % len(terminals) == 0:
            recorder.cloud(finished // len(terminals) - 1, plan)

    if plan is not None:
        yield AllOf(world.env, [terminal.work_alone(plan, on_chunk) for terminal in terminals])
    world.budget.end("plan complete" if any(terminal.alive for terminal in terminals) else "no terminal left")
