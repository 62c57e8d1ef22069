"""Is the flagship better for the same spending? Differences paired by seed at levels of each budget.

Two methods with the same seed met the same world (data split, sites, channels, failures), so the difference
within a seed is the fair unit; its mean over seeds has a 95 % Student t interval (the paired t test).
Intervals stand alone: they are not corrected for how many comparisons a report makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.curves import Measure, TrialCurve, TrialStates, task_curves, trial_states
from analysis.intervals import mean_interval
from analysis.load import Experiment
from analysis.quantities import RESOURCES
from analysis.scales import scale_of

LEVELS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of a budget at which methods are compared."""

HIGHER, LOWER, NOT_SHOWN = "higher", "lower", "no difference shown"

NEARLY = 0.99
"""Share of an amount at which it counts as spent: a budget stops a run before the step it cannot pay for."""

RESOLUTION = 1e-9
"""Differences below this are rounding, whatever their interval says."""


@dataclass(frozen=True)
class PairedDifference:
    """Mean of flagship minus other over seeds; `low`, `high` are NaN with fewer than two pairs."""

    mean: float
    low: float
    high: float
    seeds: int
    verdict: str


@dataclass(frozen=True)
class Total:
    """What 100 % means for a resource: `amount` and whether it is the "budget" or the "largest reached"."""

    amount: float
    kind: str


def paired_difference(flagship: ArrayLike, other: ArrayLike) -> PairedDifference:
    """Paired comparison; the interval excludes zero exactly when the two-sided paired t test has p < 0.05.

    Args:
        flagship, other: (seeds,) values with the same seed at the same place; a pair with a NaN is left out.
    """
    differences = np.asarray(flagship, dtype=float) - np.asarray(other, dtype=float)
    interval = mean_interval(differences)
    low, high = float(interval.low), float(interval.high)
    verdict = HIGHER if low > RESOLUTION else LOWER if high < -RESOLUTION else NOT_SHOWN
    return PairedDifference(float(interval.mean), low, high, int(interval.count), verdict)


def resource_total(experiment: Experiment, curves: Sequence[TrialCurve], resource: str) -> Total:
    """The budget where one was set and some trial came that far, otherwise the most any trial spent."""
    reached = max((curve.end(resource) for curve in curves), default=0.0)
    limit = experiment.budget.get(resource)
    if limit is not None and reached >= NEARLY * limit:
        return Total(limit, "budget")
    return Total(reached, "largest reached")


def compare_at_levels(
    experiment: Experiment,
    measures: Sequence[Measure] | None = None,
    levels: Sequence[float] = LEVELS,
    states: Sequence[TrialStates] | None = None,
) -> pd.DataFrame:
    """Flagship against each other method, at each level of each resource.

    Args:
        measures: what is compared; by default what suits the labels.
        states: task histories, to share work between analyses; read from the experiment by default.

    Returns:
        One row a (measure, resource, level, other method): measure, resource, level, amount, total_kind,
        other, flagship_mean, other_mean, difference, low, high, seeds (pairs), missing (seeds without a pair),
        flagship_ended and other_ended (trials over before that level), verdict.
        Resources nobody spends have no rows.
    """
    states = trial_states(experiment) if states is None else states
    rows = []
    for measure in scale_of(experiment).compared if measures is None else measures:
        curves = task_curves(states, measure)
        for entry in RESOURCES:
            total = resource_total(experiment, curves, entry.key)
            if total.amount <= 0:
                continue
            for level in levels:
                for row in _compare_at(experiment, curves, entry.key, level * total.amount):
                    place = {"measure": measure.name, "resource": entry.key, "level": level}
                    rows.append({**place, "total_kind": total.kind, **row})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    *("measure", "resource", "level", "amount", "total_kind", "other", "flagship_mean", "other_mean"),
    *("difference", "low", "high", "seeds", "missing", "flagship_ended", "other_ended", "verdict"),
)


def _compare_at(
    experiment: Experiment, curves: Sequence[TrialCurve], resource: str, amount: float
) -> list[dict[str, object]]:
    """One row for each other method once `amount` was spent."""
    by_trial = {(curve.method, curve.seed): curve for curve in curves}
    # Budgets stop a run at the crossing instant, which rounds to either side of the limit.
    reading = amount * (1 + 1e-9)

    def values(method: str) -> np.ndarray:
        found = [by_trial.get((method, seed)) for seed in experiment.seeds]
        return np.array([np.nan if c is None else float(c.at(resource, reading)) for c in found])

    def ended(method: str) -> int:
        return sum(c.end(resource) < NEARLY * amount for c in curves if c.method == method)

    flagship = values(experiment.flagship)
    rows: list[dict[str, object]] = []
    for method in experiment.others:
        other = values(method.key)
        paired = paired_difference(flagship, other)
        rows.append(
            {
                "amount": amount,
                "other": method.key,
                "flagship_mean": float(mean_interval(flagship).mean),
                "other_mean": float(mean_interval(other).mean),
                "difference": paired.mean,
                "low": paired.low,
                "high": paired.high,
                "seeds": paired.seeds,
                "missing": len(experiment.seeds) - paired.seeds,
                "flagship_ended": ended(experiment.flagship),
                "other_ended": ended(method.key),
                "verdict": paired.verdict,
            }
        )
    return rows
