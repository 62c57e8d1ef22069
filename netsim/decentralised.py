"""No cloud and no cells: the nodes of a graph go through rounds of work and exchange, held up by their neighbours."""

from __future__ import annotations

from simpy import AllOf

from netsim.meetings import Meetings
from netsim.participation import ParticipationLog
from netsim.peer import Company, Peer
from netsim.port import DecentralisedMethod
from netsim.prices import PriceWatch
from netsim.protocols import Steps
from netsim.recorder import Recorder, snapshot
from netsim.sidelinks import sidelinks
from netsim.topology import Pairs, Topology
from netsim.world import World
from scenarios.errors import ScenarioError


def gather(world: World, method: DecentralisedMethod, log: ParticipationLog) -> Company:
    """Return the terminals of a world as peers.

    Raises:
        ScenarioError: the scenario asks for something that peers do not know.
    """
    if world.scenario.mobility is not None:
        raise ScenarioError("mobility", "given", "none with a decentralised method, whose links stay as they are")
    network = world.scenario.network
    everybody = Pairs.of(world.deployment.entity, world.deployment.terminal_xy_m)
    pairs, bps = sidelinks(network, everybody, world.radio.max_power_w, world.streams)
    meetings = Meetings(world.env, Topology(network.graph, pairs, world.streams), world.terminals)
    company = Company(world, meetings, bps)
    company.peers = [Peer(world, method, index, log, company) for index in range(world.terminals)]
    return company


def decentralised(world: World, method: DecentralisedMethod, company: Company, recorder: Recorder) -> Steps:
    """Every peer goes through K rounds at the pace its neighbours allow.

    A measurement is taken whenever all peers that are there have come through another round.
    """
    plan = method.plan(PriceWatch(world, snapshot(world)).observe(0, world.budget.remaining()))
    if plan is not None:
        company.meetings.on_round = lambda number: recorder.cloud(number, plan)
        yield AllOf(world.env, [peer.take_part(plan) for peer in company.peers])
    world.budget.end("plan complete" if any(peer.alive for peer in company.peers) else "no terminal left")
