"""HFedMTL through the port: safe whatever is lost, certified at every record, and headed for the joint optimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.methods.hfedmtl import FixedDualParameters, HFedMTL
from learning.methods.rhfedmtl import RHFedMTL
from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.jobs import AscentJobs, AscentUpdates
from learning.primal_dual.losses import LOSSES, make_loss
from netsim.port import CLOUD, Cohort
from scenarios.errors import ScenarioError
from tests.learning import user_modules
from tests.learning.driving import (
    UNRELIABLE,
    Driver,
    cohort_of,
    federation_of,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
)

Array = NDArray[Any]


def hfedmtl(federation: Federation, loss: str = "hinge", parameters: Any = None, **setting: Any) -> HFedMTL:
    """Return a fresh method."""
    return HFedMTL(setting_of(federation, loss, **setting), parameters or FixedDualParameters())


def lossy(seed: int, share: float) -> Callable[[int, int], bool]:
    """Return whether an update arrives, a share being lost at random."""
    return lambda terminal, number: np.random.default_rng([seed, terminal, number]).random() >= share


def watch_ascent(method: HFedMTL, change: Callable[[AscentJobs], AscentJobs] = lambda jobs: jobs) -> list[AscentJobs]:
    """Return where every order that terminals are given will be noted; ``change`` may replace them first."""
    solver: Any = method.setting.solver
    ascend: Callable[[AscentJobs], AscentUpdates] = solver.ascend
    given: list[AscentJobs] = []

    def noted(jobs: AscentJobs) -> AscentUpdates:
        given.append(change(jobs))
        return ascend(given[-1])

    solver.ascend = noted
    return given


def slow_down(method: HFedMTL, steps: Mapping[int, int]) -> None:
    """Give some terminals a number of steps of their own, whatever the plan says; 0 for one that does nothing."""

    def changed(jobs: AscentJobs) -> AscentJobs:
        own = [steps.get(int(j), int(H)) for j, H in zip(jobs.terminals, jobs.steps, strict=True)]
        return replace(jobs, steps=np.array(own))

    watch_ascent(method, changed)


# Safety, certificates and invariants --------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    loss=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 10**6),
    aggregation=st.sampled_from(["adding", "averaging"]),
    sampling=st.sampled_from(["permutation", "uniform"]),
    lost=st.sampled_from([0.0, 0.4, 0.9]),
)
def test_no_merge_lowers_the_dual_and_every_gap_is_a_certificate_whatever_is_lost(
    loss: str, seed: int, aggregation: Any, sampling: Any, lost: float
) -> None:
    rng = np.random.default_rng(seed)
    federation = random_federation(seed, loss=loss)
    lambda1, lambda2 = rng.choice([0.01, 0.1, 1.0], 2)
    parameters = FixedDualParameters(aggregation, sampling, relaxation=float(rng.choice([0.5, 1.0, 1.3])))
    method = hfedmtl(federation, loss, parameters, lambda1=lambda1, lambda2=lambda2, seed=seed)
    steps = {j: int(rng.integers(0, 6)) for j in range(0, 9, 2)}  # stragglers, some of which do nothing at all
    slow_down(method, steps)
    driver = Driver(method, lossy(seed, lost)).run(Plan(4, 3), 3)
    for site in range(3):
        found = driver.site_scalars(site)
        for begin in range(0, len(found), 4):  # r moves between cloud rounds, and the dual with it
            duals = np.array([scalars["dual"] for scalars in found[begin : begin + 4]])
            assert np.all(np.diff(duals) >= -1e-12 * np.maximum(1.0, np.abs(duals[1:])))
    for _, measured in driver.records:
        scalars = measured.scalars
        scale = max(1.0, abs(scalars["primal"]))
        assert scalars["gap"] >= -1e-12 * scale
        assert scalars["primal"] - scalars["dual"] == pytest.approx(scalars["gap"], abs=1e-10 * scale)
    for scalars in driver.cloud_scalars():
        assert scalars["objective"] >= scalars["dual"] - 1e-12 * max(1.0, abs(scalars["dual"]))


@settings(max_examples=20, deadline=None)
@given(loss=st.sampled_from(sorted(LOSSES)), seed=st.integers(0, 10**6), lost=st.sampled_from([0.0, 0.5]))
def test_every_model_stays_the_image_of_the_duals(loss: str, seed: int, lost: float) -> None:
    federation = random_federation(seed, loss=loss)
    method = hfedmtl(federation, loss, seed=seed)
    driver = Driver(method, lossy(seed, lost)).run(Plan(3, 4), 5)
    images = method.setting.solver.dual_image(np.arange(9)).reshape(3, 3, -1).sum(axis=1)
    coupling = method.setting.coupling
    np.testing.assert_allclose(method._u, images / federation.task_samples[:, None], atol=1e-12)
    np.testing.assert_array_equal(driver.models(), coupling.primal_map(method._u, method._r))
    assert driver.iterations == {0: 20, 1: 20, 2: 20}


def test_ten_thousand_merges_let_no_model_drift_from_its_duals() -> None:
    federation = random_federation(4, tasks=2, terminals=2)
    method = hfedmtl(federation, "logistic")
    cohort, plan, everybody = cohort_of(federation, [0]), Plan(2, 1), np.full(2, True)
    for _ in range(10_000):
        method.merge(cohort, method.train(cohort, plan), everybody)
    method.settle()
    image = method.setting.solver.dual_image([0, 1]).sum(axis=0) / federation.task_samples[0]
    np.testing.assert_allclose(method._u[0], image, atol=1e-12)


def test_a_lost_update_leaves_its_terminals_duals_and_everybody_elses_result_as_they_were() -> None:
    federation = random_federation(7)
    method = hfedmtl(federation)
    start = method.setting.solver.duals()
    Driver(method, lambda terminal, number: terminal != 1).run(Plan(5, 2), 2)
    duals, offsets = method.setting.solver.duals(), federation.terminal_offsets
    np.testing.assert_array_equal(duals[offsets[1] : offsets[2]], start[offsets[1] : offsets[2]])
    assert all(np.any(duals[offsets[j] : offsets[j + 1]] != start[offsets[j] : offsets[j + 1]]) for j in (0, 2, 3))
    idle = hfedmtl(federation)
    slow_down(idle, {1: 0})
    Driver(idle).run(Plan(5, 2), 2)
    np.testing.assert_array_equal(idle.setting.solver.duals(), duals)


def test_a_merge_of_nothing_keeps_the_model() -> None:
    method = hfedmtl(random_federation(7), "logistic")
    before = Driver(method).run(Plan(3, 1), 1).models()
    duals = method.setting.solver.duals()
    Driver(method, lambda terminal, number: False).iterate([1, 2], Plan(3, 1))
    np.testing.assert_array_equal(Driver(method).models(), before)
    np.testing.assert_array_equal(method.setting.solver.duals(), duals)


def test_a_station_that_asked_nobody_keeps_its_model() -> None:
    federation = random_federation(7)
    for aggregation in ("adding", "averaging"):
        some, all_asked = (hfedmtl(federation, parameters=FixedDualParameters(aggregation)) for _ in range(2))
        cohort = Cohort(np.array([0, 1, 2]), np.array([0, 3, 3, 6]), np.array([0, 1, 2, 6, 7, 8]))
        some.merge(cohort, some.train(cohort, Plan(3, 1)), np.full(6, True))
        found = Driver(some).models()
        Driver(all_asked).iterate([0, 2], Plan(3, 1))
        np.testing.assert_array_equal(found, Driver(all_asked).models())
        np.testing.assert_array_equal(found[1], np.zeros(4))
        assert np.all(found[[0, 2]] != 0.0)


def test_averaging_divides_by_all_that_were_asked_even_if_few_answer() -> None:
    federation = random_federation(7)
    method = hfedmtl(federation, parameters=FixedDualParameters("averaging"))
    driver = Driver(method, lambda terminal, number: terminal == 0)
    work = driver.iterate([0], Plan(5, 1))
    method.settle()
    du = work.update.value.du
    np.testing.assert_allclose(method._u[0], du[0] / 3 / federation.task_samples[0], atol=1e-15)
    assert np.abs(du[0]).max() > 0.1


@pytest.mark.parametrize(("aggregation", "sigma_prime"), [("adding", [1.0, 3.0, 2.0]), ("averaging", [1.0] * 3)])
def test_terminals_are_as_cautious_as_the_number_asked_with_them_demands(
    aggregation: Any, sigma_prime: list[float]
) -> None:
    method = hfedmtl(random_federation(7), parameters=FixedDualParameters(aggregation))
    given = watch_ascent(method)
    cohort = Cohort(np.array([2, 0, 1]), np.array([0, 1, 4, 6]), np.array([7, 0, 1, 2, 4, 5]))
    method.train(cohort, Plan(1, 1))
    method.settle()
    assert [jobs.sigma_prime.tolist() for jobs in given] == [np.repeat(sigma_prime, [1, 3, 2]).tolist()]


@pytest.mark.parametrize("aggregation", ["adding", "averaging"])
def test_every_station_adds_up_by_the_number_it_asked_itself(aggregation: Any) -> None:
    federation = random_federation(7)
    method = hfedmtl(federation, parameters=FixedDualParameters(aggregation))
    cohort = Cohort(np.array([2, 0, 1]), np.array([0, 1, 4, 6]), np.array([7, 0, 1, 2, 4, 5]))
    arrived = np.array([True, True, False, True, True, True])
    work = method.train(cohort, Plan(5, 1))
    method.merge(cohort, work, arrived)
    method.settle()
    gamma = np.ones(6) if aggregation == "adding" else 1.0 / np.array([1, 3, 3, 3, 2, 2])
    changes = (gamma * arrived)[:, None] * work.value.du / federation.task_samples[[2, 0, 0, 0, 1, 1], None]
    np.testing.assert_allclose(method._u, [changes[1:4].sum(axis=0), changes[4:].sum(axis=0), changes[0]], atol=1e-15)
    images = method.setting.solver.dual_image(np.arange(9)).reshape(3, 3, -1).sum(axis=1)
    np.testing.assert_allclose(method._u, images / federation.task_samples[:, None], atol=1e-15)


# Known answers ------------------------------------------------------------------------------------------------


def tiny_federation() -> Federation:
    """Return the tiny acceptance set: two tasks, two terminals each, three rows each, d = 2."""
    i, b = np.tile(np.arange(6), 2), np.repeat([0, 1], 6)
    X = np.stack([np.sin(1 + i + 3 * b), np.cos(2 * i + b)], axis=1)
    y = np.where(X[:, 0] + (1 - 2 * b) * 0.5 * X[:, 1] >= 0, 1.0, -1.0)
    y[[0, 6]] *= -1
    return federation_of(X, y, [3] * 4, 2)


@pytest.mark.parametrize(
    ("loss", "models"),
    [
        ("hinge", [[1.0442809205603, -0.1873022400608], [1.1568192452253, 0.1451817498160]]),
        ("logistic", [[0.7046749409028, -0.2109945112401], [0.8970106383555, 0.3734698278185]]),
        ("smoothed_hinge", [[0.8163292974512, -0.1177397961560], [0.9567096731591, 0.1728399133354]]),
        ("squared", [[0.5479294389916, -0.1582716228570], [0.6590997938606, 0.3225330807748]]),
    ],
)
def test_two_cloud_rounds_of_three_iterations_follow_the_known_trajectory(loss: str, models: Any) -> None:
    cyclic = SimpleNamespace(
        aggregation="adding", sampling="cyclic", relaxation=1.0, local_iterations=4, bs_iterations=3, cloud_rounds=2
    )
    method = hfedmtl(tiny_federation(), loss, cyclic, lambda1=0.1, lambda2=0.05)
    driver = Driver(method)
    driver.cloud_round(Plan(4, 3))
    driver.begin([0, 1])
    for _ in range(3):
        driver.iterate([0, 1], Plan(4, 3))
    found = driver.models()  # the known ones have not been moved to the last r
    np.testing.assert_allclose(found, models, atol=1e-10)
    method.combine()
    driver.record(CLOUD)
    if loss == "hinge":
        certified = [(scalars["primal"], scalars["dual"]) for scalars in driver.cloud_scalars()]
        known = [(1.4432396524513, 1.2510005221046), (1.3016955303615, 1.2802821929796)]
        np.testing.assert_allclose(certified, known, atol=1e-10)
        np.testing.assert_allclose(method._r, [1.1005500828928, -0.0210602451224], atol=1e-10)


def test_five_identical_terminals_are_solved_by_one_safe_round() -> None:
    federation = federation_of(np.ones((5, 1)), np.ones(5), [1] * 5, 1)
    method = hfedmtl(federation, "squared", lambda1=0.1, lambda2=0.0)
    assert Driver(method).run(Plan(1, 1), 1).models()[0, 0] == pytest.approx(10 / 11, abs=1e-12)


@pytest.mark.parametrize("loss", ["hinge", "smoothed_hinge", "logistic", "squared"])
def test_a_long_run_proves_that_it_reached_the_joint_optimum(loss: str) -> None:
    federation = random_federation(21, loss=loss)
    method = hfedmtl(federation, loss)
    driver = Driver(method).run(Plan(20, 10), 60)
    last = driver.cloud_scalars()[-1]
    assert -1e-12 <= last["gap"] <= 1e-6 * last["primal"]
    task_of_row = np.repeat(federation.terminal_task, np.diff(federation.terminal_offsets))
    best = solve_joint(federation.X, federation.y, task_of_row, 3, make_loss(loss), 0.1, 0.1, tolerance=1e-13)
    assert last["primal"] == pytest.approx(best.primal, rel=1e-6)
    assert last["objective"] == pytest.approx(best.primal, rel=1e-6)
    np.testing.assert_allclose(driver.models(), best.W, atol=1e-6)


def test_over_relaxation_reaches_the_optimum_of_a_smooth_loss_in_fewer_rounds() -> None:
    def rounds(relaxation: float) -> int:
        parameters = FixedDualParameters(relaxation=relaxation)
        method = hfedmtl(random_federation(21, loss="logistic"), "logistic", parameters, lambda1=0.01, lambda2=0.1)
        scalars = Driver(method).run(Plan(40, 20), 30).cloud_scalars()
        return next(i for i, each in enumerate(scalars) if each["gap"] <= 1e-5 * each["primal"])

    share = 0.1 / 0.11
    assert rounds(2.0 / (2.0 - share)) < 0.7 * rounds(1.0)


# What the network is told -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["hinge", "squared"])
def test_messages_and_efforts_are_as_long_as_their_content(loss: str) -> None:
    sizes = hfedmtl(random_federation(3, loss=loss), loss, overhead_bits=100.0).sizes(Plan(5, 2))
    found = {sizes.cloud_bits, sizes.broadcast_bits, sizes.update_bits, sizes.aggregate_bits}
    assert found == {4 * 32 + 100.0}
    assert (sizes.samples.tolist(), sizes.fixed_samples.tolist()) == ([5.0] * 9, [0.0] * 9)


def test_a_torch_module_is_refused_in_one_line() -> None:
    setting = setting_of(random_federation(3), module=user_modules.linear)
    for kind in (HFedMTL, RHFedMTL):
        with pytest.raises(ScenarioError, match=r"^learning\.model = [^\n]*: allowed: linear[^\n]*$"):
            kind(setting, kind.Parameters())
    FedAvg(setting, AveragingParameters())


# In the network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["hfedmtl", "rhfedmtl", "published"])
def test_in_an_unreliable_network_every_record_is_certified_and_no_iteration_lowers_the_dual(key: str) -> None:
    result, _ = simulated(scenario_of(UNRELIABLE), key)
    rounds = result.rounds
    assert len(rounds) > 5
    assert all(row["gap"] >= -1e-12 for row in rounds)
    for row in rounds:
        assert row["primal"] - row["dual"] == pytest.approx(row["gap"], abs=1e-10)
    for node in ("bs-00", "bs-01", "bs-02"):
        mine = [row for row in rounds if row["node"] == node]
        for earlier, later in pairwise(mine):
            if earlier["cloud_round"] == later["cloud_round"]:
                assert later["dual"] >= earlier["dual"] - 1e-12


def test_measurements_at_base_stations_can_be_left_out_and_those_of_the_cloud_stay() -> None:
    results = [simulated(scenario_of({"output": {"edge_metrics": edge}}), "hfedmtl")[0] for edge in (False, True)]
    without, full = ([row for row in result.rounds if row["event"] != "edge"] for result in results)
    assert repr(without) == repr(full)
    assert all("gap" in row for row in without) and len(without) > 3
    for result, edge in zip(results, (False, True), strict=True):
        assert {row["event"] for row in result.tasks} == {"start", "cloud", "end"} | ({"edge"} if edge else set())
        assert {"gap" in row for row in result.rounds if row["event"] == "edge"} == {edge}


def test_the_terminals_of_all_base_stations_ascend_in_one_call() -> None:
    for together in (True, False):
        method = hfedmtl(random_federation(3))
        given = watch_ascent(method)
        Driver(method, together=together).run(Plan(3, 4), 2)
        assert [len(jobs.terminals) for jobs in given] == [9] * 8


def test_permuting_the_terminals_of_a_task_changes_nothing_but_the_last_bits() -> None:
    federation = random_federation(5)
    order = np.array([2, 0, 1, 5, 4, 3, 6, 8, 7])
    cuts = federation.terminal_offsets
    rows = np.concatenate([np.arange(cuts[j], cuts[j + 1]) for j in order])
    other = federation_of(federation.X[rows], federation.y[rows], np.diff(cuts)[order].tolist(), 3)
    cyclic: Any = SimpleNamespace(aggregation="adding", sampling="cyclic", relaxation=1.0)
    cyclic.local_iterations, cyclic.bs_iterations, cyclic.cloud_rounds = 5, 2, None
    methods = [hfedmtl(data, parameters=cyclic) for data in (federation, other)]
    first, second = (Driver(method).run(Plan(5, 2), 3).models() for method in methods)
    np.testing.assert_allclose(first, second, atol=1e-12)
