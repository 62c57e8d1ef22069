"""One base-station iteration from the instant the model is received to the instant its base station has enough.

Compiled; what :class:`netsim.terminal.Terminal` and :class:`netsim.collection.Gathering` do, participant by
participant in order of time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort import air as uplink
from netsim.cohort.account import Accounts, Cursor, crossing_s, foreseen_death_s, forward, live_until
from netsim.cohort.air import ACTIVE, AWAY, Air
from netsim.cohort.book import COMPUTE, COST, PAID, SITE_STATIC, TRANSMIT, UPLINK, Book, note
from netsim.cohort.luck import COMPILED, LEAN, PART, share_of, slowdown_factor, uniform
from netsim.cohort.plant import DEADLINE, FIRST_K, LOGNORMAL, ON_AIR, Plant, Rules
from netsim.cohort.sorting import rank_by

Array = NDArray[Any]
MERGED, LATE, DROPPED = range(3)
UNDECIDED, STOPPED = -1, -2
_WAITING, _ARRIVED, _TURN = range(3)


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
    personal_bits: float
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


class Room(NamedTuple):
    """Room to work in.

    Attributes:
        order: (m,) participants by ``Fates.due_s``.
        done: (m,) those whose uploads have just been done.
        number: (3,) how many are waited for, how many have arrived, whose turn it is in ``order``.
    """

    order: Array
    done: Array
    number: Array


class Desk(NamedTuple):
    """Room for the cell that is being followed, the same for one after the other.

    What is made of it without counting references, such as :func:`fresh_fates`, must stay in code that counts none.

    Attributes:
        here: (most,) who of a cell's terminals is there.
        draws, sorted: (most,) room for whom to ask.
        spare: (most,) room to sort in.
        fates, air, room: for an iteration of as many participants as there can be.
    """

    here: Array
    draws: Array
    sorted: Array
    spare: Array
    fates: Fates
    air: Air
    room: Room


@njit(**LEAN)
def payable(end: End, time_s: float, site: int, terminal: int) -> bool:
    """Return whether a payment is made, see :class:`End`."""
    if time_s != end.horizon_s:
        return time_s < end.horizon_s
    return site < end.site or (site == end.site and terminal < end.terminal)


@njit(**COMPILED)
def new_desk(most: int) -> Desk:
    """Return room for any cell of at most ``most`` terminals."""
    empty = np.empty
    fates = Fates(
        empty(most, np.int64),
        empty(most, np.int8),
        empty(most, np.bool_),
        empty(most, np.bool_),
        empty(most),
        empty(most),
        empty(most),
        empty(most),
        empty(most),
        empty(most),
    )
    room = Room(empty(most, np.int64), empty(most, np.int64), np.zeros(3, np.int64))
    numbers = (empty(most), empty(most), empty(most, np.int64))
    return Desk(empty(most, np.bool_), numbers[0], numbers[1], numbers[2], fates, uplink.new_air(most), room)


@njit(**PART)
def fresh_fates(desk: Desk, m: int) -> Fates:
    """Return fates of the first m terminals on the desk, of whom nothing is known yet."""
    room = desk.fates
    for i in range(m):
        room.outcome[i], room.paid_for[i], room.lost[i] = UNDECIDED, False, False
        room.computed_s[i], room.due_s[i], room.leaves_s[i] = np.nan, np.inf, np.inf
        room.compute_s[i], room.upload_s[i], room.finish_s[i] = np.nan, np.nan, np.nan
    return Fates(
        room.terminal[:m],
        room.outcome[:m],
        room.paid_for[:m],
        room.lost[:m],
        room.computed_s[:m],
        room.due_s[:m],
        room.leaves_s[:m],
        room.compute_s[:m],
        room.upload_s[:m],
        room.finish_s[:m],
    )


@njit(**PART)
def luck_of(
    plant: Plant, rules: Rules, load: Load, presence: Cursor, j: int, row: int, round_: int, now_s: float
) -> tuple[float, float]:
    """Return when terminal j will be gone and how long it would compute, see :meth:`netsim.terminal.Terminal._fate`.

    ``row`` is that of its round in ``load.normals``, which only lognormal slow-downs have.
    """
    kind, entity = plant.kind[j], plant.entity[j]
    normal = load.normals[row, j] if rules.slowdown == LOGNORMAL and row < len(load.normals) else 0.0
    factor = slowdown_factor(rules, entity, round_, normal)
    compute_s = load.samples[j] * plant.cycles_per_sample[kind] / plant.cpu_hz[kind] * factor
    forward(plant, rules, presence, j, now_s)
    leaves_s = presence.until_s[j] if presence.on[j] else now_s
    if rules.dropout > 0.0 and uniform(rules.dropout_key, entity, round_, 0) < rules.dropout:
        leaves_s = min(leaves_s, now_s + uniform(rules.dropout_key, entity, round_, 1) * compute_s)
    return leaves_s, compute_s


@njit(**PART)
def _decide(
    plant: Plant, rules: Rules, load: Load, presence: Cursor, i: int, fates: Fates, k: int, round_: int, now_s: float
) -> None:
    """Settle how long participant i would compute and when it would be gone."""
    leaves_s, compute_s = luck_of(plant, rules, load, presence, fates.terminal[i], k, round_, now_s)
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
    if now_s > fates.computed_s[i]:
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


@njit(**PART)
def _radiated_w(plant: Plant, rules: Rules, air: Air, fates: Fates) -> float:
    """Power of all transmitters of the cell together."""
    n, total_w = air.number[0], 0.0
    for p in range(n):
        total_w += plant.transmit_w[plant.kind[fates.terminal[air.active[p]]]]
    return total_w / n if rules.time_shared and n > 0 else total_w


@njit(**LEAN)
def _sending_w(plant: Plant, rules: Rules, air: Air, fates: Fates, i: int) -> float:
    """Power of participant i's transmitter: none while it waits in line, in its turns where time is shared."""
    if air.phase[i] != ACTIVE:
        return 0.0
    power_w = plant.transmit_w[plant.kind[fates.terminal[i]]]
    return power_w * (1.0 / air.number[0]) if rules.time_shared else power_w


