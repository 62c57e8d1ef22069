"""Scores on average while a resource is spent, and what ranks are made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.anytime import mean_scores, while_spent
from analysis.curves import TrialStates
from analysis.figures.ranks import ranks_against
from analysis.load import Experiment
from analysis.quantities import ENERGY, TIME


def state(times: list[float], scores: list[list[float]]) -> TrialStates:
    """A trial whose tasks all are recorded at every event."""
    values = np.array(scores)
    events, tasks = values.shape
    rows = pd.DataFrame({"balanced_accuracy": values.ravel()})
    latest = np.arange(events * tasks, dtype=np.int32).reshape(events, tasks)
    return TrialStates("a", 0, tuple(f"t{i}" for i in range(tasks)), {"time_s": np.array(times)}, latest, rows)


def test_a_step_function_is_averaged_by_how_long_its_values_hold() -> None:
    trial = state([0.0, 1.0, 3.0], [[0.5, 0.5], [0.7, 0.6], [0.9, 0.8]])
    whole = while_spent(trial, "time_s", 4.0, "balanced_accuracy")
    assert whole == pytest.approx([(0.5 + 2 * 0.7 + 0.9) / 4, (0.5 + 2 * 0.6 + 0.8) / 4])
    assert while_spent(trial, "time_s", 2.0, "balanced_accuracy") == pytest.approx(
        [0.6, 0.55]
    )  # what came later does not count
    assert while_spent(trial, "time_s", 0.0, "balanced_accuracy") == pytest.approx(
        [0.9, 0.8]
    )  # nothing is spent: the end


def test_all_methods_and_tasks_are_ranked(experiment: Experiment) -> None:
    found = mean_scores(experiment, TIME)
    assert list(found.columns) == [method.key for method in experiment.ordered_methods]
    assert sorted(found.index) == sorted(set(experiment.tasks["task"]))
    assert ((found > 0) & (found < 1)).all(axis=None)
    figure = ranks_against(ENERGY)(experiment)
    drawn = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(method.label in drawn for method in experiment.methods)
    assert "critical difference" in drawn
