"""The physical world of one run, wired together: clock, deployment, radio, meters, budget, devices.

Built from a scenario and a seed; knows no learning method. Nodes are handed the world instead of looking things up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from simpy import Environment

from channel_models.units import dbm_to_watt, watt_to_dbm
from netsim.accounts import Budget
from netsim.availability import Presence
from netsim.backhaul import Backhaul
from netsim.cell import BandShared, Duty, TimeShared, Uplink
from netsim.compute import assign_classes
from netsim.deployment import Deployment, deploy, topology
from netsim.energy import (
    SITE_COMPONENTS,
    SITE_POWER,
    TERMINAL_COMPONENTS,
    Meter,
    SitePower,
    transmitter_w,
)
from netsim.radio import Radio, link_budget
from scenarios.errors import ScenarioError
from scenarios.schema import DeviceClass, Scenario
from scenarios.streams import Streams


@dataclass
class Traffic:
    """Bytes carried so far, by kind of link; a broadcast counts once."""

    uplink: float = 0.0
    downlink: float = 0.0
    backhaul: float = 0.0


class OnAir:
    """Whether a site works for the learning service right now: its no-load power is charged while it does."""

    def __init__(self, meter: Meter, site: int, static_w: float, policy: str) -> None:
        self._meter, self._site, self._static_w, self._policy = meter, site, static_w, policy
        self._users = 0
        if policy == "always":
            meter.set_power(site, "static", static_w)

    def change(self, difference: int) -> None:
        """Count a transmission or reception that starts (+1) or ends (-1)."""
        self._users += difference
        if self._policy == "airtime":
            self._meter.set_power(self._site, "static", self._static_w if self._users else 0.0)


@dataclass(frozen=True)
class World:
    """Everything physical that the nodes of one run share.

    Attributes:
        scenario, streams: what the world was made from.
        env: the clock.
        budget: limits and spending.
        devices: device class of each terminal.
        presences: on/off trajectory of each terminal.
        uplinks: the shared uplink of each cell.
        on_air: activity of each site, for its no-load power.
        terminal_meter, site_meter, backhaul_meter: energy by node and component.
    """

    scenario: Scenario
    streams: Streams
    env: Environment
    budget: Budget
    deployment: Deployment
    radio: Radio
    backhaul: Backhaul
    devices: list[DeviceClass]
    presences: list[Presence]
    uplinks: list[Uplink]
    terminal_meter: Meter
    site_meter: Meter
    backhaul_meter: Meter
    on_air: list[OnAir]
    traffic: Traffic
    site_power: SitePower

    @property
    def terminals(self) -> int:
        """Number of terminals."""
        return len(self.devices)

    @property
    def sites(self) -> int:
        """Number of base stations."""
        return len(self.uplinks)

    def terminals_of(self, site: int) -> list[int]:
        """Terminals served by ``site``."""
        return [int(i) for i in np.flatnonzero(self.deployment.serving == site)]


def build_world(scenario: Scenario, serving: list[int], sites: int, streams: Streams) -> World:
    """Make the world of one run.

    Args:
        scenario: the experiment.
        serving: site of each terminal.
        sites: number of base stations.
        streams: the run's randomness.
    """
    env = Environment()
    limits = scenario.budget
    budget = Budget(env, limits.time_s, limits.energy_j, limits.bytes, limits.cost)
    deployment = deploy(scenario.network, np.asarray(serving, np.int64), sites, streams)
    devices = assign_classes(scenario.terminals, deployment.entity, streams)
    radio = link_budget(scenario.network, deployment, np.array([d.tx_power_dbm for d in devices]))
    wires = scenario.network.backhaul
    graph = topology(deployment, wires.latency_s, wires.rate_bps)
    terminal_meter = Meter(env, len(serving), TERMINAL_COMPONENTS, budget.energy)
    transmit_w = [
        transmitter_w(float(dbm_to_watt(d.tx_power_dbm)), d.amplifier_efficiency, d.tx_circuit_w) for d in devices
    ]
    site_meter = Meter(env, sites, SITE_COMPONENTS, budget.energy)
    power = _site_power(scenario)
    policy = scenario.base_stations.static_power
    on_air = [OnAir(site_meter, site, power.static_w(), policy) for site in range(sites)]
    return World(
        scenario=scenario,
        streams=streams,
        env=env,
        budget=budget,
        deployment=deployment,
        radio=radio,
        backhaul=Backhaul(graph, sites, wires.energy_j_per_bit),
        devices=devices,
        presences=[Presence(scenario.terminals.availability, int(e), streams) for e in deployment.entity],
        uplinks=[_uplink(env, radio, _duty(terminal_meter, transmit_w, site)) for site in on_air],
        terminal_meter=terminal_meter,
        site_meter=site_meter,
        backhaul_meter=Meter(env, sites, ("backhaul",), budget.energy),
        on_air=on_air,
        traffic=Traffic(),
        site_power=power,
    )


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


def _duty(meter: Meter, transmit_w: list[float], on_air: OnAir) -> Duty:
    """Return what an uplink calls when a terminal's share of transmitting time changes."""
    transmitting: set[int] = set()

    def duty(terminal: int, share: float) -> None:
        meter.set_power(terminal, "transmit", transmit_w[terminal] * share)
        if share > 0.0 and terminal not in transmitting:
            transmitting.add(terminal)
            on_air.change(+1)
        elif share == 0.0 and terminal in transmitting:
            transmitting.remove(terminal)
            on_air.change(-1)

    return duty


def _uplink(env: Environment, radio: Radio, duty: Duty) -> Uplink:
    band = radio.network.uplink
    if band.share == "tdma":
        return TimeShared(env, radio.whole_band_bps, duty)
    slices = int(band.bandwidth_hz / band.min_slice_hz) or 1
    return BandShared(env, radio.band_shared_bps, slices, duty)


def limit_terminal_energy(world: World) -> None:
    """End the run when any terminal has used its share of the per-terminal energy budget."""
    limit_j = world.scenario.budget.energy_per_terminal_j
    if limit_j is None:
        return
    for terminal in range(world.terminals):
        reason = f"energy budget of terminal {terminal}"
        world.terminal_meter.watch(terminal, limit_j, lambda reason=reason: world.budget.end(reason))  # type: ignore[misc]
