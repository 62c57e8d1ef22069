"""Totals over the whole network at the instants that are recorded, and the instant at which a budget is met.

Changes come in no order; they are put between the records they fall between. Energy is the integral of powers that are
constant between changes, so both the records and the crossing of a limit are exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.book import CHANNELS, POWERS, Book
from netsim.cohort.luck import CACHED, PART

Array = NDArray[Any]
_MET = 1e-12
_SHORT_S = 1e-12
_WALK = 64  # instants in a stretch up to which walking is quicker than halving


class Payment(NamedTuple):
    """A payment of a terminal, or of a base station if ``terminal`` is -1."""

    time_s: float
    site: int
    terminal: int


class Levels(NamedTuple):
    """Totals at n instants: (n, 12) by channel, joules for powers; ``power_w`` (n, 7) just after them."""

    total: Array
    power_w: Array


class Ledger:
    """Totals of one run.

    Args:
        power_w: (7,) powers at time 0.
    """

    def __init__(self, power_w: Array) -> None:
        self.time_s = 0.0
        self.total = np.zeros(CHANNELS)
        self.power_w = power_w
        self._room = np.empty((0, CHANNELS, 2))

    def levels(self, books: list[Book], at_s: Array) -> Levels:
        """Return the totals at the instants ``at_s`` (n,), ascending and not before the present.

        Its powers are good until this is asked again.
        """
        if len(at_s) > len(self._room):  # kept: fresh memory takes longer to come by than to fill
            self._room = np.empty((len(at_s), CHANNELS, 2))
        shown, total = self._room[: len(at_s)], np.empty((len(at_s), CHANNELS))
        shown.fill(0.0)
        for book in books:
            _sort_in(book, at_s, shown)
        _add_up(self.time_s, self.total, self.power_w, at_s, shown, total)
        return Levels(total, shown[:, :POWERS, 0])

    def close(self, levels: Levels, time_s: float, power_w: Array) -> None:
        """Make the last of ``levels`` the present; ``power_w`` (7,) is what is then drawn, without rounding errors."""
        self.time_s, self.total, self.power_w = time_s, levels.total[-1], power_w

    def energy_met_s(self, books: list[Book], at_s: Array, levels: Levels, limit_j: float) -> float:
        """Return when the energy of everybody meets ``limit_j``, infinity if not by the last of ``at_s``."""
        energy_j = levels.total[:, :POWERS].sum(axis=1)
        i = int(np.searchsorted(energy_j, limit_j * (1.0 - _MET)))
        if i == len(at_s):
            return np.inf
        since_s = float(at_s[i - 1]) if i else self.time_s
        start_j = float(energy_j[i - 1]) if i else float(self.total[:POWERS].sum())
        power_w = float((levels.power_w[i - 1] if i else self.power_w).sum())
        lines = _between(books, since_s if i else -np.inf, float(at_s[i]), 0, POWERS)
        time_s = np.append(lines.time_s, at_s[i])
        powers_w = power_w + np.concatenate([[0.0], np.cumsum(lines.change)])
        reached_j = start_j + np.cumsum(powers_w * np.diff(time_s, prepend=since_s))
        n = min(int(np.searchsorted(reached_j, limit_j * (1.0 - _MET))), len(time_s) - 1)
        if powers_w[n] <= 0.0:
            return float(time_s[n])
        return float(time_s[n] - max(0.0, reached_j[n] - limit_j) / powers_w[n])

    def unpayable(self, books: list[Book], at_s: Array, levels: Levels, channel: int, limit: float) -> Payment | None:
        """Return the first payment that would take ``channel`` over ``limit``; None if all fit."""
        most = np.zeros(len(at_s))
        for book in books:
            _sort_in_payments(book, at_s, channel, most)
        level = np.concatenate([[self.total[channel]], levels.total[:-1, channel]])
        for i in np.flatnonzero(level + most > limit * (1.0 + _MET)):
            since_s = float(at_s[i - 1]) if i else -np.inf
            lines = _between(books, since_s, float(at_s[i]), channel, channel + 1)
            after = level[i] + np.cumsum(lines.change)
            over = np.flatnonzero((after > limit * (1.0 + _MET)) & (lines.change > 0.0))
            if len(over):
                first = over[0]
                return Payment(float(lines.time_s[first]), int(lines.site[first]), int(lines.owner[first]))
        return None


class _Lines(NamedTuple):
    """Lines of books in order of time, then site, then owner."""

    time_s: Array
    change: Array
    site: Array
    owner: Array


def _between(books: list[Book], since_s: float, until_s: float, first: int, last: int) -> _Lines:
    """Return the lines on channels ``first`` to ``last - 1`` in (since_s, until_s]."""
    parts: list[list[Array]] = [[], [], [], []]
    for book in books:
        chosen = np.flatnonzero(_chosen(book, since_s, until_s, first, last))
        site = np.searchsorted(book.page, chosen, side="right") - 1
        for part, values in zip(
            parts, (book.time_s[chosen], book.change[chosen], site, book.owner[chosen]), strict=True
        ):
            part.append(values)
    time_s, change, site, owner = (np.concatenate(part) for part in parts)
    order = np.lexsort((owner, site, time_s))
    return _Lines(time_s[order], change[order], site[order], owner[order])


@njit(**CACHED)
def _chosen(book: Book, since_s: float, until_s: float, first: int, last: int) -> Array:
    mask = np.zeros(len(book.time_s), np.bool_)
    for site in range(len(book.used)):
        for line in range(book.page[site], book.page[site] + book.used[site]):
            mask[line] = since_s < book.time_s[line] <= until_s and first <= book.channel[line] < last
    return mask


class _Index(NamedTuple):
    """Where to look for an instant among ``at_s``: where each of as many equal stretches of time as there are instants
    begins, how many of these there are in a second, and whether so many instants lie in one that a walk is too long.
    """

    starts: Array
    per_s: float
    crowded: bool


@njit(**CACHED)
def _index(at_s: Array) -> _Index:
    n = len(at_s)
    starts, width_s, i, most = np.empty(n, np.int64), (at_s[-1] - at_s[0]) / n, 0, 0
    for stretch in range(n):
        before = i
        while i < n - 1 and at_s[i] < at_s[0] + stretch * width_s:
            i += 1
        starts[stretch], most = i, max(most, i - before)
    return _Index(starts, n / max(at_s[-1] - at_s[0], _SHORT_S), max(most, n - i) > _WALK)


@njit(**PART)
def _first_not_before(at_s: Array, index: _Index, time_s: float) -> int:
    """Return what ``np.searchsorted`` does: in constant time where instants lie evenly, elsewhere by halves."""
    n = len(at_s)
    if time_s > at_s[-1]:
        return n
    i = index.starts[min(n - 1, int(max(0.0, time_s - at_s[0]) * index.per_s))]
    if i > 0 and at_s[i - 1] >= time_s:  # rounded into the stretch after its own
        i = 0
    if index.crowded:
        high = n - 1
        while i < high:
            middle = (i + high) // 2
            if at_s[middle] < time_s:
                i = middle + 1
            else:
                high = middle
        return i
    while at_s[i] < time_s:
        i += 1
    return i


@njit(**CACHED)
def _sort_in(book: Book, at_s: Array, shown: Array) -> None:
    """Add every line to the record it first shows in: its change, and the integral of it up to the record."""
    index, n = _index(at_s), len(at_s)
    for site in range(len(book.used)):
        time_s, i = -np.inf, 0
        for line in range(book.page[site], book.page[site] + book.used[site]):
            if book.time_s[line] != time_s:
                time_s = book.time_s[line]
                i = _first_not_before(at_s, index, time_s)
            if i < n:
                change = book.change[line]
                shown[i, book.channel[line], 0] += change
                shown[i, book.channel[line], 1] += change * (at_s[i] - time_s)


@njit(**CACHED)
def _add_up(time_s: float, start: Array, start_w: Array, at_s: Array, shown: Array, total: Array) -> None:
    """Write the totals that changes between records lead to from those at ``time_s``, and powers in their place."""
    added, switched_w, drawn_w = np.zeros(CHANNELS), np.zeros(POWERS), start_w.copy()
    for i in range(len(at_s)):
        for channel in range(CHANNELS):
            if channel < POWERS:
                added[channel] += shown[i, channel, 1] + drawn_w[channel] * (at_s[i] - time_s)
                switched_w[channel] += shown[i, channel, 0]
                drawn_w[channel] = start_w[channel] + switched_w[channel]
                shown[i, channel, 0] = drawn_w[channel]
            else:
                added[channel] += shown[i, channel, 0]
            total[i, channel] = start[channel] + added[channel]
        time_s = at_s[i]


@njit(**CACHED)
def _sort_in_payments(book: Book, at_s: Array, channel: int, most: Array) -> None:
    """Add every positive change of a channel to the record it first shows in."""
    index = _index(at_s)
    for site in range(len(book.used)):
        for line in range(book.page[site], book.page[site] + book.used[site]):
            if book.channel[line] == channel and book.change[line] > 0.0:
                i = _first_not_before(at_s, index, book.time_s[line])
                if i < len(at_s):
                    most[i] += book.change[line]
