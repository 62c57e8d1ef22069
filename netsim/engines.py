"""Which engine simulates a run: a process for every terminal, or cohorts of them."""

from __future__ import annotations

from collections.abc import Callable

from netsim.port import Method
from netsim.recorder import Row
from netsim.result import Result
from netsim.simulation import simulate
from netsim.world import Ground, enliven

MANY = 100_000
"""Terminals beyond which cohorts are chosen by themselves."""


def run(ground: Ground, method: Method, task_names: list[str], on_cloud: Callable[[Row], None] | None = None) -> Result:
    """Run ``method`` on ``ground`` with the engine that the scenario asks for."""
    wanted = ground.scenario.engine
    if wanted == "cohort" or (wanted == "auto" and ground.terminals > MANY):
        from netsim.cohort.engine import simulate_cohorts  # brings compiled code, which small runs can do without

        return simulate_cohorts(ground, method, task_names, on_cloud)
    return simulate(enliven(ground), method, task_names, on_cloud)
