"""Traces are read row by row; whatever is wrong is one line with file, row, value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenarios.equipment import Traces
from scenarios.errors import ScenarioError
from scenarios.traces import TraceSet, read_traces, trace_bytes

HEADERS = {"speed_csv": "speed", "availability_csv": "trace,on_s,off_s", "bandwidth_csv": "trace,time_s,factor"}


def read(tmp_path: Path, kind: str, text: str, **settings: Any) -> TraceSet:
    (tmp_path / "file.csv").write_text(text, encoding="utf-8")
    return read_traces(Traces(**{kind: str(tmp_path / "file.csv")}, **settings))


def test_columns_stand_in_any_order_and_traces_are_grouped_by_name(tmp_path: Path) -> None:
    assert read(tmp_path, "speed_csv", "model,speed\nA, 0.5\nB, 2\n").speeds == (0.5, 2.0)
    text = "off_s,trace,on_s\n5,b,1\n2,a,0\n9,b,6\n4,a,2\n"
    assert read(tmp_path, "availability_csv", text).presences == (((1.0, 5.0), (6.0, 9.0)), ((0.0, 2.0), (2.0, 4.0)))
    text = "\ufefftrace,time_s,factor\nx,0,1\nx,2.5,0\nx,3,0.25\n"
    assert read(tmp_path, "bandwidth_csv", text).bandwidths == (((0.0, 1.0), (2.5, 0.0), (3.0, 0.25)),)


@pytest.mark.parametrize(
    ("kind", "rows", "settings", "said"),
    [
        ("speed_csv", "1\n0", {}, "row 3: speed = '0': allowed: a number > 0"),
        ("speed_csv", "1\nfast", {}, "row 3: speed = 'fast': allowed: a finite number"),
        ("speed_csv", "nan", {}, "row 2: speed = 'nan': allowed: a finite number"),
        ("availability_csv", "a,0", {}, "row 2: off_s = '': allowed: a value"),
        ("availability_csv", "a,0,5\na,4,6", {}, "row 3: on_s = '4': allowed: a time >= 5, where this trace's"),
        ("availability_csv", "a,-1,5", {}, "row 2: on_s = '-1': allowed: a time >= 0"),
        ("availability_csv", "a,3,3", {}, "row 2: off_s = '3': allowed: a time > on_s = 3"),
        ("availability_csv", "a,3,9", {"repeat_s": 8.0}, "row 2: off_s = '9': allowed: a time <= terminals.traces"),
        ("bandwidth_csv", "a,1,1", {}, "row 2: time_s = '1': allowed: 0 in the first row"),
        ("bandwidth_csv", "a,0,1\na,0,2", {}, "row 3: time_s = '0': allowed: a time after"),
        ("bandwidth_csv", "a,0,-1", {}, "row 2: factor = '-1': allowed: a number >= 0"),
        ("bandwidth_csv", "a,0,1\na,2,0", {}, "row 3: factor = '0': allowed: a number > 0"),
        ("bandwidth_csv", "a,0,1\na,5,2", {"repeat_s": 5.0}, "row 3: time_s = '5': allowed: a time < terminals.traces"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, kind: str, rows: str, settings: dict[str, float], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(tmp_path, kind, f"{HEADERS[kind]}\n{rows}\n", **settings)
    assert str(error.value).startswith(f"{tmp_path / 'file.csv'}, {said}")
    assert "\n" not in str(error.value)


def test_a_link_may_be_dead_for_a_while_if_it_comes_back(tmp_path: Path) -> None:
    traces = read(tmp_path, "bandwidth_csv", "trace,time_s,factor\na,0,1\na,2,0\n", repeat_s=4.0)
    assert traces.bandwidths == (((0.0, 1.0), (2.0, 0.0)),)


@pytest.mark.parametrize("kind", list(HEADERS))
def test_a_file_that_is_missing_empty_or_of_another_kind_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ScenarioError, match=f"terminals.traces.{kind} = .*no such file"):
        read_traces(Traces(**{kind: str(tmp_path / "none.csv")}))  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match=r"header = 'a,b': allowed: columns"):
        read(tmp_path, kind, "a,b\n1,2\n")
    with pytest.raises(ScenarioError, match=r"file\.csv: rows = 0: allowed: at least one row"):
        read(tmp_path, kind, HEADERS[kind] + "\n")
    (tmp_path / "file.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8 text"):
        read_traces(Traces(**{kind: str(tmp_path / "file.csv")}))  # type: ignore[arg-type]


def test_results_depend_on_what_the_files_hold(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("speed\n1\n")
    assert trace_bytes(None) == []
    before = trace_bytes(Traces(speed_csv=str(path)))
    path.write_text("speed\n2\n")
    assert before != trace_bytes(Traces(speed_csv=str(path))) == [b"speed\n2\n"]