@njit(**LEAN)
def _drain(plant: Plant, rules: Rules, accounts: Accounts, air: Air, fates: Fates, now_s: float) -> None:
    """Charge everybody on the air or in line up to ``now_s``."""
    for i in range(len(fates.terminal)):
        if air.phase[i] == ACTIVE or air.phase[i] == uplink.IN_LINE:
            live_until(plant, rules, accounts, fates.terminal[i], now_s, _sending_w(plant, rules, air, fates, i))


@njit(**LEAN)
def _next_loss(
    plant: Plant, rules: Rules, accounts: Accounts, air: Air, fates: Fates, to_s: float
) -> tuple[float, int]:
    """Return when the first upload will be cut short before ``to_s``, by absence or an empty battery, and whose."""
    first_s, who = np.inf, -1
    for i in range(len(fates.terminal)):
        if air.phase[i] == ACTIVE or air.phase[i] == uplink.IN_LINE:
            at_s, j = fates.leaves_s[i], fates.terminal[i]
            if rules.mortal:
                power_w, battery_j = _sending_w(plant, rules, air, fates, i), plant.battery_j[plant.kind[j]]
                at_s = min(at_s, crossing_s(plant, rules, accounts, j, min(to_s, at_s), power_w, battery_j))
            if at_s < first_s:
                first_s, who = at_s, i
    return first_s, who


@njit(**PART)
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


@njit(**PART)
def in_turn(desk: Desk, fates: Fates) -> Room:
    """Return the participants' order and numbers, for :func:`gather`."""
    m = len(fates.terminal)
    room = Room(desk.room.order[:m], desk.room.done[:m], desk.room.number)
    rank_by(fates.due_s, room.order, desk.spare)
    room.number[_WAITING], room.number[_ARRIVED], room.number[_TURN] = m, 0, 0
    return room


@njit(**PART)
def _has_enough(room: Room, enough: int, past_deadline: bool) -> bool:
    waiting, arrived = room.number[_WAITING], room.number[_ARRIVED]
    return arrived >= enough or waiting == 0 or (past_deadline and arrived > 0)


@njit(**PART)
def _take_in(
    plant: Plant, rules: Rules, accounts: Accounts, tally: Tally, book: Book, site: int, start_s: float, fates: Fates,
    air: Air, room: Room, enough: int, past_deadline: bool, now_s: float,
) -> None:  # fmt: skip
    """Let the updates arrive whose last bit is sent now; those that come after there were enough are late."""
    for p in range(uplink.complete(plant, rules, air, fates.terminal, room.done)):
        i = room.done[p]
        outcome = LATE if _has_enough(room, enough, past_deadline) else MERGED
        _close(plant, rules, accounts, tally, book, site, start_s, i, fates, outcome, now_s)
        _hang_up(plant, rules, tally, book, air, site, i, fates, now_s)
        fates.upload_s[i], fates.finish_s[i] = now_s - fates.computed_s[i], now_s
        if outcome == MERGED:
            room.number[_ARRIVED] += 1
            room.number[_WAITING] -= 1


