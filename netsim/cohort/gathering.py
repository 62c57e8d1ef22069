"""One base-station iteration from the instant the model is received to the instant its base station has enough.

Compiled; what :class:`netsim.terminal.Terminal` and :class:`netsim.collection.Gathering` do, participant by
participant in order of time.
"""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort import air as uplink
from netsim.cohort.account import Accounts, Cursor, crossing_s, foreseen_death_s, forward, live_until
from netsim.cohort.air import ACTIVE, AWAY, Air
from netsim.cohort.book import COMPUTE, COST, PAID, SITE_STATIC, TRANSMIT, UPLINK, Book, note
from netsim.cohort.luck import COMPILED, LEAN, slowdown_factor, uniform
from netsim.cohort.plant import DEADLINE, FIRST_K, LOGNORMAL, ON_AIR, Plant, Rules

Array = NDArray[Any]
MERGED, LATE, DROPPED = range(3)
UNDECIDED, STOPPED = -1, -2


class End(NamedTuple):
    """Where time stops: nothing later than ``horizon_s`` happens, and of the payments due at that very instant only
    those of an earlier site, or of an earlier terminal of the same site, are made."""

    horizon_s: float
    site: int
    terminal: int


class Load(NamedTuple):
    """What one cloud round makes everybody send and compute, see :class:`netsim.port.Sizes`.

    ``normals`` (K, M) are the standard normals of lognormal slow-downs, by iteration; (1, 1) for other laws.
    """

    start_s: float
    cloud_bits: float
    broadcast_bits: float
    update_bits: float
    aggregate_bits: float
    bs_iterations: int
    samples: Array
    fixed_samples: Array
    normals: Array


class Tally(NamedTuple):
    """What every terminal has used since the start of the run: (M,) joules by activity, bytes."""

    compute_j: Array
    transmit_j: Array
    receive_j: Array
    bytes_up: Array
    bytes_down: Array


class Fates(NamedTuple):
    """What becomes of m participants: (m,) who, how, when; NaN for what they did not come to.

    ``outcome`` is MERGED, LATE, DROPPED, or below 0 for one whom the end of the run has overtaken. ``paid_for`` tells
    whether the terminal began to work. ``due_s`` is when it asks for access or, if ``lost``, drops out; ``leaves_s``
    when it will be gone.
    """

    terminal: Array
    outcome: Array
    paid_for: Array
    lost: Array
    computed_s: Array
    due_s: Array
    leaves_s: Array
    compute_s: Array
    upload_s: Array
    finish_s: Array


@njit(**LEAN)
def payable(end: End, time_s: float, site: int, terminal: int) -> bool:
    """Return whether a payment is made, see :class:`End`."""
    if time_s != end.horizon_s:
        return time_s < end.horizon_s
    return site < end.site or (site == end.site and terminal < end.terminal)


@njit(**COMPILED)
def fresh_fates(terminals: Array) -> Fates:
    """Return fates of participants of whom nothing is known yet."""
    m, nan = len(terminals), np.nan
    return Fates(
        terminals,
        np.full(m, UNDECIDED, np.int8),
        np.zeros(m, np.bool_),
        np.zeros(m, np.bool_),
        np.full(m, nan),
        np.full(m, np.inf),
        np.full(m, np.inf),
        np.full(m, nan),
        np.full(m, nan),
        np.full(m, nan),
    )


