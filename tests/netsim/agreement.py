"""Holds the two engines to each other: every recorded second, joule, byte and outcome."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from netsim.result import Result

CLOSE = 1e-9
_DUST = 1e-13  # what is left of a quantity that should be 0


def assert_agree(one: Result, other: Result) -> None:
    """Require that two runs left the same records."""
    assert _kind(one.ended_by) == _kind(other.ended_by)
    for name in ("rounds", "base_stations", "terminals"):
        _assert_same_rows(name, getattr(one, name), getattr(other, name))
    by = ("base_station", "edge_round", "terminal")
    ordered = [sorted(run.participation, key=lambda row: tuple(row[key] for key in by)) for run in (one, other)]
    _assert_same_rows("participation", *ordered)


def _assert_same_rows(table: str, mine: Iterable[Mapping[str, Any]], theirs: Iterable[Mapping[str, Any]]) -> None:
    mine, theirs = list(mine), list(theirs)
    assert len(mine) == len(theirs), table
    for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        assert a.keys() == b.keys(), (table, number)
        for name in a:
            assert _same(a[name], b[name]), (table, number, name, a[name], b[name], a, b)


def _kind(ended_by: str) -> str:
    """Two base stations may lose their last terminal, and two terminals meet a limit, at the very same instant."""
    return re.sub(r"(bs-|terminal )[0-9]+$", "", ended_by)


def _same(a: Any, b: Any) -> bool:
    if not (isinstance(a, float) and isinstance(b, float)):
        return bool(a == b)
    return (a != a and b != b) or abs(a - b) <= CLOSE * max(abs(a), abs(b)) + _DUST
