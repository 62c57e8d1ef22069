"""When a terminal is there: a two-state on/off process, generated lazily from the terminal's own stream.

On and off periods are exponential. Period i of a terminal depends on (seed, terminal, i) alone, so the trajectory is
the same whenever, and however often, it is asked about.
"""

from __future__ import annotations

from math import inf, log

from scenarios.equipment import Availability
from scenarios.streams import Streams


class Presence:
    """The on/off trajectory of one terminal; time must be asked in non-decreasing order.

    Args:
        law: mean periods, or None for always on.
        terminal: stream index of the terminal.
        streams: the run's randomness.
    """

    def __init__(self, law: Availability | None, terminal: int, streams: Streams) -> None:
        self._law, self._terminal, self._streams = law, terminal, streams
        self._period = 0
        self._on = True
        self._until_s = inf
        if law is not None:
            on_share = law.mean_on_s / (law.mean_on_s + law.mean_off_s)
            self._on = streams.number("first presence", terminal) < on_share
            self._until_s = self._length_s()  # memoryless: the first period may start at time 0

    def _length_s(self) -> float:
        assert self._law is not None
        mean_s = self._law.mean_on_s if self._on else self._law.mean_off_s
        return -mean_s * log(self._streams.number("presence", self._terminal, self._period))

    def _forward(self, time_s: float) -> None:
        while time_s >= self._until_s:
            self._on = not self._on
            self._period += 1
            self._until_s += self._length_s()

    def on_until_s(self, time_s: float) -> float:
        """Return when the terminal next leaves, or ``time_s`` itself if it is away."""
        if time_s >= self._until_s:
            self._forward(time_s)
        return self._until_s if self._on else time_s

    def back_at_s(self, time_s: float) -> float:
        """Return when the terminal is next there: ``time_s`` itself if it is there now."""
        if time_s >= self._until_s:
            self._forward(time_s)
        return time_s if self._on else self._until_s