@njit(**PART)
def _take_turn(
    plant: Plant, rules: Rules, accounts: Accounts, tally: Tally, book: Book, end: End, site: int, start_s: float,
    fates: Fates, air: Air, i: int, now_s: float,
) -> int:  # fmt: skip
    """Let participant i ask for access, or drop out if it has left; return how many are then waited for no longer."""
    j = fates.terminal[i]
    if fates.lost[i]:
        if fates.paid_for[i]:
            _close(plant, rules, accounts, tally, book, site, start_s, i, fates, DROPPED, now_s)
        return 1
    if not payable(end, now_s, site, j):
        _close(plant, rules, accounts, tally, book, site, start_s, i, fates, STOPPED, now_s)
        return 0
    if rules.mortal:
        live_until(plant, rules, accounts, j, fates.computed_s[i], plant.compute_w[plant.kind[j]])
        live_until(plant, rules, accounts, j, now_s, 0.0)
    note(book, site, PAID, now_s, air.bits / 8.0, j)
    uplink.enter(plant, rules, air, fates.terminal, i)
    return 0


@njit(**PART)
def _tell_power(
    plant: Plant, rules: Rules, book: Book, site: int, fates: Fates, air: Air, before_w: float, was_on: bool,
    now_s: float,
) -> float:  # fmt: skip
    """Write down how the cell's power has changed; return what its transmitters draw now."""
    power_w, is_on = _radiated_w(plant, rules, air, fates), air.number[0] > 0
    note(book, site, TRANSMIT, now_s, power_w - before_w, -1)
    if rules.static == ON_AIR and was_on != is_on:
        note(book, site, SITE_STATIC, now_s, rules.static_w if is_on else -rules.static_w, -1)
    return power_w


@njit(**PART)
def gather(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, tally: Tally, book: Book, end: End, site: int,
    start_s: float, fates: Fates, air: Air, room: Room,
) -> float:  # fmt: skip
    """Follow the participants until the base station has enough; return when, or infinity if the run ends before."""
    m, number = len(fates.terminal), room.number
    enough = share_of(rules.k_fraction, m) if rules.policy == FIRST_K else m
    deadline_s = start_s + rules.deadline_s if rules.policy == DEADLINE else np.inf
    may_leave = rules.mortal or rules.dropout > 0.0 or rules.mean_on_s < np.inf
    past_deadline, transmitting_w, next_s, now_s = False, 0.0, start_s, start_s
    while not _has_enough(room, enough, past_deadline):
        turn_s = fates.due_s[room.order[number[_TURN]]] if number[_TURN] < m else np.inf
        sent_s = uplink.next_completion_s(rules, air)
        next_s, loss_s, loser = min(min(turn_s, sent_s), np.inf if past_deadline else deadline_s), np.inf, -1
        if may_leave:
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
            _take_in(
                plant, rules, accounts, tally, book, site, start_s, fates, air, room, enough, past_deadline, now_s
            )  # fmt: skip
        elif loss_s == next_s:
            _close(plant, rules, accounts, tally, book, site, start_s, loser, fates, DROPPED, now_s)
            _hang_up(plant, rules, tally, book, air, site, loser, fates, now_s)
            fates.upload_s[loser] = now_s - fates.computed_s[loser]
            number[_WAITING] -= 1
        elif turn_s == next_s:
            i = room.order[number[_TURN]]
            number[_TURN] += 1
            number[_WAITING] -= _take_turn(
                plant, rules, accounts, tally, book, end, site, start_s, fates, air, i, now_s
            )  # fmt: skip
        else:
            past_deadline = True
        transmitting_w = _tell_power(plant, rules, book, site, fates, air, transmitting_w, was_on, now_s)
    finished = next_s <= end.horizon_s
    _stop_the_rest(plant, rules, accounts, tally, book, site, start_s, fates, air, finished, now_s)
    note(book, site, TRANSMIT, now_s, -transmitting_w, -1)
    return now_s if finished else np.inf


@njit(**PART)
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
