"""No cloud: the nodes of a graph go through rounds of work and exchange, held up by their neighbours alone.

A measurement is taken whenever all nodes that are there have come through another round.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from simpy import AllOf

from netsim.edge_peer import EdgePeer
from netsim.meetings import Meetings
from netsim.participation import ParticipationLog
from netsim.peer import Company, Peer
from netsim.port import DecentralisedMethod, Plan
from netsim.prices import PriceWatch
from netsim.protocols import Steps
from netsim.recorder import Recorder, snapshot
from netsim.sidelinks import sidelinks
from netsim.terminal import Terminal
from netsim.topology import Pairs, Topology
from netsim.world import World
from scenarios.errors import ScenarioError


def make_company(world: World, method: DecentralisedMethod, log: ParticipationLog) -> Company:
    """Return the terminals of a world as peers.

    Raises:
        ScenarioError: the scenario asks for something that peers do not know.
    """
    if world.scenario.mobility is not None:
        allowed = "absent: the links between the terminals of a decentralised method stay as they are"
        raise ScenarioError("mobility", "given", allowed)
    network = world.scenario.network
    everybody = Pairs.of(world.deployment.entity, world.deployment.terminal_xy_m)
    pairs, bps = sidelinks(network, everybody, world.radio.max_power_w, world.streams)
    meetings = Meetings(world.env, Topology(network.graph, pairs, world.streams), world.terminals)
    company = Company(world, meetings, bps)
    company.peers = [Peer(world, method, index, log, company) for index in range(world.terminals)]
    return company


def among_terminals(world: World, method: DecentralisedMethod, company: Company, recorder: Recorder) -> Steps:
    """Every terminal goes through the plan's K rounds."""
    plan = method.plan(PriceWatch(world, snapshot(world)).observe(0, world.budget.remaining()))
    if plan is not None:
        company.meetings.on_round = lambda number: recorder.cloud(number, plan)
        yield AllOf(world.env, [peer.take_part(plan) for peer in company.peers])
    world.budget.end("plan complete" if any(peer.alive for peer in company.peers) else "no terminal left")


def make_edge_peers(
    world: World, method: DecentralisedMethod, terminals: list[Terminal], recorder: Recorder
) -> list[EdgePeer]:
    """Return the base stations of a world as peers; whoever comes to a round first asks for its plan."""
    sites = range(world.sites)
    pairs = Pairs.of(np.arange(world.sites), world.deployment.site_xy_m)
    meetings = Meetings(world.env, Topology(world.scenario.network.graph, pairs, world.streams), world.sites)
    prices = PriceWatch(world, snapshot(world))

    @cache
    def plan(number: int) -> Plan | None:
        return method.plan(prices.observe(number, world.budget.remaining()))

    meetings.on_round = lambda number: recorder.cloud(number, plan(number))
    homes = [[terminals[i] for i in world.terminals_of(site)] for site in sites]
    return [EdgePeer(world, method, site, homes[site], recorder, meetings, plan) for site in sites]


def among_base_stations(world: World, peers: list[EdgePeer]) -> Steps:
    """Every base station goes through as many rounds as are planned."""
    yield AllOf(world.env, [peer.take_part() for peer in peers])
    world.budget.end("plan complete")
