"""A cloud round of every cell, compiled: what :class:`netsim.base_station.BaseStation` does, on arrays.

Cells do not meet within a cloud round, so each is followed to its end on its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.account import Accounts, Cursor, forward, live_until
from netsim.cohort.air import quiet
from netsim.cohort.book import (
    AT_LAST,
    BACKHAUL,
    COST,
    DOWNLINK,
    PAID,
    RECEIVE,
    SITE_STATIC,
    SITE_TRANSMIT,
    WIRES,
    Book,
    note,
)
from netsim.cohort.gathering import (
    MERGED,
    Desk,
    End,
    Fates,
    Load,
    Tally,
    fresh_fates,
    gather,
    in_turn,
    new_desk,
    payable,
    start_work,
)
from netsim.cohort.luck import CACHED, LEAN, PART, share_of, uniform
from netsim.cohort.plant import ON_AIR, Plant, Rules
from netsim.cohort.sorting import smallest

Array = NDArray[Any]
SOURCES_SHA256 = "1b9b0ebdb40e5273dd29d10ac456cea71199c309dd218d7df424683038e543eb"


class SiteTally(NamedTuple):
    """What every site has used since the start of the run: (S,) joules, airtime, iterations."""

    transmit_j: Array
    static_j: Array
    uplink_airtime_s: Array
    edge_rounds: Array


class Story(NamedTuple):
    """What happened in a cloud round of K iterations, in places for as many participants as could be asked.

    Attributes:
        place: (S + 1,) range of each site's places, the same in every iteration.
        terminal, outcome, start_s, compute_s, upload_s, finish_s, worked: (K, places); an outcome below 0 is none.
        asked, merged: (K, S) numbers of participants.
        scheduled_s, merged_s: (K, S) instants, infinity for what did not happen.
        absent: (K, M) who could not be asked; (K, 0) if everybody always can.
        adopted_s, reported_s: (S,) instants at which a site heard from the cloud, and the cloud from it.
        stranded_s: (S,) when a site found nobody left to ask.
    """

    place: Array
    terminal: Array
    outcome: Array
    start_s: Array
    compute_s: Array
    upload_s: Array
    finish_s: Array
    worked: Array
    asked: Array
    merged: Array
    scheduled_s: Array
    merged_s: Array
    absent: Array
    adopted_s: Array
    reported_s: Array
    stranded_s: Array


@njit(**LEAN)
def _just_after(time_s: float) -> float:
    """The next instant: what is paid there is not yet part of a record taken at ``time_s``."""
    return np.nextafter(time_s, np.inf)


@njit(**LEAN)
def _carry(plant: Plant, rules: Rules, book: Book, end: End, site: int, bits: float, now_s: float) -> float:
    """Carry ``bits`` over the wires; return when they are there, infinity if the run ends before."""
    pay_s = _just_after(now_s)
    if not payable(end, pay_s, site, -1):
        return np.inf
    note(book, site, PAID, pay_s, bits / 8.0, -1)
    power_w = rules.backhaul_j_per_bit * plant.sending_bps[site]
    sent_s = now_s + bits / plant.sending_bps[site]
    note(book, site, BACKHAUL, now_s, power_w, -1)
    note(book, site, BACKHAUL, sent_s, -power_w, -1)
    note(book, site, WIRES, sent_s, bits / 8.0, -1)
    there_s = sent_s + plant.latency_s[site]
    return there_s if there_s <= end.horizon_s else np.inf


@njit(**PART)
def _present(
    plant: Plant, rules: Rules, accounts: Accounts, presence: Cursor, site: int, now_s: float, here: Array
) -> tuple[int, float]:
    """Mark in ``here`` who of the site's terminals is there; return how many, and when the next is back."""
    count, back_s, first = 0, np.inf, plant.first[site]
    for j in range(first, plant.first[site + 1]):
        here[j - first] = False
        if rules.mortal:
            live_until(plant, rules, accounts, j, now_s, 0.0)
        if not plant.covered[j] or accounts.death_s[j] <= now_s:
            continue
        forward(plant, rules, presence, j, now_s)
        if presence.on[j]:
            here[j - first] = True
            count += 1
        else:
            back_s = min(back_s, presence.until_s[j])
    return count, back_s


@njit(**PART)
def _draw(plant: Plant, rules: Rules, site: int, round_: int, count: int, desk: Desk) -> int:
    """Put the terminals to ask on the desk, ascending; return how many: all who are there, or a random share."""
    who, first, n, m = desk.fates.terminal, plant.first[site], 0, 0
    for j in range(first, plant.first[site + 1]):
        if desk.here[j - first]:
            who[n] = j
            n += 1
    if rules.scheduled_fraction == 1.0:
        return n
    for i in range(n):
        desk.draws[i] = uniform(rules.schedule_key, plant.entity[who[i]], round_, 0)
        desk.sorted[i] = desk.draws[i]
    highest = smallest(desk.sorted, n, share_of(rules.scheduled_fraction, count) - 1)
    for i in range(n):
        if desk.draws[i] <= highest:
            who[m] = who[i]
            m += 1
    return m


