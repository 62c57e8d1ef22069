"""A cell's uplink in compiled code: the disciplines of :mod:`netsim.cell`, step by step the same arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.luck import COMPILED, LEAN, PART
from netsim.cohort.plant import Plant, Rules

Array = NDArray[Any]
_DONE = 1e-12  # as in netsim.cell
AWAY, ACTIVE, IN_LINE, SENT = range(4)
_COUNT, _HEAD, _TAIL = range(3)
_LAST, _VIRTUAL, _BUSY = range(3)


class Air(NamedTuple):
    """The uploads of one iteration of one cell, m participants.

    Attributes:
        bits: (m,) size of each upload.
        phase: (m,) AWAY, ACTIVE, IN_LINE or SENT.
        left: (m,) bits still to send; shared in time: the virtual time at which it will be done.
        rate: (m,) current bit/s; shared in time: bit/s with the whole band.
        airtime_s: (m,) transmitting time so far, weighted by the share of it.
        active, line: (m,) participants in order of access; ``line`` is those without a slice.
        number: (3,) active uploads, head and tail of the line.
        clock: (3,) last update, virtual time, time with at least one upload, seconds.
    """

    bits: float
    phase: Array
    left: Array
    rate: Array
    airtime_s: Array
    active: Array
    line: Array
    number: Array
    clock: Array


@njit(**COMPILED)
def new_air(m: int) -> Air:
    """Return room for m uploads."""
    zero = np.zeros
    return Air(
        0.0,
        zero(m, np.int8),
        zero(m),
        zero(m),
        zero(m),
        zero(m, np.int64),
        zero(m, np.int64),
        zero(3, np.int64),
        zero(3),
    )


@njit(**PART)
def quiet(room: Air, m: int, bits: float) -> Air:
    """Return an uplink nobody uses, for m participants."""
    room.number[:], room.clock[:] = 0, 0.0
    for i in range(m):
        room.phase[i], room.left[i], room.rate[i], room.airtime_s[i] = AWAY, 0.0, 0.0, 0.0
    return Air(
        bits,
        room.phase[:m],
        room.left[:m],
        room.rate[:m],
        room.airtime_s[:m],
        room.active[:m],
        room.line[:m],
        room.number,
        room.clock,
    )


@njit(**LEAN)
def slice_bps(plant: Plant, rules: Rules, j: int, n: int) -> float:
    """Return terminal j's rate in one of n slices, see :meth:`netsim.radio.Radio.band_shared_bps`."""
    kind = plant.fading[j]
    grid, efficiency, snr = plant.snr_grid[kind], plant.efficiency_grid[kind], plant.uplink_snr[j] * n
    index = np.searchsorted(grid, snr, side="right")
    if index == 0:
        return 0.0
    value = efficiency[-1]
    if index < len(grid):
        slope = (efficiency[index] - efficiency[index - 1]) / (grid[index] - grid[index - 1])
        value = slope * (snr - grid[index - 1]) + efficiency[index - 1]
    return rules.uplink_hz / n * value * rules.net


@njit(**PART)
def advance(rules: Rules, air: Air, now_s: float) -> None:
    """Let the uploads go on until ``now_s``."""
    n, elapsed_s = air.number[_COUNT], now_s - air.clock[_LAST]
    air.clock[_LAST] = now_s
    if n == 0 or elapsed_s <= 0.0:
        return
    air.clock[_BUSY] += elapsed_s
    air.clock[_VIRTUAL] += elapsed_s / n
    for p in range(n):
        i = air.active[p]
        air.airtime_s[i] += elapsed_s / n if rules.time_shared else elapsed_s
        if not rules.time_shared:
            air.left[i] = max(0.0, air.left[i] - air.rate[i] * elapsed_s)


