"""Every slot and sub-band of a fading channel, scheduled one by one: for focused studies of single cells."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from math import floor, inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from simpy import Environment

from netsim.cell.slot_schedulers import Scheduler
from netsim.cell.uplink import DONE, Busy, Duty, Transfer, Uplink

FloatArray = NDArray[np.float64]
_EDGE = 1e-6  # of a slot: closer to its edge than this is at it


class SlotChannel(Protocol):
    """What terminals could send in every slot and sub-band."""

    def mean_bps(self, terminal: int) -> float:
        """Return the mean rate over the whole band, 0 for a terminal that cannot send at all."""

    def rates_bps(self, terminal: int, first: int, slots: int) -> FloatArray:
        """Return (slots, sub-bands) rates in some slots from ``first`` on."""

    def changed(self, terminals: Collection[int]) -> None:
        """Forget what was known of these terminals."""


@dataclass(frozen=True, eq=False)
class _Slot:
    """What has been granted in one slot.

    Attributes:
        index: which slot; it lasts until (index + 1) x slot length.
        rate_bps: (members,) what each sends.
        share: (members,) part of the band each sends in.
        standing: (members,) what the scheduler remembers of each after it.
    """

    index: int
    rate_bps: FloatArray
    share: FloatArray
    standing: FloatArray


class SlotLevel(Uplink):
    """A scheduler grants every sub-band of every slot to one of the uploads present when the slot begins.

    Grants are worked out for a burst of slots at a time, up to the end of the burst or the next completion; an upload
    that comes, goes or has another channel changes them from the next slot on. Within a slot bits flow evenly. The
    power density does not depend on what is granted, so a terminal is on the air for its share of the band; that is
    told as a mean over the rest of a burst, and corrected in the next if the burst is cut short.

    Args:
        env: the clock.
        channel: what terminals could send.
        scheduler: who gets what.
        slot_s: length of a slot.
        burst_slots: slots worked out at a time.
        duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        channel: SlotChannel,
        scheduler: Scheduler,
        slot_s: float = 1e-3,
        burst_slots: int = 20,
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, duty, busy)
        self._channel, self._scheduler = channel, scheduler
        self._slot_s, self._burst_slots = slot_s, burst_slots
        self._members: list[Transfer] = []  # in the order of the columns of the plan
        self._fresh: dict[Transfer, tuple[int, int]] = {}  # slot in which each began, and the first it takes part in
        self._plan: deque[_Slot] = deque()
        self._plan_ends_s = inf
        self._told = self._owed_s = self._standing = self._left_bits = np.empty(0)

    def _insert(self, transfer: Transfer, now: float) -> None:
        self._enter(transfer)
        self._fresh[transfer] = self._slot_at(now)
        self._replan(now)

    def _remove(self, transfer: Transfer, now: float) -> None:
        self._leave(transfer)
        self._replan(now)

    def _retune(self, terminals: Collection[int], now: float) -> None:
        self._channel.changed(terminals)
        self._replan(now)

    def _elapse(self, elapsed_s: float) -> None:
        at_s, now = self._updated_s - elapsed_s, self._updated_s
        while self._plan:
            slot = self._plan[0]
            until_s = max(at_s, min(now, (slot.index + 1) * self._slot_s))
            self._left_bits -= slot.rate_bps * (until_s - at_s)
            self._owed_s += (slot.share - self._told) * (until_s - at_s)
            at_s = until_s
            if (slot.index + 1) * self._slot_s - now > _EDGE * self._slot_s:
                break
            self._standing = slot.standing
            self._plan.popleft()
        for transfer, left_bits, share in zip(
            self._members, self._left_bits.tolist(), self._told.tolist(), strict=True
        ):
            transfer.remaining_bits = left_bits if left_bits > 0.0 else 0.0
            transfer.airtime_s += share * elapsed_s

    def _completes_in_s(self) -> float:
        return max(0.0, self._plan_ends_s - self.env.now)

    def _complete(self, now: float) -> list[Transfer]:
        done = [t for t in self._active if t.remaining_bits <= DONE * (t.bits + t.rate_bps * now)]
        for transfer in done:
            self._leave(transfer)
        if done or now >= self._plan_ends_s - _EDGE * self._slot_s:
            self._replan(now)
        return done

    # The plan ------------------------------------------------------------------------------------------------------

    def _replan(self, now: float) -> None:
        """Keep what is granted in the present slot, and grant anew from the next one on."""
        index, first = self._slot_at(now)
        going = self._carry_over(first)
        self._plan.clear()
        if first > index:
            if going is None or going.index != index:
                nothing = np.zeros(len(self._members))
                going = _Slot(index, nothing, nothing, self._standing)
            self._plan.append(going)
        self._plan_ends_s = inf
        if any(self._channel.mean_bps(transfer.terminal) > 0.0 for transfer in self._members):
            self._grant(first, now)
        self._tell(now)

    def _slot_at(self, now: float) -> tuple[int, int]:
        """Return which slot it is, and which is the first that has not begun: the same at its very edge."""
        index = floor(now / self._slot_s + _EDGE)
        return index, index + (now - index * self._slot_s > _EDGE * self._slot_s)

    def _carry_over(self, first: int) -> _Slot | None:
        """Give the columns to the present members; return the present slot, if it has been planned.

        Slots from ``first`` on have not begun.
        """
        column = {transfer: place for place, transfer in enumerate(self._members)}
        self._members = list(self._active)
        places = [column.get(transfer, -1) for transfer in self._members]

        def kept(values: FloatArray) -> FloatArray:
            return np.append(values, 0.0)[places]

        self._standing, self._owed_s = self._welcome(kept(self._standing), first), kept(self._owed_s)
        self._left_bits = np.array([transfer.remaining_bits for transfer in self._members])
        if not self._plan:
            return None
        slot = self._plan[0]
        return _Slot(slot.index, kept(slot.rate_bps), kept(slot.share), self._welcome(kept(slot.standing), first))

    def _welcome(self, standing: FloatArray, first: int) -> FloatArray:
        """Return standings with those of newcomers: fair among all who are there when their first slot begins."""
        self._fresh = {t: slots for t, slots in self._fresh.items() if t in self._active and slots[1] >= first}
        for place, transfer in enumerate(self._members):
            if transfer in self._fresh:
                fair_bps = self._channel.mean_bps(transfer.terminal) / len(self._active)
                standing[place] = self._scheduler.newcomer(fair_bps, self._fresh[transfer][0])
        return standing

    def _grant(self, first: int, now: float) -> None:
        """Schedule from slot ``first`` to the end of its burst, or until the first upload is done."""
        slots = self._burst_slots - first % self._burst_slots
        possible_bps = np.stack([self._channel.rates_bps(t.terminal, first, slots) for t in self._members], axis=1)
        left_bits, standing = self._left_bits.copy(), self._standing
        if self._plan:
            going = self._plan[0]
            standing = going.standing
            left_bits, ends_s = self._pass(left_bits, going, now)
            if ends_s < inf:
                self._plan_ends_s = ends_s
                return
        for index, rates_bps in enumerate(possible_bps, first):
            owner = self._scheduler.grant(rates_bps, standing)
            served_bps, share = _served(owner, rates_bps)
            standing = self._scheduler.update(standing, served_bps, share, index)
            slot = _Slot(index, served_bps, share, standing)
            self._plan.append(slot)
            left_bits, ends_s = self._pass(left_bits, slot, index * self._slot_s)
            if ends_s < inf:
                break
        self._plan_ends_s = min(ends_s, (first + slots) * self._slot_s)

    def _pass(self, left_bits: FloatArray, slot: _Slot, since_s: float) -> tuple[FloatArray, float]:
        """Return the bits left after a slot, and when in it the first upload is done, infinity if none is."""
        after = left_bits - slot.rate_bps * ((slot.index + 1) * self._slot_s - since_s)
        done = np.flatnonzero(after <= 0.0)
        if not done.size:
            return after, inf
        return after, since_s + float(np.min(left_bits[done] / np.maximum(slot.rate_bps[done], 1e-300)))

    def _tell(self, now: float) -> None:
        """Tell everybody's mean share of the band until the end of the plan, and make up for plans cut short."""
        self._told, at_s = np.zeros(len(self._members)), now
        if now < self._plan_ends_s < inf:
            airtime_s = self._owed_s.copy()
            for slot in self._plan:
                until_s = min((slot.index + 1) * self._slot_s, self._plan_ends_s)
                airtime_s += slot.share * (until_s - at_s)
                at_s = until_s
            self._told = np.clip(airtime_s / (self._plan_ends_s - now), 0.0, 1.0)
        for transfer, share, slot_bps in zip(self._members, self._told.tolist(), self._peaks(), strict=True):
            transfer.rate_bps = slot_bps
            self._duty((transfer.terminal,), share)

    def _peaks(self) -> list[float]:
        """Return the fastest each member is in the plan: a measure of what is rounding."""
        if not self._plan:
            return [0.0] * len(self._members)
        peaks: list[float] = np.max([slot.rate_bps for slot in self._plan], axis=0).tolist()
        return peaks


def _served(owner: NDArray[np.int64], rates_bps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (n,) what each sends, and in which share of the band, when sub-bands have these owners."""
    n, sub_bands = rates_bps.shape
    used = np.flatnonzero(owner >= 0)
    served_bps = np.bincount(owner[used], rates_bps[owner[used], used], n)
    return served_bps.astype(np.float64, copy=False), np.bincount(owner[used], minlength=n) / sub_bands
