"""Idle power of terminals that come, go and die, compiled; :meth:`netsim.terminal.Terminal._idle` for everybody."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.account import Accounts, Cursor, live_until
from netsim.cohort.book import IDLE, Book, blank, note
from netsim.cohort.luck import CACHED, period_s, uniform
from netsim.cohort.plant import Plant, Rules

Array = NDArray[Any]
SOURCES_SHA256 = "1b9b0ebdb40e5273dd29d10ac456cea71199c309dd218d7df424683038e543eb"


@njit(**CACHED)
def begin(plant: Plant, rules: Rules, cursor: Cursor) -> None:
    """Put a cursor at time 0."""
    share = rules.mean_on_s / (rules.mean_on_s + rules.mean_off_s) if rules.mean_on_s < np.inf else 1.0
    for j in range(len(plant.entity)):
        cursor.on[j] = share == 1.0 or uniform(rules.first_presence_key, plant.entity[j], 0, 0) < share
        cursor.period[j] = 0
        cursor.until_s[j] = period_s(rules, plant.entity[j], 0, cursor.on[j])


@njit(**CACHED)
def settle(plant: Plant, rules: Rules, accounts: Accounts, to_s: float) -> None:
    """Bring everybody's account to ``to_s``; nobody is at work."""
    for j in range(len(plant.entity)):
        live_until(plant, rules, accounts, j, to_s, 0.0)


def idle_changes(
    plant: Plant, rules: Rules, idle: Cursor, death_s: Array, idle_j: Array, from_s: float, to_s: float
) -> Book:
    """Follow everybody's idling over a stretch of time.

    Args:
        plant, rules: the network.
        idle: cursor at ``from_s``, moved to ``to_s``.
        death_s: (M,) when each battery was empty, infinity if it is not.
        idle_j: (M,) joules idled away so far, brought to ``to_s``.
        from_s, to_s: the stretch.

    Returns:
        The changes of idle power.
    """
    arguments = (plant, rules, idle, death_s, idle_j, from_s, to_s)
    book = blank(np.array([_follow(*arguments, blank(np.zeros(1, np.int64)), True)]))
    _follow(*arguments, book, False)
    return book


@njit(**CACHED)
def _follow(
    plant: Plant, rules: Rules, idle: Cursor, death_s: Array, idle_j: Array, from_s: float, to_s: float, book: Book,
    only_count: bool,
) -> int:  # fmt: skip
    """Return how many changes there are; write them down and move on unless they are only to be counted."""
    total = 0
    for j in range(len(plant.entity)):
        power_w, over_s = plant.idle_w[plant.kind[j]], min(to_s, death_s[j])
        on, until_s, period, now_s = idle.on[j], idle.until_s[j], idle.period[j], from_s
        while now_s < over_s:
            end_s = min(until_s, over_s)
            if on and not only_count:
                idle_j[j] += power_w * (end_s - now_s)
            now_s = end_s
            if end_s < until_s:
                break
            total += 1
            if not only_count:
                note(book, 0, IDLE, end_s, -power_w if on else power_w, j)
            on, period = not on, period + 1
            until_s += period_s(rules, plant.entity[j], period, on)
        if from_s < death_s[j] <= to_s and on:
            total += 1
            if not only_count:
                note(book, 0, IDLE, over_s, -power_w, j)
        if not only_count:
            idle.on[j], idle.until_s[j], idle.period[j] = on, until_s, period
    return total
