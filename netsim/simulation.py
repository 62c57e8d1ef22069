"""One run: a method in a world, from the first broadcast to the instant a budget is met, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from netsim.asynchronous import Cloud, FreeTerminal, check
from netsim.base_station import BaseStation
from netsim.compute import Luck
from netsim.decentralised import among_base_stations, among_terminals, make_company, make_edge_peers
from netsim.energy import SITE_COMPONENTS, TERMINAL_COMPONENTS
from netsim.lone_terminal import LoneTerminal
from netsim.mobility.failover import Failover
from netsim.mobility.roaming import Roaming
from netsim.mobility.whereabouts import Whereabouts
from netsim.participation import ParticipationLog
from netsim.port import DecentralisedMethod, Method
from netsim.protocols import Steps, hierarchical, isolated
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

    Raises:
        ScenarioError: the method's protocol does not go with the scenario.
    """
    recorder = Recorder(world, method, on_cloud)
    limit_terminal_energy(world)
    players = _players(world, method, recorder)
    terminals = players.terminals
    law = world.scenario.mobility
    whereabouts = Whereabouts(world) if players.assigned and world.scenario.cells_change else None
    if whereabouts is not None:
        roaming = None if law is None else Roaming(world, terminals, law, whereabouts)
        if world.standing is not None:
            Failover(world, terminals, whereabouts, roaming, world.standing)
    recorder.start()
    if players.assigned:
        for terminal in terminals:
            terminal.start()
    world.env.process(players.steps)
    ended_by = world.env.run(until=world.budget.ended)
    for terminal in terminals:
        terminal.stop()
    recorder.end()
    method.settle()
    records = Records(recorder.rows, recorder.participation)
    if whereabouts is not None:
        records = Records(recorder.rows, recorder.participation, whereabouts.changes, whereabouts.columns())
    return make_result(world, task_names, str(ended_by), records, _usage(world, terminals), _activity(world, players))


@dataclass(frozen=True)
class _Players:
    """Who acts in a run.

    Attributes:
        terminals: all of them.
        stations: those base stations that play a part.
        steps: what leads them.
        assigned: whether terminals wait for what base stations assign to them.
    """

    terminals: Sequence[Terminal]
    stations: Sequence[BaseStation]
    steps: Steps
    assigned: bool


def _players(world: World, method: Method, recorder: Recorder) -> _Players:
    """Return who acts under a method's protocol."""
    log, everybody = recorder.participation, range(world.terminals)
    if method.protocol == "isolated":
        lone = [LoneTerminal(world, method, index, log) for index in everybody]
        return _Players(lone, [], isolated(world, method, lone, recorder), False)
    if method.protocol == "asynchronous":
        check(world.scenario)
        free = [FreeTerminal(world, index, log) for index in everybody]
        return _Players(free, [], Cloud(world, method, free, recorder).run(), True)
    on_graph = cast(DecentralisedMethod, method)
    if method.protocol == "decentralised" and on_graph.nodes == "terminals":
        company = make_company(world, on_graph, log)
        return _Players(company.peers, [], among_terminals(world, on_graph, company, recorder), False)
    terminals = _terminals(world, log)
    if method.protocol == "decentralised":
        peers = make_edge_peers(world, on_graph, terminals, recorder)
        return _Players(terminals, peers, among_base_stations(world, peers), True)
    homes = [[terminals[i] for i in world.terminals_of(site)] for site in range(world.sites)]
    stations = [BaseStation(world, method, site, home, recorder) for site, home in enumerate(homes)]
    return _Players(terminals, stations, hierarchical(world, method, stations, recorder), True)


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


def _activity(world: World, players: _Players) -> Activity:
    """What every base station has done."""
    edge_rounds = np.zeros(world.sites, np.int64)
    for station in players.stations:
        edge_rounds[station.index] = station.edge_rounds
    meter, everywhere = world.site_meter, range(world.sites)
    return Activity(
        energy_j={name: np.array([meter.energy_j(site, name) for site in everywhere]) for name in SITE_COMPONENTS},
        uplink_airtime_s=np.array([uplink.busy_s for uplink in world.uplinks]),
        edge_rounds=edge_rounds,
    )
