"""A cell's uplink: one band that several terminals share, as processor sharing at flow level.

One object per cell, never a process per transfer. A discipline is a subclass that says how fast each of n
simultaneous uploads runs:

- :class:`TimeShared` (tdma): turns of equal length over the whole band, r_i = R_i / n. Separable, so all uploads
  live on one virtual clock and a change costs O(log n), besides telling n transmitters their new share.
- :class:`BandShared` (ofdma): equal slices with the whole transmit power in each, r_i = (B/n) SE(n snr_i). Not
  separable: a change costs O(n), exactly.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from heapq import heappop, heappush
from math import inf

from simpy import Environment, Event, Timeout

_DONE = 1e-12  # relative size of a remainder that is rounding, not data

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


class TimeShared(Uplink):
    """Turns of equal length over the whole band.

    The virtual clock shows the airtime each active upload has had: dV/dt = 1/n. An upload is done when V has grown
    by bits / full rate, so its finish tag is fixed when it starts.

    Args:
        env: the clock.
        full_rate_bps: terminal -> rate with the whole band to itself, bit/s.
        duty, busy: see :class:`Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        full_rate_bps: Callable[[int], float],
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, duty, busy)
        self._full_rate_bps = full_rate_bps
        self._virtual_s = 0.0
        self._heap: list[tuple[float, int, Transfer]] = []
        self._serial = 0

    def _insert(self, transfer: Transfer, now: float) -> None:
        if not self._active:
            self._virtual_s = 0.0  # a fresh busy period: no drift is carried along
            self._heap.clear()
        self._tag(transfer)
        self._enter(transfer)
        self._tell_duty()

    def _tag(self, transfer: Transfer) -> None:
        """Work out when, on the virtual clock, it will be done at its present rate."""
        transfer.rate_bps = rate_bps = self._full_rate_bps(transfer.terminal)
        transfer.on_air_s = self._virtual_s
        transfer.tag = self._virtual_s + transfer.remaining_bits / rate_bps if rate_bps > 0.0 else inf
        self._serial += 1
        heappush(self._heap, (transfer.tag, self._serial, transfer))

    def _remove(self, transfer: Transfer, now: float) -> None:
        self._take_off(transfer)
        self._tell_duty()

    def _retune(self, terminals: Collection[int], now: float) -> None:
        for transfer in self._active:
            if transfer.terminal in terminals:
                self._count(transfer)
                self._tag(transfer)

    def _take_off(self, transfer: Transfer) -> None:
        self._count(transfer)
        self._leave(transfer)

    def _count(self, transfer: Transfer) -> None:
        """Bring its bits and airtime up to the present."""
        if transfer.tag == inf:
            transfer.airtime_s += self._virtual_s - transfer.on_air_s
            return
        need_s = transfer.remaining_bits / transfer.rate_bps
        left_s = max(0.0, transfer.tag - self._virtual_s)
        transfer.airtime_s += need_s - left_s
        transfer.remaining_bits *= left_s / need_s if need_s > 0.0 else 0.0

    def _elapse(self, elapsed_s: float) -> None:
        self._virtual_s += elapsed_s / len(self._active)

    def _completes_in_s(self) -> float:
        while self._heap and not self._current(self._heap[0]):
            heappop(self._heap)
        if not self._heap:
            return inf
        return max(0.0, self._heap[0][0] - self._virtual_s) * len(self._active)

    def _complete(self, now: float) -> list[Transfer]:
        done = []
        while self._heap and self._heap[0][0] <= self._virtual_s + _DONE * (self._virtual_s + now):
            entry = heappop(self._heap)
            if self._current(entry):
                self._take_off(entry[2])
                done.append(entry[2])
        if done:
            self._tell_duty()
        return done

    def _current(self, entry: tuple[float, int, Transfer]) -> bool:
        """Whether an entry of the heap is of an upload that goes on, and at that rate."""
        return entry[2] in self._active and entry[0] == entry[2].tag

    def _tell_duty(self) -> None:
        if self._active:
            self._duty([transfer.terminal for transfer in self._active], 1.0 / len(self._active))


class BandShared(Uplink):
    """Equal slices of the band, everyone at full power in a slice; a line forms when slices would get too narrow.

    Args:
        env: the clock.
        rate_bps: (terminal, n) -> rate of that terminal when n share the band, bit/s. Pure: it is remembered.
        max_simultaneous: slices the band can be cut into.
        duty, busy: see :class:`Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        rate_bps: Callable[[int, int], float],
        max_simultaneous: int = 2**31,
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, duty, busy)
        self._rate_bps = rate_bps
        self._remembered: defaultdict[int, dict[int, float]] = defaultdict(dict)  # n -> terminal -> rate
        self._max_simultaneous = max_simultaneous
        self._line: deque[Transfer] = deque()

    def _insert(self, transfer: Transfer, now: float) -> None:
        self._line.append(transfer)
        self._share(now)

    def _remove(self, transfer: Transfer, now: float) -> None:
        if transfer in self._active:
            self._take_off(transfer, now)
            self._share(now)
        else:
            self._line.remove(transfer)

    def _retune(self, terminals: Collection[int], now: float) -> None:
        for rates in self._remembered.values():
            for terminal in terminals:
                rates.pop(terminal, None)
        self._share(now)

    def _take_off(self, transfer: Transfer, now: float) -> None:
        transfer.airtime_s = now - transfer.on_air_s
        self._leave(transfer)

    def _share(self, now: float) -> None:
        """Let in whoever there is room for, and slice the band anew."""
        while self._line and len(self._active) < self._max_simultaneous:
            transfer = self._line.popleft()
            transfer.on_air_s = now
            self._enter(transfer)
            self._duty((transfer.terminal,), 1.0)
        n = len(self._active)
        rates = self._remembered[n]
        for transfer in self._active:
            terminal = transfer.terminal
            if terminal not in rates:
                rates[terminal] = self._rate_bps(terminal, n)
            transfer.rate_bps = rates[terminal]

    def _elapse(self, elapsed_s: float) -> None:
        for transfer in self._active:
            left = transfer.remaining_bits - transfer.rate_bps * elapsed_s
            transfer.remaining_bits = left if left > 0.0 else 0.0

    def _completes_in_s(self) -> float:
        waits_s = [t.remaining_bits / t.rate_bps for t in self._active if t.rate_bps > 0.0]
        return min(waits_s) if waits_s else inf

    def _complete(self, now: float) -> list[Transfer]:
        # What the clock cannot resolve any more is rounding: without this an alarm could ring for ever.
        done = [t for t in self._active if t.remaining_bits <= _DONE * (t.bits + t.rate_bps * now)]
        for transfer in done:
            self._take_off(transfer, now)
        if done:
            self._share(now)
        return done
