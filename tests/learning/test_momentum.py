"""Momentum and weight decay: the published vectors, torch's optimiser, what terminals keep, what changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning import trunks
from learning.build import build_method
from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods import registry
from learning.mixtures import Mixture
from learning.models import starts
from learning.primal_dual import reference_solver
from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.losses import make_loss
from learning.setting import Setting
from netsim.port import Late
from scenarios.errors import ScenarioError
from scenarios.streams import Streams
from tests.learning import user_modules
from tests.learning.driving import (
    UNRELIABLE,
    Driver,
    cohort_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_for,
    setting_of,
    simulated,
    weights_of,
)
from tests.learning.mixture_toy import DECAYED, HEAVY, REFERENCE, ROUNDS, components, held_out_scores, toy_federation
from tests.learning.sharing import shared_setting
from tests.learning.test_distortion import NOISY
from tests.learning.test_engines import _assert_engines_agree
from tests.learning.test_late_updates import CARRY
from tests.learning.test_methods_dfedem import together

Array = NDArray[Any]
EVERYTHING = 1000  # a batch of this many rows is all a terminal has
OFFERED = (
    *("fedavg", "fedprox", "fedavg_finetune", "clustered_fl", "fedem", "local"),
    *("gossip", "dfedem", "edge_gossip", "edge_fedem"),
)
FROM_REST = ("fedrep", "fedper")  # in every round
KEEPING: dict[str, Any] = {"momentum": 0.9, "momentum_across_rounds": True}


def method_of(setting: Setting, name: str, **parameters: Any) -> Any:
    """Return a fresh method with checked parameters."""
    kind = registry.find(name)
    return kind(setting, registry.parameters(kind, parameters, f"methods.{name}"))


# The reference ------------------------------------------------------------------------------------------------

PULL = {"proximal": 1.0, "pull": "explicit"}
ALONE: dict[str, tuple[str, dict[str, Any], float]] = {
    "fedavg_sgdm": ("fedavg", HEAVY, 1e-15),
    "fedprox_mu1": ("fedprox", PULL | DECAYED, 1e-15),
    "pfedme_mu1": ("l2sgd", PULL, 5e-4),  # it offers no weight decay; a ridge is the same descent
}


@pytest.mark.parametrize("key", ALONE)
def test_models_are_those_of_the_reference(key: str) -> None:
    name, parameters, ridge = ALONE[key]
    method = method_of(setting_of(toy_federation(), "logistic", ridge), name, batch_size=EVERYTHING, **parameters)
    mixture = Mixture(method.setting.model, method.setting.loss, 1)
    method._cloud.values[0] = components()[:5]
    if name == "l2sgd":
        method._private.values[:] = components()[:5]
    driver, one = Driver(method), np.ones((4, 1))
    for number in range(1, 21):
        driver.cloud_round(Plan(1, 1))
        if number in ROUNDS:
            method.settle()
            world, expected = method._cloud.values, REFERENCE[key][str(number)]
            np.testing.assert_allclose(world, expected["glob"], atol=2e-6)
            own = np.tile(world, (3, 1)) if name != "l2sgd" else weights_of(method)
            if name == "l2sgd":
                np.testing.assert_allclose(own[:, None], expected["cl"], atol=2e-6)
            scores = held_out_scores(mixture, np.hstack([np.vstack([own, world]), one]), (1, 2, 3, 4))
            np.testing.assert_allclose(scores, expected["eval"] + expected["test_eval"], atol=2e-6)


# torch's optimiser --------------------------------------------------------------------------------------------


def torch_twin(setting: Setting, start: Array) -> torch.nn.Module:
    """Return a module of its own with the (P,) parameters a terminal starts from."""
    features = setting.federation.X.shape[1]
    linear = setting.model.linear
    module = (user_modules.linear if linear else user_modules.perceptron)(features).double()
    torch.nn.utils.vector_to_parameters(torch.as_tensor(start.copy()), module.parameters())
    return module


def torch_rounds(method: Any, rounds: int, steps: int) -> Array:
    """Return the (P,) model that ``torch.optim.SGD`` trains on the one terminal's minibatches of a method."""
    setting, p = method.setting, method.parameters
    module = torch_twin(setting, weights_of(method)[0])
    data, key = setting.federation, setting.streams.key("local rows")
    X, y, offsets = (torch.as_tensor(each) for each in (data.X, data.y, data.terminal_offsets))
    rows, one, none = reference_solver.Rows(X, y, offsets), np.ones(1, np.int64), np.zeros((1, 1))
    kwargs = {"momentum": p.momentum, "weight_decay": p.weight_decay}
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0, **kwargs)
    for number in range(rounds):
        if not p.momentum_across_rounds:
            optimiser = torch.optim.SGD(module.parameters(), lr=1.0, **kwargs)
        optimiser.param_groups[0]["lr"] = p.learning_rate / (1.0 + p.decay * number)
        jobs = SgdJobs(0 * one, none, none, steps * one, 1.0 * one, number * one, key, p.batch_size)
        for batch in reference_solver.minibatches(rows, jobs):
            chosen = batch.chosen[0][batch.weights[0] > 0]
            optimiser.zero_grad()
            torch.nn.functional.softplus(-y[chosen] * module(X[chosen])[:, 0]).mean().backward()
            optimiser.step()
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["fedavg", "fedprox", "local"]),
    nonlinear=st.booleans(),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    weight_decay=st.sampled_from([0.0, 0.01, 0.3]),
    lasts=st.booleans(),
    batch=st.sampled_from([1, 3, EVERYTHING]),
    decay=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 10**6),
)
def test_a_single_terminal_does_what_the_optimiser_of_torch_does(
    name: str, nonlinear: bool, momentum: float, weight_decay: float, lasts: bool, batch: int, decay: float, seed: int
) -> None:
    data = random_federation(seed, tasks=1, terminals=1, rows=12)
    setting = setting_of(data, "logistic", 1e-30, 0.0, module=user_modules.perceptron if nonlinear else None)
    given_: dict[str, Any] = {"momentum": momentum, "weight_decay": weight_decay, "momentum_across_rounds": lasts}
    given_ |= {"proximal": 0.0} if name == "fedprox" else {}
    method = method_of(setting, name, batch_size=batch, decay=decay, **given_)
    expected = torch_rounds(method, rounds=4, steps=5)
    found = Driver(method).run(Plan(5, 1), 4).models()[0]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
    assert np.any(found != setting.model.initial(Streams(0)))


