"""Terminals that follow measured traces: who follows which, and uplinks whose rates change as they say."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import count
from math import floor, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from netsim.availability import Period, measured
from netsim.cell import Uplink
from netsim.radio import Radio
from scenarios.equipment import Traces
from scenarios.streams import Streams
from scenarios.traces import Pairs, TraceSet


class Followed:
    """The traces of one run.

    Args:
        traces: as they were read.
        section: how they are dealt out and repeated; None without traces.
        streams: the run's randomness.
    """

    def __init__(self, traces: TraceSet, section: Traces | None, streams: Streams) -> None:
        self._traces, self._streams = traces, streams
        self._random = section is not None and section.assignment == "random"
        self._repeat_s = section.repeat_s if section is not None else None

    def _which(self, kind: str, terminal: int, traces: int) -> int:
        """Return which of so many traces the terminal with this stream index follows."""
        if self._random:
            return floor(self._streams.number(f"{kind} trace", terminal) * traces)
        return terminal % traces

    def speed(self, terminal: int) -> float:
        """Relative speed of a terminal's processor."""
        speeds = self._traces.speeds
        return 1.0 if speeds is None else speeds[self._which("speed", terminal, len(speeds))]

    def presence(self, terminal: int) -> Iterator[Period] | None:
        """When a terminal is there, None if no trace says."""
        presences = self._traces.presences
        if presences is None:
            return None
        return measured(presences[self._which("availability", terminal, len(presences))], self._repeat_s)

    def bandwidths(self, entity: NDArray[np.int64]) -> list[tuple[NDArray[np.intp], Iterator[tuple[float, float]]]]:
        """Return, for each bandwidth trace that is followed, (terminals that follow it, its steps without end)."""
        traces = self._traces.bandwidths
        if traces is None:
            return []
        which = np.array([self._which("bandwidth", terminal, len(traces)) for terminal in entity.tolist()])
        return [
            (np.flatnonzero(which == trace), steps(traces[trace], self._repeat_s))
            for trace in np.unique(which).tolist()
        ]


def steps(trace: Pairs, repeat_s: float | None) -> Iterator[tuple[float, float]]:
    """Yield (time, factor) of a trace, again and again if it repeats, and (infinity, last factor) in the end."""
    for turn in count():
        start_s = turn * repeat_s if repeat_s is not None else 0.0
        for time_s, factor in trace:
            yield start_s + time_s, factor
        if repeat_s is None:
            break
    yield inf, trace[-1][1]


def vary(
    env: Environment,
    radio: Radio,
    uplinks: Sequence[Uplink],
    serving: NDArray[np.int64],
    terminals: NDArray[np.intp],
    changes: Iterator[tuple[float, float]],
) -> Generator[Event, Any, None]:
    """Let the uplink rates of some terminals follow a trace; uploads in flight go on at the new rates.

    Args:
        env: the clock.
        radio: where the rates come from.
        uplinks: the cells.
        serving: (all terminals,) whose cell each is in, read at every step.
        terminals: those that follow this trace.
        changes: (time, factor), ascending; the end is at infinity.
    """
    for at_s, factor in changes:
        if at_s == inf:
            return
        if at_s > env.now:
            yield env.timeout(at_s - env.now)
        radio.uplink_factor[terminals] = factor
        sites = serving[terminals]
        for site in np.unique(sites).tolist():
            uplinks[site].retune(terminals[sites == site].tolist())
