"""Mb-SDCA, Mb-SGD and CoCoA through the port: the recorded traces, and how their rounds differ from MOCHA's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.cocoa import CoCoA, CocoaParameters
from learning.methods.mb_sdca import MbSDCA, MbSdcaParameters
from learning.methods.mb_sgd import MbSGD, MbSgdParameters
from learning.methods.mocha import MOCHA, MochaParameters
from netsim.port import CLOUD, Observation
from scenarios.errors import ScenarioError
from tests.learning.driving import Driver, federation_of, random_federation, scenario_of, setting_of, simulated
from tests.learning.mocha_reference import (
    LAMBDAS,
    TurningRows,
    agree,
    array,
    errors_agree,
    followed,
    held_out_errors,
    missing,
    needs_small,
    small,
    toy,
    trace,
    turning_setting,
)

Array = NDArray[Any]
SMALL = [pytest.param("small", scale, marks=needs_small) for scale in ("l2", "l4")]


def fresh(kind: Any, data: Federation, scale: str) -> Any:
    """Return a mini-batch method that draws the rows of the reference."""
    parameters = MbSdcaParameters if kind is MbSDCA else MbSgdParameters
    method = kind(turning_setting(data), parameters(regularisation=LAMBDAS[scale]))
    method._rows = TurningRows(data.terminal_offsets)
    return method


@pytest.mark.parametrize(("kind", "name"), [(MbSDCA, "mbsdca"), (MbSGD, "mbsgd")])
@pytest.mark.parametrize(("case", "scale"), [("toy", "l1"), ("toy", "l2"), *SMALL])
def test_rounds_follow_the_trace(kind: Any, name: str, case: str, scale: str) -> None:
    driver, found = followed(
        fresh(kind, {"toy": toy, "small": small}[case](), scale), 300 if case == "toy" else 60, 0.5
    )
    rows = {r: row for r, row in trace(f"{case} {name} {scale}").items() if r < len(found)}
    assert len(rows) > 7
    agree(found[list(rows)][:, : len(rows[0])], list(rows.values()))
    errors_agree(held_out_errors(driver), f"{case} {name} {scale}")
    if case == "toy":
        agree(driver.models(), array(f"toy {name}_W {scale}").T)


@pytest.mark.parametrize("loss", ["hinge", "logistic", "squared"])
@pytest.mark.parametrize("tasks", ["base_station", "terminal"])
def test_mini_batch_duals_stay_certified_whatever_is_lost(loss: str, tasks: Any) -> None:
    data = random_federation(9, loss=loss)
    method = MbSDCA(setting_of(data, loss), MbSdcaParameters(tasks=tasks, relationship="mean_regularised"))
    driver = Driver(method, missing(5))
    driver.record(CLOUD)
    for _ in range(60):
        driver.cloud_round(Plan(3, 1))
    found = driver.cloud_scalars()
    for scalars in found:
        assert scalars["gap"] >= -1e-12
        assert scalars["primal"] - scalars["dual"] == pytest.approx(scalars["gap"], abs=1e-10)
    assert found[-1]["gap"] < 0.5 * found[0]["gap"]
    sums = method._tasks.means(method.setting.solver.dual_image(np.arange(9)))
    np.testing.assert_allclose(driver.models(), method._relation.models(sums), atol=1e-10)


def test_no_more_than_all_of_a_change_is_ever_kept() -> None:
    method = MbSDCA(setting_of(random_federation(9)), MbSdcaParameters(share=0.1, scaling=1e6))
    assert method._share == 1.0


def test_a_subgradient_step_is_the_formula_with_several_terminals_a_task_and_updates_lost() -> None:
    data = random_federation(9)
    method = MbSGD(setting_of(data), MbSgdParameters(share=1.0, relationship="mean_regularised", regularisation=0.4))
    Omega, W = np.linalg.inv(method._relation.covariance), np.zeros((3, 4))
    driver = Driver(method, lambda terminal, number: terminal != 4)
    for number in range(1, 6):
        driver.cloud_round(Plan(10, 1))
        G = np.zeros((3, 4))
        for j in {0, 1, 2, 3, 5, 6, 7, 8}:
            rows = slice(*data.terminal_offsets[j : j + 2])
            short = data.y[rows] * (data.X[rows] @ W[j // 3]) < 1.0
            G[j // 3] += (data.y[rows] * short) @ data.X[rows]
        W = (np.eye(3) - 0.1 / number * Omega) @ W + 0.1 / len(data.y) * G
        W *= np.minimum(1.0, 1.0 / (np.sqrt(0.4) * np.linalg.norm(W, axis=1)))[:, None]
        np.testing.assert_allclose(driver.models(), W, atol=1e-12)
    found = [scalars["primal"] for scalars in driver.cloud_scalars()]
    assert found[-1] < found[0] and "gap" not in driver.cloud_scalars()[0]


def test_only_duals_need_to_know_how_tasks_are_related() -> None:
    setting, plan = setting_of(random_federation(9)), Plan(2, 1)
    methods = [MbSDCA(setting, MbSdcaParameters()), MbSGD(setting, MbSgdParameters())]
    assert [method.sizes(plan).broadcast_bits for method in methods] == [6 * 32, 4 * 32]
    for method in methods:
        method.combine()
    assert [method.sizes(plan).broadcast_bits for method in methods] == [4 * 32, 4 * 32]


def test_tasks_that_are_all_one_have_no_precision_to_shrink_by() -> None:
    setting = setting_of(random_federation(9), lambda2=float("inf"))
    with pytest.raises(ScenarioError, match=r"^learning\.lambda2 = inf: allowed: finite: Mb-SGD needs Omega$"):
        MbSGD(setting, MbSgdParameters(relationship="mean_regularised"))
    MOCHA(setting, MochaParameters(relationship="mean_regularised"))


# CoCoA --------------------------------------------------------------------------------------------------------


def planned(method: CoCoA, rounds: int, arrives: Any = lambda terminal, number: True) -> tuple[Driver, list[Plan]]:
    """Run rounds as the method plans them."""
    driver, plans = Driver(method, arrives), []
    driver.record(CLOUD)
    for number in range(rounds):
        plan = method.plan(Observation(number, 9, 3))
        assert plan is not None
        plans.append(plan)
        driver.cloud_round(plan)
    method.settle()
    return driver, plans


@pytest.mark.parametrize("theta", [0.6, 0.1])
def test_every_terminal_works_just_until_its_quality_is_reached(theta: float) -> None:
    parameters = CocoaParameters(theta=theta, reports_theta=True, relationship="mean_regularised")
    method = CoCoA(setting_of(random_federation(4)), parameters)
    driver, plans = planned(method, 6, missing(3))
    steps = np.array([plan.each for plan in plans])
    assert steps.min() == 1 and steps.max() > 5
    kept = CoCoA(setting_of(random_federation(4)), parameters)
    scalars = planned(kept, 6)[0].cloud_scalars()[1:]
    assert all(0.5 * theta < each["theta_max"] <= theta * (1.0 + 1e-2) for each in scalars)
    duals = [each["dual"] for each in driver.cloud_scalars()]
    assert np.diff(duals).min() >= -1e-12


def test_work_stops_at_the_cap_and_the_run_after_its_rounds() -> None:
    method = CoCoA(setting_of(random_federation(4)), CocoaParameters(theta=0.0, most_steps=7, cloud_rounds=2))
    _, plans = planned(method, 2)
    assert max(plan.local_iterations for plan in plans) == 7
    assert method.plan(Observation(2, 9, 3)) is None


def test_a_terminal_with_hard_data_holds_up_the_others_even_on_equal_devices() -> None:
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.01], [1.0, -0.01]])  # orthogonal rows, then nearly parallel ones
    y = np.array([1.0, 1.0, 1.0, -1.0])
    method = CoCoA(setting_of(federation_of(X, y, [2, 2], 2), lambda2=0.0, lambda1=0.01), CocoaParameters(theta=0.05))
    steps = planned(method, 1)[1][0].each
    assert steps is not None and steps[1] > 2 * steps[0]


def test_in_the_network_cocoa_is_charged_for_the_steps_it_takes() -> None:
    methods = {"cocoa": {"theta": 0.3}, "mb_sgd": {"share": 0.5}, "mb_sdca": {"share": 0.5}}
    scenario = scenario_of({"methods": methods, "budget": {"cost": 1500}})
    spent = {}
    for key in methods:
        start, *rest = simulated(scenario, key)[0].rounds
        rounds = [row for row in rest if row["event"] == "cloud"]
        spent[key] = {row["local_iterations"] for row in rounds}
        assert rounds[-1]["objective"] < start["objective"]
        assert all(row["bs_iterations"] == 1 for row in rounds)
    assert len(spent["cocoa"]) > 1 and len(spent["mb_sgd"]) == len(spent["mb_sdca"]) == 1
