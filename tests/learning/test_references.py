"""Reference lines: the optimum bounds what any method reaches, and tuned lines are tuned on the validation rows."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import pytest

from learning.class_metrics import evaluate_class_tasks
from learning.data.federate import Evaluation, Federation
from learning.data.targets import Target
from learning.metrics import evaluate_tasks, majority_baseline
from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.losses import make_loss
from learning.references import LAMBDA1_GRID, LAMBDA2_GRID, chance_levels, references
from tests.learning.driving import SCENARIO, UNRELIABLE, random_federation, scenario_of, setting_for, simulated

NAMES = ["majority class", "multi-task optimum", "multi-task, tuned", "per-task, tuned", "pooled, tuned"]


@pytest.fixture(scope="module")
def federation() -> Federation:
    """Return the data of the small scenario."""
    return setting_for(scenario_of()).federation


@pytest.fixture(scope="module")
def rows(federation: Federation) -> list[dict[str, Any]]:
    """Return its reference lines."""
    return references(federation, make_loss("logistic"), 0.01, 0.3)


def models_at(federation: Federation, lambda1: float, lambda2: float) -> np.ndarray[Any, Any]:
    """Return the optimal models at given weights."""
    task_of_row = np.repeat(federation.terminal_task, np.diff(federation.terminal_offsets))
    loss = make_loss("logistic")
    return solve_joint(federation.X, federation.y, task_of_row, 3, loss, lambda1, lambda2, tolerance=1e-7).W


def balanced(W: np.ndarray[Any, Any], part: Evaluation) -> float:
    """Return the mean balanced accuracy of one model a task."""
    scores = [part.X[a:b] @ w for w, a, b in zip(W, part.task_offsets, part.task_offsets[1:], strict=False)]
    return float(np.nanmean(evaluate_tasks(np.concatenate(scores), part.y, part.task_offsets).balanced_accuracy))


def test_there_is_a_line_of_every_kind_with_its_weights(rows: list[dict[str, Any]]) -> None:
    assert [row["reference"] for row in rows] == NAMES
    by_name = {row["reference"]: row for row in rows}
    assert (by_name["multi-task optimum"]["lambda1"], by_name["multi-task optimum"]["lambda2"]) == (0.01, 0.3)
    assert by_name["per-task, tuned"]["lambda2"] == 0.0 and by_name["pooled, tuned"]["lambda2"] == inf
    assert by_name["majority class"]["primal"] is None
    assert by_name["multi-task, tuned"]["lambda2"] in LAMBDA2_GRID
    assert all(row["lambda1"] in LAMBDA1_GRID for row in rows if "tuned" in row["reference"])


def test_scores_are_those_of_the_optimal_models_on_the_test_rows(
    rows: list[dict[str, Any]], federation: Federation
) -> None:
    for row in rows[1:]:
        W = models_at(federation, row["lambda1"], row["lambda2"])
        assert row["balanced_accuracy"] == pytest.approx(balanced(W, federation.test), rel=1e-12)


def test_no_point_of_the_grid_scores_better_on_the_validation_rows(
    rows: list[dict[str, Any]], federation: Federation
) -> None:
    for name, couplings in ((NAMES[2], LAMBDA2_GRID), (NAMES[3], (0.0,)), (NAMES[4], (inf,))):
        row = next(row for row in rows if row["reference"] == name)
        chosen = balanced(models_at(federation, row["lambda1"], row["lambda2"]), federation.validation)
        grid = [(one, two) for one in LAMBDA1_GRID for two in couplings]
        assert chosen == max(balanced(models_at(federation, *point), federation.validation) for point in grid)


def test_the_majority_line_is_the_majority_baseline(rows: list[dict[str, Any]], federation: Federation) -> None:
    ends = np.cumsum(federation.task_samples)[:-1]
    cuts = federation.test.task_offsets[1:-1]
    expected = majority_baseline(np.split(federation.y, ends), np.split(federation.test.y, cuts))
    assert rows[0]["accuracy"] == pytest.approx(expected.accuracy.mean(), rel=1e-12)
    assert rows[0]["balanced_accuracy"] == rows[0]["auc"] == rows[0]["worst_balanced_accuracy"] == 0.5


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
@pytest.mark.parametrize("loss", ["smoothed_hinge", "squared"])
def test_no_method_ever_records_an_objective_below_the_multi_task_optimum(loss: str, world: dict[str, Any]) -> None:
    scenario = scenario_of(world, {"learning": {"loss": loss}})
    problem = scenario.learning
    federation = replace(
        setting_for(scenario).federation, validation=Evaluation(np.empty((0, 5)), np.empty(0), np.zeros(4, np.int64))
    )
    lines = references(federation, make_loss(loss, problem.smoothing), problem.lambda1, problem.lambda2)
    optimum = next(row["primal"] for row in lines if row["reference"] == "multi-task optimum")
    lowest = inf
    for key in SCENARIO["methods"]:
        result, _ = simulated(scenario, key)
        for row in result.rounds:
            lowest = min(lowest, row.get("objective", inf))
            if row["node"] == "cloud" and "dual" in row:
                assert row["dual"] <= optimum <= row["primal"] * (1 + 1e-6)
    assert optimum * (1 - 1e-6) <= lowest < 1.2 * optimum  # a bound that some method comes close to


def test_without_validation_rows_nothing_is_tuned() -> None:
    data = random_federation(3)
    nothing = Evaluation(np.empty((0, 4)), np.empty(0), np.zeros(4, np.int64))
    lines = references(replace(data, validation=nothing), make_loss("hinge"), 0.1, 0.1)
    assert [row["reference"] for row in lines] == NAMES[:2]


def test_tasks_with_one_class_to_test_on_have_no_balanced_accuracy_and_cause_no_warning() -> None:
    data = random_federation(3)
    part = Evaluation(data.X[:3], np.ones(3), np.arange(4))
    lines = references(replace(data, validation=part, test=part), make_loss("hinge"), 0.1, 0.1)
    assert [row["reference"] for row in lines] == NAMES
    for row in lines:
        assert np.isnan([row["balanced_accuracy"], row["auc"], row["worst_balanced_accuracy"]]).all()
        assert 0.0 <= row["accuracy"] <= 1.0


def test_chance_is_what_a_constant_answer_scores_on_the_rows_kept_back(federation: Federation) -> None:
    assert chance_levels(federation) == {}
    offsets, rng = np.array([0, 30, 60, 62]), np.random.default_rng(0)
    classes = np.concatenate([rng.permutation(30) % 5, rng.permutation(30) % 3, [0, 1]]).astype(float)
    others, values = rng.choice([-1.0, 1.0], 62), rng.normal(size=62)
    rows = Evaluation(np.zeros((62, 2)), classes, offsets, np.column_stack([others, values]))
    none = Evaluation(np.zeros((0, 2)), np.zeros(0), np.zeros(4, int))
    several = (Target("classes", "which", 5), Target("binary", "side"), Target("values", "much"))
    targets = (several, (Target("classes", classes=5),), several)
    levels = chance_levels(replace(federation, targets=targets, test=rows, validation=none))
    names = federation.task_names
    assert levels == {f"{names[0]} which": 1 / 5, names[1]: 1 / 3}
    constant = evaluate_class_tasks(np.tile([0.0, 0, 1, 0, 0], (62, 1)), classes, offsets).balanced_accuracy
    np.testing.assert_allclose(constant[:2], list(levels.values()))
    assert chance_levels(replace(federation, targets=targets, test=none, validation=rows)) == levels


def test_lines_for_values_explain_what_they_can_and_the_training_mean_explains_nothing() -> None:
    rng = np.random.default_rng(4)
    data = random_federation(5, loss="squared")
    W = rng.normal(size=(3, data.X.shape[1]))

    def part(rows: int) -> Evaluation:
        X, offsets = rng.normal(size=(3 * rows, data.X.shape[1])), np.arange(4) * rows
        return Evaluation(X, np.einsum("nd,nd->n", X, W.repeat(rows, axis=0)), offsets)

    y = np.einsum("nd,nd->n", data.X, W[np.repeat(data.terminal_task, np.diff(data.terminal_offsets))])
    exact = replace(data, y=y, validation=part(20), test=part(30))
    lines = {row["reference"]: row for row in references(exact, make_loss("squared"), 0.001, 0.001)}
    assert list(lines) == ["training mean", *NAMES[1:]]
    assert lines["training mean"]["r2"] < 0.1 and "accuracy" not in lines["training mean"]
    assert lines["multi-task optimum"]["r2"] > 0.99 and lines["per-task, tuned"]["r2"] > 0.99
    assert lines["pooled, tuned"]["worst_r2"] < lines["per-task, tuned"]["worst_r2"] < lines["per-task, tuned"]["r2"]