# Closed forms -------------------------------------------------------------------------------------------------


def slope(data: Federation, w: Array, ridge: float) -> Array:
    """Return the gradient of mean logistic loss + ridge / 2 ||w||^2."""
    return data.X.T @ make_loss("logistic").derivative(data.X @ w, data.y) / len(data.y) + ridge * w


@pytest.mark.parametrize("lasts", [False, True])
def test_one_full_step_of_everybody_is_a_heavy_ball_on_all_rows_if_momentum_lasts_and_gradient_descent_if_not(
    lasts: bool,
) -> None:
    data = random_federation(1)
    given_ = {"momentum": 0.8, "momentum_across_rounds": lasts, "weight_decay": 0.05}
    method = method_of(setting_of(data, "logistic", 0.1), "fedavg", batch_size=EVERYTHING, **given_)
    w, v = np.zeros(4), np.zeros(4)
    for _ in range(25):
        v = 0.8 * v * lasts + slope(data, w, 0.15)
        w = w - 0.1 * v
    found = Driver(method).run(Plan(1, 1), 25).models()
    np.testing.assert_allclose(found, np.tile(w, (3, 1)), atol=1e-12)


@pytest.mark.parametrize("pull", ["implicit", "explicit"])
def test_a_pull_is_a_part_of_what_momentum_builds_up_and_an_implicit_one_shortens_the_steps(pull: str) -> None:
    data, mu = random_federation(1, tasks=1, terminals=1), 3.0
    given_ = {"proximal": mu, "pull": pull, "momentum": 0.8, "batch_size": EVERYTHING}
    method = method_of(setting_of(data, "logistic", 0.1), "fedprox", **given_)
    w, rate = np.zeros(4), 0.1 / (1.0 + 0.1 * mu) if pull == "implicit" else 0.1
    for _ in range(6):
        received, v = w, np.zeros(4)
        for _ in range(5):
            v = 0.8 * v + slope(data, w, 0.1) + mu * (w - received)
            w = w - rate * v
    np.testing.assert_allclose(Driver(method).run(Plan(5, 1), 6).models()[0], w, atol=1e-12)


