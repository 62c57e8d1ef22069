"""Personalised methods: the known vectors, the fixed points, the limiting cases, and what the network sees of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.control.coin import CoinControl, CoinPlan
from learning.control.observation import Observation
from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods import registry
from learning.methods.fedavg import FedAvg
from learning.setting import Setting
from netsim.port import CLOUD
from netsim.port import Observation as Seen
from scenarios.errors import ScenarioError
from scenarios.streams import Streams
from tests.learning import user_modules
from tests.learning.driving import (
    UNRELIABLE,
    Driver,
    cohort_of,
    federation_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
    weights_of,
)
from tests.learning.quadratic import QuadraticModel, quadratic_setting, toy
from tests.learning.softmax import softmax_setting
from tests.learning.test_distortion import NOISY
from tests.learning.test_engines import _assert_engines_agree

Array = NDArray[Any]
TOYS = json.loads((Path(__file__).parents[1] / "data" / "personalised_toys.json").read_text())
PERSONAL = ("apfl", "ditto", "fedavg_finetune", "l2gd", "l2sgd", "permfl", "pfedme")
ALL = (*PERSONAL, "clustered_fl", "soft_sharing")
EVERYTHING = 1000  # a batch of this many rows is all a terminal has
PLAIN = {"learning_rate": 0.1, "pull": "explicit"}


def method_of(setting: Setting, name: str, **parameters: Any) -> Any:
    """Return a fresh method with checked parameters."""
    kind = registry.find(name)
    return kind(setting, registry.parameters(kind, parameters, "methods.x"))


def on_data(name: str, federation: Federation, **parameters: Any) -> Any:
    """Return a fresh method on rows, with the logistic loss and lambda1 = 0.1."""
    return method_of(setting_of(federation, "logistic"), name, **parameters)


def cloud_of(method: Any) -> Array:
    """Settle and return a copy of the cloud's models."""
    method.settle()
    return np.array(method._cloud.values)


# Known vectors ------------------------------------------------------------------------------------------------

KNOWN: dict[str, tuple[dict[str, Any], Plan]] = {
    "fedavg": ({"learning_rate": 0.1}, Plan(2, 1)),
    "fedprox": (PLAIN | {"proximal": 1.0}, Plan(2, 1)),
    "ditto": (PLAIN | {"proximal": 1.0}, Plan(2, 1)),
    "l2sgd": (PLAIN | {"proximal": 1.0}, Plan(2, 1)),
    "apfl": ({"learning_rate": 0.1, "mixture": 0.5}, Plan(2, 1)),
    "pfedme": (
        PLAIN | {"learning_rate": 0.05, "proximal": 2.0, "envelope_rate": 0.1, "inner_iterations": 5},
        Plan(2, 1),
    ),
    "l2gd": ({"learning_rate": 0.1 / 3.0, "proximal": 1.0, "probability": 0.5}, CoinPlan(1, 1, moves=1)),
    "soft_sharing": (PLAIN | {"proximal": 0.5, "graph": "exponential"}, Plan(1, 1)),
}


def state_of(name: str, method: Any) -> Array:
    """Return what the vectors hold: the global model, the terminals' own, or both."""
    if name in ("fedavg", "fedprox"):
        return cloud_of(method)[0]
    own = weights_of(method)
    return own if name in ("l2gd", "soft_sharing") else np.vstack([cloud_of(method), own])


@pytest.mark.parametrize("weighting", ["samples", "equal"])
@pytest.mark.parametrize("name", KNOWN)
def test_models_on_the_quadratic_toy_are_the_known_ones(name: str, weighting: str) -> None:
    parameters, plan = KNOWN[name]
    setting = quadratic_setting(toy(), tasks=6 if name == "soft_sharing" else 1)
    method = method_of(setting, name, weighting=weighting, **parameters)
    driver, done = Driver(method), 0
    for time in (1, 9) if name == "l2gd" else (1, 2, 10):  # L2GD counts tosses: a round of it is a move and a step
        rounds = (time + 1) // 2 if name == "l2gd" else time
        driver.run(plan, rounds - done)
        done = rounds
        if str(time) in TOYS[name]:
            np.testing.assert_allclose(state_of(name, method), TOYS[name][str(time)], rtol=0.0, atol=2e-6)
    if name == "l2gd":  # toss 10 moves them to the mean
        own = weights_of(method)
        moved = own + 0.1 / 3.0 * (cloud_of(method) - own)
        np.testing.assert_allclose(moved, TOYS[name]["10"], rtol=0.0, atol=2e-6)


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "ditto", "l2sgd", "apfl", "pfedme", "soft_sharing"])
def test_models_on_the_quadratic_toy_come_to_rest_where_they_should(name: str) -> None:
    parameters, plan = KNOWN[name]
    method = method_of(quadratic_setting(toy(), tasks=6 if name == "soft_sharing" else 1), name, **parameters)
    Driver(method).run(plan, 350)
    last = "limit" if name == "soft_sharing" else "2000"
    np.testing.assert_allclose(state_of(name, method), TOYS[name][last], rtol=0.0, atol=2e-6)


