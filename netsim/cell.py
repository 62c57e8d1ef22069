"""A cell's uplink: one band that several terminals share, as processor sharing at flow level.

One object per cell, never a process per transfer. A discipline is a subclass that says how fast each of n
simultaneous uploads runs:

- :class:`TimeShared` (tdma): turns of equal length over the whole band, r_i = R_i / n. Separable, so all uploads
  live on one virtual clock and a change costs O(log n), besides telling n transmitters their new share.
- :class:`BandShared` (ofdma): equal slices with the whole transmit power in each, r_i = (B/n) SE(n snr_i). Not
  separable: a change costs O(n), exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

from simpy import Environment, Event, Timeout

_DONE = 1e-12  # relative size of a remainder that is rounding, not data

Duty = Callable[[int, float], None]
"""Called as (terminal, share of the time it is on the air) whenever that share changes."""


class Transfer:
    """One upload: ``done`` succeeds with the transfer itself when its last bit has arrived."""

    __slots__ = ("airtime_s", "bits", "done", "remaining_bits", "started_s", "tag", "terminal")

    def __init__(self, env: Environment, terminal: int, bits: float) -> None:
        self.terminal, self.bits, self.remaining_bits = terminal, bits, bits
        self.done: Event = env.event()
        self.started_s = env.now
        self.airtime_s = 0.0
        self.tag = 0.0


class Uplink:
    """What all disciplines have in common: membership, one alarm for the next completion, airtime.

    Args:
        env: the clock.
        duty: told the share of time each terminal is transmitting, for its energy.
    """

    def __init__(self, env: Environment, duty: Duty | None = None) -> None:
        self.env = env
        self._busy_s = 0.0
        self._duty = duty or (lambda terminal, share: None)
        self._updated_s = env.now
        self._armed_for = inf

    @property
    def busy_s(self) -> float:
        """Time so far with at least one upload on the air, seconds."""
        return self._busy_s + (self.env.now - self._updated_s if self._count() else 0.0)

    def start(self, terminal: int, bits: float) -> Transfer:
        """Begin an upload of ``bits`` > 0 now."""
        if not bits > 0:
            raise ValueError(f"an upload needs bits > 0, got {bits}")
        transfer = Transfer(self.env, terminal, bits)
        self._advance()
        self._insert(transfer)
        self._arm()
        return transfer

    def cancel(self, transfer: Transfer) -> float:
        """Take an unfinished upload off the air now; return the bits that were not sent."""
        if transfer.done.triggered:
            return 0.0
        self._advance()
        self._remove(transfer)
        self._arm()
        return transfer.remaining_bits

    def _advance(self) -> None:
        elapsed = self.env.now - self._updated_s
        self._updated_s = self.env.now
        if elapsed > 0.0 and self._count() > 0:
            self._busy_s += elapsed
            self._elapse(elapsed)

    def _arm(self) -> None:
        """Keep an alarm no later than the next completion; one that rings early only looks again."""
        at = self._next_completion()
        if at < self._armed_for:
            self._armed_for = at
            Timeout(self.env, max(0.0, at - self.env.now), at).callbacks.append(self._look)

    def _look(self, alarm: Event) -> None:
        if alarm.value != self._armed_for:
            return
        self._armed_for = inf
        self._advance()
        for transfer in self._completed():
            transfer.remaining_bits = 0.0
            transfer.done.succeed(transfer)
        self._arm()

    # What a discipline defines -------------------------------------------------------------------------------

    def _count(self) -> int:
        raise NotImplementedError

    def _insert(self, transfer: Transfer) -> None:
        raise NotImplementedError

    def _remove(self, transfer: Transfer) -> None:
        raise NotImplementedError

    def _elapse(self, elapsed_s: float) -> None:
        raise NotImplementedError

    def _next_completion(self) -> float:
        raise NotImplementedError

    def _completed(self) -> list[Transfer]:
        raise NotImplementedError


class TimeShared(Uplink):
    """Turns of equal length over the whole band.

    The virtual clock shows the airtime each active upload has had: dV/dt = 1/n. An upload is done when V has grown
    by bits / full rate, so its finish tag is fixed when it starts.

    Args:
        env: the clock.
        full_rate_bps: terminal -> rate with the whole band to itself, bit/s.
        duty: see :class:`Uplink`.
    """

    def __init__(self, env: Environment, full_rate_bps: Callable[[int], float], duty: Duty | None = None) -> None:
        super().__init__(env, duty)
        self._full_rate_bps = full_rate_bps
        self._virtual_s = 0.0
        self._heap: list[tuple[float, int, Transfer]] = []
        self._active: dict[Transfer, None] = {}
        self._serial = 0

    def _count(self) -> int:
        return len(self._active)

    def _insert(self, transfer: Transfer) -> None:
        if not self._active:
            self._virtual_s = 0.0  # a fresh busy period: no drift is carried along
            self._heap.clear()
        transfer.tag = self._virtual_s + transfer.bits / self._full_rate_bps(transfer.terminal)
        self._serial += 1
        heappush(self._heap, (transfer.tag, self._serial, transfer))
        self._active[transfer] = None
        self._tell_duty()

    def _remove(self, transfer: Transfer) -> None:
        need_s = transfer.bits / self._full_rate_bps(transfer.terminal)
        left_s = max(0.0, transfer.tag - self._virtual_s)
        transfer.airtime_s = need_s - left_s
        transfer.remaining_bits = transfer.bits * left_s / need_s
        del self._active[transfer]
        self._duty(transfer.terminal, 0.0)
        self._tell_duty()

    def _elapse(self, elapsed_s: float) -> None:
        self._virtual_s += elapsed_s / len(self._active)

    def _next_completion(self) -> float:
        while self._heap and self._heap[0][2] not in self._active:
            heappop(self._heap)
        if not self._heap:
            return inf
        return self.env.now + max(0.0, self._heap[0][0] - self._virtual_s) * len(self._active)

    def _completed(self) -> list[Transfer]:
        done = []
        while self._heap and self._heap[0][0] <= self._virtual_s + _DONE * (self._virtual_s + self.env.now):
            transfer = heappop(self._heap)[2]
            if transfer in self._active:
                self._remove(transfer)
                done.append(transfer)
        return done

    def _tell_duty(self) -> None:
        for transfer in self._active:
            self._duty(transfer.terminal, 1.0 / len(self._active))


class BandShared(Uplink):
    """Equal slices of the band, everyone at full power in a slice; a line forms when slices would get too narrow.

    Args:
        env: the clock.
        rate_bps: (terminal, n) -> rate of that terminal when n share the band, bit/s. Pure: it is remembered.
        max_simultaneous: slices the band can be cut into.
        duty: see :class:`Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        rate_bps: Callable[[int, int], float],
        max_simultaneous: int = 2**31,
        duty: Duty | None = None,
    ) -> None:
        super().__init__(env, duty)
        self._rate_bps = rate_bps
        self._remembered: dict[tuple[int, int], float] = {}
        self._max_simultaneous = max_simultaneous
        self._active: dict[Transfer, float] = {}  # transfer -> current rate
        self._line: deque[Transfer] = deque()

    def _count(self) -> int:
        return len(self._active)

    def _insert(self, transfer: Transfer) -> None:
        self._line.append(transfer)
        self._share()

    def _remove(self, transfer: Transfer) -> None:
        if transfer in self._active:
            del self._active[transfer]
            self._duty(transfer.terminal, 0.0)
            self._share()
        else:
            self._line.remove(transfer)

    def _share(self) -> None:
        while self._line and len(self._active) < self._max_simultaneous:
            transfer = self._line.popleft()
            self._active[transfer] = 0.0
            self._duty(transfer.terminal, 1.0)
        n = len(self._active)
        for transfer in self._active:
            key = (transfer.terminal, n)
            rate = self._remembered.get(key)
            if rate is None:
                rate = self._remembered[key] = self._rate_bps(*key)
            self._active[transfer] = rate

    def _elapse(self, elapsed_s: float) -> None:
        for transfer, rate in self._active.items():
            left = transfer.remaining_bits - rate * elapsed_s
            transfer.remaining_bits = left if left > 0.0 else 0.0
            transfer.airtime_s += elapsed_s

    def _next_completion(self) -> float:
        waits = [t.remaining_bits / rate for t, rate in self._active.items() if rate > 0.0]
        return self.env.now + min(waits, default=inf)

    def _completed(self) -> list[Transfer]:
        # What the clock cannot resolve any more is rounding: without this an alarm could ring for ever.
        now = self.env.now
        done = [t for t, rate in self._active.items() if t.remaining_bits <= _DONE * (t.bits + rate * now)]
        for transfer in done:
            del self._active[transfer]
            self._duty(transfer.terminal, 0.0)
        self._share()
        return done
