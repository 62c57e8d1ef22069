"""Event A3 (TS 38.331 clause 5.5.4.4): a neighbour has been better than the own cell by an offset for some time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.mobility.area import FloatArray, IntArray
from scenarios.mobility import Handover

_CLOCK = 1e-9  # seconds of rounding that do not count as too early


def filter_weight(coefficient: float, interval_s: float) -> float:
    """Return the weight a of a new sample in the layer-3 filter (clause 5.5.3.2).

    a = 2^(-k/4) for samples 200 ms apart; at another interval, what leaves the filter as long a memory in seconds.
    """
    return float(1.0 - (1.0 - 2.0 ** (-coefficient / 4.0)) ** (interval_s / 0.2))


class EventA3:
    """The state of the event for m terminals and their k candidate cells; the first candidate is their own cell.

    A neighbour is triggered once the entering condition has held at all measurements during the time to trigger, and
    stays so until a measurement meets the leaving condition.

    Args:
        law: offset, hysteresis, time to trigger.
        terminals, candidates: m and k.
    """

    def __init__(self, law: Handover, terminals: int, candidates: int) -> None:
        self._law = law
        self._since_s = np.full((terminals, candidates), np.inf)
        self._triggered = np.zeros((terminals, candidates), np.bool_)

    def measure(self, time_s: float, level_db: FloatArray) -> IntArray:
        """Take in the filtered levels (m, k); return (m,) the column of the best triggered neighbour, -1 if none.

        A level that is not a number is of a cell that has not been measured yet.
        """
        law = self._law
        better_db = level_db - level_db[:, :1] - law.offset_db
        enters = better_db > law.hysteresis_db
        leaves = ~(better_db >= -law.hysteresis_db)
        enters[:, 0], leaves[:, 0] = False, True
        self._since_s = np.where(enters, np.minimum(self._since_s, time_s), np.inf)
        due: NDArray[np.bool_] = time_s - self._since_s >= law.time_to_trigger_s - _CLOCK
        self._triggered = (self._triggered & ~leaves) | due
        best = np.where(self._triggered, level_db, -np.inf).argmax(axis=1)
        return np.where(self._triggered.any(axis=1), best, -1)

    def forget(self, row: int) -> None:
        """Begin anew: the terminal has a new cell, and new candidates."""
        self._since_s[row], self._triggered[row] = np.inf, False
