"""What compiled code writes down for the ledger: at which instant which quantity changed by how much."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.cohort.luck import LEAN

Array = NDArray[Any]

COMPUTE, TRANSMIT, RECEIVE, IDLE, SITE_TRANSMIT, SITE_STATIC, BACKHAUL = range(7)
"""Powers, watts: terminals' components, sites' components, wires."""
PAID, UPLINK, DOWNLINK, WIRES, COST = range(7, 12)
"""Amounts: bytes paid for, bytes carried by kind of link, abstract cost."""
POWERS, CHANNELS = 7, 12

AT_LAST = 2**31 - 1
"""Owner of what a base station pays after its terminals have, at the same instant."""


class Book(NamedTuple):
    """Changes in the order they were written, each cell on pages of its own.

    Attributes:
        time_s, change, channel, owner: (n,); the owner is the terminal, or the base station (-1, AT_LAST).
        used: (S,) how much of each cell's pages is written.
        page: (S + 1,) ranges of the cells' pages.
    """

    time_s: Array
    change: Array
    channel: Array
    owner: Array
    used: Array
    page: Array


def blank(room: NDArray[np.int64]) -> Book:
    """Return an empty book with ``room[s]`` lines for cell s."""
    page = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
    n = int(page[-1])
    columns = (np.empty(n), np.empty(n), np.empty(n, np.int8), np.empty(n, np.int32))
    return Book(*columns, used=np.zeros(len(room), np.int64), page=page)


@njit(**LEAN)
def note(book: Book, site: int, channel: int, time_s: float, change: float, owner: int) -> None:
    """Write a line."""
    line = book.page[site] + book.used[site]
    book.time_s[line], book.change[line] = time_s, change
    book.channel[line], book.owner[line] = channel, owner
    book.used[site] += 1
