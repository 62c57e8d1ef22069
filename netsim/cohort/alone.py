"""Terminals that learn on their own, compiled: :class:`netsim.lone_terminal.LoneTerminal` for everybody."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.account import Accounts, Cursor, forward, live_until
from netsim.cohort.book import COMPUTE, COST, Book, note
from netsim.cohort.gathering import DROPPED, MERGED, End, Load, Tally, luck_of, payable
from netsim.cohort.luck import CACHED, LEAN
from netsim.cohort.plant import Plant, Rules

Array = NDArray[Any]
SOURCES_SHA256 = "1b9b0ebdb40e5273dd29d10ac456cea71199c309dd218d7df424683038e543eb"


class Tries(NamedTuple):
    """Chunks of work that were begun and came to an end, terminal after terminal: (n,) who, how and when."""

    terminal: Array
    number: Array
    outcome: Array
    start_s: Array
    compute_s: Array
    end_s: Array


@njit(**LEAN)
def _one(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, presence: Cursor, tally: Tally, book: Book,
    tries: Tries, end: End, j: int, number: int, now_s: float, at: int, only_count: bool,
) -> tuple[float, int]:  # fmt: skip
    """Follow one try of terminal j; return when it is over, infinity if never, and its outcome, below 0 for none."""
    if accounts.death_s[j] <= now_s:
        return now_s, -1
    forward(plant, rules, presence, j, now_s)
    if not presence.on[j]:
        back_s = now_s + (presence.until_s[j] - now_s + 1e-9)
        if rules.mortal and live_until(plant, rules, accounts, j, min(back_s, end.horizon_s), 0.0) < back_s:
            return np.inf if accounts.death_s[j] == np.inf else accounts.death_s[j], -1
        now_s = back_s
    pay_s = np.nextafter(now_s, np.inf)  # a record taken when the chunk before was done does not show it yet
    if now_s > end.horizon_s or not payable(end, pay_s, j, j):
        return np.inf, -1
    leaves_s, compute_s = luck_of(plant, rules, load, presence, j, number, number, now_s)
    stays_s, power_w = max(0.0, leaves_s - now_s), plant.compute_w[plant.kind[j]]
    outcome, over_s = MERGED if compute_s < stays_s else DROPPED, now_s + min(compute_s, stays_s)
    until_s = min(over_s, end.horizon_s)
    if rules.mortal:
        until_s = live_until(plant, rules, accounts, j, until_s, power_w)
        if accounts.death_s[j] <= until_s:
            outcome, over_s = DROPPED, until_s
    if not only_count:
        cost = (load.samples[j] - load.fixed_samples[j]) * rules.cost_per_local_iteration
        note(book, j, COST, pay_s, cost, j)
        note(book, j, COMPUTE, now_s, power_w, j)
        note(book, j, COMPUTE, until_s, -power_w, j)
        tally.compute_j[j] += power_w * (until_s - now_s)
    if over_s > end.horizon_s:
        return np.inf, -1
    if not only_count:
        tries.terminal[at], tries.number[at], tries.outcome[at] = j, number, outcome
        tries.start_s[at], tries.compute_s[at], tries.end_s[at] = now_s, over_s - now_s, over_s
    return over_s, outcome


@njit(**CACHED)
def work_alone(
    plant: Plant, rules: Rules, load: Load, accounts: Accounts, presence: Cursor, tally: Tally, book: Book,
    tries: Tries, end: End, chunks: int, begun: Array, over_s: Array, only_count: bool,
) -> int:  # fmt: skip
    """Follow everybody through ``chunks`` chunks of work; a chunk cut short is done again.

    Args:
        plant, rules, load: the network and the size of a chunk.
        accounts, presence, tally: state, brought to the end.
        book: a page per terminal.
        tries: what happened, written here.
        end: where time stops.
        chunks: how many each has to finish.
        begun: (M,) how often each began, written here.
        over_s: (M,) when each was done or dead, infinity if it was not, written here.
        only_count: write only ``begun`` and ``over_s``, to learn how much room the rest takes.

    Returns:
        Number of tries that came to an end.
    """
    at = 0
    for j in range(len(plant.entity)):
        now_s, finished, number = 0.0, 0, 0
        while finished < chunks:
            now_s, outcome = _one(
                plant, rules, load, accounts, presence, tally, book, tries, end, j, number, now_s, at, only_count
            )
            number += 1
            if outcome < 0:
                break
            at += 1
            finished += 1 if outcome == MERGED else 0
        begun[j], over_s[j] = number, now_s
    return at