def test_components_of_a_mixture_each_have_a_momentum_of_their_own() -> None:
    data, M = random_federation(2, tasks=1, terminals=1), 3
    method = method_of(setting_of(data, "logistic", 1e-30), "fedem", batch_size=EVERYTHING, components=M, **KEEPING)
    theta, shares, v = method._cloud.values[0].reshape(M, 4).copy(), np.full(M, 1.0 / M), np.zeros((M, 4))
    loss = make_loss("logistic")
    for _ in range(8):
        joint = shares * np.exp(-loss.value(data.X @ theta.T, data.y[:, None]))
        q = joint / joint.sum(axis=1, keepdims=True)
        shares = q.mean(axis=0)
        v = 0.9 * v + (q * loss.derivative(data.X @ theta.T, data.y[:, None])).T @ data.X / len(data.y)
        theta = theta - 0.1 * v
    found = Driver(method).run(Plan(1, 1), 8).models()[0].reshape(M, 4)
    np.testing.assert_allclose(found, theta, atol=1e-12)
    np.testing.assert_allclose(method._velocities.values[0].reshape(M, 4), v, atol=1e-12)


@pytest.mark.parametrize("name", ["fedavg", "local"])
def test_weight_decay_descends_like_a_ridge_and_is_no_part_of_the_objective(name: str) -> None:
    data = random_federation(3)
    setting = setting_of(data, "logistic", 0.125, 0.0)
    decayed = Driver(method_of(setting, name, weight_decay=0.125)).run(Plan(3, 2), 4)
    ridged = Driver(method_of(setting_of(data, "logistic", 0.25, 0.0), name)).run(Plan(3, 2), 4)
    assert decayed.models().tobytes() == ridged.models().tobytes()
    if name == "fedavg":
        one, other = (driver.cloud_scalars()[-1]["objective"] for driver in (decayed, ridged))
        ridge = setting.tasks * 0.125 / 2.0 * float((decayed.models()[0] ** 2).sum())
        assert one == pytest.approx(other - ridge, rel=1e-12)


# Solvers ------------------------------------------------------------------------------------------------------


def jobs_on(setting: Setting, seed: int, start: Array | None = None) -> SgdJobs:
    """Return jobs of unequal lengths for all terminals, with velocities to go on with."""
    rng, T = np.random.default_rng(seed), setting.terminals
    w = rng.normal(size=(T, setting.model.size)) if start is None else start
    numbers = (np.full(T, 7), rng.uniform(0.01, 0.1, T), rng.integers(0, 99, T))
    heavy: dict[str, Any] = {"momentum": 0.9, "velocity": rng.normal(size=w.shape)}
    return SgdJobs(rng.permutation(T), w, w.copy(), *numbers, Streams(1).key("x"), 3, 0.1, 0.2, **heavy)


@pytest.mark.parametrize("kind", ["linear", "torch", "trunk and head"])
def test_a_round_in_pieces_that_hand_the_velocity_on_is_the_round_at_once(kind: str) -> None:
    data = random_federation(4)
    module = user_modules.perceptron if kind == "torch" else None
    setting = setting_of(data, "logistic", module=module)
    if kind == "trunk and head":
        setting = shared_setting(data, "logistic", trunks.mlp, width=3)
    start = None if kind == "linear" else starts(setting.model, Streams(0), data.terminal_task)
    whole, parts = jobs_on(setting, 5, start), jobs_on(setting, 5, start)
    expected = setting.model.descend(whole)
    half = setting.model.descend(replace(parts, steps=np.full(9, 3)))
    found = setting.model.descend(replace(parts, w=half, steps=np.full(9, 4), before=3))
    assert whole.velocity is not None and parts.velocity is not None
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-13)
    np.testing.assert_allclose(parts.velocity, whole.velocity, rtol=0.0, atol=1e-13)
    plain = setting.model.descend(replace(whole, momentum=0.0, velocity=None))
    assert np.abs(plain - expected).max() > 0.01


def test_a_terminal_does_the_same_whoever_works_beside_it() -> None:
    setting = setting_of(random_federation(6), "logistic")
    jobs = jobs_on(setting, 7)
    assert jobs.velocity is not None
    alone, fields = jobs.velocity.copy(), ("terminals", "w", "anchor", "steps", "learning_rate", "rounds")
    together = setting.model.descend(jobs)
    for t in range(9):
        one = replace(jobs, velocity=alone[t : t + 1], **{name: getattr(jobs, name)[t : t + 1] for name in fields})
        np.testing.assert_array_equal(setting.model.descend(one)[0], together[t])
    np.testing.assert_array_equal(alone, jobs.velocity)


