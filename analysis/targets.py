"""What it takes to get somewhere: time, energy, cost and bytes until a target metric is first reached.

A seed that never gets there is censored: it counts as "more than it spent", which a median can hold while an
average cannot, so medians are reported, with how many seeds were censored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.curves import Measure, TrialCurve, TrialStates, task_curves, trial_states
from analysis.load import Experiment
from analysis.quantities import RESOURCES
from analysis.scales import scale_of

CLIMBS = (0.5, 0.8, 0.95)
"""Default targets, as shares of the way from the start to the best final mean of any method."""


def default_targets(curves: Sequence[TrialCurve]) -> tuple[float, ...]:
    """Targets that favour no method: `CLIMBS` of the way from the mean start to the best method's mean end.

    Rounded to three digits; empty where no method ends above its start.
    """
    ends: dict[str, list[float]] = {}
    for curve in curves:
        ends.setdefault(curve.method, []).append(float(curve.value[-1]))
    start = np.array([curve.value[0] for curve in curves])
    finals = [float(np.mean(values)) for values in ends.values() if not np.isnan(values).any()]
    if not finals or np.isnan(start).all():
        return ()
    low, best = float(np.nanmean(start)), max(finals)
    return tuple(dict.fromkeys(round(low + climb * (best - low), 3) for climb in CLIMBS)) if best > low else ()


def resource_to_target(
    experiment: Experiment,
    targets: Sequence[float] | None = None,
    measure: Measure | None = None,
    states: Sequence[TrialStates] | None = None,
) -> pd.DataFrame:
    """Spending until the measure is first at or above each target.

    Returns:
        One row a (target, resource, method): measure, target, resource, method, seeds, reached, censored,
        median (over all seeds; infinity where it lies among the censored), fastest and slowest (of the seeds that
        reached it; NaN if none), spent_by_censored (the least a censored seed had spent; NaN if none).
    """
    measure = scale_of(experiment).main if measure is None else measure
    curves = task_curves(trial_states(experiment) if states is None else states, measure)
    rows = []
    for target in default_targets(curves) if targets is None else targets:
        for entry in RESOURCES:
            for method in experiment.ordered_methods:
                trials = [curve for curve in curves if curve.method == method.key]
                if trials:
                    place = {"measure": measure.name, "target": target, "resource": entry.key}
                    rows.append({**place, "method": method.key, **spending_to_reach(trials, entry.key, target)})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    *("measure", "target", "resource", "method", "seeds", "reached", "censored", "median", "fastest", "slowest"),
    "spent_by_censored",
)


def spending_to_reach(trials: Sequence[TrialCurve], resource: str, target: float) -> dict[str, float]:
    """What the seeds of one method spent until they were at or above a target; the columns from `seeds` on of
    :func:`resource_to_target`.
    """
    amounts = np.sort([trial.reach(resource, target) for trial in trials])
    reached = amounts[np.isfinite(amounts)]
    censored = [trial.end(resource) for trial in trials if not np.isfinite(trial.reach(resource, target))]
    middle = amounts[(len(amounts) - 1) // 2], amounts[len(amounts) // 2]
    return {
        "seeds": len(trials),
        "reached": len(reached),
        "censored": len(censored),
        "median": float("inf") if np.isinf(middle[1]) else float(middle[0] + middle[1]) / 2,
        "fastest": float(reached[0]) if reached.size else float("nan"),
        "slowest": float(reached[-1]) if reached.size else float("nan"),
        "spent_by_censored": min(censored, default=float("nan")),
    }
