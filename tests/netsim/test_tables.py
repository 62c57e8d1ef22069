"""Tables kept as columns, and the log of participation, whichever way its rows are written."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.participation import COLUMNS, OUTCOMES, Columns, Participation, ParticipationLog, count, with_names
from scenarios.columnar import Table

WRITES = st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=12)
"""None: a single row; otherwise a block of so many."""


def _table() -> Table:
    return Table({"a": np.array([1, 2, 3]), "b": np.array([0.5, np.inf, 2.0]), "c": np.array(["x", "y", "z"], object)})


def test_a_table_is_as_long_as_its_columns() -> None:
    assert len(_table()) == 3
    assert len(Table({"a": np.zeros(0)})) == len(Table({})) == 0


def test_rows_come_in_order_with_plain_values() -> None:
    rows = list(_table())
    assert rows == [{"a": 1, "b": 0.5, "c": "x"}, {"a": 2, "b": np.inf, "c": "y"}, {"a": 3, "b": 2.0, "c": "z"}]
    assert [type(value) for value in rows[0].values()] == [int, float, str]
    assert list(Table({"a": np.zeros(0)})) == list(Table({})) == []


def test_a_row_read_alone_is_the_row_met_on_the_way() -> None:
    table = _table()
    assert [table[i] for i in range(len(table))] == list(table)
    assert [type(value) for value in table[2].values()] == [int, float, str]
    with pytest.raises(IndexError):
        table[3]


def test_a_table_shows_all_its_rows_to_the_last_bit() -> None:
    tiny = Table({"a": np.array([0.1 + 0.2])})
    assert repr(tiny) == f"Table([{{'a': {0.1 + 0.2!r}}}])"
    assert repr(_table()) == f"Table({list(_table())})"


def test_columns_of_different_lengths_cannot_be_read_as_rows() -> None:
    with pytest.raises(ValueError):
        list(Table({"a": np.zeros(2), "b": np.zeros(3)}))


def _row(number: int) -> Participation:
    """Return a row that can be told from all others."""
    site, outcome = number % 3, OUTCOMES[number % len(OUTCOMES)]
    return Participation(site, number // 7, number // 2, number, outcome, 0.1 * number, samples=float(number))


def _block(first: int, n: int) -> Columns:
    """Return the rows ``first`` to ``first + n - 1`` as columns."""
    rows = [asdict(_row(number)) for number in range(first, first + n)]
    rows = [row | {"outcome": OUTCOMES.index(row["outcome"])} for row in rows]
    return {name: np.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()}


def _written(writes: list[int | None]) -> ParticipationLog:
    """Return a log of rows 0, 1, ... written one at a time or in blocks."""
    log = ParticipationLog()
    for size in writes:
        if size is None:
            log.append(_row(len(log)))
        else:
            log.extend(_block(len(log), size))
    return log


def _assert_rows(found: Columns, first: int, n: int) -> None:
    """Require that columns hold the rows ``first`` to ``first + n - 1``."""
    expected = _block(first, n)
    assert list(found) == list(COLUMNS)
    for name, values in found.items():
        assert values.dtype == expected[name].dtype, name
        missing = values != values
        np.testing.assert_array_equal(missing, expected[name] != expected[name])
        np.testing.assert_array_equal(values[~missing], expected[name][~missing])


@given(WRITES, st.data())
def test_a_log_returns_what_was_written_from_any_row_on(writes: list[int | None], data: st.DataObject) -> None:
    log = _written(writes)
    n = sum(1 if size is None else size for size in writes)
    assert len(log) == n
    first = data.draw(st.integers(0, n + 2))
    _assert_rows(log.since(first), first, max(0, n - first))


@given(st.lists(WRITES, max_size=4))
def test_reading_in_between_changes_nothing(parts: list[list[int | None]]) -> None:
    log, seen, writes = ParticipationLog(), 0, [size for part in parts for size in part]
    for part in parts:
        for size in part:
            if size is None:
                log.append(_row(len(log)))
            else:
                log.extend(_block(len(log), size))
        _assert_rows(log.since(seen), seen, len(log) - seen)
        seen = len(log)
    assert len(log.since(seen)["terminal"]) == 0
    _assert_rows(log.since(0), 0, len(_written(writes)))


def test_a_block_that_is_read_alone_is_not_copied() -> None:
    log = _written([2, 3])
    again: dict[str, Any] = log.since(2)
    assert all(np.shares_memory(values, log.since(3)[name]) for name, values in again.items())


def test_outcomes_are_called_by_their_names_where_it_is_asked_for() -> None:
    columns = _written([3, None, None]).since(0)
    named = with_names(columns)
    assert named["outcome"].tolist() == [_row(number).outcome for number in range(5)]
    assert count(columns) == [2, 1, 1, 1]
    assert all(named[name] is columns[name] for name in columns if name != "outcome")


def test_an_empty_log_has_all_columns_of_the_right_kinds() -> None:
    found = ParticipationLog().since(0)
    assert {name: values.dtype.type for name, values in found.items()} == {
        name: np.dtype(kind).type for name, kind in COLUMNS.items()
    }
