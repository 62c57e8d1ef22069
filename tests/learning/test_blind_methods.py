"""Methods that plan without looking are not measured for: the same happens, and whoever looks still sees."""

from __future__ import annotations

from typing import Any

import pytest

from learning.build import build_method
from learning.methods.fedavg import FedAvg
from learning.methods.registry import find
from netsim.engines import run
from netsim.world import build_ground
from scenarios.schema import Scenario
from tests.learning.driving import UNRELIABLE, fingerprint, scenario_of, setting_for, simulated

BLIND = [("hfedmtl", {}), ("fedavg", {}), ("l2gd", {}), ("mocha", {"work": "drawn"}), ("mb_sgd", {})]
LOOKING = [("rhfedmtl", {}), ("rhfedmtl", {"controller": "online"}), ("mocha", {"work": "paced"}), ("cocoa", {})]


def recorded(scenario: Scenario, name: str) -> tuple[bool, dict[str, str]]:
    """Return whether a method is blind, and what its run records on the engine that the scenario states."""
    setting = setting_for(scenario)
    method: Any = build_method(name, scenario.methods[name], setting)
    data = setting.federation
    ground = build_ground(scenario, data.terminal_task, setting.tasks, setting.streams)
    return method.blind, fingerprint(run(ground, method, list(data.task_names)))


@pytest.mark.parametrize("engine", ["process", "cohort"])
@pytest.mark.parametrize(("name", "parameters"), BLIND, ids=[name for name, _ in BLIND])
def test_a_blind_method_does_the_same_if_it_is_measured_for(
    monkeypatch: Any, name: str, parameters: dict[str, Any], engine: str
) -> None:
    changes = {"methods": {name: parameters}, "engine": engine, "learning": {"loss": "hinge"}}
    scenario = scenario_of(UNRELIABLE, changes)
    blind, plain = recorded(scenario, name)
    monkeypatch.setattr(find(name), "blind", False)
    assert blind and recorded(scenario, name) == (False, plain)


@pytest.mark.parametrize(("name", "parameters"), LOOKING)
def test_methods_that_look_at_rounds_are_not_blind(name: str, parameters: dict[str, Any]) -> None:
    scenario = scenario_of({"methods": {name: parameters}, "learning": {"loss": "hinge"}})
    assert not simulated(scenario, name)[1].blind


def test_a_plan_of_its_own_may_look_at_prices(monkeypatch: Any) -> None:
    seen = []

    def plan(self: FedAvg, observation: Any) -> Any:
        seen.append(observation.prices)
        return super(FedAvg, self).plan(observation)

    monkeypatch.setattr(FedAvg, "plan", plan, raising=False)
    simulated(scenario_of({"methods": {"fedavg": {"cloud_rounds": 3}}}), "fedavg")
    assert "time_s" not in seen[0] and "time_s" in seen[-1]
