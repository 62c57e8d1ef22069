"""Reads the folder an experiment left behind (YAML, JSON and Parquet files) into one frozen set of tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

ENERGY_COMPONENTS: Mapping[str, str] = {
    "energy_terminal_compute_j": "terminals: computing",
    "energy_terminal_transmit_j": "terminals: transmitting",
    "energy_terminal_receive_j": "terminals: receiving",
    "energy_terminal_idle_j": "terminals: idle",
    "energy_bs_transmit_j": "base stations: transmitting",
    "energy_bs_static_j": "base stations: static",
    "energy_backhaul_j": "backhaul",
}
"""Cumulative energy columns of the rounds table and what each stands for."""

OUTCOMES = ("merged", "late", "dropped", "unavailable")
"""What can become of a terminal that a base station asked for an update."""

_TRIAL = ("method", "seed")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "rounds": (
        *(*_TRIAL, "event", "node", "cloud_round", "edge_round", "time_s", "cost", "bytes", "energy_j"),
        *ENERGY_COMPONENTS,
        *("local_iterations", "bs_iterations", "primal", "dual", "gap", "objective"),
    ),
    "tasks": (
        *(*_TRIAL, "event", "cloud_round", "time_s", "energy_j", "cost", "bytes", "task", "split"),
        *("accuracy", "balanced_accuracy", "auc", "log_loss", "rmse", "r2", "samples"),
    ),
    "terminals": (
        *(*_TRIAL, "terminal", "base_station", "device_class", "x_m", "y_m", "los", "uplink_snr_db"),
        *(*("uplink_bps", "downlink_bps", "energy_j", "bytes_up", "bytes_down"), *OUTCOMES),
    ),
    "base_stations": (*_TRIAL, "base_station", "task", "x_m", "y_m", "edge_rounds"),
    "participation": (
        *(*_TRIAL, "base_station", "cloud_round", "edge_round", "terminal", "outcome"),
        *("start_s", "compute_s", "upload_s", "finish_s"),
    ),
    "coverage": ("seed", "x_m", "y_m", "base_station", "downlink_sinr_db"),
    "handovers": (
        *(*_TRIAL, "time_s", "terminal", "base_station", "from_cell", "to_cell", "x_m", "y_m", "kind", "ping_pong"),
        *("delay_s", "interruption_s", "assignment", "left_bits", "again_bits", "level_difference_db"),
    ),
    "references": (
        *("seed", "reference", "lambda1", "lambda2", "primal"),
        *("accuracy", "balanced_accuracy", "auc", "worst_balanced_accuracy", "rmse", "r2", "worst_r2"),
    ),
}
_UNCERTIFIED = frozenset({"primal", "dual", "gap"})
"""Columns that a run has only if one of its methods has dual variables."""
_BY_LABELS = (
    frozenset({"accuracy", "balanced_accuracy", "auc", "log_loss", "worst_balanced_accuracy"}),
    frozenset({"rmse", "r2", "worst_r2"}),
)
"""Columns that a run has all or none of: if labels are classes, if they are values."""
_OPTIONAL_TABLES = frozenset({"references", "coverage", "handovers"})
_TEXT_COLUMNS = frozenset(
    {"method", "event", "node", "task", "split", "terminal", "base_station", "device_class", "outcome"}
    | {"reference", "los", "from_cell", "to_cell", "kind", "ping_pong", "assignment"}
)
_TRIAL_COLUMNS = ("method", "seed", "ended_by", "time_s", "energy_j", "bytes", "cost", "wall_s")
_BUDGET_FIELDS = ("time_s", "energy_j", "energy_per_terminal_j", "bytes", "cost")


class NotAnExperimentError(Exception):
    """The folder does not hold a readable experiment; the text is the one line a user sees."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, " ".join(reason.split())
        super().__init__(f"{folder}: not an experiment folder: {self.reason}")


@dataclass(frozen=True)
class Method:
    """A compared method: `key` in the tables, `label` for readers, `description` in a sentence."""

    key: str
    label: str
    description: str = ""


@dataclass(frozen=True)
class Experiment:
    """Everything one experiment recorded; the frames are shared, treat them as read-only.

    Attributes:
        folder: where it was read from.
        scenario: short name; `scenario_yaml` is the resolved scenario, verbatim.
        created: ISO time stamp; `wall_time_s` is real time spent, not simulated time.
        host, versions: what it ran on, as recorded.
        methods: in recorded order; `flagship` is the key of the one the others are compared with.
        budget: only the limits that were set, by `time_s`, `energy_j`, `energy_per_terminal_j`, `bytes`, `cost`.
        chance: balanced accuracy of always answering one class, of tasks in which it is not one half.
        trials: one row a (method, seed): `ended_by` and what was spent in total.
        rounds, tasks, terminals, base_stations, participation, coverage, references, handovers: the recorded tables;
            `coverage` and `references` are empty where none was computed, `handovers` where nobody moves.
    """

    folder: Path
    scenario: str
    scenario_yaml: str
    title: str
    description: str
    version: str
    created: str
    host: Mapping[str, Any]
    versions: Mapping[str, str]
    wall_time_s: float
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    flagship: str
    budget: Mapping[str, float]
    chance: Mapping[str, float]
    trials: pd.DataFrame
    rounds: pd.DataFrame
    tasks: pd.DataFrame
    terminals: pd.DataFrame
    base_stations: pd.DataFrame
    participation: pd.DataFrame
    coverage: pd.DataFrame
    references: pd.DataFrame
    handovers: pd.DataFrame

    @property
    def ordered_methods(self) -> tuple[Method, ...]:
        """The flagship first, then the others in recorded order."""
        return tuple(sorted(self.methods, key=lambda method: method.key != self.flagship))

    @property
    def others(self) -> tuple[Method, ...]:
        """Every method but the flagship, in recorded order."""
        return tuple(method for method in self.methods if method.key != self.flagship)

    @property
    def split(self) -> str:
        """The split that is reported: the test split where it was recorded, the validation split otherwise."""
        return "test" if (self.tasks["split"] == "test").any() else "validation"

    def label(self, key: str) -> str:
        """Reader's name of a method; raises KeyError for a key the experiment does not have."""
        return {method.key: method.label for method in self.methods}[key]


