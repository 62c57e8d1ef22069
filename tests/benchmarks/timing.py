"""Timing for benchmarks: the best of some repetitions, so that what else the machine does counts least."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
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


def peak_memory_b() -> float:
    """Return the most memory this process has had, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # the other figure includes what a parent had when it started this process
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(peak.split()[1]) * 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    """Return rows of text under a title, columns aligned."""
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in [columns, *rows]
    ]
    return "\n".join([title, *lines])
