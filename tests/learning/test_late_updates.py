"""What methods make of updates that are late: averages with all of them, and certificates that still hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.build import build_method
from learning.messages import Plan
from learning.methods.fedavg import FedAvg
from netsim.port import Cohort, Late
from scenarios.errors import ScenarioError
from tests.learning.driving import ALIKE, cohort_of, fingerprint, scenario_of, setting_for, simulated
from tests.learning.quadratic import quadratic_setting, toy

CARRY: dict[str, Any] = {
    "terminals": {
        "per_base_station": 4,
        "classes": [
            {"name": "fast", "cycles_per_sample": 1e6},
            {"name": "slow", "cycles_per_sample": 1e7, "weight": 0.5},
        ],
        "slowdown": {"kind": "pareto"},
        "dropout_probability": 0.05,
    },
    "collection": {"policy": "first_k", "k_fraction": 0.5, "late": "carry"},
    "budget": {"cost": 2000},
}

LOGISTIC: dict[str, Any] = {"learning": {"loss": "logistic"}}


class Strict(FedAvg):
    """Knows nothing of late updates."""

    def merge(self, cohort: Any, work: Any, arrived: Any, distortion: Any = None) -> None:  # type: ignore[override]
        """Average."""
        super().merge(cohort, work, arrived, distortion)


def descended(start: NDArray[np.float64], rate: float, steps: int) -> NDArray[np.float64]:
    """Return where gradient descent from ``start`` takes each of the six quadratics."""
    model, w = toy(), np.tile(start, (6, 1))
    for _ in range(steps):
        w = w - rate * model.A * (w - model.C)
    return w


@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_late_models_are_averaged_with_the_others_and_count_what_they_are_worth(power: float) -> None:
    setting = quadratic_setting(toy(), tasks=1)
    method = FedAvg(setting, FedAvg.Parameters(late_power=power, learning_rate=0.1))
    everybody, plan = cohort_of(setting.federation, [0]), Plan(2, 1)
    late = method.train(everybody, plan)
    reached = descended(np.zeros(3), 0.1, 2)
    some = np.array([True, True, False, False, True, True])
    method.merge(everybody, late, some)
    first = reached[some].mean(axis=0)
    few = Cohort(np.array([0]), np.array([0, 2]), np.array([0, 1]))
    fresh = method.train(few, plan)
    method.merge(few, fresh, np.array([True, True]), late=[Late(everybody, late, ~some, 1)])
    method.settle()
    again = descended(first, 0.1, 2)[:2]
    worth = 2.0**-power
    expected = (again.sum(axis=0) + worth * reached[~some].sum(axis=0)) / (2.0 + 2.0 * worth)
    assert fresh.ready
    assert method._sites.values[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "key", ["fedavg", "fedprox", "hfedmtl", "rhfedmtl", "published", "ditto", "permfl", "soft_sharing", "fedem"]
)
def test_carrying_over_learns_and_running_everything_at_once_changes_no_bit(key: str) -> None:
    scenario = scenario_of(CARRY)
    scenario = scenario_of(
        CARRY, LOGISTIC, {"data": ALIKE, "methods": scenario.methods | {key: scenario.methods.get(key, {})}}
    )
    deferred, _ = simulated(scenario, key)
    assert fingerprint(deferred) == fingerprint(simulated(scenario, key, eager=True)[0])
    assert sum(row.get("staleness", 0.0) > 0.0 for row in deferred.participation) > 0
    accuracy = [row["accuracy"] for row in deferred.tasks if row["split"] == "test"]
    assert np.mean(accuracy[-3:]) > np.mean(accuracy[:3])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("key", ["hfedmtl", "published"])
def test_weak_duality_holds_and_the_duals_are_those_of_the_models_whoever_is_late(key: str, seed: int) -> None:
    result, method = simulated(scenario_of(CARRY, {"budget": {"cost": 4000}}), key, seed=seed)
    gaps = [row["gap"] for row in result.rounds]
    assert len(gaps) > 5
    assert min(gaps) > -1e-12
    if key == "hfedmtl":  # the published rule takes too few rounds
        assert gaps[-1] < 0.2 * gaps[0]
    assert method._u == pytest.approx(method._initial_dual_sums(), abs=1e-12)  # the image of the present duals


@pytest.mark.parametrize("name", [f"{__name__}:Strict", "l2gd", "mocha"])
def test_a_method_that_has_no_use_for_late_updates_says_so(name: str) -> None:
    scenario = scenario_of(CARRY, {"methods": {"x": {"use": name}}})
    with pytest.raises(ScenarioError, match="earlier iterations"):
        build_method("x", scenario.methods["x"], setting_for(scenario))
