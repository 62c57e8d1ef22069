"""One run: a method in a world, from the first broadcast to the instant a budget is met, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from netsim.base_station import BaseStation
from netsim.compute import Luck
from netsim.decentralised import decentralised, gather
from netsim.energy import SITE_COMPONENTS, TERMINAL_COMPONENTS
from netsim.lone_terminal import LoneTerminal
from netsim.mobility.failover import Failover
from netsim.mobility.roaming import Roaming
from netsim.mobility.whereabouts import Whereabouts
from netsim.participation import ParticipationLog
from netsim.port import DecentralisedMethod, Method
from netsim.protocols import hierarchical, isolated
from netsim.recorder import Recorder, Row
from netsim.result import Activity, Records, Result, Usage, make_result
from netsim.terminal import Terminal
from netsim.world import World, limit_terminal_energy


def simulate(
    world: World, method: Method, task_names: list[str], on_cloud: Callable[[Row], None] | None = None
) -> Result:
    """Run ``method`` in ``world`` until it ends.

    Args:
        world: a fresh world.
        method: a fresh method.
        task_names: task of each base station, for the tables.
        on_cloud: told every cloud aggregation, for progress.
    """
    recorder = Recorder(world, method, on_cloud)
    limit_terminal_energy(world)
    alone, log = method.protocol == "isolated", recorder.participation
    lone = [LoneTerminal(world, method, index, log) for index in range(world.terminals)] if alone else []
    company = gather(world, cast(DecentralisedMethod, method), log) if method.protocol == "decentralised" else None
    peers = company.peers if company is not None else []
    terminals: Sequence[Terminal] = lone or peers or _terminals(world, log)
    stations = [
        BaseStation(world, method, site, [terminals[i] for i in world.terminals_of(site)], recorder)
        for site in range(world.sites)
    ]
    law = world.scenario.mobility
    stays = lone or peers or not world.scenario.cells_change
    whereabouts = None if stays else Whereabouts(world)
    if whereabouts is not None:
        roaming = None if law is None else Roaming(world, terminals, law, whereabouts)
        if world.standing is not None:
            Failover(world, terminals, whereabouts, roaming, world.standing)
    recorder.start()
    if alone:
        world.env.process(isolated(world, method, lone, recorder))
    elif company is not None:
        world.env.process(decentralised(world, cast(DecentralisedMethod, method), company, recorder))
    else:
        for terminal in terminals:
            terminal.start()
        world.env.process(hierarchical(world, method, stations, recorder))
    ended_by = world.env.run(until=world.budget.ended)
    for terminal in terminals:
        terminal.stop()
    recorder.end()
    method.settle()
    records = Records(recorder.rows, recorder.participation)
    if whereabouts is not None:
        records = Records(recorder.rows, recorder.participation, whereabouts.changes, whereabouts.columns())
    return make_result(world, task_names, str(ended_by), records, _usage(world, terminals), _activity(world, stations))


def _terminals(world: World, log: ParticipationLog) -> list[Terminal]:
    """The terminals of a hierarchy; those of a base station are drawn for together."""
    serving, entity = world.deployment.serving.tolist(), world.deployment.entity
    lucks = [
        Luck(world.scenario.terminals, entity[world.terminals_of(site)].tolist(), world.streams)
        for site in range(world.sites)
    ]
    return [Terminal(world, index, log, lucks[site]) for index, site in enumerate(serving)]


def _usage(world: World, terminals: Sequence[Terminal]) -> Usage:
    """What every terminal has used."""
    meter, everybody = world.terminal_meter, range(world.terminals)
    energy_j = {name: np.array([meter.energy_j(i, name) for i in everybody]) for name in TERMINAL_COMPONENTS}
    up, down = ([getattr(terminal, name) for terminal in terminals] for name in ("bytes_up", "bytes_down"))
    batteries = [terminal.battery for terminal in terminals]
    held = np.array([battery.charge_j / battery.capacity_j if battery else np.nan for battery in batteries])
    return Usage(energy_j, np.array(up), np.array(down), held if any(batteries) else None)


def _activity(world: World, stations: list[BaseStation]) -> Activity:
    """What every base station has done."""
    meter, everywhere = world.site_meter, range(world.sites)
    return Activity(
        energy_j={name: np.array([meter.energy_j(site, name) for site in everywhere]) for name in SITE_COMPONENTS},
        uplink_airtime_s=np.array([uplink.busy_s for uplink in world.uplinks]),
        edge_rounds=np.array([station.edge_rounds for station in stations]),
    )
