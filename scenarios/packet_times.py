"""Measured mobile links as bandwidth traces: lists of packet times become factors on a terminal's uplink rate.

A file of packet times, as link emulators replay them, has one line a packet of 1500 bytes that got through: when, in
whole milliseconds from the beginning, ascending. ``python -m scenarios.packet_times`` writes what
``terminals.traces.bandwidth_csv`` reads: the rate in every step over the mean rate of its file, so a link is as fast
on average as its link budget says and varies as was measured.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.command_line import OneLineParser
from scenarios.csv_rows import read_text
from scenarios.errors import ScenarioError

PACKET_BITS = 1500 * 8
_EDGE = 1e-9  # of a step: closer to its edge than this is at it


@dataclass(frozen=True, eq=False)
class MeasuredLink:
    """One file of packet times.

    Attributes:
        name: of the file.
        rate_bps: (steps,) bit/s in each whole step.
    """

    name: str
    rate_bps: NDArray[np.float64]

    @property
    def factors(self) -> NDArray[np.float64]:
        """(steps,) rates over their mean."""
        return np.asarray(self.rate_bps / self.rate_bps.mean())


def read_packet_times(path: str, step_s: float = 1.0) -> MeasuredLink:
    """Count the packets of a file in steps of ``step_s``; what is left after the last whole step is not used.

    Raises:
        ScenarioError: the file cannot be read, has a line that is no time or earlier than the one before, or is empty
            or shorter than a step.
    """
    times_ms: list[int] = []
    for line, text in enumerate(read_text("packet times", path).split("\n"), 1):
        if not text.strip():
            continue
        earliest = times_ms[-1] if times_ms else 0
        if not text.strip().isdecimal() or int(text) < earliest:
            allowed = f"a whole number of milliseconds >= {earliest}"
            raise ScenarioError("time", text.strip(), allowed, f"{path}, line {line}")
        times_ms.append(int(text))
    steps = int(times_ms[-1] / (1e3 * step_s) + _EDGE) if times_ms else 0
    step = np.floor(np.array(times_ms, np.float64) / (1e3 * step_s) + _EDGE)
    packets = np.bincount(step[step < steps].astype(np.int64), minlength=steps)
    if not packets.any():
        raise ScenarioError("packet times", path, f"packets within a step of {step_s:g} s at least")
    return MeasuredLink(Path(path).name, np.asarray(packets * (PACKET_BITS / step_s), np.float64))


def as_csv(links: Sequence[MeasuredLink], step_s: float) -> str:
    """Return the text of a bandwidth file; steps in which nothing changes are left out."""
    lines = ["trace,time_s,factor"]
    for link in links:
        changes = np.flatnonzero(np.diff(link.factors, prepend=-1.0))
        lines += [f"{link.name},{step * step_s:.9g},{link.factors[step]:.6g}" for step in changes.tolist()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert files; return the exit code."""
    parser = OneLineParser(prog="python -m scenarios.packet_times", description="Packet times to a bandwidth_csv.")
    parser.add_argument("files", nargs="+", help="files of packet times, a trace each")
    parser.add_argument("--out", required=True, help="CSV file to write")
    parser.add_argument("--step", type=float, default=1.0, help="seconds over which packets are counted; default 1")
    try:
        wanted = parser.parse_args(arguments)
        if not 1e-3 <= wanted.step < float("inf"):
            raise ScenarioError("--step", wanted.step, "seconds >= 0.001")
        links = [read_packet_times(path, wanted.step) for path in wanted.files]
        names = [link.name for link in links]
        if len(set(names)) < len(names):
            raise ScenarioError("files", ", ".join(names), "files of different names")
        Path(wanted.out).write_text(as_csv(links, wanted.step), encoding="utf-8")
    except ScenarioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: --out = {wanted.out!r}: allowed: a file that can be written ({error.strerror})", file=sys.stderr)
        return 2
    for link in links:
        print(f"{link.name}: {len(link.rate_bps) * wanted.step:g} s, mean {link.rate_bps.mean() / 1e6:.3g} Mbit/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
