"""A made-up but realistic result folder: seven hexagonal cells, one task each, learning curves that saturate.

The numbers obey the recorder's rules (cumulative, step by step, tasks of one station at edge events), so every
analysis meets the shapes, zeros and NaNs of a real run; nothing is simulated.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests.analysis.fabricated_trial import PROFILES, Plan, Profile, Trial

_TABLES = ("rounds", "tasks", "terminals", "base_stations", "participation", "handovers")
SCENARIO = "# <resolved> & complete\nnetwork:\n  sites: 7\n  inter_site_distance_m: 500.0\n"


def fabricate(folder: Path, plan: Plan | None = None) -> Path:
    """Writes the folder and returns it."""
    plan = plan or Plan()
    folder.mkdir(parents=True, exist_ok=True)
    profiles = PROFILES[: plan.methods]
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in _TABLES}
    trials = []
    for profile in profiles:
        for seed in plan.seeds:
            trial = Trial(plan, profile, seed)
            for name, frame in trial.tables().items():
                frame.insert(0, "seed", seed)
                frame.insert(0, "method", profile.key)
                tables[name].append(frame)
            trials.append(trial.summary())
    for name, frames in tables.items():
        pd.concat(frames, ignore_index=True).to_parquet(folder / f"{name}.parquet")
    _coverage(trial).to_parquet(folder / "coverage.parquet")
    if plan.references:
        _references(plan).to_parquet(folder / "references.parquet")
    (folder / "run.json").write_text(json.dumps(_run(plan, profiles, trials)), encoding="utf-8")
    (folder / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    return folder


def _coverage(trial: Trial) -> pd.DataFrame:
    """SINR that falls off evenly from the nearest site, over a box around all of them."""
    low, high = trial.sites.min(axis=0) - 250.0, trial.sites.max(axis=0) + 250.0
    x, y = (part.ravel() for part in np.meshgrid(*(np.linspace(low[axis], high[axis], 40) for axis in (0, 1))))
    distance = np.hypot(x[:, None] - trial.sites[:, 0], y[:, None] - trial.sites[:, 1])
    nearest = distance.argmin(axis=1)
    columns = {"x_m": x, "y_m": y, "base_station": np.array(trial.stations)[nearest]}
    return pd.DataFrame({"seed": trial.seed, **columns, "downlink_sinr_db": 25.0 - distance.min(axis=1) / 12.0})


def _references(plan: Plan) -> pd.DataFrame:
    """Per reference: the objective, balanced accuracy and the worst task's."""
    known = {
        "multi-task optimum": (2.0, 0.78, 0.71),
        "per-task optimum": (np.nan, 0.72, 0.62),
        "pooled optimum": (np.nan, 0.69, 0.6),
        "majority class": (np.nan, 0.5, 0.5),
    }
    rows = [
        {
            **{"seed": seed, "reference": name, "lambda1": 0.01, "lambda2": 0.01 if primal == 2.0 else np.nan},
            **{"primal": primal, "accuracy": 0.93, "balanced_accuracy": quality, "auc": quality + 0.03},
            "worst_balanced_accuracy": worst,
        }
        for seed in plan.seeds
        for name, (primal, quality, worst) in known.items()
    ]
    return pd.DataFrame(rows)


def _run(plan: Plan, profiles: tuple[Profile, ...], trials: list[dict[str, object]]) -> dict[str, object]:
    return {
        "scenario": "seven-hospitals",
        "title": "Seven hospitals, one cell each",
        "description": "Seven cells learn seven related tasks <together> under a cost budget.",
        "version": "1.0.0",
        "created": "2030-01-02T03:04:05+00:00",
        "host": {"system": "Linux", "processor": "x86-64", "cores": 2},
        "versions": {"python": "3.11.7", "numpy": "2.4.6", "pandas": "3.1.1"},
        "wall_time_s": 93.4,
        "seeds": list(plan.seeds),
        "methods": [
            {"key": p.key, "label": p.label, "description": f"{p.label} with {p.edge_rounds} edge rounds."}
            for p in profiles
        ],
        "flagship": "rhfedmtl",
        "budget": {
            **dict.fromkeys(("time_s", "energy_j", "energy_per_terminal_j", "bytes")),
            "cost": plan.cost_budget,
        },
        "trials": trials,
    }
