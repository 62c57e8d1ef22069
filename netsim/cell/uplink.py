"""A cell's uplink: one band that several terminals share, as processor sharing at flow level.

One object per cell, never a process per transfer. A discipline is a subclass that says how fast each of several
simultaneous uploads runs; the neighbours of this file are one discipline each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import inf

from simpy import Environment, Event, Timeout

DONE = 1e-12  # relative size of a remainder that is rounding, not data

Duty = Callable[[Iterable[int], float], None]
"""Called as (terminals, share of the time each is on the air) whenever their share changes."""
Busy = Callable[[int], None]
"""Called as (+1) when the first upload goes on the air, and as (-1) when the last is off it."""


class Transfer:
    """One upload: ``done`` succeeds with the transfer itself when its last bit has arrived."""

    __slots__ = ("airtime_s", "bits", "done", "on_air_s", "rate_bps", "remaining_bits", "tag", "terminal")

    def __init__(self, env: Environment, terminal: int, bits: float) -> None:
        self.terminal, self.bits, self.remaining_bits = terminal, bits, bits
        self.done: Event = env.event()
        self.airtime_s = self.on_air_s = self.rate_bps = self.tag = 0.0


class Uplink:
    """What all disciplines have in common: membership, one alarm for the next completion, airtime.

    Args:
        env: the clock.
        duty: told the share of time each terminal is transmitting, for its energy.
        busy: told whether anybody is.
    """

    prepaid = True
    """Whether a terminal pays for its bytes when it starts an upload."""

    def __init__(self, env: Environment, duty: Duty | None = None, busy: Busy | None = None) -> None:
        self.env = env
        self._active: dict[Transfer, None] = {}
        self._busy_s = 0.0
        self._duty = duty or (lambda terminals, share: None)
        self._busy = busy or (lambda difference: None)
        self._updated_s = env.now
        self._armed_for = inf

    @property
    def busy_s(self) -> float:
        """Time so far with at least one upload on the air, seconds."""
        return self._busy_s + (self.env.now - self._updated_s if self._active else 0.0)

    def start(self, terminal: int, bits: float) -> Transfer:
        """Begin an upload of ``bits`` > 0 now."""
        if not bits > 0:
            raise ValueError(f"an upload needs bits > 0, got {bits}")
        transfer = Transfer(self.env, terminal, bits)
        now = self._advance()
        self._insert(transfer, now)
        self._arm(now)
        return transfer

    def cancel(self, transfer: Transfer) -> float:
        """Take an unfinished upload off the air now; return the bits that were not sent."""
        if transfer.done.triggered:
            return 0.0
        now = self._advance()
        self._remove(transfer, now)
        self._arm(now)
        return transfer.remaining_bits

    def retune(self, terminals: Collection[int]) -> None:
        """Go on at new rates: those of ``terminals`` have changed at this instant."""
        now = self._advance()
        self._retune(terminals, now)
        self._arm(now)

    def _enter(self, transfer: Transfer) -> None:
        if not self._active:
            self._busy(+1)
        self._active[transfer] = None

    def _leave(self, transfer: Transfer) -> None:
        del self._active[transfer]
        self._duty((transfer.terminal,), 0.0)
        if not self._active:
            self._busy(-1)

    def _advance(self) -> float:
        """Bring everything up to the present; return the time."""
        now = self.env.now
        elapsed_s = now - self._updated_s
        self._updated_s = now
        if elapsed_s > 0.0 and self._active:
            self._busy_s += elapsed_s
            self._elapse(elapsed_s)
        return now

    def _arm(self, now: float) -> None:
        """Keep an alarm no later than the next completion; one that rings early only looks again."""
        wait_s = self._completes_in_s()
        if now + wait_s < self._armed_for:
            self._armed_for = now + wait_s
            Timeout(self.env, self._armed_for - now, self._armed_for).callbacks.append(self._look)

    def _look(self, alarm: Event) -> None:
        if alarm.value != self._armed_for:
            return
        self._armed_for = inf
        now = self._advance()
        for transfer in self._complete(now):
            transfer.remaining_bits = 0.0
            transfer.done.succeed(transfer)
        self._arm(now)

    # What a discipline defines -------------------------------------------------------------------------------

    def _insert(self, transfer: Transfer, now: float) -> None:
        raise NotImplementedError

    def _remove(self, transfer: Transfer, now: float) -> None:
        raise NotImplementedError

    def _retune(self, terminals: Collection[int], now: float) -> None:
        raise NotImplementedError

    def _elapse(self, elapsed_s: float) -> None:
        raise NotImplementedError

    def _completes_in_s(self) -> float:
        raise NotImplementedError

    def _complete(self, now: float) -> list[Transfer]:
        raise NotImplementedError
