"""Rows kept in parts read like one list of rows, and lay themselves out in columns."""

import numpy as np
import pandas as pd
import pytest

from scenarios.columnar import Chapters, Table

ROWS = [
    {"event": "start", "H": None},
    {"event": "edge", "H": 2, "x": 0.5},
    {"event": "edge", "H": 3, "x": 1.5},
    {"event": "cloud", "H": 3, "late": 1},
]


def chapters() -> Chapters:
    edges = Table({"event": np.array(["edge"] * 2, object), "H": np.array([2, 3]), "x": np.array([0.5, 1.5])})
    return Chapters([ROWS[:1], edges, ROWS[3:]])


def test_parts_read_like_one_list_of_rows_of_plain_values() -> None:
    rows = chapters()
    assert len(rows) == 4 and list(rows) == ROWS and repr(rows[1:]) == repr(ROWS[1:])
    assert [rows[i] for i in range(-4, 4)] == ROWS + ROWS
    assert rows == Chapters([ROWS]) and rows != Chapters([ROWS[:3]]) and rows != ROWS
    with pytest.raises(IndexError):
        rows[4]


def test_columns_make_the_same_frame_as_the_rows_do() -> None:
    pd.testing.assert_frame_equal(pd.DataFrame(chapters().columns), pd.DataFrame(ROWS))
    assert Chapters([]).columns == {} and len(Chapters([])) == 0
