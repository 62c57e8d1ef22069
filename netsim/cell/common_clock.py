"""Disciplines under which one clock, common to all uploads of a cell, says when each of them is done."""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heappop, heappush
from math import inf

from simpy import Environment

from netsim.cell.uplink import DONE, Busy, Duty, Transfer, Uplink


class CommonClock(Uplink):
    """An upload is done when the clock has gone on by what the upload needs, so its finish tag is fixed at its start.

    A change of who is there costs O(log n), besides telling n transmitters their new share. A subclass says what a
    unit of the clock is: how many of them an upload needs, how many seconds one takes at present, and how long a
    transmitter is on the air in one.

    Args:
        env: the clock of the simulation.
        rate_bps: terminal -> rate while it is served, bit/s; 0 for one that stands still.
        duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        rate_bps: Callable[[int], float],
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, duty, busy)
        self._rate_bps = rate_bps
        self._clock = 0.0
        self._heap: list[tuple[float, int, Transfer]] = []
        self._serial = 0

    # What a subclass defines -------------------------------------------------------------------------------------

    def _needs(self, transfer: Transfer) -> float:
        """Return the units in which the rest of an upload is served at its present rate > 0."""
        return transfer.remaining_bits / transfer.rate_bps

    def _seconds_per_unit(self) -> float:
        """Return what a unit takes now, with at least one upload; infinity while the clock stands."""
        raise NotImplementedError

    def _airtime_per_unit(self, transfer: Transfer) -> float:
        """Return the seconds an upload is on the air in a unit."""
        return 1.0

    def _units_per_second(self) -> float:
        """Return at least as many units as go by in a second, the measure of what is rounding."""
        return 1.0

    def _changed(self) -> None:
        """Somebody came, went or got another rate."""

    # ---------------------------------------------------------------------------------------------------------------

    def _insert(self, transfer: Transfer, now: float) -> None:
        if not self._active:
            self._clock = 0.0  # a fresh busy period: no drift is carried along
            self._heap.clear()
        self._tag(transfer)
        self._enter(transfer)
        self._changed()

    def _tag(self, transfer: Transfer) -> None:
        """Work out when, on the clock, it will be done at its present rate."""
        transfer.rate_bps = rate_bps = self._rate_bps(transfer.terminal)
        transfer.on_air_s = self._clock
        transfer.tag = self._clock + self._needs(transfer) if rate_bps > 0.0 else inf
        self._serial += 1
        heappush(self._heap, (transfer.tag, self._serial, transfer))

    def _remove(self, transfer: Transfer, now: float) -> None:
        self._take_off(transfer)
        self._changed()

    def _retune(self, terminals: Collection[int], now: float) -> None:
        for transfer in self._active:
            if transfer.terminal in terminals:
                self._count(transfer)
                self._tag(transfer)
        self._changed()

    def _take_off(self, transfer: Transfer) -> None:
        self._count(transfer)
        self._leave(transfer)

    def _count(self, transfer: Transfer) -> None:
        """Bring its bits and airtime up to the present."""
        airtime_per_unit = self._airtime_per_unit(transfer)
        if transfer.tag == inf:
            transfer.airtime_s += (self._clock - transfer.on_air_s) * airtime_per_unit
            return
        needed = self._needs(transfer)
        left = max(0.0, transfer.tag - self._clock)
        transfer.airtime_s += (needed - left) * airtime_per_unit
        transfer.remaining_bits *= left / needed if needed > 0.0 else 0.0

    def _elapse(self, elapsed_s: float) -> None:
        self._clock += elapsed_s / self._seconds_per_unit()

    def _completes_in_s(self) -> float:
        while self._heap and not self._current(self._heap[0]):
            heappop(self._heap)
        if not self._heap or self._heap[0][0] == inf:
            return inf
        return max(0.0, self._heap[0][0] - self._clock) * self._seconds_per_unit()

    def _complete(self, now: float) -> list[Transfer]:
        done = []
        while self._heap and self._heap[0][0] <= self._clock + DONE * (self._clock + now * self._units_per_second()):
            entry = heappop(self._heap)
            if self._current(entry):
                self._take_off(entry[2])
                done.append(entry[2])
        if done:
            self._changed()
        return done

    def _current(self, entry: tuple[float, int, Transfer]) -> bool:
        """Whether an entry of the heap is of an upload that goes on, and at that rate."""
        return entry[2] in self._active and entry[0] == entry[2].tag
