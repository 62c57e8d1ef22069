"""The physical world of one run: what stands there from the start, and what changes while the clock runs.

Built from a scenario and a seed; knows no learning method. Nodes are handed the world instead of looking things up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from simpy import Environment

from channel_models.load_coupling import StrongestCells
from channel_models.units import dbm_to_watt, watt_to_dbm
from netsim.accounts import Budget
from netsim.analog import Air
from netsim.availability import Presence, Trajectory, outages_of, rhythm
from netsim.backhaul import Backhaul, SharedWires, Wire
from netsim.cell import Uplink
from netsim.collection import share_of
from netsim.compute import Fleet, assign_classes
from netsim.deployment import Deployment, backbone, deploy
from netsim.energy import (
    SITE_COMPONENTS,
    SITE_POWER,
    TERMINAL_COMPONENTS,
    Meter,
    SitePower,
    transmitter_w,
)
from netsim.interference import CoupledInterference
from netsim.load import with_load
from netsim.neighbours import strongest_cells
from netsim.on_air import OnAir
from netsim.radio import Radio, link_budget
from netsim.slot_fading import FadingSlots
from netsim.standing import Standing
from netsim.traces import Followed, vary
from netsim.turns import Turns
from netsim.uplinks import make_uplinks
from scenarios.equipment import DeviceClass, Terminals
from scenarios.errors import ScenarioError
from scenarios.schema import Scenario
from scenarios.streams import Streams
from scenarios.traces import read_traces


@dataclass
class Traffic:
    """Bytes carried so far, by kind of link; a broadcast counts once."""

    uplink: float = 0.0
    downlink: float = 0.0
    backhaul: float = 0.0


@dataclass(frozen=True)
class Ground:
    """Everything physical that stays as it is during a run.

    Attributes:
        scenario, streams: what it was made from.
        deployment: where everybody stands.
        radio: link budgets.
        backhaul: wires.
        devices: the terminals' hardware.
        site_power: power model of the base stations.
        near: links of every terminal to its own and to other sites, if cells are coupled.
        traces: what is measured of terminals.
    """

    scenario: Scenario
    streams: Streams
    deployment: Deployment
    radio: Radio
    backhaul: Backhaul
    devices: Fleet
    site_power: SitePower
    near: StrongestCells | None
    traces: Followed

    @property
    def terminals(self) -> int:
        """Number of terminals."""
        return len(self.devices)

    @property
    def sites(self) -> int:
        """Number of base stations."""
        return len(self.deployment.site_xy_m)

    @property
    def heads_only(self) -> NDArray[np.bool_]:
        """(terminals,) whose hardware trains the heads of a model only."""
        return self.devices.each(lambda device: device.trains == "head") > 0.0

    @property
    def asked(self) -> int:
        """Number of terminals that are asked in an iteration of every base station, if all are there."""
        share, here = self.scenario.collection.scheduled_fraction, np.bincount(self.deployment.serving)
        return sum(share_of(share, count) for count in here.tolist() if count)

    @property
    def radiating_w(self) -> float:
        """Extra input power of a site while it broadcasts, watts, its mean if the band is a downlink in turns."""
        down = self.scenario.network.downlink
        return self.site_power.transmit_w(float(dbm_to_watt(down.tx_power_dbm))) * down.duty


@dataclass(frozen=True)
class World(Ground):
    """The ground with a clock, and everything that changes with it.

    Attributes:
        env: the clock.
        budget: limits and spending.
        presences: on/off trajectory of each terminal.
        outages: up/down trajectory of each site.
        standing: which sites are up, if terminals can leave a failed one.
        uplinks: the shared uplink of each cell.
        interference: what cells do to each other just now, if they are coupled.
        transmit_w: what each terminal's transmitter draws while it is on the air, watts; read whenever it goes there.
        on_air: activity of each site, for its no-load power.
        shared_wires: from the cloud and to it, if base stations share them.
        terminal_meter, site_meter, backhaul_meter: energy by node and component.
        traffic: bytes carried.
        serving: (terminals,) site that serves each terminal now; ``deployment.serving`` is where it is at home.
        wires: the wire of each site, in use or not.
        downlinks: whose turn it is to broadcast in each cell.
    """

    env: Environment
    budget: Budget
    presences: list[Trajectory]
    outages: list[Trajectory]
    standing: Standing | None
    uplinks: list[Uplink]
    interference: CoupledInterference | None
    transmit_w: list[float]
    shared_wires: SharedWires | None
    terminal_meter: Meter
    site_meter: Meter
    backhaul_meter: Meter
    on_air: list[OnAir]
    traffic: Traffic
    serving: NDArray[np.int64]
    wires: list[Wire]
    downlinks: list[Turns]

    def terminals_of(self, site: int) -> list[int]:
        """Terminals whose data belong to the task of ``site``."""
        return [int(i) for i in np.flatnonzero(self.deployment.serving == site)]


def build_ground(scenario: Scenario, serving: NDArray[np.int64], sites: int, streams: Streams) -> Ground:
    """Deploy the network of one run.

    Args:
        scenario: the experiment.
        serving: (terminals,) site of each terminal.
        sites: number of base stations.
        streams: the run's randomness.

    Raises:
        ScenarioError: the sites cannot radiate the power the downlink asks for.
    """
    deployment = deploy(scenario.network, np.asarray(serving, np.int64), sites, streams)
    devices = assign_classes(scenario.terminals, deployment.entity, streams)
    wires, mutual = scenario.network.backhaul, scenario.network.interference
    graph = backbone(deployment, wires.latency_s, wires.rate_bps)
    radio = link_budget(scenario.network, deployment, devices.each(lambda device: device.tx_power_dbm), streams)
    near = None if mutual.model == "fixed" else strongest_cells(scenario.network, deployment, streams)
    if near is not None and mutual.model == "load":
        radio, near = with_load(radio, near), None
    return Ground(
        scenario=scenario,
        streams=streams,
        deployment=deployment,
        radio=radio,
        backhaul=Backhaul(graph, sites, wires.energy_j_per_bit),
        devices=devices,
        site_power=_site_power(scenario),
        near=near,
        traces=Followed(read_traces(scenario.terminals.traces), scenario.terminals.traces, streams),
    )


def enliven(ground: Ground) -> World:
    """Put a fresh clock, meters and budget on the ground."""
    env, scenario, streams = Environment(0.0), ground.scenario, ground.streams
    limits = scenario.budget
    budget = Budget(env, limits.time_s, limits.energy_j, limits.bytes, limits.cost)
    terminal_meter = Meter(env, ground.terminals, TERMINAL_COMPONENTS, budget.energy)
    site_meter = Meter(env, ground.sites, SITE_COMPONENTS, budget.energy)
    backhaul_meter = Meter(env, ground.sites, ("backhaul",), budget.energy)
    outages = [outages_of(scenario.base_stations.outage, site, streams) for site in range(ground.sites)]
    on_air = [
        OnAir(env, site_meter, site, ground.site_power, scenario.base_stations, outages[site])
        for site in range(ground.sites)
    ]
    transmit_w = ground.devices.each(transmitting_w).tolist()
    radio, interference = _links_in_motion(env, ground)
    entity, sites = ground.deployment.entity, range(ground.sites)
    uplinks = make_uplinks(
        env=env,
        radio=radio,
        channel=FadingSlots(radio, entity.tolist(), streams),
        devices=ground.devices,
        transmit_w=transmit_w,
        meter=terminal_meter,
        budget=budget,
        activity=[site.change for site in on_air],
        airs=[Air(radio, ground.devices, entity, streams, site) for site in sites],
        interference=interference,
    )
    serving = ground.deployment.serving.copy()
    for terminals, steps in ground.traces.bandwidths(entity):
        env.process(vary(env, radio, uplinks, serving, terminals, steps))
    is_shared = scenario.network.backhaul.shared
    deployment = ground.deployment.copy() if scenario.cells_change else ground.deployment
    return World(
        **vars(ground) | {"radio": radio, "deployment": deployment},
        env=env,
        budget=budget,
        presences=[_presence(scenario.terminals, ground.traces, i, streams) for i in entity.tolist()],
        outages=outages,
        standing=Standing(env, outages) if scenario.base_stations.outage and scenario.cells_change else None,
        uplinks=uplinks,
        interference=interference,
        transmit_w=transmit_w,
        shared_wires=SharedWires(env, ground.backhaul, ground.sites, backhaul_meter) if is_shared else None,
        terminal_meter=terminal_meter,
        site_meter=site_meter,
        backhaul_meter=backhaul_meter,
        on_air=on_air,
        traffic=Traffic(),
        serving=serving,
        wires=[Wire(backhaul_meter, site, ground.backhaul.power_w(site)) for site in sites],
        downlinks=[Turns(env) for _ in sites],
    )


def build_world(scenario: Scenario, serving: list[int], sites: int, streams: Streams) -> World:
    """Deploy a network and put a clock on it; see :func:`build_ground`."""
    return enliven(build_ground(scenario, np.asarray(serving, np.int64), sites, streams))


def transmitting_w(device: DeviceClass) -> float:
    """Power a device's transmitter draws, watts."""
    return transmitter_w(float(dbm_to_watt(device.tx_power_dbm)), device.amplifier_efficiency, device.tx_circuit_w)


