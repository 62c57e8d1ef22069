"""Results on disk: complete under their name, or not there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scenarios.storage import new_file, new_folder, read_json, write_json
from scenarios.tables import join_tables, write_table


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "trial") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "trial") as folder:
        (folder / "whole").write_text("x")
        assert not (tmp_path / "trial").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["trial"]
    assert (tmp_path / "trial" / "whole").read_text() == "x"


def test_a_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with new_folder(tmp_path / "trial") as folder:
            (folder / content).write_text(content)
    assert [p.name for p in (tmp_path / "trial").iterdir()] == ["new"]


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(OSError, match="disk full"), new_file(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_broken_or_missing_json_file_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": ')
    (tmp_path / "b.json").write_text("[1]")
    assert [read_json(tmp_path / name) for name in ("a.json", "b.json", "c.json")] == [None, None, None]


def test_joined_tables_hold_every_row_of_every_trial(tmp_path: Path) -> None:
    folders = []
    for seed in (0, 1):
        folder = tmp_path / f"trial-{seed}"
        folder.mkdir()
        write_table(folder / "rounds.parquet", [{"x": seed + i / 10} for i in range(3)], {"method": "m", "seed": seed})
        folders.append(folder)
    join_tables(folders, tmp_path, "rounds")
    joined = pd.read_parquet(tmp_path / "rounds.parquet")
    assert list(joined.columns) == ["method", "seed", "x"]
    assert joined["x"].tolist() == [0.0, 0.1, 0.2, 1.0, 1.1, 1.2]
