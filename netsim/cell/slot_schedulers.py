"""Who gets a sub-band in a slot: in turns, or whoever's channel is best against its own average."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Scheduler(Protocol):
    """A rule that remembers one number of every upload, its standing."""

    def newcomer(self, fair_bps: float, slot: int) -> float:
        """Return the standing of an upload that begins in ``slot`` with ``fair_bps`` as its fair share."""

    def grant(self, rates_bps: FloatArray, standing: FloatArray) -> IntArray:
        """Return (sub-bands,) who gets each, of uploads with (n, sub-bands) rates; -1 for nobody."""

    def update(self, standing: FloatArray, served_bps: FloatArray, share: FloatArray, slot: int) -> FloatArray:
        """Return (n,) standings after a slot in which uploads have been served at some rates, in shares of the band."""


class RoundRobin:
    """The whole band to whoever has waited longest; the standing is the slot of the last turn."""

    def newcomer(self, fair_bps: float, slot: int) -> float:
        """Come after all who wait now."""
        return float(slot)

    def grant(self, rates_bps: FloatArray, standing: FloatArray) -> IntArray:
        """Grant everything to the one with the oldest turn."""
        return np.full(rates_bps.shape[1], standing.argmin())

    def update(self, standing: FloatArray, served_bps: FloatArray, share: FloatArray, slot: int) -> FloatArray:
        """Write down the turn."""
        return np.where(share > 0.0, float(slot), standing)


class BestAgainstAverage:
    """Proportional fairness: every sub-band to the largest rate over the average rate so far.

    Args:
        window_slots: length over which the average forgets.
    """

    def __init__(self, window_slots: float) -> None:
        self._memory = 1.0 / window_slots

    def newcomer(self, fair_bps: float, slot: int) -> float:
        """Start as if served fairly so far."""
        return fair_bps

    def grant(self, rates_bps: FloatArray, standing: FloatArray) -> IntArray:
        """Grant each sub-band to the best there, if anybody can send in it."""
        best = np.argmax(rates_bps / np.maximum(standing, 1e-9)[:, np.newaxis], axis=0)
        return np.where(rates_bps.max(axis=0) > 0.0, best, -1)

    def update(self, standing: FloatArray, served_bps: FloatArray, share: FloatArray, slot: int) -> FloatArray:
        """Average over what has been served."""
        return np.asarray((1.0 - self._memory) * standing + self._memory * served_bps)
