"""What a network knows as it spends: metrics over tasks as step functions of time, energy, cost or bytes.

Between two recorded events nothing is known to have changed, so a value holds until the next event, never
looks ahead, and after a trial has ended its last value holds. Means over seeds carry a 95 % Student t interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.intervals import mean_interval
from analysis.load import Experiment
from analysis.quantities import RESOURCES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """What a curve shows: a recorded `metric`, over tasks by `aggregate` ("mean" or "worst" = the lowest)."""

    name: str
    metric: str
    aggregate: str = "mean"

    @property
    def words(self) -> str:
        """The name within a sentence: "balanced accuracy", "R²", "worst-task R²"."""
        return self.name[0].lower() + self.name[1:] if self.name[1].islower() else self.name


BALANCED_ACCURACY = Measure("Balanced accuracy", "balanced_accuracy")
AUC = Measure("AUC", "auc")
WORST_TASK = Measure("Worst-task balanced accuracy", "balanced_accuracy", "worst")
R2 = Measure("R²", "r2")
WORST_R2 = Measure("Worst-task R²", "r2", "worst")

FLOORS = {"r2": -1.0}
"""What counts at least, by metric: without it, one model that has diverged would decide every mean."""


@dataclass(frozen=True)
class TrialCurve:
    """One trial's step function.

    Attributes:
        spent: resource key -> (events,) cumulative amounts, non-decreasing in event order.
        value: (events,) the value from each event on.
    """

    method: str
    seed: int
    spent: dict[str, Floats]
    value: Floats

    def at(self, resource: str, amounts: ArrayLike) -> Floats:
        """Value held once `amounts` have been spent: that of the last event at or before; NaN before the first."""
        position = np.searchsorted(self.spent[resource], np.asarray(amounts, dtype=float), side="right") - 1
        return np.where(position >= 0, self.value[np.maximum(position, 0)], np.nan)

    def reach(self, resource: str, target: float) -> float:
        """Amount spent at the first event whose value is at least `target`; infinity if there is none."""
        reached = np.flatnonzero(self.value >= target)
        return float(self.spent[resource][reached[0]]) if reached.size else float("inf")

    def end(self, resource: str) -> float:
        """Everything the trial spent."""
        return float(self.spent[resource][-1])


@dataclass(frozen=True)
class TrialStates:
    """One trial's history of what is last known about each task.

    Attributes:
        tasks: names, in sorted order.
        spent: resource key -> (events,) cumulative amounts.
        latest: (events, tasks) row of `rows` that is the task's last at each event, -1 before its first.
        rows: the trial's task records in event order.
    """

    method: str
    seed: int
    tasks: tuple[str, ...]
    spent: dict[str, Floats]
    latest: NDArray[np.int32]
    rows: pd.DataFrame

    def values(self, metric: str) -> Floats:
        """(events, tasks) last recorded metric, at least its floor; NaN before a task's first record and where there is
        none.
        """
        if metric not in self.rows:
            return np.full(self.latest.shape, np.nan)
        column = self.rows[metric].to_numpy(dtype=float)
        return np.where(self.latest >= 0, np.maximum(column, FLOORS.get(metric, -np.inf))[self.latest], np.nan)

    def curve(self, measure: Measure) -> TrialCurve:
        """The measure over time. A task whose metric is never defined (one class only) is left out;
        one that is defined elsewhere but NaN now (a diverged model) makes the value NaN.
        """
        values = self.values(measure.metric)
        values = values[:, ~np.isnan(values).all(axis=0)]
        if values.shape[1] == 0:
            value = np.full(len(values), np.nan)
        else:
            value = values.min(axis=1) if measure.aggregate == "worst" else values.mean(axis=1)
        return TrialCurve(self.method, self.seed, self.spent, value)


_ORDER = {"start": 0, "end": 2}


def trial_states(experiment: Experiment, split: str | None = None) -> tuple[TrialStates, ...]:
    """Task histories of every trial, in the order of the experiment's methods and seeds.

    Args:
        split: "test" or "validation"; by default the split the experiment reports.
    """
    tasks = experiment.tasks[experiment.tasks["split"] == (split or experiment.split)]
    trials = {key: rows for key, rows in tasks.groupby(["method", "seed"], sort=False)}  # noqa: C416
    ordered = [(method.key, seed) for method in experiment.ordered_methods for seed in experiment.seeds]
    return tuple(task_states(*key, trials[key]) for key in ordered if key in trials)


def task_curves(states: Iterable[TrialStates], measure: Measure) -> tuple[TrialCurve, ...]:
    """The same measure of every trial."""
    return tuple(state.curve(measure) for state in states)


def round_curves(experiment: Experiment, column: str) -> tuple[TrialCurve, ...]:
    """Step functions of a column of the rounds table at start, cloud and end events.

    Events that recorded nothing there (NaN) change nothing; trials with no value at all are left out.
    """
    rounds = experiment.rounds
    rounds = rounds[(rounds["event"] != "edge") & rounds[column].notna()]
    trials = {key: rows for key, rows in rounds.groupby(["method", "seed"], sort=False)}  # noqa: C416
    curves = []
    for method in experiment.ordered_methods:
        for seed in experiment.seeds:
            if (method.key, seed) in trials:
                rows = _in_event_order(trials[method.key, seed])
                value = rows[column].to_numpy(dtype=float)
                curves.append(TrialCurve(method.key, seed, _spent(rows), value))
    return tuple(curves)


def common_grid(curves: Sequence[TrialCurve], resource: str, points: int = 201, least: float = 0.0) -> Floats:
    """(points,) amounts at which every curve can be read, up to the most any trial spent.

    Args:
        least: where to begin; evenly spaced from zero, geometrically spaced from a positive amount.
    """
    top = max((curve.end(resource) for curve in curves), default=0.0)
    if top <= least:
        return np.full(1, top)
    grid = np.geomspace(least, top, points) if least > 0 else np.linspace(0.0, top, points)
    grid[-1] = top  # rounding below it would miss the very event that ends the longest trial
    return grid


def summarise(curves: Sequence[TrialCurve], resource: str, grid: ArrayLike, geometric: bool = False) -> pd.DataFrame:
    """Mean over seeds at each grid point, with its 95 % t interval.

    Args:
        grid: (points,) amounts of the resource.
        geometric: means and intervals of the logarithm, for quantities that fall by orders of magnitude;
            values that are not positive are left out.

    Returns:
        One row a (method, grid point): method, x, mean, low, high, seeds (how many had a value).
    """
    amounts = np.asarray(grid, dtype=float)
    frames = []
    for method in dict.fromkeys(curve.method for curve in curves):
        values = np.stack([curve.at(resource, amounts) for curve in curves if curve.method == method])
        if geometric:
            values = np.log10(np.where(values > 0, values, np.nan))
        interval = mean_interval(values)
        columns = {"mean": interval.mean, "low": interval.low, "high": interval.high}
        if geometric:
            columns = {name: 10.0**column for name, column in columns.items()}
        frames.append(pd.DataFrame({"method": method, "x": amounts, **columns, "seeds": interval.count}))
    if not frames:
        return pd.DataFrame({name: [] for name in ("method", "x", "mean", "low", "high", "seeds")})
    return pd.concat(frames, ignore_index=True)


def _in_event_order(rows: pd.DataFrame) -> pd.DataFrame:
    """By time; records of one instant stay as written, but a start comes first and an end last."""
    rank = rows["event"].map(_ORDER).fillna(1).to_numpy()
    return rows.iloc[np.lexsort((rank, rows["time_s"].to_numpy()))]


def _spent(rows: pd.DataFrame) -> dict[str, Floats]:
    return {entry.key: rows[entry.key].to_numpy(dtype=float) for entry in RESOURCES}


def task_states(method: str, seed: int, rows: pd.DataFrame) -> TrialStates:
    """One trial's task history from its rows of the tasks table, all of one split."""
    rows = _in_event_order(rows)
    codes, names = pd.factorize(rows["task"], sort=True)
    latest = np.full((len(rows), len(names)), -1, dtype=np.int32)
    latest[np.arange(len(rows)), codes] = np.arange(len(rows))
    np.maximum.accumulate(latest, axis=0, out=latest)
    spent = _spent(rows)
    # The tasks of one event are recorded row by row; only the last row has seen them all.
    stacked = np.stack(list(spent.values()))
    last = np.append((stacked[:, 1:] != stacked[:, :-1]).any(axis=0), True)
    return TrialStates(
        method=method,
        seed=seed,
        tasks=tuple(str(name) for name in names),
        spent={key: amounts[last] for key, amounts in spent.items()},
        latest=latest[last],
        rows=rows,
    )
