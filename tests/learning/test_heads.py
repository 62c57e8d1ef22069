"""Heads of different label spaces on one trunk: what they descend on, how they are scored, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from learning import trunks
from learning.build import build_method, load_tasks
from learning.data.federate import Evaluation, Federation
from learning.data.smartwatch import EXERCISES, smartwatch_tasks
from learning.data.targets import Target
from learning.evaluation import MEASURES
from learning.head_evaluation import losses_of
from learning.methods import registry
from learning.metrics import rmse
from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.losses import make_loss
from learning.shared_trunk import SharedTrunkModel
from netsim.port import CLOUD
from scenarios.errors import ScenarioError
from scenarios.schema import Data
from scenarios.streams import Streams
from tests.learning import user_modules
from tests.learning.driving import (
    fingerprint,
    random_federation,
    scenario_of,
    setting_for,
    setting_of,
    simulated,
    weights_of,
)

Array = NDArray[Any]
KINDS = ["binary", "classes:3", "values", "both"]
MIXED = {
    "data": {
        "source": "tests.learning.user_modules:mixed_tasks",
        "split": {"train_fraction": 0.5, "validation_fraction": 0.1, "test_fraction": 0.4},
    },
    "learning": {"loss": "logistic", "model": "learning.trunks:mlp", "model_arguments": {"width": 6}, "lambda1": 1e-4},
    "budget": {"time_s": 1000},
    "methods": {
        "fedrep": {"head_iterations": 5, "trunk_iterations": 5, "learning_rate": 0.2, "cloud_rounds": 8},
        "fedper": {"local_iterations": 10, "learning_rate": 0.2, "cloud_rounds": 8},
        "fedavg": {"local_iterations": 10, "bs_iterations": 1, "learning_rate": 0.2, "cloud_rounds": 8},
        "local": {"chunks": 8},
    },
}


def mixed_model(loss: str = "logistic") -> tuple[SharedTrunkModel, Federation]:
    """Return the model of tasks of all kinds."""
    setting = setting_for(scenario_of(MIXED, {"learning": MIXED["learning"] | {"loss": loss}}))
    assert isinstance(setting.model, SharedTrunkModel)
    return setting.model, setting.federation


def full_step(model: SharedTrunkModel, federation: Federation, w: Array) -> Array:
    """Return the (M, P) gradients of full batches, from a step of 1."""
    ones = np.ones(len(w), np.int64)
    jobs = SgdJobs(np.arange(len(w)), w, w, ones, 1.0 * ones, 0 * ones, (0, 0), 1000)
    return w - model.descend(jobs)


@pytest.mark.parametrize("loss", ["hinge", "logistic", "squared"])
def test_terminals_descend_on_the_loss_of_their_own_heads(loss: str) -> None:
    model, federation = mixed_model(loss)
    w = np.random.default_rng(1).normal(size=(len(federation.terminal_task), model.size))
    found, each = full_step(model, federation, w), np.random.default_rng(2).normal(size=w.shape)
    for k in range(len(w)):
        task, a, b = federation.terminal_task[k], *federation.terminal_offsets[k : k + 2]

        def mean_loss(model_of: Array, task: int = task, a: int = a, b: int = b) -> float:
            run = np.array([0])
            scores = model.outputs_each(model_of[None], np.array([task]), run, federation.X, np.array([a, b]))
            losses = losses_of(model.targets[task], scores, federation.labels[a:b], make_loss(loss))
            return float(losses.mean())

        slope = (mean_loss(w[k] + 1e-6 * each[k]) - mean_loss(w[k] - 1e-6 * each[k])) / 2e-6
        assert found[k] @ each[k] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_several_heads_of_a_terminal_add_their_losses_up_as_autograd_has_it() -> None:
    model, federation = mixed_model()
    w = np.random.default_rng(1).normal(size=(len(federation.terminal_task), model.size))
    k = int(np.flatnonzero(federation.terminal_task == 3)[0])
    a, b = federation.terminal_offsets[k : k + 2]
    X, labels = torch.as_tensor(federation.X[a:b]), torch.as_tensor(federation.labels[a:b])
    flat = torch.tensor(w[k], requires_grad=True)
    one, two, three, four, five, six = torch.split(flat, [24, 6, 18, 3, 6, 1])
    seen = torch.tanh(X @ one.reshape(6, 4).T + two)
    turn, side = seen @ three.reshape(3, 6).T + four, seen @ five + six
    loss = torch.nn.functional.cross_entropy(turn, labels[:, 0].long())
    (loss + torch.nn.functional.softplus(-labels[:, 1] * side).mean()).backward()
    assert flat.grad is not None
    np.testing.assert_allclose(full_step(model, federation, w)[k], flat.grad.numpy(), atol=1e-12)


def test_padding_behind_a_short_head_is_never_touched() -> None:
    model, federation = mixed_model()
    sizes = np.array([30 + 7, 30 + 21, 30 + 7, 30 + 28])[federation.terminal_task]
    assert model.size == 58 and model.trunk_size == 30
    starts = model.starts(Streams(0), federation.terminal_task)
    step = full_step(model, federation, starts)
    for start, moved, size in zip(starts, step, sizes, strict=True):
        assert np.all(start[size:] == 0.0) and np.all(moved[size:] == 0.0)
        assert np.all(start[:size] != 0.0)
    assert np.ptp(starts[:, :30], axis=0).max() == 0.0


@pytest.mark.parametrize("name", ["fedrep", "fedper", "local"])
def test_heads_of_all_kinds_learn_together_and_are_scored(name: str) -> None:
    result, method = simulated(scenario_of(MIXED), name)
    rows = {row["task"]: row for row in result.tasks if row["event"] == "end" and row["split"] == "test"}
    assert list(rows) == ["0-binary", "1-classes:3", "2-values", "3-both turn", "3-both side"]
    first = {row["task"]: row for row in result.tasks if row["event"] == "start" and row["split"] == "test"}
    for task, row in rows.items():
        if task == "2-values":
            assert row["rmse"] < 0.5 * first[task]["rmse"]
        else:
            assert row["auc"] > 0.85 and row["balanced_accuracy"] > 0.65
        assert np.isnan(row["rmse"]) == (task != "2-values")
        assert np.isnan([row[measure] for measure in MEASURES]).all() == (task == "2-values")
    if name == "fedrep":
        up = sum(result.terminals.columns["bytes_up"])
        assert up == sum(result.terminals.columns["merged"]) * (4 * method._trunk_size + 128)
        eager, _ = simulated(scenario_of(MIXED), name, eager=True)
        assert fingerprint(eager) == fingerprint(result)


def test_scores_of_values_are_root_mean_square_errors_averaged_over_terminals() -> None:
    setting = setting_for(scenario_of(MIXED))
    method: Any = build_method("fedrep", scenario_of(MIXED).methods["fedrep"], setting)
    measured, models, data = method.evaluate(CLOUD), weights_of(method), setting.federation
    rows = slice(*data.test.task_offsets[2:4])
    scores = [
        setting.model.outputs_each(models[[k]], np.array([2]), np.array([2]), data.test.X, data.test.task_offsets)
        for k in np.flatnonzero(data.terminal_task == 2)
    ]
    expected = np.mean([rmse(score[:, 0], data.test.y[rows]) for score in scores])
    found = next(row for row in measured.tasks if row["task"] == "2-values" and row["split"] == "test")
    assert found["rmse"] == pytest.approx(expected, rel=1e-12)


def test_whole_models_are_averaged_only_where_label_spaces_agree() -> None:
    with pytest.raises(
        ScenarioError, match=r"^data = 'FedAvg \(methods.fedavg\)': .*different label spaces$"
    ) as refused:
        simulated(scenario_of(MIXED), "fedavg")
    assert "\n" not in str(refused.value)
    alike = MIXED | {"data": MIXED["data"] | {"arguments": {"kinds": ["classes:3", "classes:3"]}}}
    result, _ = simulated(scenario_of(alike), "fedavg")
    ends = [row for row in result.tasks if row["event"] == "end" and row["split"] == "test"]
    assert [row["task"] for row in ends] == ["0-classes:3", "1-classes:3"] * (len(ends) // 2)
    assert min(row["accuracy"] for row in ends) > 0.5
    assert result.rounds[-1]["objective"] < result.rounds[0]["objective"]


# Data ---------------------------------------------------------------------------------------------------------


def test_the_watch_says_which_exercise_and_whose_arm_to_tasks_in_turn() -> None:
    plain = smartwatch_tasks(("PEN", "IR", "TRAP"), group_by="subject")
    asked = smartwatch_tasks(("PEN", "IR", "TRAP"), group_by="subject", targets=("exercise+side", "positive"))
    assert [len(task.targets) for task in asked] == [2, 1] * 5
    for task, like in zip(asked, plain, strict=True):
        np.testing.assert_array_equal(task.features, like.features)
        if len(task.targets) == 1:
            np.testing.assert_array_equal(task.labels, like.labels)
            continue
        positive = np.isin(task.labels, [EXERCISES.index(name) for name in ("PEN", "IR", "TRAP")])
        np.testing.assert_array_equal(np.where(positive, 1.0, -1.0), like.labels)
        assert set(task.further[:, 0]) == {-1.0, 1.0}
        assert task.targets[0] == Target("classes", "exercise", 7)


@pytest.mark.parametrize(
    ("targets", "group_by"), [(["speed"], "arm"), (["side"], "arm"), (["side+side"], "subject"), ([""], "arm")]
)
def test_targets_the_watch_does_not_know_are_refused(targets: list[str], group_by: str) -> None:
    with pytest.raises(ScenarioError, match=r"^data.targets = .*different names among positive, exercise, side"):
        load_tasks(Data(targets=targets, group_by=group_by), "logistic", Streams(0))


def test_terminals_are_dealt_rows_by_class_where_there_are_several() -> None:
    data = {"source": "smartwatch", "targets": ["exercise"], "partition": "dirichlet", "dirichlet_alpha": 0.05}
    split = {"train_fraction": 0.5, "validation_fraction": 0.0, "test_fraction": 0.5}
    federation = setting_for(scenario_of(MIXED, {"data": data | {"split": split, "max_tasks": 4}})).federation
    cuts = federation.terminal_offsets
    kinds = [len(np.unique(federation.y[a:b])) for a, b in pairwise(cuts)]
    assert np.mean(kinds) < 5.0  # of seven; dealt evenly nearly all would have all


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (["classes:1"], r"'classes:1'.* binary, classes, classes:C or values"),
        (["numbers"], r"'numbers'"),
    ],
)
def test_kinds_of_labels_that_are_not_known_are_refused(kinds: list[str], said: str, monkeypatch: Any) -> None:
    rows = np.zeros((4, 1)), np.array([0.0, 1.0, 0.0, 1.0])
    monkeypatch.setattr(user_modules, "mixed_tasks", lambda kinds: {"t": (*rows, kinds[0])})
    with pytest.raises(ScenarioError, match=said):
        load_tasks(
            Data(source="tests.learning.user_modules:mixed_tasks", arguments={"kinds": kinds}), "hinge", Streams(0)
        )


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        ([0.0, 1.0, 2.0, 3.0], "classes:3", r"row 3: label 3.*whole numbers from 0 to 2"),
        ([0.0, 1.0, 0.5, 1.0], "classes", r"row 2: label 0.5"),
        ([0.0, 1.0, 0.0, 1.0], "binary", r"row 0: label 0.*labels -1 and \+1"),
        ([2.0, 2.0, 2.0, 2.0], "classes", r"all 4 labels are 2.*at least two classes"),
        ([0.0, np.nan, 1.0, 1.0], "values", r"finite labels"),
        ([0.0, 1.0], "classes", r"one label a row"),
    ],
)
def test_labels_outside_their_space_are_refused_in_one_line(
    labels: list[float], kind: str, said: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(user_modules, "mixed_tasks", lambda: {"t": (np.zeros((4, 1)), labels, kind)})
    with pytest.raises(ScenarioError, match=said) as refused:
        load_tasks(Data(source="tests.learning.user_modules:mixed_tasks"), "hinge", Streams(0))
    assert "\n" not in str(refused.value)


# Models -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("headless", r"'children none': allowed: a function of \(features, outputs\)"),
        ("loose", r"parameters in trunk and in head"),
        ("bare", r"parameters in trunk and in head"),
        ("swollen", r"trunks of 5 and 15 parameters.*the same trunk for any number of outputs"),
        ("narrow", r"output \(3, 1\) for 3 rows and 3 outputs"),
        ("normed", r"batch norm and dropout are not"),
        ("perceptron", r"a function of \(features, outputs\), for labels of declared targets"),
    ],
)
def test_a_model_without_the_parts_is_refused_in_one_line(name: str, said: str) -> None:
    learning = {"learning": {"loss": "logistic", "model": f"tests.learning.user_modules:{name}"}}
    with pytest.raises(ScenarioError, match=said) as refused:
        setting_for(scenario_of(MIXED, learning))
    assert str(refused.value).startswith("learning.model") and "\n" not in str(refused.value)


def test_arguments_a_model_does_not_take_are_refused() -> None:
    wrong = MIXED["learning"] | {"model_arguments": {"depth": 2}}
    with pytest.raises(ScenarioError, match=r"^learning.model_arguments = .*depth"):
        setting_for(scenario_of(MIXED, {"learning": wrong}))


def test_a_linear_model_has_no_heads_for_declared_targets() -> None:
    with pytest.raises(ScenarioError, match=r"^learning.model = 'linear': allowed: a model with heads"):
        setting_for(scenario_of(MIXED, {"learning": {"loss": "logistic"}}))


def test_a_single_head_is_scored_like_any_model() -> None:
    _, federation = mixed_model()
    alone = replace(federation, targets=(), further=None, y=np.sign(federation.y - 0.5))
    one = SharedTrunkModel(user_modules.__dict__["narrow"], {}, alone, make_loss("hinge"), "cpu")
    w = np.random.default_rng(0).normal(size=(2, one.size))
    each = one.scores_each(w, federation.X, np.array([0, 5, 9]))
    np.testing.assert_allclose(each[5:], one.scores(w[1], federation.X[5:9]), atol=1e-14)
    expected = (federation.X[:5] @ w[0, :12].reshape(3, 4).T + w[0, 12:15]) @ w[0, 15:18] + w[0, 18]
    np.testing.assert_allclose(each[:5], expected, atol=1e-13)


def test_who_wants_one_score_a_row_is_told_that_there_are_more() -> None:
    alike = MIXED | {"data": MIXED["data"] | {"arguments": {"kinds": ["classes:3", "classes:3"]}}}
    with pytest.raises(ScenarioError, match=r"^data = .*one score a row for this method$"):
        simulated(scenario_of(alike, {"methods": {"fedem": {"cloud_rounds": 1}}}), "fedem")


def test_there_are_no_heads_for_tasks_that_take_no_part() -> None:
    unseen = {"data": MIXED["data"] | {"unseen_tasks": 1}}
    with pytest.raises(ScenarioError, match=r"^data.unseen_tasks = 1: allowed: 0 with a model with heads"):
        setting_for(scenario_of(MIXED, unseen))


def test_a_split_without_rows_is_scored_under_heads_as_without() -> None:
    federation = random_federation(0)
    nothing = Evaluation(federation.X[:0], federation.y[:0], np.zeros(4, np.int64))
    setting = setting_of(replace(federation, validation=nothing), "logistic")
    model = SharedTrunkModel(trunks.linear_trunk, {"width": 2}, setting.federation, setting.loss, "cpu")
    kind = registry.find("fedper")
    method: Any = kind(replace(setting, model=model), registry.parameters(kind, {}, "methods.x"))
    measured = method.evaluate(CLOUD)
    method.settle()
    by_split = {
        split: [r["accuracy"] for r in measured.tasks if r["split"] == split] for split in ("validation", "test")
    }
    assert np.isnan(by_split["validation"]).all() and np.isfinite(by_split["test"]).all()
