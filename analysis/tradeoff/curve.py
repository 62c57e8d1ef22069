"""What a study keeps of a run: how scores and certificates went as it spent, and totals, without the tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.curves import AUC, BALANCED_ACCURACY, R2, WORST_R2, WORST_TASK, Measure, task_states
from analysis.load import ENERGY_COMPONENTS
from analysis.quantities import RESOURCES

MEASURES = {
    "balanced_accuracy": BALANCED_ACCURACY,
    "accuracy": Measure("Accuracy", "accuracy"),
    "worst_balanced_accuracy": WORST_TASK,
    "auc": AUC,
    "log_loss": Measure("Log loss", "log_loss"),
    "r2": R2,
    "worst_r2": WORST_R2,
    "rmse": Measure("Root mean square error", "rmse"),
}
"""Scores in a curve, by column."""

CERTIFICATES = ("gap", "objective")
SCORES, CERTIFIED = "scores", "certificates"
_SPENT = [entry.key for entry in RESOURCES]
PLANNED = {"local_iterations": "Local iterations H", "bs_iterations": "Base-station iterations K"}
"""What was planned, means over cloud rounds, by column."""
_COUNTED = ("participants", "late", "dropped", "unavailable")


def run_curve(rounds: pd.DataFrame, tasks: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reduce a run to its curve and what else is asked of it.

    Args:
        rounds, tasks: its tables.

    Returns:
        The curve, one row an event, with what had been spent: rows of ``kind`` "scores" hold the scores of the test
        split (of the validation split where there is no other), rows of kind "certificates" hold gap and objective.
        And a summary: totals, final scores of both splits, participation, what was planned.
    """
    splits = set(tasks["split"])
    reported = "test" if "test" in splits else "validation"
    scores = _scores(tasks[tasks["split"] == reported])
    certified = rounds[rounds["event"] != "edge"].reindex(columns=[*_SPENT, *CERTIFICATES]).astype(float)
    certified = certified[certified[list(CERTIFICATES)].notna().any(axis=1)]
    curve = pd.concat([scores.assign(kind=SCORES), certified.assign(kind=CERTIFIED)], ignore_index=True)
    curve = curve[["kind", *_SPENT, *MEASURES, *CERTIFICATES]]
    return curve, _summary(rounds, tasks, curve, reported)


def _scores(rows: pd.DataFrame) -> pd.DataFrame:
    states = task_states("", 0, rows.reset_index(drop=True))
    values = {name: states.curve(measure).value for name, measure in MEASURES.items()}
    return pd.DataFrame({**states.spent, **values})


def _summary(rounds: pd.DataFrame, tasks: pd.DataFrame, curve: pd.DataFrame, reported: str) -> dict[str, Any]:
    last = rounds.iloc[-1]
    totals = {key: last[key] for key in (*_SPENT, *ENERGY_COMPONENTS, "carbon_g") if key in rounds}
    edges = rounds[rounds["event"] == "edge"]
    counts = {name: float(edges[name].sum()) for name in _COUNTED if name in rounds}
    rest = {"cloud_rounds": float((rounds["event"] == "cloud").sum()), "tasks": float(tasks["task"].nunique())}
    rounds_done = rounds[rounds["event"] == "cloud"]
    planned = {name: rounds_done[name].mean() for name in PLANNED if name in rounds}
    found = {**totals, **counts, **rest, **planned}
    for name in (*MEASURES, *CERTIFICATES):
        values = curve.loc[curve["kind"] == (SCORES if name in MEASURES else CERTIFIED), name]
        found[name] = values.iloc[-1] if len(values) else np.nan
    if reported == "test" and (tasks["split"] == "validation").any():
        validation = _scores(tasks[tasks["split"] == "validation"]).iloc[-1]
        found |= {f"validation_{name}": validation[name] for name in MEASURES}
    plain = {name: float(value) for name, value in found.items()}
    return {"split": reported, **{name: value if np.isfinite(value) else None for name, value in plain.items()}}