def test_jobs_with_momentum_need_velocities() -> None:
    zero, w, one = np.zeros(1, int), np.zeros((1, 3)), np.ones(1)
    with pytest.raises(ValueError, match="momentum without velocity"):
        SgdJobs(zero, w, w, zero, one, zero, (0, 0), 1, momentum=0.5)
    with pytest.raises(ValueError, match="velocity has shape"):
        SgdJobs(zero, w, w, zero, one, zero, (0, 0), 1, momentum=0.5, velocity=np.zeros((2, 3)))


# What terminals keep ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OFFERED)
def test_nothing_is_kept_unless_momentum_lasts_and_then_nothing_more_is_sent(name: str) -> None:
    data, plan = random_federation(4), Plan(2, 1)
    kinds = ({"momentum_across_rounds": True}, {"momentum": 0.9}, KEEPING)
    idle, restarting, keeping = (method_of(setting_of(data, "logistic"), name, **each) for each in kinds)
    plain = method_of(setting_of(data, "logistic"), name)
    assert idle._velocities is None and restarting._velocities is None
    assert keeping._velocities.values.shape == (9, 12 if "fedem" in name else 4)
    for method in (idle, restarting, keeping):
        for field in ("cloud_bits", "broadcast_bits", "update_bits", "aggregate_bits", "update_values"):
            assert getattr(method.sizes(plan), field) == getattr(plain.sizes(plan), field)
        assert method.sizes(plan).samples.tolist() == plain.sizes(plan).samples.tolist()
        assert method.models()[0].values.shape == plain.models()[0].values.shape


