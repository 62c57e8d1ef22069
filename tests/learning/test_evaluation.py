"""Measurements: every recorded number is the one its definition gives, for the models as they were when asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning import evaluation, metrics
from learning.data.federate import Evaluation, Federation, Unseen
from learning.deferred import DeferredQueue, Pending
from learning.evaluation import MEASURES, SPLITS, VALUE_MEASURES, Evaluator, Measurement, copied
from learning.messages import Plan
from learning.methods.clustered_fl import ClusteredFL
from learning.methods.ditto import Ditto
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.methods.fedavg_finetune import FedAvgFinetune
from learning.methods.fedem import FedEM, MixtureParameters
from learning.methods.hfedmtl import FixedDualParameters, HFedMTL
from learning.methods.local import Local
from learning.methods.permfl import PerMFL
from learning.methods.soft_sharing import SoftSharing
from learning.metrics import evaluate_values
from learning.mixtures import Mixture, fit_shares
from learning.primal_dual.losses import LOSSES
from learning.state import State
from netsim.port import CLOUD, Node
from tests.learning.driving import Driver, random_federation, scenario_of, setting_of, simulated

Array = NDArray[Any]


def held_out(seed: int, sizes: list[int]) -> Evaluation:
    """Return rows of three tasks."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    y = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    return Evaluation(rng.normal(size=(n, 4)), y, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def federation_with(validation: list[int], test: list[int], loss: str = "hinge") -> Federation:
    """Return three tasks with held-out rows of their own."""
    return replace(random_federation(1, loss=loss), validation=held_out(2, validation), test=held_out(3, test))


def measured_now(federation: Federation, tasks: list[int], models: Array, loss: str = "hinge") -> list[dict[str, Any]]:
    """Return the rows of one model each on some tasks."""
    queue = DeferredQueue()
    evaluator = Evaluator(setting_of(federation, loss))
    pending: Pending = evaluator.measure(queue, np.array(tasks), State(models), np.arange(len(tasks)))
    queue.flush()
    rows: list[dict[str, Any]] = pending.value
    return rows


def expected_row(federation: Federation, task: int, split: str, models: list[Array]) -> dict[str, Any]:
    """Return a row from the definitions, averaged over models."""
    part = getattr(federation, split)
    rows = slice(part.task_offsets[task], part.task_offsets[task + 1])
    X, y = part.X[rows], part.y[rows]
    mean = {name: np.mean([getattr(metrics, name)(X @ w, y) for w in models]) for name in MEASURES}
    return {"task": federation.task_names[task], "split": split, **mean, "samples": len(y)}


def test_every_score_is_the_metric_of_the_tasks_own_held_out_rows() -> None:
    federation, models = federation_with([7, 12, 20], [30, 9, 15]), np.random.default_rng(0).normal(size=(3, 4))
    found = measured_now(federation, [0, 1, 2], models)
    expected = [expected_row(federation, b, split, [models[b]]) for b in range(3) for split in SPLITS]
    assert [(row["task"], row["split"], row["samples"]) for row in found] == [
        (row["task"], row["split"], row["samples"]) for row in expected
    ]
    for name in MEASURES:
        np.testing.assert_allclose([row[name] for row in found], [row[name] for row in expected], rtol=1e-12)


def test_a_task_measured_several_times_gets_the_mean() -> None:
    federation, models = federation_with([7, 12, 20], [30, 9, 15]), np.random.default_rng(1).normal(size=(4, 4))
    found = measured_now(federation, [2, 0, 2, 2], models)
    assert [(row["task"], row["split"]) for row in found] == [(f"task-{b}", split) for b in (2, 0) for split in SPLITS]
    third = expected_row(federation, 2, "test", [models[0], models[2], models[3]])
    assert all(found[1][name] == pytest.approx(third[name], rel=1e-12) for name in MEASURES)


