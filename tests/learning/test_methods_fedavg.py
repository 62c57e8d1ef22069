"""FedAvg and FedProx: weighted means of local steps, flat or hierarchical, with the known limiting cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.methods.fedprox import FedProx, ProximalParameters
from learning.primal_dual.losses import LOSSES, make_loss
from netsim.port import CLOUD
from tests.learning.driving import (
    Driver,
    federation_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
)

Array = NDArray[Any]
EVERYTHING = 1000  # a batch of this many rows is all a terminal has


def fedavg(federation: Federation, loss: str = "logistic", overhead_bits: float = 0.0, **parameters: Any) -> FedAvg:
    """Return a fresh method with lambda1 = 0.1."""
    setting = setting_of(federation, loss, overhead_bits=overhead_bits)
    return FedAvg(setting, AveragingParameters(**parameters))


def fedprox(federation: Federation, loss: str = "logistic", **parameters: Any) -> FedProx:
    """Return a fresh method with lambda1 = 0.1."""
    return FedProx(setting_of(federation, loss), ProximalParameters(**parameters))


def gradient(federation: Federation, w: Array, rows: slice, loss: str = "logistic") -> Array:
    """Return the gradient of mean loss + 0.05 ||w||^2 over rows."""
    X, y = federation.X[rows], federation.y[rows]
    return X.T @ make_loss(loss).derivative(X @ w, y) / len(y) + 0.1 * w


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_one_full_batch_step_of_everybody_is_centralised_gradient_descent(loss: str) -> None:
    federation = random_federation(1, loss=loss)
    method = fedavg(federation, loss, batch_size=EVERYTHING, learning_rate=0.2)
    driver = Driver(method).run(Plan(1, 1), 25)
    w = np.zeros(4)
    for _ in range(25):
        w = w - 0.2 * gradient(federation, w, slice(None), loss)
    np.testing.assert_allclose(driver.models(), np.tile(w, (3, 1)), atol=1e-12)


def test_with_one_station_iteration_the_hierarchy_is_flat_fedavg() -> None:
    federation = random_federation(2)
    parameters = AveragingParameters(batch_size=3)
    hierarchical = Driver(FedAvg(setting_of(federation), parameters)).run(Plan(4, 1), 10).models()
    one_station = federation_of(federation.X, federation.y, np.diff(federation.terminal_offsets).tolist(), 1)
    flat = Driver(FedAvg(setting_of(one_station), parameters)).run(Plan(4, 1), 10).models()
    np.testing.assert_allclose(hierarchical, np.tile(flat, (3, 1)), atol=1e-12)


def test_with_one_station_all_iterations_are_rounds() -> None:
    federation = random_federation(2, tasks=1)
    nested, plain = (Driver(fedavg(federation)).run(Plan(4, K), 12 // K).models() for K in (3, 1))
    np.testing.assert_allclose(nested, plain, atol=1e-12)


def test_stations_go_their_own_ways_between_two_cloud_rounds() -> None:
    federation = random_federation(3)
    method = fedavg(federation, batch_size=EVERYTHING)
    plan, task_ends = Plan(1, 5), np.cumsum(federation.task_samples)
    Driver(method).run(plan, 1)
    expected = np.zeros(4)
    for b in range(3):
        w, rows = np.zeros(4), slice(task_ends[b] - federation.task_samples[b], task_ends[b])
        for _ in range(5):
            w = w - 0.1 * gradient(federation, w, rows)
        expected += w * federation.task_samples[b] / len(federation.y)
    np.testing.assert_allclose(Driver(method).models(), np.tile(expected, (3, 1)), atol=1e-12)


def test_models_weigh_as_much_as_their_rows() -> None:
    federation = federation_of([[1.0], [2.0], [2.0], [2.0]], [1.0, 1.0, 1.0, 1.0], [1, 3], 1)
    method = fedavg(federation, "squared", learning_rate=0.5, batch_size=EVERYTHING)
    model = Driver(method).run(Plan(1, 1), 1).models()[0, 0]
    assert model == pytest.approx((1 * 0.5 * 1.0 + 3 * 0.5 * 2.0) / 4, abs=1e-15)


def test_what_does_not_arrive_has_no_weight() -> None:
    federation = random_federation(4)
    method = fedavg(federation)
    driver = Driver(method, lambda terminal, number: terminal in (0, 2, 4))
    driver.begin([0, 1])
    work = driver.iterate([0, 1], Plan(3, 1))
    method.settle()
    trained, n = work.update.value, np.diff(federation.terminal_offsets)
    expected = (n[0] * trained[0] + n[2] * trained[2]) / (n[0] + n[2])
    np.testing.assert_allclose(method._sites.values, [expected, trained[4], np.zeros(4)], atol=1e-15)


def test_if_nothing_arrives_the_model_stays() -> None:
    federation = random_federation(4)
    method = fedavg(federation)
    before = Driver(method).run(Plan(3, 2), 2).models()
    after = Driver(method, lambda terminal, number: False).run(Plan(3, 2), 2).models()
    np.testing.assert_allclose(after, before, atol=1e-15)
    partly = fedavg(federation)
    Driver(partly, lambda terminal, number: terminal >= 3).run(Plan(3, 1), 1)
    np.testing.assert_array_equal(partly._sites.values[0], np.zeros(4))
    assert np.all(partly._sites.values[1:] != 0.0)
    first_only = fedavg(federation)
    Driver(first_only, lambda terminal, number: number % 2 == 0).run(Plan(3, 2), 1)
    np.testing.assert_allclose(Driver(first_only).models(), Driver(fedavg(federation)).run(Plan(3, 1), 1).models())


def test_the_step_size_decays_with_the_terminals_own_rounds() -> None:
    federation = random_federation(5, tasks=1, terminals=1)
    method = fedavg(federation, learning_rate=0.4, decay=0.5, batch_size=EVERYTHING)
    w = np.zeros(4)
    for t in range(6):
        w = w - 0.4 / (1.0 + 0.5 * t) * gradient(federation, w, slice(None))
    np.testing.assert_allclose(Driver(method).run(Plan(1, 2), 3).models()[0], w, atol=1e-13)


def test_permuting_the_terminals_of_a_task_changes_nothing_but_the_last_bits() -> None:
    federation = random_federation(5)
    order, cuts = np.array([2, 0, 1, 5, 4, 3, 6, 8, 7]), federation.terminal_offsets
    rows = np.concatenate([np.arange(cuts[j], cuts[j + 1]) for j in order])
    other = federation_of(federation.X[rows], federation.y[rows], np.diff(cuts)[order].tolist(), 3)
    methods = [fedavg(data, batch_size=EVERYTHING) for data in (federation, other)]
    first, second = (Driver(method).run(Plan(5, 2), 3).models() for method in methods)
    np.testing.assert_allclose(first, second, atol=1e-12)


# What the network is told -------------------------------------------------------------------------------------


def visits(rows: int, batch: int, steps: int) -> int:
    """Count visits of a row one batch after the other; the last batch of a pass holds what is left."""
    total = left = 0
    for _ in range(steps):
        left = left or rows
        size = min(batch, left)
        total, left = total + size, left - size
    return total


@settings(max_examples=200)
@given(rows=st.integers(1, 30), batch=st.integers(1, 40), steps=st.integers(0, 50))
def test_the_effort_counts_every_visit_of_a_row(rows: int, batch: int, steps: int) -> None:
    federation = federation_of(np.ones((rows, 1)), np.ones(rows), [rows], 1)
    method = fedavg(federation, batch_size=batch)
    sizes = method.sizes(Plan(steps, 1))
    assert sizes.samples.tolist() == [visits(rows, batch, steps)] and sizes.fixed_samples.tolist() == [0.0]


def test_every_terminal_has_its_own_effort() -> None:
    federation = random_federation(6)
    sizes = fedavg(federation, batch_size=3).sizes(Plan(4, 2))
    rows = np.diff(federation.terminal_offsets)
    assert sizes.samples.tolist() == [visits(int(n), 3, 4) for n in rows]
    assert len(set(sizes.samples.tolist())) > 1


def test_every_message_is_one_model() -> None:
    sizes = fedavg(random_federation(6), overhead_bits=7.0).sizes(Plan(2, 2))
    found = {sizes.cloud_bits, sizes.broadcast_bits, sizes.update_bits, sizes.aggregate_bits}
    assert found == {4 * 32 + 7.0}


def test_the_global_model_is_what_is_measured_and_only_the_cloud_changes_it() -> None:
    federation = random_federation(6)
    method = fedavg(federation)
    driver = Driver(method).run(Plan(2, 3), 2)
    assert all(not measured.tasks and not measured.scalars for node, measured in driver.records if node != CLOUD)
    w = driver.models()[0]
    driver.begin([1])
    driver.iterate([1], Plan(2, 3))
    np.testing.assert_array_equal(driver.models(), np.tile(w, (3, 1)))
    losses = [make_loss("logistic").value(part, y) for part, y in _task_scores(federation, w)]
    objective = sum(loss.mean() for loss in losses) + 3 * 0.05 * w @ w
    assert driver.cloud_scalars()[-1]["objective"] == pytest.approx(objective, rel=1e-12)


def _task_scores(federation: Federation, w: Array) -> list[tuple[Array, Array]]:
    ends = np.cumsum(federation.task_samples)[:-1]
    return list(zip(np.split(federation.X @ w, ends), np.split(federation.y, ends), strict=True))


# FedProx ------------------------------------------------------------------------------------------------------


def test_without_a_proximal_weight_fedprox_is_fedavg_to_the_last_bit() -> None:
    common = {"local_iterations": 5, "bs_iterations": 2, "decay": 0.1}
    scenario = scenario_of({"methods": {"fedavg": common, "fedprox": common | {"proximal": 0.0}}})
    assert fingerprint(simulated(scenario, "fedavg")[0]) == fingerprint(simulated(scenario, "fedprox")[0])


@pytest.mark.parametrize("H", [1, 2, 50])
def test_a_huge_proximal_weight_keeps_the_model_that_was_received(H: int) -> None:
    federation = random_federation(7)
    start = Driver(fedavg(federation)).run(Plan(5, 2), 3).models()[0]
    method = fedprox(federation, proximal=1e12)
    method._cloud.values[:] = start
    np.testing.assert_allclose(Driver(method).run(Plan(H, 2), 2).models(), np.tile(start, (3, 1)), atol=1e-10)
    free = fedprox(federation, proximal=1e-9)
    free._cloud.values[:] = start
    assert np.abs(Driver(free).run(Plan(H, 2), 2).models() - start).max() > 1e-4


@pytest.mark.parametrize("proximal", [0.5, 50.0, 5000.0])  # a plain step of 0.5 diverges from 4 on
def test_many_local_steps_reach_the_proximal_point(proximal: float) -> None:
    federation = random_federation(8, tasks=1, terminals=1)
    received = np.array([1.0, -1.0, 0.5, 0.0])
    method = fedprox(federation, proximal=proximal, learning_rate=0.5, batch_size=EVERYTHING)
    method._cloud.values[:] = received
    w = Driver(method).run(Plan(3000, 1), 1).models()[0]
    slope = gradient(federation, w, slice(None)) + proximal * (w - received)
    np.testing.assert_allclose(slope, 0.0, atol=1e-9 * proximal)


def test_the_proximal_pull_is_taken_at_the_end_of_a_step() -> None:
    federation = random_federation(8, tasks=1, terminals=1)
    received, mu, eta = np.array([1.0, -1.0, 0.5, 0.0]), 3.0, 0.2
    method = fedprox(federation, proximal=mu, learning_rate=eta, batch_size=EVERYTHING)
    method._cloud.values[:] = received
    found = Driver(method).run(Plan(4, 1), 1).models()[0]
    w = received
    for _ in range(4):  # the minimiser of g.v + ||v - w||^2 / (2 eta) + mu/2 ||v - received||^2
        w = (w - eta * gradient(federation, w, slice(None)) + eta * mu * received) / (1.0 + eta * mu)
    np.testing.assert_allclose(found, w, atol=1e-13)
