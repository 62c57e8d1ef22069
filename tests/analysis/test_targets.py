"""Spending until a target is reached, with seeds that never get there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.curves import BALANCED_ACCURACY, task_curves, trial_states
from analysis.load import Experiment
from analysis.targets import default_targets, resource_to_target
from tests.analysis.handmade_experiment import handmade, steps


def _row(experiment: Experiment, target: float, method: str = "ours", resource: str = "cost") -> dict[Any, Any]:
    table = resource_to_target(experiment, (target,))
    (row,) = table[(table["method"] == method) & (table["resource"] == resource)].to_dict("records")
    return row


def test_the_median_fastest_and_slowest_seed_are_those_of_the_first_crossing() -> None:
    trials = {
        ("ours", 0): steps(0.5, 0.7, 0.6, 0.8),  # crosses 0.65 at once, falls back, crosses again
        ("ours", 1): steps(0.5, 0.6, 0.7),
        ("ours", 2): steps(0.5, 0.5, 0.5, 0.7),
    }
    row = _row(handmade(trials, rates={"cost": 10.0}), 0.65)
    assert (row["fastest"], row["median"], row["slowest"]) == (10.0, 20.0, 30.0)
    assert (row["seeds"], row["reached"], row["censored"]) == (3, 3, 0)
    assert np.isnan(row["spent_by_censored"])


def test_a_seed_that_never_arrives_is_counted_and_moves_the_median() -> None:
    trials = {("ours", seed): steps(0.5, 0.7) for seed in range(2)}
    trials[("ours", 2)] = steps(0.5, 0.6, 0.6, 0.6)
    row = _row(handmade(trials), 0.7)
    assert (row["reached"], row["censored"], row["median"], row["spent_by_censored"]) == (2, 1, 1.0, 3.0)
    trials[("ours", 3)] = steps(0.5, 0.6)
    row = _row(handmade(trials), 0.7)
    assert (row["reached"], row["censored"], row["median"]) == (2, 2, float("inf"))
    assert row["slowest"] == 1.0
    assert row["spent_by_censored"] == 1.0


def test_a_target_that_nobody_reaches_has_no_fastest_seed() -> None:
    row = _row(handmade({("ours", 0): steps(0.5, 0.6)}), 0.99)
    assert (row["reached"], row["censored"], row["median"]) == (0, 1, float("inf"))
    assert np.isnan(row["fastest"])


def test_a_target_already_met_at_the_start_costs_nothing() -> None:
    assert _row(handmade({("ours", 0): steps(0.5, 0.6)}), 0.5)["median"] == 0.0


def test_default_targets_lie_on_the_way_to_the_best_method_whichever_it_is() -> None:
    trials = {("ours", 0): steps(0.5, 0.6), ("theirs", 0): steps(0.5, 0.9)}
    curves = task_curves(trial_states(handmade(trials)), BALANCED_ACCURACY)
    assert default_targets(curves) == pytest.approx((0.7, 0.82, 0.88))


def test_without_any_progress_there_are_no_targets() -> None:
    experiment = handmade({("ours", 0): steps(0.5, 0.4)})
    assert default_targets(task_curves(trial_states(experiment), BALANCED_ACCURACY)) == ()
    assert resource_to_target(experiment).empty


def test_every_method_and_resource_has_a_row_whatever_was_reached(experiment: Experiment) -> None:
    table = resource_to_target(experiment)
    assert len(table) == 3 * 4 * 3
    assert (table["reached"] + table["censored"] == table["seeds"]).all()
    assert set(table["seeds"]) == {4}