@pytest.mark.parametrize("name", ["fedavg", "fedem", "local"])
def test_without_momentum_that_it_should_last_changes_no_bit(name: str) -> None:
    data = random_federation(5)
    found = [
        Driver(method_of(setting_of(data, "logistic"), name, **each)).run(Plan(4, 2), 3).models().tobytes()
        for each in ({}, {"momentum": 0.0, "momentum_across_rounds": True, "weight_decay": 0.0}, KEEPING)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("name", ["fedavg", "fedem", "local"])
def test_the_velocity_of_a_lost_update_is_forgotten(name: str) -> None:
    method = method_of(setting_of(random_federation(4), "logistic"), name, **KEEPING)
    Driver(method, lambda terminal, number: terminal != 5 and (terminal, number) != (3, 1)).run(Plan(3, 1), 1)
    first = method._velocities.values.copy()
    assert not first[5].any() and np.delete(first, 5, axis=0).any(axis=1).all()
    Driver(method, lambda terminal, number: terminal != 3).run(Plan(3, 1), 1)
    changed = (method._velocities.values != first).any(axis=1)
    assert changed.tolist() == [terminal != 3 for terminal in range(9)]


def test_a_late_update_brings_its_velocity_with_it() -> None:
    setting = setting_of(random_federation(4, tasks=1), "logistic")
    method = method_of(setting, "fedavg", **KEEPING)
    everybody, plan = cohort_of(setting.federation, [0]), Plan(2, 1)
    work, some = method.train(everybody, plan), np.array([True, False, True])
    method.merge(everybody, work, some)
    again = method.train(everybody, plan)
    method.merge(everybody, again, some, late=[Late(everybody, work, ~some, 1)])
    method.settle()
    np.testing.assert_array_equal(method._velocities.values[some], again.value[some, 4:])
    np.testing.assert_array_equal(method._velocities.values[1], work.value[1, 4:])
    assert work.value[1, 4:].any()


def test_permuting_the_terminals_permutes_models_and_velocities() -> None:
    data, order = random_federation(6, tasks=1, terminals=5), np.array([3, 0, 4, 1, 2])
    cuts = data.terminal_offsets
    rows = np.concatenate([np.arange(cuts[t], cuts[t + 1]) for t in order])
    offsets = np.concatenate([[0], np.cumsum(np.diff(cuts)[order])])
    moved = replace(data, X=data.X[rows], y=data.y[rows], terminal_offsets=offsets)
    methods = [
        method_of(setting_of(each, "logistic"), "local", batch_size=EVERYTHING, **KEEPING) for each in (data, moved)
    ]
    one, other = (Driver(method).run(Plan(4, 1), 3).models() for method in methods)
    np.testing.assert_array_equal(one[order], other)
    np.testing.assert_array_equal(methods[0]._velocities.values[order], methods[1]._velocities.values)


# In the network -----------------------------------------------------------------------------------------------

GRAPH: dict[str, Any] = {
    "network": {
        "propagation": {"log_distance": {"reference_loss_db": 90.0, "exponent": 0.0}},
        "device_to_device": {"environment": "log-distance"},
        "graph": {"probability": 0.6},
    },
    "budget": {"time_s": 1e5},
}
STOPPED = {"gossip": {"rounds": 4}, "dfedem": {"rounds": 4}, "local": {"chunks": 4}}
STOPPED |= {key: {"cloud_rounds": 2} for key in ("edge_gossip", "edge_fedem")}


def scenario_with(name: str, **parameters: Any) -> tuple[dict[str, Any], ...]:
    """Return changes of the small scenario: one method with momentum that lasts."""
    entry = KEEPING | {"weight_decay": 0.01, "learning_rate": 0.02} | STOPPED.get(name, {}) | parameters
    changes: dict[str, Any] = {"learning": {"loss": "logistic"}, "methods": {name: entry}}
    return (GRAPH if name in ("gossip", "dfedem", "edge_gossip", "edge_fedem") else {"budget": {"cost": 250}}, changes)


@pytest.mark.parametrize("name", OFFERED)
def test_a_run_records_the_same_to_the_last_bit_eager_and_lazy(name: str) -> None:
    changes = (*scenario_with(name), UNRELIABLE)
    lazy, eager = (simulated(scenario_of(*changes), name, eager=eager) for eager in (False, True))
    assert fingerprint(lazy[0]) == fingerprint(eager[0])
    assert weights_of(lazy[1]).tobytes() == weights_of(eager[1]).tobytes()
    assert lazy[1]._velocities.values.tobytes() == eager[1]._velocities.values.tobytes()
    assert lazy[1]._velocities.values.any()


@pytest.mark.parametrize("name", ["fedavg", "fedem"])
@pytest.mark.parametrize("world", [CARRY, NOISY], ids=["carried over", "over the air"])
def test_updates_that_come_late_or_through_the_air_change_no_bit_either(name: str, world: dict[str, Any]) -> None:
    changes = (*scenario_with(name), world)
    lazy, eager = (simulated(scenario_of(*changes), name, eager=eager) for eager in (False, True))
    assert fingerprint(lazy[0]) == fingerprint(eager[0])
    assert lazy[1]._velocities.values.tobytes() == eager[1]._velocities.values.tobytes()


@pytest.mark.parametrize("name", ["fedavg", "fedem"])
def test_both_engines_leave_the_same_behind(name: str) -> None:
    _assert_engines_agree(name, *scenario_with(name), UNRELIABLE)


@pytest.mark.parametrize("name", ["gossip", "dfedem"])
def test_velocities_stay_at_their_terminals_while_models_are_mixed(name: str) -> None:
    data = random_federation(4, tasks=1)
    mixing, working = (method_of(setting_of(data, "logistic"), name, local_iterations=1, **KEEPING) for _ in range(2))
    work = working.train(cohort_of(data, [0]), Plan(1, 1))
    working.settle()
    together(mixing, degree=2)  # all meet, with weights of 1/3
    size = mixing._velocities.values.shape[1]
    np.testing.assert_array_equal(mixing._velocities.values, work.value[:, -size:])
    np.testing.assert_allclose(
        weights_of(mixing)[:, :size], np.tile(work.value[:, :size].mean(axis=0), (3, 1)), atol=1e-15
    )
    assert np.ptp(work.value[:, -size:], axis=0).all() and np.ptp(work.value[:, :size], axis=0).any()


# Refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "field", "value", "allowed"),
    [
        ("fedavg", "momentum", 1.0, "less than 1"),
        ("fedem", "momentum", -0.1, "greater than or equal to 0"),
        ("local", "weight_decay", -1.0, "greater than or equal to 0"),
        ("gossip", "momentum_across_rounds", "often", "a valid boolean, unable to interpret input"),
    ],
)
def test_values_that_make_no_sense_are_refused_in_one_line(name: str, field: str, value: Any, allowed: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        registry.parameters(registry.find(name), {field: value}, f"methods.{name}")
    assert str(refused.value) == f"methods.{name}.{field} = {value!r}: allowed: {allowed}"


@pytest.mark.parametrize("name", sorted({*registry.names()} - {*OFFERED, *FROM_REST}))
def test_methods_whose_steps_it_does_not_fit_do_not_offer_it(name: str) -> None:
    scenario = scenario_of({"methods": {name: {"momentum": 0.5}}})
    with pytest.raises(ScenarioError, match=rf"^methods\.{name}\.momentum = 0\.5: allowed: "):
        build_method(name, scenario.methods[name], setting_for(scenario))
