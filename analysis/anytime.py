"""What a method scores on average while a resource is spent: early learning and a good end both raise it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.compare import resource_total
from analysis.curves import TrialStates, task_curves, trial_states
from analysis.load import Experiment
from analysis.quantities import Resource
from analysis.scales import scale_of

Floats = NDArray[np.float64]


def mean_scores(experiment: Experiment, resource: Resource) -> pd.DataFrame:
    """The main measure of every task and method, mean over what is spent of a resource and over seeds.

    The amount is the same for all: the budget, or the most that any trial spent. A trial that ended before keeps its
    last score; a task that some method has no score for is left out.

    Returns:
        (tasks, methods).
    """
    states, main = trial_states(experiment), scale_of(experiment).main
    total = resource_total(experiment, task_curves(states, main), resource.key).amount
    columns: dict[str, list[pd.Series]] = {}
    for state in states:
        scores = pd.Series(while_spent(state, resource.key, total, main.metric), index=list(state.tasks))
        columns.setdefault(state.method, []).append(scores)
    means = {method: pd.concat(found, axis=1).mean(axis=1) for method, found in columns.items()}
    return pd.DataFrame(means).dropna()


def while_spent(state: TrialStates, resource: str, total: float, metric: str) -> Floats:
    """(tasks,) means of each task's metric, a step function, over amounts from 0 to ``total``."""
    spent = np.clip(np.append(state.spent[resource], np.inf), 0.0, total)
    widths = np.diff(spent)
    if total <= 0.0:
        return state.values(metric)[-1]
    return np.asarray(widths @ state.values(metric) / total, np.float64)