@njit(**LEAN)
def _decide(
    plant: Plant, rules: Rules, load: Load, presence: Cursor, i: int, fates: Fates, k: int, round_: int, now_s: float
) -> None:
    """Settle how long participant i would compute and when it would be gone."""
    j = fates.terminal[i]
    kind, entity = plant.kind[j], plant.entity[j]
    normal = load.normals[k, j] if rules.slowdown == LOGNORMAL else 0.0
    factor = slowdown_factor(rules, entity, round_, normal)
    compute_s = load.samples[j] * plant.cycles_per_sample[kind] / plant.cpu_hz[kind] * factor
    forward(plant, rules, presence, j, now_s)
    leaves_s = presence.until_s[j] if presence.on[j] else now_s
    if rules.dropout > 0.0 and uniform(rules.dropout_key, entity, round_, 0) < rules.dropout:
        leaves_s = min(leaves_s, now_s + uniform(rules.dropout_key, entity, round_, 1) * compute_s)
    stays_s = max(0.0, leaves_s - now_s)
    fates.leaves_s[i] = leaves_s
    fates.computed_s[i] = now_s + min(compute_s, stays_s)
    if compute_s >= stays_s:
        fates.lost[i], fates.due_s[i] = True, fates.computed_s[i]
        return
    fates.due_s[i] = fates.computed_s[i] + rules.uplink_access_s
    fates.lost[i] = fates.due_s[i] >= leaves_s


@njit(**LEAN)
def _foresee_death(plant: Plant, rules: Rules, accounts: Accounts, i: int, fates: Fates) -> None:
    """Bring forward what is due to participant i if its battery will be empty before."""
    j = fates.terminal[i]
    power_w = plant.compute_w[plant.kind[j]]
    death_s = foreseen_death_s(plant, rules, accounts, j, fates.computed_s[i], power_w, fates.due_s[i])
    if death_s < np.inf:
        fates.lost[i], fates.due_s[i] = True, death_s


@njit(**LEAN)
def _close(
    plant: Plant, rules: Rules, accounts: Accounts, tally: Tally, book: Book, site: int, start_s: float, i: int,
    fates: Fates, outcome: int, now_s: float,
) -> None:  # fmt: skip
    """Write down what participant i has done up to ``now_s``, except its time on the air."""
    j = fates.terminal[i]
    kind = plant.kind[j]
    stopped_s = min(fates.computed_s[i], now_s)
    tally.compute_j[j] += plant.compute_w[kind] * (stopped_s - start_s)
    note(book, site, COMPUTE, stopped_s, -plant.compute_w[kind], j)
    fates.outcome[i] = outcome
    fates.compute_s[i] = stopped_s - start_s
    if now_s > fates.computed_s[i] or (now_s == fates.computed_s[i] and outcome == MERGED):
        fates.upload_s[i] = now_s - fates.computed_s[i]
    if rules.mortal:
        live_until(plant, rules, accounts, j, stopped_s, plant.compute_w[kind])
        live_until(plant, rules, accounts, j, min(fates.due_s[i], now_s), 0.0)


@njit(**LEAN)
def _hang_up(
    plant: Plant, rules: Rules, tally: Tally, book: Book, air: Air, site: int, i: int, fates: Fates, now_s: float
) -> None:
    """End participant i's upload, finished or not; what was not sent is refunded."""
    j = fates.terminal[i]
    unsent = 0.0
    if air.phase[i] != uplink.SENT:
        unsent = uplink.leave(plant, rules, air, fates.terminal, i)
        note(book, site, PAID, now_s, -unsent / 8.0, j)
    sent = (air.bits - unsent) / 8.0
    tally.bytes_up[j] += sent
    tally.transmit_j[j] += plant.transmit_w[plant.kind[j]] * air.airtime_s[i]
    note(book, site, UPLINK, now_s, sent, j)


@njit(**LEAN)
def _radiated_w(plant: Plant, rules: Rules, air: Air, fates: Fates) -> float:
    """Power of all transmitters of the cell together."""
    n, total_w = air.number[0], 0.0
    for p in range(n):
        total_w += plant.transmit_w[plant.kind[fates.terminal[air.active[p]]]]
    return total_w / n if rules.time_shared and n > 0 else total_w


