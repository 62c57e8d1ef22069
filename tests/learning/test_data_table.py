"""A user's table: grouped by its task column, with the place of every fault named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from learning.data.table import table_tasks
from scenarios.errors import ScenarioError

FRAME = pd.DataFrame(
    {
        "site": ["north", "south", "north", "south", "north"],
        "speed": [1.0, 2.0, 3.0, 4.0, 5.0],
        "hit": [0, 1, 1, 0, 1],
        "wet": [True, False, False, True, True],
    }
)


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_rows_are_grouped_by_the_task_column_in_their_order(tmp_path: Path, name: str) -> None:
    tasks = table_tasks(write(FRAME, tmp_path / name), "site", "hit")
    assert [task.name for task in tasks] == ["north", "south"]
    assert tasks[0].features.tolist() == [[1.0, 1.0], [3.0, 0.0], [5.0, 1.0]]
    assert tasks[0].labels.tolist() == [-1.0, 1.0, 1.0]
    assert tasks[1].features.tolist() == [[2.0, 0.0], [4.0, 1.0]]
    assert tasks[1].labels.tolist() == [1.0, -1.0]


def test_measured_targets_stay_as_they_are(tmp_path: Path) -> None:
    tasks = table_tasks(write(FRAME, tmp_path / "t.csv"), "site", "speed", classification=False)
    assert tasks[1].labels.tolist() == [2.0, 4.0]


def test_tasks_too_thin_are_left_out_when_asked(tmp_path: Path) -> None:
    path = write(FRAME.iloc[:4], tmp_path / "t.csv")
    longer = pd.concat([FRAME, FRAME[FRAME.site == "north"]])
    assert [task.name for task in table_tasks(path, "site", "hit", minimum_per_class=1)] == ["north", "south"]
    kept = table_tasks(write(longer, tmp_path / "l.csv"), "site", "hit", minimum_per_class=2)
    assert [task.name for task in kept] == ["north"]


@pytest.mark.parametrize("column", ["site", "speed", "hit"])
def test_a_missing_value_is_reported_with_row_and_column(tmp_path: Path, column: str) -> None:
    frame = FRAME.astype({"hit": float})
    frame.loc[3, column] = None
    with pytest.raises(ScenarioError, match=f"row 4, column '{column}': missing"):
        table_tasks(write(frame, tmp_path / "t.csv"), "site", "hit")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("place", "hit"), "data.task_column = 'place'.*site speed hit wet"),
        (("site", "miss"), "data.label_column = 'miss'.*site speed hit wet"),
        (("hit", "hit"), "other than data.task_column"),
        (("site", "speed"), "'speed' holds .*-1/\\+1, 0/1"),
        (("hit", "wet"), "'site' holds .*numeric"),
    ],
)
def test_wrong_columns_are_refused_with_what_there_is(tmp_path: Path, arguments: tuple[str, str], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        table_tasks(write(FRAME, tmp_path / "t.csv"), *arguments)


def test_wrong_files_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("no")
    (tmp_path / "t.parquet").write_text("this is not a parquet file")
    (tmp_path / "t.csv").write_text("")
    (tmp_path / "two.csv").write_text("site,hit\na,0\na,1\n")
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    for name in ("absent.csv", "t.xlsx", "t.parquet", "t.csv", "binary.csv"):
        with pytest.raises(ScenarioError) as caught:
            table_tasks(tmp_path / name, "site", "hit")
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ScenarioError, match="at least one feature column"):
        table_tasks(tmp_path / "two.csv", "site", "hit")
