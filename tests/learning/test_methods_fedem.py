"""FedEM: the published vectors, expectation-maximisation when nobody is missing, FedAvg with a single component."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netsim.engines
from learning.build import build_method
from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.methods.fedem import FedEM, MixtureParameters
from learning.mixtures import Mixture, expectation, log_likelihood
from learning.primal_dual.losses import make_loss
from netsim.world import build_ground
from scenarios.errors import ScenarioError
from tests.learning import user_modules
from tests.learning.driving import (
    UNRELIABLE,
    Driver,
    fingerprint,
    random_federation,
    scenario_of,
    setting_for,
    setting_of,
    simulated,
)
from tests.learning.mixture_toy import HEAVY, REFERENCE, ROUNDS, components, held_out_scores, toy_federation

Array = NDArray[Any]
EVERYTHING = 1000  # a batch of this many rows is all a terminal has
KEYS: list[tuple[str, dict[str, Any]]] = [("fedem", {}), ("fedem_sgdm", HEAVY)]


def fedem(federation: Federation, loss: str = "logistic", lambda1: float = 0.1, **parameters: Any) -> FedEM:
    """Return a fresh method."""
    return FedEM(setting_of(federation, loss, lambda1), MixtureParameters(**parameters))


def toy_method(**parameters: Any) -> FedEM:
    """Return FedEM of two components at the start of the reference, without the ridge it does not have."""
    method = fedem(toy_federation(), lambda1=1e-15, components=2, batch_size=EVERYTHING, **parameters)
    method._cloud.values[0] = components()
    return method


def shares_of(method: FedEM) -> Array:
    """Settle and return the (terminals, M) shares."""
    method.settle()
    return np.array(method._shares.values)


# The reference ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "parameters"), KEYS)
def test_components_and_shares_are_those_of_the_reference(key: str, parameters: dict[str, Any]) -> None:
    method = toy_method(**parameters)
    driver = Driver(method)
    for number in range(1, 21):
        driver.cloud_round(Plan(1, 1))
        if number in ROUNDS:
            found, expected = driver.models().reshape(2, 5), REFERENCE[key][str(number)]
            np.testing.assert_allclose(found, expected["glob"], atol=2e-6)
            np.testing.assert_allclose(shares_of(method), expected["pi"], atol=2e-6)
            mixtures = np.hstack([np.tile(found.ravel(), (3, 1)), shares_of(method)])
            scores = held_out_scores(method._em.mixture, mixtures, (1, 2, 3))
            np.testing.assert_allclose(scores, expected["eval"], atol=2e-6)


@pytest.mark.parametrize(("key", "parameters"), KEYS)
def test_responsibilities_are_those_of_the_reference_and_a_newcomer_that_fits_once_a_round_finds_its_shares(
    key: str, parameters: dict[str, Any]
) -> None:
    method, data = toy_method(**parameters), toy_federation()
    driver, unseen = Driver(method), data.unseen
    assert unseen is not None
    mixture = Mixture(method.setting.model, method.setting.loss, 2)
    newcomer, shares, ends = np.full((1, 2), 0.5), np.full((1, 2), 0.5), np.array([0, 12])
    for number in range(21):
        if number:
            before = driver.models()
            losses = mixture.losses(before, data.X[:12], data.y[:12], ends)
            q, shares = expectation(losses, shares, ends)
            driver.cloud_round(Plan(1, 1))
            if number in ROUNDS:
                np.testing.assert_allclose(q[:3].T, REFERENCE[key][str(number)]["q1"], atol=2e-6)
        losses = mixture.losses(driver.models(), unseen.X, unseen.y, unseen.terminal_offsets)
        newcomer = expectation(losses, newcomer, unseen.terminal_offsets)[1]
        if number in (0, *ROUNDS):
            np.testing.assert_allclose(newcomer, REFERENCE[key][str(number)]["test_pi"], atol=2e-6)
            scores = held_out_scores(mixture, np.hstack([driver.models(), newcomer]), (4,))
            np.testing.assert_allclose(scores, REFERENCE[key][str(number)]["test_eval"], atol=2e-6)


# Theory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_one_step_of_everybody_is_a_generalised_em_step_on_all_rows(loss: str) -> None:
    data, eta = random_federation(1, loss=loss), 0.2
    method = fedem(data, loss, batch_size=EVERYTHING, learning_rate=eta, components=3)
    theta, kind = method._cloud.values[0].reshape(3, 4).copy(), make_loss(loss)
    owner = np.repeat(np.arange(9), np.diff(data.terminal_offsets))
    shares = np.full((9, 3), 1.0 / 3.0)
    for _ in range(10):
        joint = shares[owner] * np.exp(-kind.value(data.X @ theta.T, data.y[:, None]))
        q = joint / joint.sum(axis=1, keepdims=True)
        shares = np.stack([q[owner == t].mean(axis=0) for t in range(9)])
        slopes = q * kind.derivative(data.X @ theta.T, data.y[:, None])
        theta = theta - eta * (slopes.T @ data.X / len(data.y) + 0.1 * theta)
    found = Driver(method).run(Plan(1, 1), 10).models()
    np.testing.assert_allclose(found, np.tile(theta.ravel(), (3, 1)), atol=1e-10)
    np.testing.assert_allclose(shares_of(method), shares, atol=1e-10)


def test_small_full_steps_never_lower_the_likelihood() -> None:
    data = random_federation(2, rows=20)
    method = fedem(data, lambda1=1e-15, batch_size=EVERYTHING, learning_rate=0.05)
    driver, mixture = Driver(method), Mixture(method.setting.model, method.setting.loss, 3)
    found = []
    for _ in range(60):
        models = np.tile(driver.models()[0], (9, 1))
        losses = mixture.losses(models, data.X, data.y, data.terminal_offsets)
        found.append(log_likelihood(losses, shares_of(method), data.terminal_offsets).sum())
        driver.cloud_round(Plan(1, 1))
    assert np.all(np.diff(found) >= -1e-10)
    assert found[-1] > found[0] + 5.0


def test_models_that_are_equal_at_the_start_remain_so_for_ever() -> None:
    method = fedem(random_federation(3), spread=0.0, components=3)
    models = Driver(method).run(Plan(4, 2), 5).models()[0].reshape(3, 4)
    assert np.any(models[0] != 0.0)
    np.testing.assert_array_equal(models, np.tile(models[0], (3, 1)))
    np.testing.assert_allclose(shares_of(method), 1.0 / 3.0, rtol=1e-12)


def test_the_components_start_apart_and_a_component_does_not_depend_on_how_many_there_are() -> None:
    three, five = (fedem(random_federation(3), components=M)._cloud.values[0].reshape(M, 4) for M in (3, 5))
    np.testing.assert_array_equal(three, five[:3])
    np.testing.assert_array_equal(five[0], np.zeros(4))
    assert np.unique(five.round(12)[1:]).size == 16


# A single component -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [None, user_modules.perceptron])
@pytest.mark.parametrize("batch_size", [1, 3, EVERYTHING])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_one_component_is_fedavg_to_the_last_bit(loss: str, batch_size: int, module: Any) -> None:
    data = random_federation(4, loss=loss)
    common: dict[str, Any] = {"batch_size": batch_size, "decay": 0.1}
    settings = [setting_of(data, loss, module=module) for _ in range(2)]
    mixture = FedEM(settings[0], MixtureParameters(components=1, **common))
    single = FedAvg(settings[1], AveragingParameters(**common))
    found, expected = (
        Driver(method, lambda t, number: (t + number) % 4 > 0).run(Plan(5, 2), 3) for method in (mixture, single)
    )
    assert found.models().tobytes() == expected.models().tobytes()
    np.testing.assert_array_equal(mixture._shares.values, 1.0)
    rows = [[row for row in driver.records[-1][1].tasks if row["split"] == "test"] for driver in (found, expected)]
    score = "rmse" if loss == "squared" else "log_loss"
    assert [row[score] for row in rows[0]] == pytest.approx([row[score] for row in rows[1]], rel=1e-10)


MIXED: dict[str, Any] = {
    "learning": {"loss": "logistic"},
    "methods": {"fedem": {"decay": 0.1}, "single": {"use": "fedem", "components": 1}, "fedavg": {}},
}


def test_one_component_costs_what_fedavg_costs() -> None:
    (found, mixture), (expected, single) = (
        simulated(scenario_of(MIXED, UNRELIABLE), key) for key in ("single", "fedavg")
    )
    for name in ("participation", "terminals", "base_stations"):
        assert fingerprint(found)[name] == fingerprint(expected)[name]
    assert mixture._cloud.values.tobytes() == single._cloud.values.tobytes()
    assert np.any(single._cloud.values != 0.0)


# In the network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_a_run_records_the_same_to_the_last_bit_eager_and_lazy(world: dict[str, Any]) -> None:
    data = {"data": scenario_of().data.model_dump() | {"unseen_tasks": 1}}
    lazy, eager = (simulated(scenario_of(MIXED, data, world), "fedem", eager=eager) for eager in (False, True))
    assert fingerprint(lazy[0]) == fingerprint(eager[0])
    assert lazy[1]._shares.values.tobytes() == eager[1]._shares.values.tobytes()
    np.testing.assert_allclose(lazy[1]._shares.values.sum(axis=1), 1.0, atol=1e-12)
    assert {row["split"] for row in lazy[0].tasks} == {"validation", "test", "unseen"}
    outcomes = {row["outcome"] for row in lazy[0].participation}
    assert (outcomes == {"merged"}) == (not world)


def test_both_engines_leave_the_same_models_and_shares_behind() -> None:
    methods = []
    for engine in ("process", "cohort"):
        scenario = scenario_of(MIXED, UNRELIABLE, {"engine": engine})
        setting = setting_for(scenario)
        method: Any = build_method("fedem", scenario.methods["fedem"], setting)
        ground = build_ground(scenario, setting.federation.terminal_task, setting.tasks, setting.streams)
        netsim.engines.run(ground, method, list(setting.federation.task_names))
        methods.append(method)
    assert methods[0]._cloud.values.tobytes() == methods[1]._cloud.values.tobytes()
    assert methods[0]._shares.values.tobytes() == methods[1]._shares.values.tobytes()


def test_every_message_is_all_models_and_an_e_step_is_a_visit_of_every_row_by_every_model() -> None:
    data = random_federation(6)
    plan, M = Plan(4, 2), 3
    sizes = fedem(data, batch_size=3, components=M).sizes(plan)
    plain = FedAvg(setting_of(data), AveragingParameters(batch_size=3)).sizes(plan)
    assert {sizes.cloud_bits, sizes.broadcast_bits, sizes.update_bits, sizes.aggregate_bits} == {32.0 * 4 * M}
    assert sizes.update_values == 4 * M
    rows = np.diff(data.terminal_offsets)
    assert sizes.samples.tolist() == (M * plain.samples + M * rows).tolist()
    assert sizes.fixed_samples.tolist() == (M * rows).tolist()


def test_shares_of_a_lost_update_are_forgotten() -> None:
    method = fedem(random_federation(4))
    Driver(method, lambda terminal, number: terminal != 5).run(Plan(3, 2), 2)
    shares = shares_of(method)
    np.testing.assert_array_equal(shares[5], 1.0 / 3.0)
    assert np.all(np.ptp(np.delete(shares, 5, axis=0), axis=1) > 0.0)


@pytest.mark.parametrize("loss", ["hinge", "smoothed_hinge", "squared_hinge"])
def test_a_loss_that_is_no_likelihood_is_refused_in_one_line(loss: str) -> None:
    scenario = scenario_of(MIXED, {"learning": {"loss": loss}})
    with pytest.raises(ScenarioError) as refused:
        build_method("fedem", scenario.methods["fedem"], setting_for(scenario))
    expected = "allowed: logistic or squared, as FedEM (methods.fedem) is defined for no other"
    assert str(refused.value) == f"learning.loss = {loss!r}: {expected}"


# What it is for -----------------------------------------------------------------------------------------------

PLANTED: dict[str, Any] = {
    "data": {
        "source": "synthetic_mixture",
        "arguments": {"tasks": 12, "features": 16, "components": 2, "least_rows": 120, "most_rows": 400, "noise": 0.0},
        "split": {"train_fraction": 0.5, "validation_fraction": 0.0, "test_fraction": 0.5},
        "unseen_tasks": 3,
        "standardise": False,
        "bias": False,
    },
    "learning": {"loss": "logistic", "lambda1": 1e-6},
    "terminals": {"per_base_station": 1},
    "budget": {"time_s": 1e6},
}
RULE: dict[str, Any] = {"learning_rate": 1.0, "batch_size": 64, "local_iterations": 4, "bs_iterations": 1}


def trained(key: str, rounds: int, **parameters: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Return a method that has trained on planted mixtures, and its scores."""
    entry = {"methods": {key: RULE | parameters}}
    scenario = scenario_of(PLANTED, entry)
    method: Any = build_method(key, scenario.methods[key], setting_for(scenario))
    driver = Driver(method).run(Plan(RULE["local_iterations"], 1), rounds)
    return method, list(driver.records[-1][1].tasks)