@njit(**PART)
def _listen(
    plant: Plant, rules: Rules, accounts: Accounts, tally: Tally, book: Book, site: int, j: int, start_s: float,
    heard_s: float,
) -> bool:  # fmt: skip
    """Let terminal j listen, if it lives; return whether it does so to the end, which is then still to be noted."""
    power_w, until_s = plant.receive_w[plant.kind[j]], heard_s
    if rules.mortal:
        live_until(plant, rules, accounts, j, start_s, 0.0)
        if accounts.death_s[j] <= start_s:
            return False
        until_s = live_until(plant, rules, accounts, j, heard_s, power_w)
    tally.receive_j[j] += power_w * (until_s - start_s)
    if until_s < heard_s:
        note(book, site, RECEIVE, start_s, power_w, j)
        note(book, site, RECEIVE, until_s, -power_w, j)
    return until_s == heard_s


@njit(**PART)
def _tell_alone(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, tally: Tally, book: Book, end: End, site: int,
    audience: Array, now_s: float,
) -> float:  # fmt: skip
    """Send each of the audience its own message, one after the other; return when the last has it, or would have."""
    if load.personal_bits == 0.0:
        return now_s
    for j in audience:
        over_s = now_s + load.personal_bits / (rules.downlink_hz * plant.downlink_efficiency[j])
        if now_s <= end.horizon_s:
            if _listen(plant, rules, accounts, tally, book, site, j, now_s, min(over_s, end.horizon_s)):
                note(book, site, RECEIVE, now_s, plant.receive_w[plant.kind[j]], j)
                note(book, site, RECEIVE, over_s, -plant.receive_w[plant.kind[j]], j)
            if over_s <= end.horizon_s:
                note(book, site, DOWNLINK, over_s, load.personal_bits / 8.0, -1)
        now_s = over_s
    if rules.mortal:
        for j in audience:
            live_until(plant, rules, accounts, j, min(now_s, end.horizon_s), 0.0)
    return now_s


@njit(**PART)
def _broadcast(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, tally: Tally, sites: SiteTally, book: Book, end: End,
    site: int, audience: Array, now_s: float,
) -> float:  # fmt: skip
    """Send to the audience what netsim.downlink does; return when all have it, or infinity."""
    start_s = now_s + rules.downlink_access_s
    pay_s = _just_after(start_s)
    if start_s > end.horizon_s or not payable(end, pay_s, site, -1):
        return np.inf
    note(book, site, PAID, pay_s, (load.broadcast_bits + load.personal_bits * len(audience)) / 8.0, -1)
    efficiency = np.inf
    for j in audience:
        efficiency = min(efficiency, plant.downlink_efficiency[j])
    over_s = start_s + load.broadcast_bits / (rules.downlink_hz * efficiency)
    heard_s, receiving_w = min(over_s, end.horizon_s), 0.0
    for j in audience:
        if _listen(plant, rules, accounts, tally, book, site, j, start_s, heard_s):
            receiving_w += plant.receive_w[plant.kind[j]]
    note(book, site, RECEIVE, start_s, receiving_w, -1)
    note(book, site, RECEIVE, over_s, -receiving_w, -1)
    if over_s <= end.horizon_s:
        note(book, site, DOWNLINK, over_s, load.broadcast_bits / 8.0, -1)
    over_s = _tell_alone(plant, rules, load, accounts, tally, book, end, site, audience, over_s)
    heard_s = min(over_s, end.horizon_s)
    note(book, site, SITE_TRANSMIT, start_s, rules.radiating_w, -1)
    note(book, site, SITE_TRANSMIT, over_s, -rules.radiating_w, -1)
    sites.transmit_j[site] += rules.radiating_w * (heard_s - start_s)
    if rules.static == ON_AIR:
        note(book, site, SITE_STATIC, start_s, rules.static_w, -1)
        note(book, site, SITE_STATIC, over_s, -rules.static_w, -1)
        sites.static_j[site] += rules.static_w * (heard_s - start_s)
    if over_s > end.horizon_s:
        return np.inf
    for j in audience:
        tally.bytes_down[j] += (load.broadcast_bits + load.personal_bits) / 8.0
    return over_s


