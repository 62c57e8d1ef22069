"""Timing for benchmarks: the best of some repetitions, so that what else the machine does counts least."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def best_s(action: Callable[[], T], repeats: int = 3) -> tuple[float, T]:
    """Return the shortest duration of ``action`` in seconds, and its last result."""
    durations = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        result = action()
        durations.append(time.perf_counter() - started_s)
    return min(durations), result


def table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    """Return rows of text under a title, columns aligned."""
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in [columns, *rows]
    ]
    return "\n".join([title, *lines])
