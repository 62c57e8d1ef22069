"""The ground and its rules as plain arrays and numbers, for compiled code."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.energy import processor_w
from netsim.world import Ground, transmitting_w

Array = NDArray[Any]

ALL, FIRST_K, DEADLINE = range(3)
STEADY, SHIFTED_EXPONENTIAL, PARETO, LOGNORMAL, BIMODAL = range(5)
NEVER, ON_AIR, ALWAYS = range(3)
_POLICIES = {"all": ALL, "first_k": FIRST_K, "deadline": DEADLINE}
_LAWS = {
    "none": STEADY,
    "shifted_exponential": SHIFTED_EXPONENTIAL,
    "pareto": PARETO,
    "lognormal": LOGNORMAL,
    "bimodal": BIMODAL,
}
_STATIC = {"none": NEVER, "airtime": ON_AIR, "always": ALWAYS}


class Plant(NamedTuple):
    """Who stands where with what: M terminals sorted by site, S sites, C kinds of device.

    Attributes:
        first: (S + 1,) range of each site's terminals.
        entity: (M,) stream index.
        kind: (M,) class of device.
        covered: (M,) whether a terminal is ever scheduled.
        fading: (M,) which spectral efficiency table holds.
        uplink_snr, uplink_bps: (M,) for OFDMA and for TDMA.
        downlink_efficiency: (M,) bit/s/Hz.
        cycles_per_sample, cpu_hz, compute_w, transmit_w, receive_w, idle_w, battery_j: (C,).
        sending_bps, latency_s: (S,) of the wires.
        snr_grid, efficiency_grid: (tables, G) gross spectral efficiency.
    """

    first: Array
    entity: Array
    kind: Array
    covered: Array
    fading: Array
    uplink_snr: Array
    uplink_bps: Array
    downlink_efficiency: Array
    cycles_per_sample: Array
    cpu_hz: Array
    compute_w: Array
    transmit_w: Array
    receive_w: Array
    idle_w: Array
    battery_j: Array
    sending_bps: Array
    latency_s: Array
    snr_grid: Array
    efficiency_grid: Array


class Rules(NamedTuple):
    """The scenario's numbers that the time of events depends on; keys are those of the random streams."""

    time_shared: bool
    slices: int
    uplink_hz: float
    downlink_hz: float
    net: float
    uplink_access_s: float
    downlink_access_s: float
    scheduled_fraction: float
    policy: int
    k_fraction: float
    deadline_s: float
    slowdown: int
    slowdown_a: float
    slowdown_b: float
    dropout: float
    mean_on_s: float
    mean_off_s: float
    mortal: bool
    terminal_limit_j: float
    static: int
    static_w: float
    radiating_w: float
    backhaul_j_per_bit: float
    cost_per_local_iteration: float
    cost_per_bs_iteration: float
    slowdown_key: tuple[int, int]
    dropout_key: tuple[int, int]
    schedule_key: tuple[int, int]
    first_presence_key: tuple[int, int]
    presence_key: tuple[int, int]


def make_plant(ground: Ground) -> Plant:
    """Lay the ground out in arrays.

    Raises:
        ValueError: terminals are not sorted by site.
    """
    serving, radio, devices = ground.deployment.serving, ground.radio, ground.devices
    up, down = ground.scenario.network.uplink, ground.scenario.network.downlink
    if np.any(np.diff(serving) < 0):
        raise ValueError("the cohort engine needs terminals sorted by site")
    classes, sites = devices.classes, range(ground.sites)
    snr_grid, efficiency_grid = radio.tables()

    def per_class(value: Any) -> Array:
        return np.array([value(device) for device in classes], np.float64)

    return Plant(
        first=np.searchsorted(serving, np.arange(ground.sites + 1)),
        entity=ground.deployment.entity,
        kind=devices.kind.astype(np.int16),
        covered=radio.reachable,
        fading=radio.fading.astype(np.int16),
        uplink_snr=radio.uplink_snr,
        uplink_bps=up.bandwidth_hz * radio.uplink_efficiency * up.duty,
        downlink_efficiency=radio.downlink_efficiency,
        cycles_per_sample=per_class(lambda device: device.cycles_per_sample),
        cpu_hz=per_class(lambda device: device.cpu_hz),
        compute_w=per_class(lambda device: processor_w(device.switched_capacitance, device.cpu_hz)),
        transmit_w=per_class(transmitting_w) * up.duty,
        receive_w=per_class(lambda device: device.rx_power_w) * down.duty,
        idle_w=per_class(lambda device: device.idle_power_w),
        battery_j=per_class(lambda device: np.inf if device.battery_j is None else device.battery_j),
        sending_bps=np.array([ground.backhaul.rate_bps(site) for site in sites]),
        latency_s=np.array([ground.backhaul.latency_s(site) for site in sites]),
        snr_grid=snr_grid,
        efficiency_grid=efficiency_grid,
    )


def make_rules(ground: Ground) -> Rules:
    """Collect the numbers of the scenario that time depends on."""
    scenario, streams = ground.scenario, ground.streams
    up, down, law = scenario.network.uplink, scenario.network.downlink, scenario.terminals.slowdown
    absence, limit_j = scenario.terminals.availability, scenario.budget.energy_per_terminal_j
    parameters = {"pareto": (law.tail_index, 0.0), "bimodal": (law.slow_probability, law.slow_factor)}
    a, b = parameters.get(law.kind, (law.scale, 0.0))
    return Rules(
        time_shared=up.share == "tdma",
        slices=int(up.bandwidth_hz / up.min_slice_hz) or 1,
        uplink_hz=up.bandwidth_hz * up.duty,
        downlink_hz=down.bandwidth_hz * down.duty,
        net=1.0 - scenario.network.link.overhead,
        uplink_access_s=up.access_delay_s,
        downlink_access_s=down.access_delay_s,
        scheduled_fraction=scenario.collection.scheduled_fraction,
        policy=_POLICIES[scenario.collection.policy],
        k_fraction=scenario.collection.k_fraction,
        deadline_s=scenario.collection.deadline_s,
        slowdown=_LAWS[law.kind],
        slowdown_a=a,
        slowdown_b=b,
        dropout=scenario.terminals.dropout_probability,
        mean_on_s=absence.mean_on_s if absence else np.inf,
        mean_off_s=absence.mean_off_s if absence else 0.0,
        mortal=limit_j is not None or any(device.battery_j is not None for device in ground.devices.classes),
        terminal_limit_j=np.inf if limit_j is None else limit_j,
        static=_STATIC[scenario.base_stations.static_power],
        static_w=ground.site_power.static_w(),
        radiating_w=ground.radiating_w,
        backhaul_j_per_bit=ground.backhaul.energy_j_per_bit,
        cost_per_local_iteration=scenario.budget.cost_per_local_iteration,
        cost_per_bs_iteration=scenario.budget.cost_per_bs_iteration,
        slowdown_key=streams.key("slowdown"),
        dropout_key=streams.key("dropout"),
        schedule_key=streams.key("schedule"),
        first_presence_key=streams.key("first presence"),
        presence_key=streams.key("presence"),
    )