def permfl(setting: Setting, **parameters: Any) -> Any:
    """Return a fresh PerMFL with plain steps."""
    return method_of(setting, "permfl", **(PLAIN | parameters))


def test_permfl_reaches_the_closed_form_of_its_three_tiers() -> None:
    setting = quadratic_setting(QuadraticModel(np.ones((6, 3)), toy().C), tasks=2)
    rates = {"proximal": 0.5, "team_proximal": 1.5, "team_rate": 0.5, "cloud_rate": 2.0 / 3.0}
    method = permfl(setting, **(rates | {"learning_rate": 0.3}))
    Driver(method).run(Plan(30, 10), 80)
    limit = TOYS["permfl_limit"]
    np.testing.assert_allclose(cloud_of(method)[0], limit["x"], rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(method._sites.values, limit["w"], rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(weights_of(method), limit["theta"], rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("source", ["lambda_fixed", "numpy_spec_float64"])
def test_permfl_does_on_softmax_regression_what_its_authors_code_does(source: str) -> None:
    rates = {"proximal": 0.5, "team_proximal": 1.5, "team_rate": 0.3, "cloud_rate": 0.2}
    method = permfl(softmax_setting(), **rates)
    driver = Driver(method)
    for rounds, time in ((1, "1"), (4, "5")):
        driver.run(Plan(4, 3), rounds)
        known = TOYS["permfl_softmax"][source][time]
        np.testing.assert_allclose(cloud_of(method)[0], known["x"], rtol=0.0, atol=1e-6)
        np.testing.assert_allclose(method._sites.values, known["w"], rtol=0.0, atol=1e-6)
        np.testing.assert_allclose(weights_of(method), np.concatenate(known["theta"]), rtol=0.0, atol=1e-6)


# Fixed points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", ["explicit", "implicit"])
@pytest.mark.parametrize("name", ["ditto", "l2sgd"])
def test_at_rest_the_loss_and_the_pull_are_in_balance(name: str, pull: str) -> None:
    model = toy()
    method = method_of(quadratic_setting(model), name, learning_rate=0.1, proximal=1.0, pull=pull)
    Driver(method).run(Plan(2, 1), 250)
    w, v = cloud_of(method)[0], weights_of(method)
    np.testing.assert_allclose(model.A * (v - model.C) + 1.0 * (v - w), 0.0, atol=1e-12)
    if name == "l2sgd":
        np.testing.assert_allclose(v.mean(axis=0), w, rtol=0.0, atol=1e-12)
    else:
        shares = 1.0 - (1.0 - 0.1 * model.A) ** 2
        np.testing.assert_allclose(w, (shares * model.C).sum(axis=0) / shares.sum(axis=0), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("pull", ["explicit", "implicit"])
@pytest.mark.parametrize("graph", ["complete", "exponential", "ring"])
def test_soft_sharing_solves_its_laplacian_system(graph: str, pull: str) -> None:
    from learning.methods.soft_sharing import weights_of as graph_weights

    model = toy()
    method = method_of(quadratic_setting(model, 6), "soft_sharing", proximal=0.5, graph=graph, pull=pull)
    Driver(method).run(Plan(1, 1), 350)
    weights = graph_weights(graph, 6)  # type: ignore[arg-type]
    laplacian = np.diag(weights.sum(axis=1)) - weights
    wanted = [np.linalg.solve(np.diag(A) + 0.5 * laplacian, A * C) for A, C in zip(model.A.T, model.C.T, strict=True)]
    np.testing.assert_allclose(weights_of(method).T, wanted, rtol=0.0, atol=1e-12)


# Limiting cases: on minibatches of real rows ------------------------------------------------------------------


def local_models(federation: Federation, plan: Plan, rounds: int) -> Array:
    """Return the models of purely local training."""
    method = on_data("local", federation)
    for _ in range(rounds * plan.bs_iterations):
        cohort = cohort_of(federation, range(3))
        method.merge(cohort, method.train(cohort, plan), np.full(len(cohort.terminals), True))
    return weights_of(method)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ditto", {"proximal": 0.0}),
        ("l2sgd", {"proximal": 0.0}),
        ("l2gd", {"proximal": 0.0}),
        ("apfl", {"mixture": 1.0}),
    ],
)
def test_without_a_pull_personal_models_are_those_of_local_training(name: str, parameters: dict[str, Any]) -> None:
    federation, plan = random_federation(1), Plan(7, 2)
    method = on_data(name, federation, **parameters)
    Driver(method).run(plan, 4)
    np.testing.assert_allclose(weights_of(method), local_models(federation, plan, 4), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ditto", {"proximal": 0.7}),
        ("apfl", {"mixture": 0.0}),
        ("apfl", {"mixture": 0.6}),
        ("fedavg_finetune", {}),
        ("clustered_fl", {"mean_threshold": 0.0}),
        ("l2gd", {"probability": 0.5, "proximal": 10.0}),
    ],
)
@pytest.mark.parametrize("weighting", ["samples", "equal"])
def test_the_global_model_is_that_of_fedavg(name: str, parameters: dict[str, Any], weighting: str) -> None:
    federation = random_federation(2)
    methods = [on_data(n, federation, weighting=weighting, **p) for n, p in (("fedavg", {}), (name, parameters))]
    for method in methods:
        Driver(method, lambda terminal, number: (terminal + number) % 4 > 0).run(Plan(5, 2), 3)
    expected, found = (cloud_of(method) for method in methods)
    np.testing.assert_allclose(found, np.tile(expected, (len(found), 1)), rtol=0.0, atol=1e-12)
    assert np.abs(expected).max() > 0.1


def test_a_huge_pull_of_ditto_holds_personal_models_at_the_global_one() -> None:
    federation = random_federation(3)
    method = on_data("ditto", federation, proximal=1e12)
    driver = Driver(method).run(Plan(5, 1), 3)
    received = cloud_of(method)[0]
    driver.run(Plan(5, 1), 1)
    np.testing.assert_allclose(weights_of(method), np.tile(received, (9, 1)), rtol=0.0, atol=1e-8)
    assert np.abs(received).max() > 0.1


def test_a_huge_pull_towards_the_mean_keeps_everybody_at_the_start() -> None:
    method = on_data("l2sgd", random_federation(3), proximal=1e12)
    method._private.values[:] = method._sites.values[:] = method._cloud.values[:] = np.arange(4.0)
    Driver(method).run(Plan(5, 2), 3)
    np.testing.assert_allclose(weights_of(method), np.tile(np.arange(4.0), (9, 1)), rtol=0.0, atol=1e-8)


def test_a_huge_pull_of_soft_sharing_brings_all_tasks_together() -> None:
    federation = random_federation(3)
    apart, joined = (on_data("soft_sharing", federation, proximal=p) for p in (0.0, 1e11))
    Driver(apart).run(Plan(5, 1), 3)
    joined._sites.values[:] = joined._cloud.values[:] = weights_of(apart)
    Driver(joined).run(Plan(1, 1), 60)
    spread = np.ptp(weights_of(joined), axis=0)
    assert spread.max() < 1e-8 < 0.1 < np.ptp(weights_of(apart), axis=0).max()


def test_without_a_coupling_soft_sharing_is_fedavg_within_each_task() -> None:
    federation = random_federation(4)
    method = on_data("soft_sharing", federation, proximal=0.0, batch_size=EVERYTHING)
    Driver(method).run(Plan(4, 2), 3)
    ends = np.cumsum(federation.task_samples)
    for b in range(3):
        rows = slice(ends[b] - federation.task_samples[b], ends[b])
        sizes = np.diff(federation.terminal_offsets)[3 * b : 3 * b + 3].tolist()
        alone = on_data(
            "fedavg", federation_of(federation.X[rows], federation.y[rows], sizes, 1), batch_size=EVERYTHING
        )
        Driver(alone).run(Plan(4, 2), 3)
        np.testing.assert_allclose(weights_of(method)[b], cloud_of(alone)[0], rtol=0.0, atol=1e-12)


def test_on_a_complete_graph_of_lone_terminals_soft_sharing_is_mean_regularisation() -> None:
    common = PLAIN | {"proximal": 0.8}
    soft = method_of(quadratic_setting(toy(), 6), "soft_sharing", **common)
    mean = method_of(quadratic_setting(toy(), 1), "l2sgd", **common)
    for method in (soft, mean):
        Driver(method).run(Plan(1, 1), 12)
    np.testing.assert_allclose(weights_of(soft), weights_of(mean), rtol=0.0, atol=1e-12)


def test_pfedme_that_moves_once_and_all_the_way_is_fedprox() -> None:
    federation = random_federation(5)
    prox = on_data("fedprox", federation, proximal=0.8)
    envelope = on_data("pfedme", federation, proximal=0.8, envelope_rate=1.25, inner_iterations=5)
    Driver(prox).run(Plan(5, 2), 3)
    Driver(envelope).run(Plan(1, 2), 3)
    np.testing.assert_allclose(cloud_of(envelope), cloud_of(prox), rtol=0.0, atol=1e-12)


def test_a_round_of_pfedme_goes_on_through_the_rows_where_it_stopped() -> None:
    federation = random_federation(5, tasks=1, terminals=1, rows=40)
    method = on_data("pfedme", federation, proximal=1e-12, envelope_rate=1e12, inner_iterations=3)
    Driver(method).run(Plan(4, 1), 1)  # without a pull, moves all the way are one descent of 12 steps
    np.testing.assert_allclose(cloud_of(method), weights_of(_run("fedavg", federation, Plan(12, 1)))[:1], atol=1e-10)


def _run(name: str, federation: Federation, plan: Plan, **parameters: Any) -> Any:
    return Driver(on_data(name, federation, **parameters)).run(plan, 1).method


def test_permfl_whose_cloud_takes_the_mean_of_single_iterations_is_pfedme_that_moves_once() -> None:
    federation = random_federation(6)
    tiers = on_data("permfl", federation, proximal=0.5, team_proximal=1.25, cloud_rate=0.8, team_rate=0.4)
    envelope = on_data("pfedme", federation, proximal=0.5, envelope_rate=0.4, inner_iterations=6)
    Driver(tiers).run(Plan(6, 1), 4)
    Driver(envelope).run(Plan(1, 1), 4)
    np.testing.assert_allclose(cloud_of(tiers), cloud_of(envelope), rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(weights_of(tiers), weights_of(envelope), rtol=0.0, atol=1e-12)


def test_permfl_with_weak_ties_lets_terminals_and_teams_go_their_own_ways() -> None:
    federation = random_federation(6)
    loose = on_data("permfl", federation, proximal=0.0, batch_size=EVERYTHING)
    Driver(loose).run(Plan(6, 1), 1)
    np.testing.assert_allclose(weights_of(loose), local_models_at_once(federation, 6), rtol=0.0, atol=1e-12)
    teams = on_data("permfl", federation, team_proximal=0.0, proximal=0.5, team_rate=2.0)
    team_alone = on_data("fedprox", federation, proximal=0.5)
    for method in (teams, team_alone):
        Driver(method).run(Plan(3, 5), 1)
    np.testing.assert_allclose(teams._sites.values, team_alone._sites.values, rtol=0.0, atol=1e-12)
    assert np.all(cloud_of(teams) == 0.0)


def local_models_at_once(federation: Federation, steps: int) -> Array:
    """Return the models of so many full local steps."""
    method = on_data("local", federation, batch_size=EVERYTHING)
    cohort = cohort_of(federation, range(3))
    method.merge(cohort, method.train(cohort, Plan(steps, 1)), np.full(9, True))
    return weights_of(method)


def test_fine_tuned_models_are_local_steps_away_from_the_global_one() -> None:
    federation = random_federation(7)
    none = on_data("fedavg_finetune", federation, tuning_epochs=0)
    Driver(none).run(Plan(5, 1), 3)
    np.testing.assert_array_equal(weights_of(none), np.tile(cloud_of(none), (9, 1)))
    tuned = on_data("fedavg_finetune", federation, tuning_epochs=6, batch_size=EVERYTHING)
    Driver(tuned).run(Plan(5, 1), 3)
    start = on_data("local", federation, batch_size=EVERYTHING)
    start._models.values[:] = cloud_of(tuned)
    cohort = cohort_of(federation, range(3))
    start.merge(cohort, start.train(cohort, Plan(6, 1)), np.full(9, True))
    np.testing.assert_allclose(weights_of(tuned), weights_of(start), rtol=0.0, atol=1e-12)


# Clusters -----------------------------------------------------------------------------------------------------


def test_tasks_that_want_opposite_things_part_and_each_cluster_finds_its_own_optimum() -> None:
    C = np.array([[1.0, 0.2], [1.1, -0.2], [0.9, 0.1], [-1.0, 0.1], [-1.1, -0.1], [-0.9, 0.0]])
    method = method_of(quadratic_setting(QuadraticModel(np.ones((6, 2)), C), 6), "clustered_fl", norm_threshold=0.5)
    Driver(method).run(Plan(3, 1), 1)
    assert method.clusters().tolist() == [1, 1, 1, 0, 0, 0] or method.clusters().tolist() == [0, 0, 0, 1, 1, 1]
    Driver(method).run(Plan(3, 1), 80)
    means = np.repeat([C[:3].mean(axis=0), C[3:].mean(axis=0)], 3, axis=0)
    np.testing.assert_allclose(weights_of(method), means, rtol=0.0, atol=1e-9)
    assert len(np.unique(method.clusters())) == 2


@pytest.mark.parametrize(
    ("parameters", "clusters"),
    [
        ({"mean_threshold": 0.2, "norm_threshold": 0.99}, 2),
        ({"mean_threshold": 1e-3, "norm_threshold": 0.3}, 1),
        ({"mean_threshold": 0.2, "norm_threshold": 0.99, "relative": False}, 1),
        ({"mean_threshold": 0.2, "norm_threshold": 0.2, "relative": False}, 2),
    ],
)
def test_thresholds_are_shares_of_the_first_updates_or_norms(parameters: dict[str, Any], clusters: int) -> None:
    C = np.array([[1.0, 0.2], [1.3, -0.2], [-1.0, 0.1], [-1.1, -0.1]])
    method = method_of(quadratic_setting(QuadraticModel(np.ones((4, 2)), C), 4), "clustered_fl", **parameters)
    Driver(method).run(Plan(3, 1), 1)
    assert len(np.unique(method.clusters())) == clusters


# What all of them have in common ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PERSONAL)
def test_permuting_the_terminals_permutes_their_models(name: str) -> None:
    federation = random_federation(8)
    order, cuts = np.array([2, 0, 1, 5, 4, 3, 6, 8, 7]), federation.terminal_offsets
    rows = np.concatenate([np.arange(cuts[j], cuts[j + 1]) for j in order])
    other = federation_of(federation.X[rows], federation.y[rows], np.diff(cuts)[order].tolist(), 3)
    first, second = (on_data(name, data, batch_size=EVERYTHING) for data in (federation, other))
    for method in (first, second):
        Driver(method).run(Plan(4, 2), 3)
    np.testing.assert_allclose(weights_of(second), weights_of(first)[order], rtol=0.0, atol=1e-12)
    assert np.ptp(weights_of(first), axis=0).max() > 0.05


@pytest.mark.parametrize("name", ["apfl", "ditto", "l2gd", "l2sgd", "permfl", "pfedme"])
def test_a_terminal_whose_update_is_lost_goes_on_from_what_it_had(name: str) -> None:
    federation = random_federation(9)
    method = on_data(name, federation)
    Driver(method).run(Plan(4, 1), 2)
    before = weights_of(method)
    Driver(method, lambda terminal, number: terminal % 2 == 0).run(Plan(4, 1), 1)
    changed = np.any(weights_of(method) != before, axis=1)
    assert changed.tolist() == [terminal % 2 == 0 for terminal in range(9)]


@pytest.mark.parametrize("weighting", ["samples", "equal"])
def test_the_mean_of_l2sgd_moves_by_the_share_that_was_heard(weighting: str) -> None:
    federation = random_federation(9)
    method = on_data("l2sgd", federation, weighting=weighting)
    Driver(method).run(Plan(4, 1), 2)
    before, heard = cloud_of(method)[0], np.arange(9) % 4 > 0
    Driver(method, lambda terminal, number: bool(heard[terminal])).run(Plan(4, 1), 1)
    rows = np.diff(federation.terminal_offsets)
    weights = (rows if weighting == "samples" else np.ones(9))[:, None]
    moves = (weights * (weights_of(method) - before))[heard].sum(axis=0) / weights.sum()
    np.testing.assert_allclose(cloud_of(method)[0], before + moves, rtol=0.0, atol=1e-13)


def test_a_run_of_moves_of_l2gd_is_as_many_moves_towards_the_same_mean() -> None:
    model = toy()
    method = method_of(quadratic_setting(model), "l2gd", proximal=0.4, probability=0.5)
    driver = Driver(method).run(CoinPlan(2, 1, moves=1), 3)
    own, mean = weights_of(method), cloud_of(method)[0]
    driver.run(CoinPlan(1, 1, moves=3), 1)
    for _ in range(3):
        own = own + 0.1 * 0.4 * (mean - own)
    np.testing.assert_allclose(weights_of(method), own - 0.1 * model.A * (own - model.C), rtol=0.0, atol=1e-14)


def test_a_relaxed_base_station_of_pfedme_goes_a_share_of_the_way_to_the_mean() -> None:
    federation = random_federation(9)
    methods = [on_data("pfedme", federation, relaxation=beta) for beta in (1.0, 0.3)]
    for method in methods:
        method._sites.values[:] = method._cloud.values[:] = np.arange(4.0)
        Driver(method, lambda terminal, number: terminal != 4).run(Plan(4, 1), 1)
    whole, part = (cloud_of(method)[0] - np.arange(4.0) for method in methods)
    np.testing.assert_allclose(part, 0.3 * whole, rtol=0.0, atol=1e-13)
    assert np.abs(whole).max() > 0.1


@pytest.mark.parametrize("name", ALL)
def test_base_stations_may_act_together_or_in_turn(name: str) -> None:
    federation = random_federation(10)
    found = []
    for together in (True, False):
        method = on_data(name, federation)
        Driver(method, lambda terminal, number: (terminal + number) % 3 > 0, together=together).run(Plan(4, 2), 3)
        found.append(weights_of(method))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("name", ALL)
def test_a_torch_module_is_trained_like_the_linear_model(name: str) -> None:
    federation, found = random_federation(11), []
    for module in (None, user_modules.linear):
        setting = setting_of(federation, "logistic", module=module)
        object.__setattr__(setting.model, "initial", lambda streams: np.zeros(4))  # where the linear model starts
        found.append(weights_of(Driver(method_of(setting, name)).run(Plan(3, 2), 2).method))
    np.testing.assert_allclose(found[1], found[0], rtol=0.0, atol=1e-12)


EFFORTS: dict[str, tuple[dict[str, Any], Callable[[FedAvg, int], Array]]] = {
    "ditto": ({"personal_iterations": 3}, lambda m, H: m._descent.visits(H) + m._descent.visits(3)),
    "apfl": ({}, lambda m, H: 2 * m._descent.visits(H)),
    "pfedme": ({"inner_iterations": 6}, lambda m, H: m._descent.visits(6 * H)),
    "l2sgd": ({}, lambda m, H: m._descent.visits(H)),
    "l2gd": ({}, lambda m, H: m._descent.visits(H)),
    "permfl": ({}, lambda m, H: m._descent.visits(H)),
    "fedavg_finetune": ({}, lambda m, H: m._descent.visits(H)),
    "clustered_fl": ({}, lambda m, H: m._descent.visits(H)),
    "soft_sharing": ({}, lambda m, H: m._descent.visits(H)),
}


@pytest.mark.parametrize("name", EFFORTS)
def test_every_step_is_charged_and_every_message_is_one_model(name: str) -> None:
    parameters, visits = EFFORTS[name]
    method = on_data(name, random_federation(12), **parameters)
    sizes = method.sizes(Plan(5, 2))
    assert sizes.samples.tolist() == visits(method, 5).tolist() and min(sizes.samples) >= 1.0
    assert {sizes.cloud_bits, sizes.update_bits, sizes.aggregate_bits} == {4 * 32.0}
    assert sizes.broadcast_bits == (8 * 32.0 if name == "soft_sharing" else 4 * 32.0)
    assert sizes.update_values == 4 and sizes.fixed_samples.tolist() == [0.0] * 9


def test_scores_of_personal_models_are_means_over_the_terminals_of_a_task() -> None:
    federation = random_federation(13)
    method = on_data("ditto", federation, proximal=0.01)
    driver = Driver(method).run(Plan(6, 1), 4)
    own = weights_of(method)
    (measured,) = [m for node, m in driver.records[-1:] if node == CLOUD]
    rows = {row["task"]: row["accuracy"] for row in measured.tasks if row["split"] == "test"}
    for b, name in enumerate(federation.task_names):
        cut = federation.test.task_offsets[b : b + 2]
        X, y = federation.test.X[cut[0] : cut[1]], federation.test.y[cut[0] : cut[1]]
        right = [np.mean(np.sign(X @ w) == y) for w in own[3 * b : 3 * b + 3]]
        assert rows[name] == pytest.approx(np.mean(right), abs=1e-12)


# In the network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_in_an_unreliable_network_deferred_results_are_those_of_at_once(name: str) -> None:
    scenario = scenario_of(UNRELIABLE, {"methods": {name: {}}, "budget": {"cost": 400}})
    (late, method), (early, other) = (simulated(scenario, name, eager=eager) for eager in (False, True))
    assert fingerprint(late) == fingerprint(early)
    np.testing.assert_array_equal(weights_of(method), weights_of(other))
    outcomes = {row["outcome"] for row in late.participation}
    assert "merged" in outcomes and len(outcomes) > 1
    assert np.any(weights_of(method) != 0.0)


@pytest.mark.parametrize("change", [{}, UNRELIABLE], ids=["steady", "unreliable"])
@pytest.mark.parametrize("name", ALL)
def test_both_engines_leave_the_same_models_behind(name: str, change: dict[str, Any]) -> None:
    _assert_engines_agree(name, change, {"methods": {name: {}}, "budget": {"cost": 300}})


@pytest.mark.parametrize("name", ALL)
def test_updates_may_be_summed_by_the_air(name: str) -> None:
    result, method = simulated(scenario_of(NOISY, {"methods": {name: {"cloud_rounds": 3}}}), name)
    assert np.all(np.isfinite(weights_of(method))) and len(result.rounds) > 3


# Parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("permfl", {"team_rate": 0.7}, r"allowed: team_rate x \(proximal \+ team_proximal\) of at most 1$"),
        ("permfl", {"cloud_rate": 1.5}, r"allowed: cloud_rate x team_proximal of at most 1$"),
        ("l2gd", {"proximal": 30.0}, r"allowed: learning_rate x proximal x .* of at most 1$"),
        ("apfl", {"mixture": 1.1}, r"^methods\.x\.mixture = 1\.1: allowed: less than or equal to 1$"),
        ("ditto", {"pull": "hard"}, r"'implicit' or 'explicit'"),
        ("soft_sharing", {"graph": "star"}, r"'complete', 'exponential' or 'ring'"),
    ],
)
def test_a_choice_that_cannot_work_is_refused_in_one_line(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        registry.parameters(registry.find(name), given, "methods.x")
    assert "\n" not in str(refused.value)


def test_runs_of_the_coin_are_geometric_and_the_same_for_everybody() -> None:
    seen: list[Observation] = [Seen(number, 9, 3) for number in range(4000)]
    control = CoinControl(0.25, Streams(0), 2, 4000)
    plans: list[Any] = [control.plan(each) for each in seen]
    assert np.mean([plan.local_iterations for plan in plans]) == pytest.approx(4.0, rel=0.05)
    assert np.mean([plan.moves for plan in plans]) == pytest.approx(4.0 / 3.0, rel=0.05)
    assert min(plan.local_iterations for plan in plans) == min(plan.moves for plan in plans) == 1
    assert control.plan(seen[7]) == plans[7] and {plan.bs_iterations for plan in plans} == {2}
    assert control.plan(Seen(4000, 9, 3)) is None
