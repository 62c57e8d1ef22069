"""Totals a reader asks for first: final metrics by task, energy by component, who took part, what ended each run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.curves import TrialStates, trial_states
from analysis.intervals import mean_interval
from analysis.load import ENERGY_COMPONENTS, OUTCOMES, Experiment
from analysis.quantities import RESOURCES
from analysis.scales import scale_of

FINISH_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that stand for a distribution of finishing times."""


def final_by_task(
    experiment: Experiment, metric: str | None = None, states: Sequence[TrialStates] | None = None
) -> pd.DataFrame:
    """Last recorded metric of each task, the main one by default, over seeds.

    Returns:
        One row a (method, task): method, task, mean, low, high, seeds.
    """
    states = trial_states(experiment) if states is None else states
    metric = scale_of(experiment).main.metric if metric is None else metric
    frames = []
    for method in experiment.ordered_methods:
        columns = [
            pd.Series(state.values(metric)[-1], index=list(state.tasks))
            for state in states
            if state.method == method.key
        ]
        if columns:
            by_task = pd.concat(columns, axis=1).sort_index()
            interval = mean_interval(by_task.to_numpy(), axis=1)
            estimates = {"mean": interval.mean, "low": interval.low, "high": interval.high}
            rows = {"method": method.key, "task": by_task.index, **estimates, "seeds": interval.count}
            frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)


def final_rounds(experiment: Experiment) -> pd.DataFrame:
    """The last row of the rounds table of each trial."""
    ordered = experiment.rounds.sort_values("time_s", kind="stable")
    return ordered.groupby(["method", "seed"], sort=False).tail(1)


def energy_by_component(experiment: Experiment) -> pd.DataFrame:
    """Mean final energy, joules, over seeds.

    Returns:
        Index: method key, in report order (methods without rounds are left out). Columns: one per component
        (NaN counted as zero), then total, low, high (95 % interval of the total).
    """
    last = final_rounds(experiment)
    components = list(ENERGY_COMPONENTS)
    rows = {}
    for method in experiment.ordered_methods:
        trials = last[last["method"] == method.key]
        if len(trials):
            interval = mean_interval(trials["energy_j"].to_numpy(dtype=float))
            means = trials[components].fillna(0.0).mean().tolist()
            rows[method.key] = [*means, float(interval.mean), float(interval.low), float(interval.high)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*components, "total", "low", "high"])


def carbon_g_per_joule(experiment: Experiment) -> float | None:
    """Grams of carbon dioxide that go with a joule; None where the electricity behind it is not known."""
    rounds = experiment.rounds
    if "carbon_g" not in rounds:
        return None
    known = rounds[rounds["carbon_g"].notna() & (rounds["energy_j"] > 0)]
    return float(known["carbon_g"].sum() / known["energy_j"].sum()) if len(known) else None


def outcome_counts(experiment: Experiment) -> pd.DataFrame:
    """How often a terminal that was asked ended in each outcome, all seeds together.

    Returns:
        Index: method key, in report order, of methods that asked anyone. Columns: `OUTCOMES`.
    """
    frame = experiment.participation
    counts = pd.crosstab(frame["method"], frame["outcome"]).reindex(columns=list(OUTCOMES), fill_value=0)
    order = [method.key for method in experiment.ordered_methods if method.key in counts.index]
    return counts.loc[order]


def finish_times(experiment: Experiment) -> pd.DataFrame:
    """Seconds from the start of an edge round to a terminal's update being there, by device class.

    Updates that never came (dropped, unavailable) have no finish and are left out.

    Returns:
        One row a (method, device_class): method, device_class, one column per `FINISH_QUANTILES`, updates.
    """
    frame = experiment.participation[["method", "seed", "terminal", "start_s", "finish_s"]]
    frame = frame[frame["finish_s"].notna()]
    classes = experiment.terminals[["method", "seed", "terminal", "device_class"]]
    frame = frame.merge(classes, on=["method", "seed", "terminal"], how="left")
    frame["device_class"] = frame["device_class"].fillna("unknown")
    frame["seconds"] = frame["finish_s"] - frame["start_s"]
    rows = []
    for (method, device), seconds in frame.groupby(["method", "device_class"])["seconds"]:
        quantiles = np.quantile(seconds.to_numpy(dtype=float), FINISH_QUANTILES)
        rows.append((method, device, *quantiles, len(seconds)))
    return pd.DataFrame(rows, columns=["method", "device_class", *FINISH_QUANTILES, "updates"])


def endings(experiment: Experiment) -> pd.DataFrame:
    """What ended the trials of each method, and what they spent.

    Returns:
        One row a method in report order: method, trials, ended_by (e.g. "cost budget (4), plan complete (1)"),
        the means of time_s, energy_j, cost, bytes and wall_s.
    """
    rows = []
    spent = [*(entry.key for entry in RESOURCES), "wall_s"]
    for method in experiment.ordered_methods:
        trials = experiment.trials[experiment.trials["method"] == method.key]
        if trials.empty:
            continue
        counts = trials["ended_by"].fillna("unknown").value_counts()
        alone = len(counts) == 1
        reasons = ", ".join(f"{reason}" if alone else f"{reason} ({count})" for reason, count in counts.items())
        means = {column: float(trials[column].mean()) for column in spent}
        rows.append({"method": method.key, "trials": len(trials), "ended_by": reasons, **means})
    return pd.DataFrame(rows, columns=["method", "trials", "ended_by", *spent])


def reference_means(experiment: Experiment) -> pd.DataFrame:
    """References averaged over seeds.

    Returns:
        Index: reference name, in recorded order. Columns: the numeric columns of the references table, and seeds.
    """
    frame = experiment.references
    if frame.empty:
        return pd.DataFrame(columns=[*frame.columns.drop(["seed", "reference"]), "seeds"])
    groups = frame.groupby("reference", sort=False)
    means = groups[list(frame.columns.drop(["seed", "reference"]))].mean()
    return means.assign(seeds=groups["seed"].nunique())
