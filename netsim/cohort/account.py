"""When a terminal is there, and when its battery or its energy budget is used up, in compiled code.

The on/off trajectory is that of :class:`netsim.availability.Presence`, the crossing of a level that of
:class:`netsim.accounts.Account`. Both are followed with cursors that only move forward.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.luck import LEAN, period_s
from netsim.cohort.plant import Plant, Rules

Array = NDArray[Any]
_MET = 1e-12


class Cursor(NamedTuple):
    """A place on every terminal's on/off trajectory: (M,) whether it is on, until when, number of the period."""

    on: Array
    until_s: Array
    period: Array


class Accounts(NamedTuple):
    """Joules every terminal has used, whatever for, followed only where a battery or a limit asks for it.

    Attributes:
        level_j, since_s: (M,) level, and the instant at which it was that.
        cursor: trajectory at that instant.
        death_s: (M,) when the battery was empty, infinity before.
        limit_s: (M,) when the limit of the scenario was met, infinity before.
    """

    level_j: Array
    since_s: Array
    cursor: Cursor
    death_s: Array
    limit_s: Array


@njit(**LEAN)
def forward(plant: Plant, rules: Rules, cursor: Cursor, j: int, time_s: float) -> None:
    """Move terminal j's cursor to ``time_s``."""
    while time_s >= cursor.until_s[j]:
        cursor.on[j] = not cursor.on[j]
        cursor.period[j] += 1
        cursor.until_s[j] += period_s(rules, plant.entity[j], cursor.period[j], cursor.on[j])


@njit(**LEAN)
def crossing_s(
    plant: Plant, rules: Rules, accounts: Accounts, j: int, to_s: float, extra_w: float, limit_j: float
) -> float:
    """Return when terminal j has used ``limit_j`` with ``extra_w`` besides idling; infinity if not by ``to_s``."""
    if limit_j == np.inf:
        return np.inf
    now_s, level_j = accounts.since_s[j], accounts.level_j[j]
    on, until_s, period = accounts.cursor.on[j], accounts.cursor.until_s[j], accounts.cursor.period[j]
    idle_w = plant.idle_w[plant.kind[j]] if accounts.death_s[j] == np.inf else 0.0
    while True:
        while now_s >= until_s:
            on, period = not on, period + 1
            until_s += period_s(rules, plant.entity[j], period, on)
        end_s = min(until_s, to_s)
        power_w = (idle_w if on else 0.0) + extra_w
        if level_j + power_w * (end_s - now_s) >= limit_j * (1.0 - _MET):
            return now_s + max(0.0, limit_j - level_j) / power_w if power_w > 0.0 else now_s
        level_j += power_w * (end_s - now_s)
        now_s = end_s
        if now_s >= to_s:
            return np.inf


@njit(**LEAN)
def spend(plant: Plant, rules: Rules, accounts: Accounts, j: int, to_s: float, extra_w: float) -> None:
    """Let terminal j draw ``extra_w`` besides idling until ``to_s``; note when it meets the scenario's limit."""
    if to_s <= accounts.since_s[j]:
        return
    if accounts.limit_s[j] == np.inf:
        accounts.limit_s[j] = crossing_s(plant, rules, accounts, j, to_s, extra_w, rules.terminal_limit_j)
    cursor = accounts.cursor
    idle_w = plant.idle_w[plant.kind[j]] if accounts.death_s[j] == np.inf else 0.0
    now_s = accounts.since_s[j]
    while now_s < to_s:
        forward(plant, rules, cursor, j, now_s)
        end_s = min(cursor.until_s[j], to_s)
        accounts.level_j[j] += ((idle_w if cursor.on[j] else 0.0) + extra_w) * (end_s - now_s)
        now_s = end_s
    accounts.since_s[j] = to_s


@njit(**LEAN)
def live_until(plant: Plant, rules: Rules, accounts: Accounts, j: int, to_s: float, extra_w: float) -> float:
    """Let terminal j draw ``extra_w`` besides idling until ``to_s`` or its death; return which comes first."""
    if accounts.death_s[j] < np.inf:
        spend(plant, rules, accounts, j, to_s, 0.0)
        return accounts.death_s[j]
    if to_s <= accounts.since_s[j]:
        return to_s
    death_s = crossing_s(plant, rules, accounts, j, to_s, extra_w, plant.battery_j[plant.kind[j]])
    spend(plant, rules, accounts, j, min(to_s, death_s), extra_w)
    if death_s <= to_s:
        accounts.death_s[j] = death_s
    return min(to_s, death_s)


@njit(**LEAN)
def foreseen_death_s(
    plant: Plant, rules: Rules, accounts: Accounts, j: int, work_s: float, extra_w: float, to_s: float
) -> float:
    """Return when terminal j will die if it draws ``extra_w`` until ``work_s`` and idles until ``to_s``, or infinity.

    The account is followed and put back: the death that then comes about is this one to the last bit.
    """
    cursor = accounts.cursor
    level_j, since_s, limit_s = accounts.level_j[j], accounts.since_s[j], accounts.limit_s[j]
    on, until_s, period = cursor.on[j], cursor.until_s[j], cursor.period[j]
    live_until(plant, rules, accounts, j, work_s, extra_w)
    live_until(plant, rules, accounts, j, to_s, 0.0)
    death_s = accounts.death_s[j]
    accounts.level_j[j], accounts.since_s[j], accounts.limit_s[j] = level_j, since_s, limit_s
    cursor.on[j], cursor.until_s[j], cursor.period[j] = on, until_s, period
    accounts.death_s[j] = np.inf
    return death_s
