"""How far a study is and how long it will take, on a terminal as a bar, elsewhere in a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from analysis.quantities import TIME, number

_EVERY_S = 10.0
_MOST_ERRORS = 10  # lines about runs that failed: what fails a thousand times fails for one reason


class Progress:
    """Counts runs; the time left is that of the runs so far, for as many as are left.

    Args:
        runs: how many there are to do.
        kept: how many were found done.
        quiet: print nothing but errors.
    """

    def __init__(self, runs: int, kept: int, quiet: bool) -> None:
        self._runs, self._kept, self._quiet = runs, kept, quiet
        self._done = self._failed = self._errors = 0
        self._core_s = 0.0
        self._started_s = self._told_s = time.perf_counter()
        self._bar: Bar | None = None
        console = Console()
        if console.is_terminal and not quiet:
            columns = (
                TextColumn("runs"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Bar(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=runs)

    def __enter__(self) -> Progress:
        if self._kept and not self._quiet:
            print(f"{self._kept} runs need not be done: recorded before, equal to others, or failed", flush=True)
        self._started_s = self._told_s = time.perf_counter()
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        if not self._quiet and kind is None:
            wall_s = time.perf_counter() - self._started_s
            failed = f", {self._failed} failed" if self._failed else ""
            busy = f"{self._core_s / max(wall_s, 1e-9):.2f}"
            print(f"{self._done} runs in {TIME.text(wall_s)}{failed}; {busy} cores busy on average", flush=True)

    def one_more(self, core_s: float, failed: bool) -> None:
        """Count a run that ended."""
        self._done += 1
        self._failed += failed
        self._core_s += core_s
        if self._bar:
            self._bar.update(self._task, completed=self._done, description=self._text())
        elif not self._quiet and time.perf_counter() - self._told_s >= _EVERY_S:
            self._told_s = time.perf_counter()
            print(f"{self._done} of {self._runs} runs: {self._text()}", flush=True)

    def error(self, text: str) -> None:
        """Print one line to standard error, if there were not too many before."""
        self._errors += 1
        if self._errors > _MOST_ERRORS:
            return
        if self._bar:
            self._bar.console.print(text, style="red", highlight=False, markup=False)
        else:
            print(f"error: {text}", file=sys.stderr, flush=True)

    def _text(self) -> str:
        rate = self._done / max(time.perf_counter() - self._started_s, 1e-9)
        left = TIME.text((self._runs - self._done) / rate)
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{number(rate)} a second, {left} left{failed}"
