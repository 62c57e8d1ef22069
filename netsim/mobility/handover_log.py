"""What is written down about changes of cell: one row each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("handover", "failed", "link_failure", "reselection", "outage", "return")
"""handover: event A3, in order; failed: event A3, but the command or the access got lost, and the terminal had to
establish its link anew; link_failure: out of sync for too long, established anew in the best cell; reselection: of a
terminal that was switched off, by the same rules, at no cost; outage: its site has failed; return: a terminal that does
not move is back in its own cell, or in a better one than before, because a site has been repaired."""

ASSIGNMENTS = ("nothing", "computing", "dropped", "migrated", "restarted")
"""What the terminal was doing for its base station: nothing; computing, which goes on; or what became of its upload.
dropped: the assignment, computing or uploading, was given up because the terminal left its base station."""


@dataclass(frozen=True)
class CellChange:
    """One change of cell.

    Attributes:
        time_s: when it left the old cell.
        terminal: who.
        x_m, y_m: where.
        from_site, to_site: cells; the same after a link failure in a cell that is still the best.
        kind: one of :data:`KINDS`.
        ping_pong: whether it went back to where it had come from shortly before.
        delay_s: how long it was held up by a model being received, or by an upload that was to be finished.
        interruption_s: how long it was off the air.
        assignment: one of :data:`ASSIGNMENTS`.
        left_bits: of an upload, left to send in the new cell; ``again_bits`` of them are sent again.
        level_difference_db: how much better the new cell was, as measured.
    """

    time_s: float
    terminal: int
    x_m: float
    y_m: float
    from_site: int
    to_site: int
    kind: str
    ping_pong: bool
    delay_s: float
    interruption_s: float
    assignment: str
    left_bits: float
    again_bits: float
    level_difference_db: float


_KINDS: dict[str, Any] = {"int": np.int64, "float": np.float64, "str": object, "bool": np.bool_}


def as_columns(changes: list[CellChange]) -> dict[str, NDArray[Any]]:
    """Return the rows as columns."""
    return {
        field.name: np.array([getattr(change, field.name) for change in changes], _KINDS[str(field.type)])
        for field in fields(CellChange)
    }