@njit(**LEAN)
def _share(plant: Plant, rules: Rules, air: Air, terminals: Array) -> None:
    """Give slices to those in line, and everybody the rate of their number."""
    while air.number[_HEAD] < air.number[_TAIL] and air.number[_COUNT] < rules.slices:
        i = air.line[air.number[_HEAD]]
        air.number[_HEAD] += 1
        if air.phase[i] == IN_LINE:
            air.phase[i] = ACTIVE
            air.active[air.number[_COUNT]] = i
            air.number[_COUNT] += 1
    n = air.number[_COUNT]
    for p in range(n):
        air.rate[air.active[p]] = slice_bps(plant, rules, terminals[air.active[p]], n)


@njit(**PART)
def enter(plant: Plant, rules: Rules, air: Air, terminals: Array, i: int) -> None:
    """Let participant i begin its upload; the uplink has been advanced to now."""
    if rules.time_shared:
        if air.number[_COUNT] == 0:
            air.clock[_VIRTUAL] = 0.0
        air.rate[i] = plant.uplink_bps[terminals[i]]
        air.left[i] = air.clock[_VIRTUAL] + air.bits / air.rate[i]
        air.phase[i] = ACTIVE
        air.active[air.number[_COUNT]] = i
        air.number[_COUNT] += 1
        return
    air.left[i], air.phase[i] = air.bits, IN_LINE
    air.line[air.number[_TAIL]] = i
    air.number[_TAIL] += 1
    _share(plant, rules, air, terminals)


@njit(**LEAN)
def _take_off(air: Air, position: int) -> None:
    n = air.number[_COUNT]
    for p in range(position, n - 1):
        air.active[p] = air.active[p + 1]
    air.number[_COUNT] = n - 1


@njit(**LEAN)
def leave(plant: Plant, rules: Rules, air: Air, terminals: Array, i: int) -> float:
    """Take participant i off the air or out of the line; return the bits it has not sent."""
    unsent = air.left[i]
    if rules.time_shared:
        need_s = air.bits / air.rate[i]
        unsent = air.bits * max(0.0, air.left[i] - air.clock[_VIRTUAL]) / need_s
    if air.phase[i] == ACTIVE:
        for p in range(air.number[_COUNT]):
            if air.active[p] == i:
                _take_off(air, p)
                break
        if not rules.time_shared:
            _share(plant, rules, air, terminals)
    air.phase[i] = AWAY
    return unsent


@njit(**PART)
def next_completion_s(rules: Rules, air: Air) -> float:
    """Return when the next upload will be done if nothing else happens."""
    n, wait = air.number[_COUNT], np.inf
    for p in range(n):
        i = air.active[p]
        if rules.time_shared:
            wait = min(wait, max(0.0, air.left[i] - air.clock[_VIRTUAL]) * n)
        elif air.rate[i] > 0.0:
            wait = min(wait, air.left[i] / air.rate[i])
    return air.clock[_LAST] + wait


@njit(**PART)
def complete(plant: Plant, rules: Rules, air: Air, terminals: Array, done: Array) -> int:
    """Write into ``done`` the participants whose uploads are done now, in order; return how many."""
    now_s, virtual_s, count, p = air.clock[_LAST], air.clock[_VIRTUAL], 0, 0
    while p < air.number[_COUNT]:
        i = air.active[p]
        if rules.time_shared:
            over = air.left[i] <= virtual_s + _DONE * (virtual_s + now_s)
        else:
            over = air.left[i] <= _DONE * (air.bits + air.rate[i] * now_s)
        if over:
            done[count] = i
            count += 1
            air.phase[i] = SENT
            _take_off(air, p)
        else:
            p += 1
    if rules.time_shared:
        for a in range(1, count):  # by virtual finish, then by start: the order of a heap of (finish, start)
            i, b = done[a], a
            while b > 0 and air.left[done[b - 1]] > air.left[i]:
                done[b] = done[b - 1]
                b -= 1
            done[b] = i
    else:
        _share(plant, rules, air, terminals)
    return count