@njit(**LEAN)
def _drain(plant: Plant, rules: Rules, accounts: Accounts, air: Air, fates: Fates, now_s: float) -> None:
    """Charge everybody on the air or in line up to ``now_s``."""
    n = air.number[0]
    for i in range(len(fates.terminal)):
        if air.phase[i] == ACTIVE or air.phase[i] == uplink.IN_LINE:
            j = fates.terminal[i]
            share = (1.0 / n if rules.time_shared else 1.0) if air.phase[i] == ACTIVE else 0.0
            live_until(plant, rules, accounts, j, now_s, share * plant.transmit_w[plant.kind[j]])


@njit(**LEAN)
def _next_loss(
    plant: Plant, rules: Rules, accounts: Accounts, air: Air, fates: Fates, to_s: float
) -> tuple[float, int]:
    """Return when the first upload will be cut short before ``to_s``, by absence or an empty battery, and whose."""
    first_s, who, n = np.inf, -1, air.number[0]
    for i in range(len(fates.terminal)):
        if air.phase[i] == ACTIVE or air.phase[i] == uplink.IN_LINE:
            at_s = fates.leaves_s[i]
            if rules.mortal:
                j = fates.terminal[i]
                kind = plant.kind[j]
                share = (1.0 / n if rules.time_shared else 1.0) if air.phase[i] == ACTIVE else 0.0
                power_w = share * plant.transmit_w[kind]
                at_s = min(at_s, crossing_s(plant, rules, accounts, j, min(to_s, at_s), power_w, plant.battery_j[kind]))
            if at_s < first_s:
                first_s, who = at_s, i
    return first_s, who


@njit(**LEAN)
def start_work(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, presence: Cursor, book: Book, end: End, site: int,
    k: int, round_: int, now_s: float, fates: Fates,
) -> None:  # fmt: skip
    """Let the participants pay, and settle what each would do if nobody stopped it."""
    started_w = 0.0
    for i in range(len(fates.terminal)):
        j = fates.terminal[i]
        if rules.mortal and accounts.death_s[j] <= now_s:
            fates.outcome[i], fates.lost[i], fates.due_s[i] = DROPPED, True, now_s
        elif not payable(end, now_s, site, j):
            fates.outcome[i] = STOPPED
        else:
            cost = (load.samples[j] - load.fixed_samples[j]) * rules.cost_per_local_iteration
            note(book, site, COST, now_s, cost, j)
            fates.paid_for[i] = True
            started_w += plant.compute_w[plant.kind[j]]
            _decide(plant, rules, load, presence, i, fates, k, round_, now_s)
            if rules.mortal:
                _foresee_death(plant, rules, accounts, i, fates)
    note(book, site, COMPUTE, now_s, started_w, -1)


