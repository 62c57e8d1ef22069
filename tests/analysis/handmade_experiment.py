"""Experiments small enough to compute by hand: a few task records a trial, everything else empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.load import _COLUMNS, Experiment, Method

Record = tuple[str, float, str, float]
"""(event, time in seconds, task, balanced accuracy)."""


def steps(*values: float, task: str = "a") -> list[Record]:
    """One task whose metric takes `values` at times 0, 1, 2, ..."""
    last = len(values) - 1
    names = ["start" if place == 0 else "end" if place == last else "cloud" for place in range(len(values))]
    return [(name, float(place), task, value) for place, (name, value) in enumerate(zip(names, values, strict=True))]


def of_classes(value: float) -> dict[str, float]:
    """The metrics of a task with two classes."""
    scores = {"accuracy": value, "balanced_accuracy": value, "auc": value, "log_loss": 0.0}
    return scores | {"rmse": float("nan"), "r2": float("nan")}


def of_values(value: float) -> dict[str, float]:
    """The metrics of a task with values."""
    return dict.fromkeys(("accuracy", "balanced_accuracy", "auc", "log_loss"), float("nan")) | {
        "rmse": 2.0,
        "r2": value,
    }


def handmade(
    trials: Mapping[tuple[str, int], Sequence[Record]],
    flagship: str = "ours",
    budget: Mapping[str, float] | None = None,
    rates: Mapping[str, float] | None = None,
    chance: Mapping[str, float] | None = None,
    values: bool = False,
    **tables: pd.DataFrame,
) -> Experiment:
    """An experiment from its task records.

    Args:
        trials: (method, seed) -> records, in the order a recorder would write them.
        rates: joules, cost units and bytes spent a second (one by default); the AUC equals the balanced accuracy.
        chance: of tasks in which always answering one class does not score one half.
        values: whether the metric is R² instead of balanced accuracy.
        tables: other recorded tables, by name.
    """
    rate = {"energy_j": 1.0, "cost": 1.0, "bytes": 1.0} | dict(rates or {})
    rows: list[dict[str, Any]] = []
    for (method, seed), records in trials.items():
        for event, time_s, task, value in records:
            spent = {key: factor * time_s for key, factor in rate.items()}
            metrics = {"samples": 10} | (of_values(value) if values else of_classes(value))
            place = {"method": method, "seed": seed, "event": event, "cloud_round": 0, "time_s": time_s, **spent}
            rows.append({**place, "task": task, "split": "test", **metrics})
    ends = {key: max(record[1] for record in records) for key, records in trials.items()}
    finished = [
        {"method": method, "seed": seed, "ended_by": "plan complete", "time_s": end, "wall_s": 1.0}
        | {key: factor * end for key, factor in rate.items()}
        for (method, seed), end in ends.items()
    ]
    methods = dict.fromkeys([flagship, *(method for method, _ in trials)])
    empty = {name: pd.DataFrame({column: [] for column in columns}) for name, columns in _COLUMNS.items()}
    described: dict[str, Any] = {
        **{"folder": Path("nowhere"), "scenario": "hand", "scenario_yaml": "", "title": "Hand", "description": ""},
        **{"version": "1", "created": "", "host": {}, "versions": {}, "wall_time_s": 1.0},
        **(empty | {"tasks": pd.DataFrame(rows)} | tables),
    }
    return Experiment(
        seeds=tuple(dict.fromkeys(seed for _, seed in trials)),
        methods=tuple(Method(key, key.capitalize()) for key in methods),
        flagship=flagship,
        budget=dict(budget or {}),
        chance=dict(chance or {}),
        trials=pd.DataFrame(finished),
        **described,
    )
