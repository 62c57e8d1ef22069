"""What a run says on the terminal: progress with an estimate of the time left, results, and errors in one line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

Show = Callable[[int, str, Any], None]


class Console:
    """Standard output for people, standard error for errors.

    Attributes:
        quiet: print nothing but errors.
    """

    def __init__(self) -> None:
        self.quiet = False
        self._rich = RichConsole()
        self._started_s = time.perf_counter()

    def error(self, text: str) -> None:
        """Print one line to standard error."""
        print(f"error: {text}", file=sys.stderr)

    def done(self, report: Path) -> None:
        """Say where the report is."""
        if not self.quiet:
            wall_s = time.perf_counter() - self._started_s
            print(f"report: {report} ({wall_s:.0f} s)")

    @contextmanager
    def progress(self, names: Sequence[str], reused: int) -> Iterator[Show]:
        """Yield a function that is told (job, kind, content) of everything that happens.

        On a terminal there is a bar for the whole run and a line for every trial that is running; elsewhere one line
        is printed per finished trial.

        Args:
            names: trials that are going to run.
            reused: trials that were found finished.
        """
        if reused and not self.quiet:
            print(f"{reused} trials were finished before and are kept")
        if self.quiet:
            yield lambda job, kind, content: None
        elif not self._rich.is_terminal:
            yield lambda job, kind, content: self._plain(names, job, kind, content)
        else:
            with self._bars() as bars:
                yield _Bars(bars, names).show

    def _plain(self, names: Sequence[str], job: int, kind: str, content: Any) -> None:
        if kind == "done":
            print(f"{names[job]}: {_end_text(content)}", flush=True)

    def _bars(self) -> Progress:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
        )
        return Progress(*columns, console=self._rich, transient=True)


class _Bars:
    """A bar for all trials; the state of the running ones beside it."""

    def __init__(self, bars: Progress, names: Sequence[str]) -> None:
        self._bars, self._names = bars, names
        self._shares: dict[int, float] = {}
        self._texts: dict[int, str] = {}
        self._all = bars.add_task("trials", total=len(names), state="")

    def show(self, job: int, kind: str, content: Any) -> None:
        if kind == "progress":
            share, time_s, energy_j, gap = content
            self._shares[job] = share
            certificate = "" if gap is None else f", gap {gap:.2e}"
            self._texts[job] = f"{self._names[job]}: {time_s:.4g} s, {energy_j:.4g} J{certificate}"
        else:
            self._shares[job] = 1.0
            self._texts.pop(job, None)
            if kind == "done":
                self._bars.console.print(Text(f"{self._names[job]}: {_end_text(content)}"))
        self._bars.update(self._all, completed=sum(self._shares.values()), state=" | ".join(self._texts.values()))


def _end_text(summary: dict[str, Any]) -> str:
    return (
        f"{summary['time_s']:.4g} s, {summary['energy_j']:.4g} J, {summary['bytes'] / 1e3:.4g} kB, "
        f"cost {summary['cost']:.5g}; ended by {summary['ended_by']} ({summary['wall_s']:.1f} s)"
    )