@njit(**LEAN)
def gather(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, tally: Tally, book: Book, end: End, site: int,
    start_s: float, fates: Fates, air: Air, order: Array, done: Array,
) -> float:  # fmt: skip
    """Follow the participants until the base station has enough; return when, or infinity if the run ends before.

    ``order`` (m,) sorts them by ``fates.due_s``; ``done`` (m,) int64 is room to work in.
    """
    m = len(fates.terminal)
    enough = max(1, ceil(rules.k_fraction * m - 1e-9)) if rules.policy == FIRST_K else m
    deadline_s = start_s + rules.deadline_s if rules.policy == DEADLINE else np.inf
    cuts = rules.mortal or rules.dropout > 0.0 or rules.mean_on_s < np.inf
    waiting, arrived, position, past, transmitting_w = m, 0, 0, False, 0.0
    on_air = rules.static == ON_AIR
    while True:
        own_s = fates.due_s[order[position]] if position < m else np.inf
        sent_s = uplink.next_completion_s(rules, air)
        next_s = min(min(own_s, sent_s), np.inf if past else deadline_s)
        loss_s, loser = np.inf, -1
        if cuts:
            loss_s, loser = _next_loss(plant, rules, accounts, air, fates, next_s)
            next_s = min(next_s, loss_s)
        now_s = min(next_s, end.horizon_s)
        if rules.mortal:
            _drain(plant, rules, accounts, air, fates, now_s)
        was_on = air.number[0] > 0
        uplink.advance(rules, air, now_s)
        if next_s > end.horizon_s:
            break
        if sent_s == next_s:
            for p in range(uplink.complete(plant, rules, air, fates.terminal, done)):
                i = done[p]
                enough_before = arrived >= enough or waiting == 0 or (past and arrived > 0)
                _close(
                    plant,
                    rules,
                    accounts,
                    tally,
                    book,
                    site,
                    start_s,
                    i,
                    fates,
                    LATE if enough_before else MERGED,
                    now_s,
                )
                _hang_up(plant, rules, tally, book, air, site, i, fates, now_s)
                fates.upload_s[i], fates.finish_s[i] = now_s - fates.computed_s[i], now_s
                if not enough_before:
                    arrived, waiting = arrived + 1, waiting - 1
        elif loss_s == next_s:
            _close(plant, rules, accounts, tally, book, site, start_s, loser, fates, DROPPED, now_s)
            _hang_up(plant, rules, tally, book, air, site, loser, fates, now_s)
            fates.upload_s[loser] = now_s - fates.computed_s[loser]
            waiting -= 1
        elif own_s == next_s:
            i = order[position]
            position += 1
            if fates.lost[i]:
                if fates.paid_for[i]:
                    _close(plant, rules, accounts, tally, book, site, start_s, i, fates, DROPPED, now_s)
                waiting -= 1
            elif payable(end, now_s, site, fates.terminal[i]):
                if rules.mortal:
                    kind = plant.kind[fates.terminal[i]]
                    live_until(plant, rules, accounts, fates.terminal[i], fates.computed_s[i], plant.compute_w[kind])
                    live_until(plant, rules, accounts, fates.terminal[i], now_s, 0.0)
                note(book, site, PAID, now_s, air.bits / 8.0, fates.terminal[i])
                uplink.enter(plant, rules, air, fates.terminal, i)
            else:
                fates.outcome[i] = STOPPED
                _close(plant, rules, accounts, tally, book, site, start_s, i, fates, STOPPED, now_s)
        else:
            past = True
        power_w = _radiated_w(plant, rules, air, fates)
        note(book, site, TRANSMIT, now_s, power_w - transmitting_w, -1)
        transmitting_w = power_w
        if on_air and was_on != (air.number[0] > 0):
            note(book, site, SITE_STATIC, now_s, rules.static_w if air.number[0] > 0 else -rules.static_w, -1)
        if arrived >= enough or waiting == 0 or (past and arrived > 0):
            break
    finished = next_s <= end.horizon_s
    _stop_the_rest(plant, rules, accounts, tally, book, site, start_s, fates, air, finished, now_s)
    if transmitting_w > 0.0:
        note(book, site, TRANSMIT, now_s, -transmitting_w, -1)
    return now_s if finished else np.inf


@njit(**LEAN)
def _stop_the_rest(
    plant: Plant, rules: Rules, accounts: Accounts, tally: Tally, book: Book, site: int, start_s: float,
    fates: Fates, air: Air, finished: bool, now_s: float,
) -> None:  # fmt: skip
    """Tell those who are still at work that they are too late, or that the run is over."""
    busy = air.number[0] > 0
    booked_s = now_s if finished else np.nextafter(now_s, np.inf)  # after whatever is recorded at the last instant
    for i in range(len(fates.terminal)):
        if fates.outcome[i] == UNDECIDED and fates.paid_for[i]:
            _close(plant, rules, accounts, tally, book, site, start_s, i, fates, LATE if finished else STOPPED, now_s)
            if air.phase[i] != AWAY:
                _hang_up(plant, rules, tally, book, air, site, i, fates, booked_s)
    if busy and rules.static == ON_AIR:
        note(book, site, SITE_STATIC, now_s, -rules.static_w, -1)
