"""Which engine simulates a run: a process for every terminal, or cohorts of them."""

from __future__ import annotations

from collections.abc import Callable

from netsim.port import Method
from netsim.recorder import Row
from netsim.result import Result
from netsim.simulation import simulate
from netsim.world import Ground, enliven
from scenarios.equipment import DeviceClass
from scenarios.errors import ScenarioError
from scenarios.schema import Scenario

MANY = 100_000
"""Terminals beyond which cohorts are chosen by themselves."""


def _some_device(has: Callable[[DeviceClass], bool]) -> Callable[[Scenario], bool]:
    return lambda scenario: any(map(has, scenario.terminals.classes))


ONLY_PROCESSES: dict[str, Callable[[Scenario], bool]] = {
    "terminals.classes.dvfs.policy": _some_device(lambda d: d.dvfs is not None and d.dvfs.policy == "deadline"),
    "terminals.classes.processor_static_w": _some_device(lambda d: d.processor_static_w > 0.0),
    "terminals.classes.initial_charge": _some_device(lambda d: d.initial_charge < 1.0),
    "terminals.classes.refuse_below": _some_device(lambda d: d.refuse_below > 0.0),
    "terminals.classes.harvest": _some_device(lambda d: d.harvest is not None),
    "terminals.classes.trains": _some_device(lambda d: d.trains == "head"),
    "terminals.diurnal": lambda scenario: scenario.terminals.diurnal is not None,
    "terminals.traces": lambda scenario: scenario.terminals.traces is not None,
    "network.backhaul.shared": lambda scenario: scenario.network.backhaul.shared,
    "base_stations.sleep": lambda scenario: scenario.base_stations.sleep is not None,
    "base_stations.outage": lambda scenario: scenario.base_stations.outage is not None,
    "network.uplink.power_control": lambda scenario: scenario.network.uplink.power_control is not None,
    "network.interference.model": lambda scenario: scenario.network.interference.model == "coupled",
    "network.uplink.share": lambda scenario: scenario.network.uplink.share not in ("ofdma", "tdma"),
    "network.uplink.slow_fading": lambda scenario: scenario.network.uplink.slow_fading,
    "network.uplink.transfer": lambda scenario: scenario.network.uplink.transfer == "over_the_air",
    "collection.late": lambda scenario: scenario.collection.late != "drop",
    "mobility": lambda scenario: scenario.mobility is not None,
}
"""Fields, and whether a scenario uses them in a way that cohorts do not know."""


def needs_processes(scenario: Scenario) -> str | None:
    """Return a field that only the process engine can honour, None if cohorts can do all of the scenario."""
    return next((field for field, is_used in ONLY_PROCESSES.items() if is_used(scenario)), None)


def run(ground: Ground, method: Method, task_names: list[str], on_cloud: Callable[[Row], None] | None = None) -> Result:
    """Run ``method`` on ``ground`` with the engine that the scenario asks for.

    Raises:
        ScenarioError: the scenario asks for cohorts and for something they do not know.
    """
    wanted, obstacle = ground.scenario.engine, needs_processes(ground.scenario)
    if method.protocol == "decentralised":
        obstacle = "a decentralised method"
    if method.protocol == "asynchronous":
        obstacle = "the asynchronous protocol"
    if wanted == "cohort" and obstacle:
        raise ScenarioError("engine", wanted, f"process or auto, because of {obstacle}")
    if wanted == "cohort" or (wanted == "auto" and ground.terminals > MANY and not obstacle):
        from netsim.cohort.engine import simulate_cohorts  # brings compiled code, which small runs can do without

        return simulate_cohorts(ground, method, task_names, on_cloud)
    return simulate(enliven(ground), method, task_names, on_cloud)
