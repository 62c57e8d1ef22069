"""MOCHA through the port: certificates at all times, convergence whatever is lost, and what the network is told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.messages import Plan
from learning.methods.mocha import MOCHA
from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.losses import LOSSES, make_loss
from learning.task_relation import TaskRelation
from netsim.port import CLOUD, Node
from scenarios.errors import ScenarioError
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
)
from tests.learning.mocha_reference import (
    followed,
    missing,
    mocha,
    toy,
    turning,
)

Array = NDArray[Any]
OPTIMUM = 1.835846320217  # of the toy problem at lambda = 0.1 with independent tasks


def lossy(seed: int, share: float) -> Callable[[int, int], bool]:
    """Return whether an update arrives, a share being lost at random."""
    return lambda terminal, number: np.random.default_rng([seed, terminal, number]).random() >= share


def images(method: MOCHA) -> Array:
    """Return (m, d) mean images of the committed duals."""
    every = method.setting.solver.dual_image(np.arange(method.setting.terminals))
    sums = np.zeros((len(method._tasks.rows), every.shape[1]))
    np.add.at(sums, method._tasks.owner, every)
    return np.asarray(sums / method._tasks.rows[:, None])


# Certificates and invariants ----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    loss=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 10**6),
    tasks=st.sampled_from(["base_station", "terminal"]),
    relationship=st.sampled_from(["learned", "independent", "mean_regularised"]),
    lost=st.sampled_from([0.0, 0.4, 0.9]),
)
def test_the_dual_never_falls_while_the_relationship_stands_and_every_gap_is_a_certificate(
    loss: str, seed: int, tasks: str, relationship: str, lost: float
) -> None:
    method = mocha(
        random_federation(seed, loss=loss), loss, tasks=tasks, relationship=relationship, relation_rounds=4, top=2.0
    )
    iterations = 1 + seed % 3
    driver = Driver(method, lossy(seed, lost))
    driver.record(CLOUD)
    for number in range(11):
        each = np.random.default_rng([seed, number]).integers(0, 7, 9)  # some terminals do nothing at all
        driver.cloud_round(Plan(7, iterations, each))
        exact_at_all_times(method)
    found = driver.cloud_scalars()
    for number, (earlier, later) in enumerate(pairwise(found), start=1):
        scale = max(1.0, abs(later["primal"]))
        assert later["gap"] >= -1e-12 * scale
        assert later["primal"] - later["dual"] == pytest.approx(later["gap"], abs=1e-10 * scale)
        if relationship != "learned" or number % 4 > 0:
            assert later["dual"] >= earlier["dual"] - 1e-11 * scale


def exact_at_all_times(method: MOCHA) -> None:
    """Check that models and dual sums are the image of the duals, and the relationship a proper one."""
    method.settle()
    relation = method._relation
    np.testing.assert_allclose(method._B, images(method), atol=1e-12)
    np.testing.assert_allclose(
        method._models.values, relation.covariance @ images(method) / relation.weight, atol=1e-10, rtol=1e-10
    )
    np.testing.assert_array_equal(method._views.values, method._models.values)
    assert np.trace(relation.covariance) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(relation.covariance, relation.covariance.T)
    assert np.linalg.eigvalsh(relation.covariance).min() >= -1e-14


def test_models_in_use_are_those_certified_after_every_round() -> None:
    method = mocha(toy(), relationship="learned", relation_rounds=3)
    driver = Driver(method)
    for _ in range(7):
        driver.cloud_round(Plan(5, 1))
        W, data = driver.models(), method.setting.federation
        scores = np.einsum("nd,nd->n", data.X, np.repeat(W, np.diff(data.terminal_offsets), axis=0))
        losses = np.add.reduceat(np.maximum(0.0, 1.0 - data.y * scores), data.terminal_offsets[:-1])
        primal = np.sum(losses / np.diff(data.terminal_offsets)) + method._relation.penalty_of(W)
        assert driver.cloud_scalars()[-1]["primal"] == pytest.approx(primal, rel=1e-9)


def test_less_caution_than_the_relationship_demands_lowers_the_dual(monkeypatch: pytest.MonkeyPatch) -> None:
    def steepest_fall() -> float:
        method = turning(toy(), relationship="learned", relation_rounds=20)
        duals = np.delete(np.diff(followed(method, 100)[1][:, 1]), [19, 39, 59, 79, 99])
        return float(duals.min())

    assert steepest_fall() >= -1e-12
    caution = TaskRelation.caution.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(TaskRelation, "caution", property(lambda self: 0.3 * caution(self)))
    assert steepest_fall() < -0.1


def test_before_anything_was_learned_the_gap_is_the_number_of_tasks() -> None:
    driver, found = followed(mocha(toy()), 0)
    np.testing.assert_array_equal(found, [[4.0, 0.0]])
    np.testing.assert_array_equal(driver.models(), np.zeros((4, 5)))


# Convergence --------------------------------------------------------------------------------------------------


def test_an_update_that_never_arrives_costs_one_task_its_whole_loss() -> None:
    for gone in ({0}, {1, 3}):
        method = turning(toy())
        _, found = followed(method, 600, arrives=lambda terminal, number, gone=gone: terminal not in gone)
        assert found[-1, 0] - found[-1, 1] == pytest.approx(len(gone), abs=1e-6)
    relearned = turning(toy(), relationship="learned", relation_rounds=20)
    _, found = followed(relearned, 100, arrives=lambda terminal, number: terminal != 0)
    assert np.isfinite(found).all()
    exact_at_all_times(relearned)


def test_the_more_updates_are_lost_the_longer_it_takes_and_the_limit_is_the_same() -> None:
    rounds = []
    for tenths in (0, 5, 8):
        _, found = followed(turning(toy()), 500, arrives=missing(tenths))
        assert found[-1, 0] == pytest.approx(OPTIMUM, abs=1e-6)
        assert found[-1, 1] == pytest.approx(OPTIMUM, abs=1e-6)
        rounds.append(int(np.argmax(found[:, 0] - OPTIMUM < 1e-3)))
    assert rounds == sorted(rounds) and len(set(rounds)) == 3


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), lost=st.sampled_from([0.0, 0.3, 0.6]))
def test_the_gap_closes_with_work_of_random_quality_and_updates_that_are_lost(seed: int, lost: float) -> None:
    method = mocha(random_federation(seed), relationship="mean_regularised", regularisation=0.2)
    driver = Driver(method, lossy(seed, lost))
    for number in range(200):
        each = np.random.default_rng([seed, number]).integers(0, 12, 9)
        driver.cloud_round(Plan(12, 1, each))
    last = driver.cloud_scalars()[-1]
    assert -1e-12 <= last["gap"] <= 2e-2 * last["primal"]


@pytest.mark.parametrize(
    ("loss", "iterations", "rounds", "close"),
    [("hinge", 3, 280, 1e-5), ("smoothed_hinge", 3, 80, 1e-5), ("logistic", 1, 80, 1e-5), ("squared", 3, 40, 1e-5)],
)
def test_regularised_to_the_mean_it_reaches_the_optimum_of_the_projects_objective(
    loss: str, iterations: int, rounds: int, close: float
) -> None:
    data = random_federation(21, loss=loss)
    method = mocha(data, loss, relationship="mean_regularised")
    driver = Driver(method).run(Plan(30, iterations), rounds)
    last = driver.cloud_scalars()[-1]
    task_of_row = np.repeat(data.terminal_task, np.diff(data.terminal_offsets))
    best = solve_joint(data.X, data.y, task_of_row, 3, make_loss(loss), 0.1, 0.1, tolerance=1e-12)
    assert last["primal"] == pytest.approx(best.primal, rel=close)
    assert last["objective"] == pytest.approx(best.primal, rel=close)
    assert last["dual"] - 1e-12 <= best.primal <= last["primal"] + 1e-12
    assert last["gap"] <= 2.0 * close * last["primal"]


def test_iterating_at_the_base_stations_saves_cloud_rounds() -> None:
    def gap(iterations: int) -> float:
        method = mocha(random_federation(3), relationship="mean_regularised")
        return Driver(method).run(Plan(3, iterations), 15).cloud_scalars()[-1]["gap"]

    assert gap(4) < 0.5 * gap(1)


# Quality of local work ----------------------------------------------------------------------------------------


def test_theta_is_zero_of_exact_work_one_of_lost_work_and_between_otherwise() -> None:
    def thetas(steps: int, arrives: Callable[[int, int], bool] = lambda terminal, number: True) -> tuple[float, float]:
        method = mocha(toy(), reports_theta=True, relationship="mean_regularised")
        scalars = Driver(method, arrives).run(Plan(steps, 1), 3).cloud_scalars()[0]
        return scalars["theta_mean"], scalars["theta_max"]

    assert thetas(20_000) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert thetas(1, lambda terminal, number: False) == (1.0, 1.0)
    assert thetas(20_000, lambda terminal, number: terminal != 2) == pytest.approx((0.25, 1.0), abs=1e-6)
    some, more = thetas(3), thetas(9)
    assert 0.0 < more[0] < some[0] < 1.0


def test_looking_at_theta_changes_nothing_else() -> None:
    runs = [Driver(mocha(toy(), reports_theta=look)).run(Plan(4, 2), 6) for look in (False, True)]
    np.testing.assert_array_equal(runs[0].models(), runs[1].models())
    assert [("theta_max" in scalars) for scalars in runs[1].cloud_scalars()] == [True] * 6
    assert not any("theta_max" in scalars for scalars in runs[0].cloud_scalars())


# Who is a task ------------------------------------------------------------------------------------------------


def test_terminals_that_are_tasks_are_base_stations_of_a_single_terminal_each() -> None:
    data = random_federation(6)
    alone = federation_of(data.X, data.y, np.diff(data.terminal_offsets).tolist(), 9)
    shared = {"regularisation": 0.2, "relation_rounds": 4}
    first = Driver(mocha(data, tasks="terminal", **shared)).run(Plan(5, 1), 10)
    second = Driver(mocha(alone, **shared)).run(Plan(5, 1), 10)
    np.testing.assert_array_equal(first.models(), second.models())
    for name in ("primal", "dual", "gap"):
        assert [s[name] for s in first.cloud_scalars()] == [s[name] for s in second.cloud_scalars()]
    assert first.models().shape == (9, 4)
    assert "objective" not in first.cloud_scalars()[0]
    scored = first.method.evaluate(CLOUD)
    first.method.settle()
    assert len(scored.tasks) == 6 and "gap" in scored.scalars
    assert first.method.evaluate(Node("base_station", 1)).pending_scalars == []


def test_messages_are_as_long_as_their_content() -> None:
    for tasks, expected in (("base_station", [1, 1, 0, 1, 1]), ("terminal", [3, 0, 1, 1, 3])):
        method = mocha(random_federation(3), setting=setting_of(random_federation(3), overhead_bits=100.0), tasks=tasks)
        for number in range(42):
            news = 64.0 if number in (0, 20, 40) else 0.0  # Sigma_tt and rho, after they have changed
            sizes = method.sizes(Plan(5, 1, np.arange(9)))
            down = [sizes.cloud_bits, sizes.broadcast_bits, sizes.personal_bits]
            up = [sizes.update_bits, sizes.aggregate_bits]
            assert down + up == [(228.0 + news * (k < 3)) * count for k, count in enumerate(expected)]
            assert (sizes.samples.tolist(), sizes.fixed_samples.tolist()) == (list(range(9)), [0.0] * 9)
            method.combine()


@pytest.mark.parametrize("tasks", ["base_station", "terminal"])
def test_base_stations_may_work_together_or_one_after_the_other(tasks: str) -> None:
    runs = [
        Driver(mocha(random_federation(5), tasks=tasks, relation_rounds=2), together=each) for each in (True, False)
    ]
    first, second = (driver.run(Plan(4, 2), 5) for driver in runs)
    np.testing.assert_array_equal(first.models(), second.models())
    assert first.cloud_scalars() == second.cloud_scalars()


def test_permuting_the_tasks_permutes_the_models() -> None:
    data, order = random_federation(5), np.array([2, 0, 1])
    cuts, members = data.terminal_offsets, (3 * order[:, None] + np.arange(3)).ravel()
    rows = np.concatenate([np.arange(cuts[j], cuts[j + 1]) for j in members])
    other = federation_of(data.X[rows], data.y[rows], np.diff(cuts)[members].tolist(), 3)
    runs = [turning(each, relationship="learned", relation_rounds=5) for each in (data, other)]
    first, second = (followed(method, 16)[0].models() for method in runs)
    np.testing.assert_allclose(first[order], second, atol=1e-10)
    assert np.abs(first).max() > 0.1


def test_permuting_the_terminals_of_a_task_changes_nothing_but_the_last_bits() -> None:
    data = random_federation(5)
    order = np.array([2, 0, 1, 5, 4, 3, 6, 8, 7])
    cuts = data.terminal_offsets
    rows = np.concatenate([np.arange(cuts[j], cuts[j + 1]) for j in order])
    other = federation_of(data.X[rows], data.y[rows], np.diff(cuts)[order].tolist(), 3)
    runs = [turning(each, relationship="learned", relation_rounds=5) for each in (data, other)]
    first, second = (followed(method, 16)[0].models() for method in runs)
    np.testing.assert_allclose(first, second, atol=1e-10)


def test_base_stations_are_as_cautious_as_the_number_asked_demands() -> None:
    data = random_federation(7)
    method = mocha(data)
    given: list[Any] = []
    solver: Any = method.setting.solver
    ascend = solver.ascend
    solver.ascend = lambda jobs: given.append(jobs) or ascend(jobs)
    cohort = cohort_of(data, [0, 2])
    method.train(cohort, Plan(3, 1))
    method.settle()
    np.testing.assert_allclose(given[0].sigma_prime, [3.0] * 6)
    np.testing.assert_allclose(given[0].lam_n, data.task_samples[[0] * 3 + [2] * 3] / method._relation.own[0])


# Bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"relationship": "clustered"}, r"^clusters = \[\]: allowed: a number for each of the 3 tasks"),
        (
            {"relationship": "clustered", "clusters": (0, 1)},
            r"^clusters = \[0, 1\]: allowed: a number for each of the 3",
        ),
        ({"clusters": (0, 1, 1)}, r"with relationship clustered and with no other"),
    ],
)
def test_clusters_that_do_not_fit_are_refused_in_one_line(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        mocha(random_federation(3), **parameters)
    assert "\n" not in str(refused.value)


def test_a_torch_module_is_refused_in_one_line() -> None:
    with pytest.raises(ScenarioError, match=r"^learning\.model = [^\n]*: allowed: linear: MOCHA [^\n]*$"):
        mocha(random_federation(3), setting=setting_of(random_federation(3), module=user_modules.linear))


def test_clusters_of_their_own_are_independent_tasks_and_one_cluster_is_the_mean() -> None:
    data = random_federation(3)
    for clusters, alike in (((4, 5, 6), "independent"), ((1, 1, 1), "mean_regularised")):
        methods = [mocha(data, relationship="clustered", clusters=clusters), mocha(data, relationship=alike)]
        first, second = (Driver(method).run(Plan(3, 1), 5).models() for method in methods)
        np.testing.assert_allclose(first, second, atol=1e-14)


# In the network -----------------------------------------------------------------------------------------------

ENTRIES: dict[str, dict[str, Any]] = {
    "drawn": {"use": "mocha", "relation_rounds": 3, "reports_theta": True},
    "paced": {"use": "mocha", "work": "paced", "pace": "fastest", "bs_iterations": 2, "relation_rounds": 3},
    "each": {"use": "mocha", "tasks": "terminal", "relationship": "mean_regularised"},
    "cocoa": {},
    "mb_sdca": {},
    "mb_sgd": {},
}


@pytest.mark.parametrize("key", ["drawn", "paced", "each", "cocoa", "mb_sdca"])
def test_in_an_unreliable_network_every_record_is_certified(key: str) -> None:
    result, method = simulated(scenario_of(UNRELIABLE, {"methods": ENTRIES}), key)
    certified = [row for row in result.rounds if "gap" in row]
    assert len(certified) > 5
    assert {row["event"] for row in certified} == {"start", "cloud", "end"}
    assert any(row["outcome"] != "merged" for row in result.participation)
    for row in certified:
        assert row["gap"] >= -1e-12
        assert row["primal"] - row["dual"] == pytest.approx(row["gap"], abs=1e-10)
    if key != "drawn" and key != "paced":  # their relationship stands
        assert np.diff([row["dual"] for row in certified]).min() >= -1e-12
    assert certified[-1]["gap"] < 0.8 * certified[0]["gap"]
    np.testing.assert_allclose(method._B, images(method), atol=1e-12)
    thetas = [row["theta_max"] for row in certified if "theta_max" in row]
    assert bool(thetas) == (key == "drawn") and all(0.0 <= theta <= 1.0 for theta in thetas)


@pytest.mark.parametrize("key", ENTRIES)
def test_waiting_with_the_maths_changes_no_bit(key: str) -> None:
    scenario = scenario_of(UNRELIABLE, {"methods": ENTRIES})
    late, now = (simulated(scenario, key, eager=eager) for eager in (False, True))
    assert fingerprint(late[0]) == fingerprint(now[0])
    np.testing.assert_array_equal(late[1]._models.values, now[1]._models.values)


def test_slow_terminals_that_keep_pace_do_not_hold_up_the_rest() -> None:
    slow = {"classes": [{"name": "fast", "cpu_hz": 1e9}, {"name": "slow", "cpu_hz": 0.1e9}], "per_base_station": 3}
    slow["classes"] = [each | {"cycles_per_sample": 1e7} for each in slow["classes"]]
    entries = {"paced": {"use": "mocha", "work": "paced", "pace": "fastest"}, "full": {"use": "mocha", "bottom": 1.0}}
    scenario = scenario_of({"terminals": slow, "methods": entries, "budget": {"time_s": 20}})
    rounds = {key: len(simulated(scenario, key)[0].rounds) for key in entries}
    assert rounds["paced"] > 3 * rounds["full"]


def test_under_stragglers_it_comes_near_the_optimum_before_methods_that_wait() -> None:
    fast = {"name": "fast", "weight": 3, "cpu_hz": 1e9, "cycles_per_sample": 1e7}
    classes = [fast, fast | {"name": "slow", "weight": 1, "cpu_hz": 5e7}]
    terminals = {"per_base_station": 3, "classes": classes, "slowdown": {"kind": "pareto", "tail_index": 1.5}}
    entries = {
        "mocha": {"relationship": "mean_regularised", "work": "paced"},
        "cocoa": {"relationship": "mean_regularised", "theta": 0.5},
        "mb_sdca": {"relationship": "mean_regularised"},
    }
    learning = {"lambda1": 0.05, "lambda2": 0.2}
    scenario = scenario_of(
        {"terminals": terminals, "methods": entries, "learning": learning, "budget": {"time_s": 130}}
    )
    reached_s = {}
    for key in entries:
        start, *rounds = simulated(scenario, key)[0].rounds
        near = [row["time_s"] for row in rounds if row.get("gap", np.inf) < 0.3 * start["gap"]]
        reached_s[key] = near[0] if near else np.inf
    assert 2.0 * reached_s["mocha"] < reached_s["cocoa"] < reached_s["mb_sdca"] < np.inf