def accuracy_on(split: str, rows: list[dict[str, Any]]) -> float:
    """Return the mean accuracy over tasks."""
    return float(np.mean([row["accuracy"] for row in rows if row["split"] == split]))


def test_planted_mixtures_are_recovered_and_help_on_seen_and_unseen_tasks() -> None:
    from learning.data.mixture import planted_components, planted_shares
    from scenarios.streams import Streams

    method, mixed = trained("fedem", 60, components=2, spread=0.3)
    _, single = trained("fedavg", 60)
    assert accuracy_on("test", mixed) > accuracy_on("test", single) + 0.05
    assert accuracy_on("unseen", mixed) > accuracy_on("unseen", single) + 0.04
    planted, found = planted_components(2, 16, Streams(0)), method._cloud.values[0].reshape(2, 16)
    cosines = found @ planted.T / np.outer(np.linalg.norm(found, axis=1), np.linalg.norm(planted, axis=1))
    order = max(permutations(range(2)), key=lambda order: cosines[list(order), range(2)].sum())
    assert np.all(cosines[list(order), range(2)] > 0.9)
    expected = np.array([planted_shares(task, 2, 0.4, Streams(0)) for task in range(9)])
    assert np.abs(shares_of(method)[:, list(order)] - expected).mean() < 0.15