def _site_power(scenario: Scenario) -> SitePower:
    """Return the power model of the sites.

    Raises:
        ScenarioError: the sites cannot radiate the power the downlink asks for.
    """
    power = SITE_POWER[scenario.base_stations.power_model]
    tx_power_dbm, most_w = scenario.network.downlink.tx_power_dbm, power.transceivers * power.max_output_w
    if dbm_to_watt(tx_power_dbm) > most_w:
        allowed = f"at most {watt_to_dbm(most_w):.1f}, all a {scenario.base_stations.power_model} site can radiate"
        raise ScenarioError("network.downlink.tx_power_dbm", tx_power_dbm, allowed)
    return power


def _links_in_motion(env: Environment, ground: Ground) -> tuple[Radio, CoupledInterference | None]:
    """Return links that may change during a run, and what changes them if cells are coupled."""
    if ground.near is None:
        return ground.radio.copy(), None
    network = ground.scenario.network
    radio = ground.radio.copy(least_bit_s_hz=network.link.outage_bit_s_hz / (1.0 - network.link.overhead))
    near = replace(ground.near, cell=ground.near.cell.copy(), gain=ground.near.gain.copy())
    return radio, CoupledInterference(env, radio, near, network.interference)


def _presence(law: Terminals, traces: Followed, entity: int, streams: Streams) -> Trajectory:
    """Return when the terminal with stream index ``entity`` is there."""
    periods = traces.presence(entity)
    if law.diurnal is not None:
        periods = rhythm(law.diurnal, entity, streams)
    return Presence(law.availability, entity, streams) if periods is None else Trajectory(periods)


def limit_terminal_energy(world: World) -> None:
    """End the run when any terminal has used its share of the per-terminal energy budget."""
    limit_j = world.scenario.budget.energy_per_terminal_j
    if limit_j is None:
        return
    for terminal in range(world.terminals):
        reason = f"energy budget of terminal {terminal}"
        world.terminal_meter.watch(terminal, limit_j, lambda reason=reason: world.budget.end(reason))  # type: ignore[misc]