@njit(**PART)
def _schedule(
    plant: Plant, rules: Rules, accounts: Accounts, presence: Cursor, story: Story, end: End, site: int, now_s: float,
    here: Array,
) -> tuple[float, int]:  # fmt: skip
    """Wait until somebody is there; return when, infinity if the run ends before, and how many are."""
    while now_s <= end.horizon_s:
        count, back_s = _present(plant, rules, accounts, presence, site, now_s, here)
        if count > 0:
            return now_s, count
        if back_s == np.inf:
            story.stranded_s[site] = now_s
            return np.inf, 0
        now_s += max(0.0, back_s - now_s) + 1e-9  # past the instant of return, as in netsim.base_station
    return np.inf, 0


@njit(**PART)
def _tell(story: Story, k: int, place: int, start_s: float, fates: Fates) -> int:
    """Write down what became of an iteration's participants; return how many updates arrived in time."""
    merged = 0
    for i in range(len(fates.terminal)):
        p = place + i
        story.start_s[k, p], story.outcome[k, p], story.worked[k, p] = start_s, fates.outcome[i], fates.paid_for[i]
        story.compute_s[k, p], story.upload_s[k, p] = fates.compute_s[i], fates.upload_s[i]
        story.finish_s[k, p] = fates.finish_s[i]
        merged += fates.outcome[i] == MERGED
    return merged


@njit(**PART)
def _iterate(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, presence: Cursor, tally: Tally, sites: SiteTally,
    story: Story, book: Book, end: End, site: int, k: int, now_s: float, desk: Desk,
) -> float:  # fmt: skip
    """One base-station iteration; return when its updates have been merged, or infinity."""
    now_s, count = _schedule(plant, rules, accounts, presence, story, end, site, now_s, desk.here)
    if now_s == np.inf:
        return np.inf
    round_, first, place = sites.edge_rounds[site], plant.first[site], story.place[site]
    story.scheduled_s[k, site] = now_s
    if story.absent.shape[1] > 0:
        for j in range(first, plant.first[site + 1]):
            story.absent[k, j] = not desk.here[j - first]
    m = _draw(plant, rules, site, round_, count, desk)
    fates, air = fresh_fates(desk, m), quiet(desk.air, m, load.update_bits)
    story.asked[k, site] = m
    for i in range(m):
        story.terminal[k, place + i] = fates.terminal[i]
    now_s = _broadcast(plant, rules, load, accounts, tally, sites, book, end, site, fates.terminal, now_s)
    if now_s == np.inf:
        return np.inf
    start_s = now_s
    start_work(plant, rules, load, accounts, presence, book, end, site, k, round_, now_s, fates)
    now_s = gather(plant, rules, load, accounts, tally, book, end, site, now_s, fates, air, in_turn(desk, fates))
    busy_s = air.clock[2]
    sites.uplink_airtime_s[site] += busy_s
    if rules.static == ON_AIR:
        sites.static_j[site] += rules.static_w * busy_s
    merged = _tell(story, k, place, start_s, fates)
    if now_s == np.inf or not payable(end, now_s, site, AT_LAST):
        return np.inf
    note(book, site, COST, now_s, rules.cost_per_bs_iteration, AT_LAST)
    story.merged_s[k, site], story.merged[k, site] = now_s, merged
    sites.edge_rounds[site] += 1
    return now_s


@njit(**PART)
def _follow(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, presence: Cursor, tally: Tally, sites: SiteTally,
    story: Story, book: Book, end: End, site: int, desk: Desk,
) -> None:  # fmt: skip
    """Follow one cell from the cloud's message to its answer."""
    now_s = _carry(plant, rules, book, end, site, load.cloud_bits, load.start_s)
    story.adopted_s[site] = now_s
    for k in range(load.bs_iterations):
        if now_s < np.inf:
            now_s = _iterate(
                plant, rules, load, accounts, presence, tally, sites, story, book, end, site, k, now_s, desk
            )
    if now_s < np.inf:
        story.reported_s[site] = _carry(plant, rules, book, end, site, load.aggregate_bits, now_s)


@njit(**CACHED)
def cloud_round(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, presence: Cursor, tally: Tally, sites: SiteTally,
    story: Story, book: Book, end: End, first: int, last: int,
) -> None:  # fmt: skip
    """Follow the cells ``first`` to ``last - 1`` through a cloud round, up to the end of the run if that comes before.

    Different cells may be followed at the same time, by different threads.

    Args:
        plant, rules: the network.
        load: sizes of this round.
        accounts, presence, tally, sites: state of the terminals and sites, brought to the end of the round.
        story, book: what happened, written here.
        end: where time stops.
        first, last: which cells.
    """
    most = 0
    for site in range(first, last):
        most = max(most, plant.first[site + 1] - plant.first[site])
    desk = new_desk(most)
    for site in range(first, last):
        _follow(plant, rules, load, accounts, presence, tally, sites, story, book, end, site, desk)
