"""Reading a result folder, and saying in one line why a folder is not one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.load import Experiment, NotAnExperimentError, load_experiment


@pytest.fixture
def copied(experiment_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(experiment_folder, tmp_path / "copy"))


def _edit_run(folder: Path, **changes: object) -> None:
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    run.update(changes)
    run = {key: value for key, value in run.items() if value is not ...}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")


def _edit_table(folder: Path, name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    edit(pd.read_parquet(folder / f"{name}.parquet")).to_parquet(folder / f"{name}.parquet")


def test_a_folder_is_read_with_its_methods_budget_and_tables(experiment: Experiment) -> None:
    assert [method.label for method in experiment.methods] == ["FedAvg", "RHFedMTL", "Local training"]
    assert [method.key for method in experiment.ordered_methods] == ["rhfedmtl", "fedavg", "local"]
    assert [method.key for method in experiment.others] == ["fedavg", "local"]
    assert experiment.budget == {"cost": 1000.0}
    assert experiment.seeds == (0, 1, 2, 3)
    assert len(experiment.trials) == 12
    assert experiment.split == "test"
    assert set(experiment.tasks["event"]) == {"start", "edge", "cloud", "end"}


def test_an_experiment_cannot_be_changed(experiment: Experiment) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.title = "better"  # type: ignore[misc]


def test_references_may_be_absent_or_without_any_row(copied: Path) -> None:
    pd.DataFrame([]).to_parquet(copied / "references.parquet")
    assert load_experiment(copied).references.empty
    (copied / "references.parquet").unlink()
    assert list(load_experiment(copied).references.columns[:2]) == ["seed", "reference"]


def test_methods_without_dual_variables_may_have_been_run_alone(copied: Path) -> None:
    _edit_table(copied, "rounds", lambda frame: frame.drop(columns=["primal", "dual", "gap"]))
    rounds = load_experiment(copied).rounds
    assert rounds[["primal", "dual", "gap"]].isna().all(axis=None)


def test_a_numeric_column_that_was_never_filled_in_reads_as_nan(copied: Path) -> None:
    _edit_table(copied, "rounds", lambda frame: frame.assign(gap=None))
    gap = load_experiment(copied).rounds["gap"]
    assert gap.dtype == np.float64
    assert gap.isna().all()


def test_without_test_records_the_validation_split_is_reported(copied: Path) -> None:
    _edit_table(copied, "tasks", lambda frame: frame[frame["split"] == "validation"])
    assert load_experiment(copied).split == "validation"


def _no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def _no_run(folder: Path) -> None:
    (folder / "run.json").unlink()


def _broken_run(folder: Path) -> None:
    (folder / "run.json").write_text("{", encoding="utf-8")


def _listed_run(folder: Path) -> None:
    (folder / "run.json").write_text("[]", encoding="utf-8")


def _no_seeds(folder: Path) -> None:
    _edit_run(folder, seeds=...)


def _strange_wall_time(folder: Path) -> None:
    _edit_run(folder, wall_time_s="long")


def _strange_flagship(folder: Path) -> None:
    _edit_run(folder, flagship="titanic")


def _no_table(folder: Path) -> None:
    (folder / "rounds.parquet").unlink()


def _broken_table(folder: Path) -> None:
    (folder / "tasks.parquet").write_bytes(b"PAR1 but not really")


def _lacking_column(folder: Path) -> None:
    _edit_table(folder, "tasks", lambda frame: frame.drop(columns="auc"))


def _text_for_numbers(folder: Path) -> None:
    _edit_table(folder, "rounds", lambda frame: frame.assign(primal=pd.Series(["much"] * len(frame), dtype=object)))


def _no_task_rows(folder: Path) -> None:
    _edit_table(folder, "tasks", lambda frame: frame.iloc[:0])


def _unknown_method(folder: Path) -> None:
    _edit_table(folder, "terminals", lambda frame: frame.assign(method="stranger"))


def _no_scenario(folder: Path) -> None:
    (folder / "scenario.yaml").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_no_folder, "no such folder"),
        (_no_run, "run.json is missing"),
        (_broken_run, "run.json is not JSON"),
        (_listed_run, "run.json is not an object"),
        (_no_seeds, "field 'seeds' is missing"),
        (_strange_wall_time, "could not convert string to float"),
        (_strange_flagship, "flagship 'titanic' is not a method"),
        (_no_table, "rounds.parquet is missing"),
        (_broken_table, "tasks.parquet cannot be read"),
        (_lacking_column, "tasks.parquet lacks column auc"),
        (_text_for_numbers, "rounds.parquet"),
        (_no_task_rows, "tasks.parquet has no rows"),
        (_unknown_method, "terminals.parquet names method 'stranger'"),
        (_no_scenario, "scenario.yaml is missing"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_one_line(
    copied: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(copied)
    with pytest.raises(NotAnExperimentError) as caught:
        load_experiment(copied)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(copied) in str(caught.value)