def test_what_the_rows_cannot_define_is_not_a_number_and_no_warning() -> None:
    federation = federation_with([0, 5, 5], [1, 5, 5])
    validation, test = measured_now(federation, [0, 0], np.array([np.ones(4), np.zeros(4)]))
    assert validation["samples"] == 0 and all(np.isnan(validation[name]) for name in MEASURES)
    assert np.isnan(test["auc"]) and np.isnan(test["balanced_accuracy"])
    assert 0.0 <= test["accuracy"] <= 1.0 and np.isfinite(test["log_loss"])


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=6, max_size=6),
    requests=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_scores_do_not_depend_on_what_else_is_measured_at_the_same_time(
    sizes: list[int], requests: list[list[int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    models = State(rng.normal(size=(5, 4)).round(1))  # rounded: some scores tie
    rows = [rng.integers(0, 5, len(tasks)) for tasks in requests]
    evaluator = Evaluator(setting_of(federation_with(sizes[:3], sizes[3:])))
    together, alone = DeferredQueue(), DeferredQueue(eager=True)
    pending = [
        [evaluator.measure(queue, np.array(tasks), models, row) for tasks, row in zip(requests, rows, strict=True)]
        for queue in (together, alone)
    ]
    together.flush()
    first, second = (repr([p.value for p in each]) for each in pending)
    assert first == second


def test_the_objective_has_the_same_bits_however_many_tasks_are_taken_at_a_time(monkeypatch: Any) -> None:
    setting, states = setting_of(random_federation(5, tasks=7)), np.random.default_rng(3).normal(size=(7, 4))
    found = set()
    for most in (1, 30, 60, 10_000):
        monkeypatch.setattr(evaluation, "_CACHED_ROWS", most)
        queue = DeferredQueue()
        pending = Evaluator(setting).objective(queue, copied(queue, State(states), np.arange(7)))
        queue.flush()
        found.add(pending.value["objective"])
    assert len(found) == 1


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_objective_is_losses_ridge_and_distance_to_the_mean(loss: str) -> None:
    federation, queue = random_federation(3, loss=loss), DeferredQueue()
    setting = setting_of(federation, loss, 0.3, 0.7)
    states = np.random.default_rng(2).normal(size=(5, 4))
    W, rows = states[[4, 0, 2]], np.array([4, 0, 2])
    pending = Evaluator(setting).objective(queue, copied(queue, State(states), rows))
    queue.flush()
    ends = np.cumsum(federation.task_samples)[:-1]
    tasks = zip(np.split(federation.X, ends), np.split(federation.y, ends), W, strict=True)
    losses = sum(setting.loss.value(X @ w, y).mean() for X, y, w in tasks)
    expected = losses + 0.15 * np.sum(W**2) + 0.35 * np.sum((W - W.mean(axis=0)) ** 2)
    assert pending.value == {"objective": pytest.approx(expected, rel=1e-12)}


METHODS: list[tuple[Any, Any]] = [(FedAvg, AveragingParameters()), (HFedMTL, FixedDualParameters())]


@pytest.mark.parametrize(("kind", "parameters"), METHODS)
def test_a_record_keeps_the_models_of_its_time_however_late_it_is_computed(kind: Any, parameters: Any) -> None:
    late, soon = (kind(setting_of(random_federation(4)), parameters) for _ in range(2))
    drivers = Driver(late), Driver(soon)
    for _ in range(4):
        for driver in drivers:
            driver.cloud_round(Plan(5, 2))
        soon.settle()
    late.settle()
    first, second = (repr([(dict(m.scalars), m.tasks) for _, m in driver.records]) for driver in drivers)
    assert first == second
    objectives = [scalars["objective"] for scalars in drivers[0].cloud_scalars()]
    assert len(set(objectives)) == 4


def test_nothing_can_be_read_before_the_queue_is_flushed() -> None:
    method = HFedMTL(setting_of(random_federation(4)), FixedDualParameters())
    measured = method.evaluate(CLOUD)
    for read in (lambda: measured.scalars, lambda: measured.tasks):
        with pytest.raises(RuntimeError, match="flush"):
            read()
    method.settle()
    assert set(measured.scalars) == {"objective", "primal", "dual", "gap"}
    assert len(measured.tasks) == 6


def test_an_empty_measurement_has_no_numbers() -> None:
    assert dict(Measurement().scalars) == {} and list(Measurement().tasks) == []


def test_a_base_station_is_measured_on_its_own_task() -> None:
    federation = federation_with([7, 12, 20], [30, 9, 15])
    method = HFedMTL(setting_of(federation), FixedDualParameters())
    driver = Driver(method).run(Plan(5, 2), 1)
    measured = method.evaluate(Node("base_station", 1))
    method.settle()
    w = driver.models()[1]
    assert {row["task"] for row in measured.tasks} == {"task-1"}
    assert measured.tasks[1]["log_loss"] == pytest.approx(expected_row(federation, 1, "test", [w])["log_loss"])


@pytest.mark.parametrize(("kind", "parameters"), METHODS)
def test_without_edge_metrics_nothing_is_measured_at_base_stations_and_all_else_is_the_same(
    kind: Any, parameters: Any
) -> None:
    drivers = [
        Driver(kind(setting_of(random_federation(4), edge_metrics=edge), parameters)).run(Plan(5, 2), 2)
        for edge in (False, True)
    ]
    without, full = ([(node, repr((dict(m.scalars), list(m.tasks)))) for node, m in d.records] for d in drivers)
    assert [text for node, text in without if node != CLOUD] == ["({}, [])"] * 18
    assert [record for record in without if record[0] == CLOUD] == [record for record in full if record[0] == CLOUD]
    assert any(text != "({}, [])" for node, text in full if node != CLOUD) == (kind is HFedMTL)


@pytest.mark.parametrize("key", ["hfedmtl", "fedavg", "local"])
def test_a_run_scores_every_task_on_both_splits_at_every_cloud_record(key: str) -> None:
    result, method = simulated(scenario_of(), key)
    names = method.setting.federation.task_names
    cloud = [row for row in result.tasks if row["event"] in ("start", "cloud", "end")]
    events = [row for row in result.rounds if row["event"] in ("start", "cloud", "end")]
    assert [(row["task"], row["split"]) for row in cloud] == [(n, s) for n in names for s in SPLITS] * len(events)


# Unseen tasks -------------------------------------------------------------------------------------------------


def with_unseen(loss: str = "logistic") -> Federation:
    """Return three tasks, and two with two terminals each that take no part."""
    federation, rows = random_federation(4, loss=loss), held_out(5, [7, 4, 9, 6])
    test = held_out(6, [30, 20])
    owner = np.array([0, 0, 1, 1])
    return replace(federation, unseen=Unseen(rows.X, rows.y, rows.task_offsets, owner, ("late", "later"), test))


def unseen_rows(method: Any) -> list[dict[str, Any]]:
    """Measure and return the rows of unseen tasks."""
    measured = method.evaluate(CLOUD)
    method.settle()
    return [row for row in measured.tasks if row["split"] == "unseen"]


def test_unseen_tasks_are_scored_with_the_global_model_as_it_is() -> None:
    federation = with_unseen()
    method = FedAvg(setting_of(federation, "logistic"), AveragingParameters())
    w = Driver(method).run(Plan(5, 2), 2).models()[0]
    rows, unseen = unseen_rows(method), federation.unseen
    assert unseen is not None
    assert [(row["task"], row["samples"]) for row in rows] == [("late", 30), ("later", 20)]
    for row, (a, b) in zip(rows, ((0, 30), (30, 50)), strict=True):
        for name in MEASURES:
            expected = getattr(metrics, name)(unseen.test.X[a:b] @ w, unseen.test.y[a:b])
            assert row[name] == pytest.approx(expected, rel=1e-12)


def test_unseen_terminals_fit_their_shares_of_a_mixture_and_nothing_else() -> None:
    federation, M = with_unseen(), 2
    method = FedEM(setting_of(federation, "logistic"), MixtureParameters(components=M))
    models = Driver(method).run(Plan(5, 2), 2).models()[0]
    rows, unseen = unseen_rows(method), federation.unseen
    assert unseen is not None
    mixture = Mixture(method.setting.model, method.setting.loss, M)
    losses = mixture.losses(np.tile(models, (4, 1)), unseen.X, unseen.y, unseen.terminal_offsets)
    shares = fit_shares(losses, unseen.terminal_offsets)
    assert np.ptp(shares) > 0.01
    for row, (a, b), who in zip(rows, ((0, 30), (30, 50)), ((0, 1), (2, 3)), strict=True):
        X, y, ends = unseen.test.X[a:b], unseen.test.y[a:b], np.array([0, b - a])
        scores = [mixture.scores_each(np.hstack([models, shares[j]])[None], X, ends) for j in who]
        for name in MEASURES:
            assert row[name] == pytest.approx(np.mean([getattr(metrics, name)(s, y) for s in scores]), rel=1e-12)


@pytest.mark.parametrize(("kind", "parameters"), METHODS)
def test_unseen_tasks_change_nothing_else_that_is_recorded(kind: Any, parameters: Any) -> None:
    federation = with_unseen()
    records = []
    for data in (federation, replace(federation, unseen=None)):
        driver = Driver(kind(setting_of(data, "logistic"), parameters)).run(Plan(5, 2), 2)
        others = [[row for row in m.tasks if row["split"] != "unseen"] for _, m in driver.records]
        records.append(repr((others, [dict(m.scalars) for _, m in driver.records])))
    assert records[0] == records[1]


@pytest.mark.parametrize("kind", [HFedMTL, ClusteredFL, SoftSharing, Local])
def test_a_method_that_has_no_model_for_newcomers_offers_none(kind: Any) -> None:
    assert unseen_rows(kind(setting_of(with_unseen(), "logistic"), kind.Parameters())) == []


@pytest.mark.parametrize("kind", [Ditto, PerMFL, FedAvgFinetune])
def test_methods_with_a_global_model_and_others_offer_the_global_one(kind: Any) -> None:
    method = kind(setting_of(with_unseen(), "logistic"), kind.Parameters())
    plain = FedAvg(setting_of(with_unseen(), "logistic"), AveragingParameters())
    plain._cloud.values[:] = method._cloud.values[:] = np.arange(4.0) - 1.0
    assert unseen_rows(method) == unseen_rows(plain) != []


def test_labels_that_are_values_are_measured_as_values_and_classes_as_classes_whatever_the_loss() -> None:
    classes, models = federation_with([7, 12, 20], [30, 9, 15]), np.random.default_rng(2).normal(size=(3, 4))
    for loss in ("hinge", "squared"):
        assert set(MEASURES) <= set(measured_now(classes, [0, 1, 2], models, loss)[0])
    values = replace(classes, y=classes.y + 0.25)
    assert values.holds_values and not classes.holds_values
    found = measured_now(values, [2, 0, 2], models, "squared")
    assert set(found[0]) == {"task", "split", "samples", *VALUE_MEASURES}
    test = values.test
    for row, task, used in ((found[1], 2, [0, 2]), (found[3], 0, [1])):
        part = slice(test.task_offsets[task], test.task_offsets[task + 1])
        each = [evaluate_values(test.X[part] @ models[i], test.y[part], np.array([0, len(test.y[part])])) for i in used]
        np.testing.assert_allclose([row["rmse"], row["r2"]], np.mean(each, axis=0)[0], rtol=1e-12)
