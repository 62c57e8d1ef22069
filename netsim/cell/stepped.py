"""Disciplines under which every upload is brought forward at every change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from math import inf

from simpy import Environment

from netsim.cell.uplink import DONE, Busy, Duty, Transfer, Uplink


class Stepped(Uplink):
    """Rates that depend on the terminal and on how many are on the air, in any way: exact, O(n) a change.

    Args:
        env: the clock.
        rate_bps: (terminal, n) -> rate of that terminal when n are on the air, bit/s. Pure: it is remembered.
        duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        rate_bps: Callable[[int, int], float],
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, duty, busy)
        self._rate_bps = rate_bps
        self._remembered: defaultdict[int, dict[int, float]] = defaultdict(dict)  # n -> terminal -> rate

    def _share(self, now: float) -> None:
        """Say who is on the air from now on, and let them go on at their rates: a subclass does it."""
        raise NotImplementedError

    def _speed_up(self) -> None:
        """Let all who are on the air go on at the rates of so many."""
        n = len(self._active)
        rates = self._remembered[n]
        for transfer in self._active:
            terminal = transfer.terminal
            if terminal not in rates:
                rates[terminal] = self._rate_bps(terminal, n)
            transfer.rate_bps = rates[terminal]

    def _retune(self, terminals: Collection[int], now: float) -> None:
        if len(terminals) > len(self._active):
            self._remembered.clear()  # quicker than to look for each
        for rates in self._remembered.values():
            for terminal in terminals:
                rates.pop(terminal, None)
        self._share(now)

    def _take_off(self, transfer: Transfer, now: float) -> None:
        transfer.airtime_s += now - transfer.on_air_s
        self._leave(transfer)

    def _elapse(self, elapsed_s: float) -> None:
        for transfer in self._active:
            left = transfer.remaining_bits - transfer.rate_bps * elapsed_s
            transfer.remaining_bits = left if left > 0.0 else 0.0

    def _completes_in_s(self) -> float:
        waits_s = [t.remaining_bits / t.rate_bps for t in self._active if t.rate_bps > 0.0]
        return min(waits_s) if waits_s else inf

    def _complete(self, now: float) -> list[Transfer]:
        # What the clock cannot resolve any more is rounding: without this an alarm could ring for ever.
        done = [t for t in self._active if t.remaining_bits <= DONE * (t.bits + t.rate_bps * now)]
        for transfer in done:
            self._finish(transfer, now)
        if done:
            self._share(now)
        return done

    def _finish(self, transfer: Transfer, now: float) -> None:
        """Let an upload go that is done."""
        self._take_off(transfer, now)
