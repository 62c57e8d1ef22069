"""How terminals are grouped is the network's affair: one cohort of all base stations gives the bits of many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.hard_sharing import HardSharing
from learning.messages import Plan, counts, owners
from learning.methods import registry
from learning.methods.base import Method
from netsim.port import CLOUD, Cohort, Observation
from tests.learning.driving import Driver, cohort_of, random_federation, setting_of, weights_of
from tests.learning.sharing import shared_setting

HIERARCHICAL = [name for name in registry.names() if registry.find(name).protocols[0] == "hierarchical"]

LOSSES = ("hinge", "logistic", "squared")
PAIRS = [(name, loss) for name in HIERARCHICAL for loss in LOSSES if loss in (registry.find(name).losses or LOSSES)]


def method_of(name: str, loss: str, eager: bool = False, **parameters: Any) -> Method:
    """Return a fresh method on ragged terminals, five a task."""
    kind = registry.find(name)
    federation = random_federation(11, tasks=4, terminals=5, loss=loss)
    make = shared_setting if issubclass(kind, HardSharing) else setting_of
    return kind(make(federation, loss, eager=eager), registry.parameters(kind, parameters, name))


def arrives(terminal: int, iteration: int) -> bool:
    """Lose some updates everywhere, and at times all of a base station's."""
    return (3 * terminal + 7 * iteration) % 5 != 0 and not (terminal // 5 == 2 and iteration == 1)


def outcome(driver: Driver) -> tuple[bytes, bytes, dict[str, list[str]]]:
    """Return models, duals and all records by node, in which the last bit counts."""
    models = driver.models().tobytes()
    records: dict[str, list[str]] = {}
    for node, measured in driver.records:
        records.setdefault(repr(node), []).append(repr((dict(measured.scalars), measured.tasks)))
    return models, driver.method.setting.solver.duals().tobytes(), records


@pytest.mark.parametrize(("name", "loss"), PAIRS)
def test_all_base_stations_in_one_cohort_give_the_bits_of_one_cohort_each(name: str, loss: str) -> None:
    outcomes = []
    for together in (True, False):
        for eager in (False, True):
            method = method_of(name, loss, eager)
            method.plan(Observation(0, 20, 4, {"cost": 1e4}))
            outcomes.append(outcome(Driver(method, arrives, together).run(Plan(3, 4), 3)))
    assert all(each == outcomes[0] for each in outcomes[1:])
    assert np.any(np.frombuffer(outcomes[0][0]) != 0.0)


def test_averaged_and_over_relaxed_updates_give_the_same_bits_too() -> None:
    given: dict[str, Any] = {"aggregation": "averaging", "sampling": "uniform", "relaxation": 1.2}
    drivers = [Driver(method_of("hfedmtl", "logistic", **given), arrives, together) for together in (True, False)]
    first, second = (outcome(driver.run(Plan(3, 4), 3)) for driver in drivers)
    assert first == second


@pytest.mark.parametrize("eager", [False, True])
def test_lone_terminals_in_one_cohort_give_the_bits_of_one_cohort_each(eager: bool) -> None:
    together, apart = (method_of("local", "logistic", eager, decay=0.2) for _ in range(2))
    data, plan = together.setting.federation, Plan(3, 1)
    for chunk in range(4):
        finished = np.array([arrives(terminal, chunk) for terminal in range(20)])
        everybody = cohort_of(data, range(4))
        together.merge(everybody, together.train(everybody, plan), finished)
        for j in range(19, -1, -1):
            alone = Cohort(data.terminal_task[[j]], np.array([0, 1]), np.array([j]))
            apart.merge(alone, apart.train(alone, plan), finished[[j]])
    measured = [method.evaluate(CLOUD) for method in (together, apart)]
    assert weights_of(together).tobytes() == weights_of(apart).tobytes()
    assert repr(measured[0].tasks) == repr(measured[1].tasks)


def test_a_cohort_knows_whose_terminals_are_whose() -> None:
    cohort: Any = Cohort(np.array([4, 0, 2]), np.array([0, 2, 2, 5]), np.array([20, 23, 10, 11, 14]))
    asked: NDArray[np.int64] = counts(cohort)
    assert asked.tolist() == [2, 0, 3]
    assert owners(cohort).tolist() == [4, 4, 2, 2, 2]