def load_experiment(folder: str | Path) -> Experiment:
    """Reads a result folder.

    Args:
        folder: holds `run.json`, `scenario.yaml` and the Parquet tables (`references.parquet` may be absent).

    Raises:
        NotAnExperimentError: the folder, a file, a field or a column is missing or unreadable, or the
            tables name a method that `run.json` does not.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotAnExperimentError(root, "no such folder")
    run = _read_run(root)
    tables = {name: _read_table(root, name) for name in _COLUMNS}
    try:
        experiment = _assemble(root, run, tables)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise NotAnExperimentError(root, f"run.json: {detail}") from error
    _check_methods(experiment, tables)
    return experiment


def _read_text(root: Path, name: str) -> str:
    try:
        return (root / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotAnExperimentError(root, f"{name} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotAnExperimentError(root, f"{name} cannot be read: {error}") from error


def _read_run(root: Path) -> dict[str, Any]:
    try:
        run = json.loads(_read_text(root, "run.json"))
    except json.JSONDecodeError as error:
        raise NotAnExperimentError(root, f"run.json is not JSON: {error}") from error
    if not isinstance(run, dict):
        raise NotAnExperimentError(root, "run.json is not an object")
    return run


def _read_table(root: Path, name: str) -> pd.DataFrame:
    """One table with its numbers as numbers: a column that was never filled in reads as NaN, not None."""
    path, columns = root / f"{name}.parquet", _COLUMNS[name]
    if not path.is_file():
        if name in _OPTIONAL_TABLES:
            return pd.DataFrame({column: [] for column in columns})
        raise NotAnExperimentError(root, f"{path.name} is missing")
    try:
        frame = pd.read_parquet(path)
    except Exception as error:
        raise NotAnExperimentError(root, f"{path.name} cannot be read: {error}") from error
    if frame.empty and not len(frame.columns):  # a writer that had no row knew no columns either
        return pd.DataFrame({column: [] for column in columns})
    there = {*frame.columns}
    unused = _UNCERTIFIED.union(*(group for group in _BY_LABELS if not group & there)) - there
    frame = frame.assign(**{column: float("nan") for column in columns if column in unused})
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise NotAnExperimentError(root, f"{path.name} lacks column {missing[0]}")
    untyped = [c for c in columns if c not in _TEXT_COLUMNS and not pd.api.types.is_numeric_dtype(frame[c].dtype)]
    try:
        return frame.astype(dict.fromkeys(untyped, float))
    except (TypeError, ValueError) as error:
        raise NotAnExperimentError(root, f"{path.name} holds text where numbers belong: {error}") from error


def _assemble(root: Path, run: dict[str, Any], tables: dict[str, pd.DataFrame]) -> Experiment:
    limits = run.get("budget") or {}
    trials = pd.DataFrame(run["trials"], columns=list(_TRIAL_COLUMNS))
    return Experiment(
        folder=root,
        scenario=str(run["scenario"]),
        scenario_yaml=_read_text(root, "scenario.yaml"),
        title=str(run.get("title") or run["scenario"]),
        description=str(run.get("description") or ""),
        version=str(run.get("version") or "unknown"),
        created=str(run.get("created") or "unknown"),
        host=dict(run.get("host") or {}),
        versions={str(package): str(number) for package, number in (run.get("versions") or {}).items()},
        wall_time_s=float(run["wall_time_s"]),
        seeds=tuple(int(seed) for seed in run["seeds"]),
        methods=tuple(
            Method(str(m["key"]), str(m.get("label") or m["key"]), str(m.get("description") or ""))
            for m in run["methods"]
        ),
        flagship=str(run["flagship"]),
        budget={name: float(limits[name]) for name in _BUDGET_FIELDS if limits.get(name) is not None},
        chance={str(task): float(level) for task, level in (run.get("chance") or {}).items()},
        trials=trials.astype(dict.fromkeys(_TRIAL_COLUMNS[3:], float)),
        **tables,
    )


def _check_methods(experiment: Experiment, tables: dict[str, pd.DataFrame]) -> None:
    known = {method.key for method in experiment.methods}
    if experiment.flagship not in known:
        raise NotAnExperimentError(experiment.folder, f"run.json: flagship {experiment.flagship!r} is not a method")
    if experiment.tasks.empty:
        raise NotAnExperimentError(experiment.folder, "tasks.parquet has no rows")
    for name, frame in tables.items():
        strangers = set(frame["method"].unique()) - known if "method" in frame else set()
        if strangers:
            raise NotAnExperimentError(
                experiment.folder, f"{name}.parquet names method {min(strangers)!r}, run.json does not"
            )
