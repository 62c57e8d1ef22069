"""What a solver accepts: data, terminals and models are checked here, once, before compiled code trusts them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learning.primal_dual.jobs import AscentUpdates
from learning.primal_dual.losses import Loss

Array = NDArray[Any]


def checked_data(
    X: ArrayLike, y: ArrayLike, offsets: ArrayLike, loss: Loss, dtype: DTypeLike
) -> tuple[Array, Array, Array]:
    """Return the data as contiguous arrays, the caller's own where they are, or say in one line what is wrong with it.

    Rows are most of a run's memory: two copies would double it.
    """
    rows, labels = (np.require(values, dtype, ["C", "A", "W", "E"]) for values in (X, y))
    ranges = np.array(offsets, np.int64)
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise ValueError(f"X {rows.shape} and y {labels.shape}: allowed: (n, d) and (n,)")
    if ranges.ndim != 1 or len(ranges) == 0 or ranges[0] != 0 or ranges[-1] != len(rows) or np.any(np.diff(ranges) < 0):
        raise ValueError(f"offsets: allowed: a rising sequence from 0 to the row count {len(rows)}")
    if not (np.all(np.isfinite(rows)) and np.all(np.isfinite(labels))):
        raise ValueError("X or y holds a number that is not finite")
    if loss.name != "squared" and not np.all(np.abs(labels) == 1.0):
        raise ValueError(f"y holds labels other than -1 and +1, which the loss {loss.name!r} needs")
    return rows, labels, ranges


def initial_duals(X: Array, y: Array, loss: Loss, start: float | None) -> Array:
    """Return starting duals, ``start`` or the loss's own; a row x = 0, which no step visits, gets its optimum."""
    idle = np.einsum("nd,nd->n", X, X) == 0.0  # without a squared copy of all rows
    return np.where(idle, loss.idle_dual(y), loss.initial_dual() if start is None else start).astype(X.dtype)


def known_terminals(offsets: Array, terminals: ArrayLike) -> Array:
    """Return terminals as (T,) int64; compiled code would read past the data for one that does not exist."""
    who = np.ascontiguousarray(terminals, np.int64)
    if who.ndim != 1 or (len(who) and not 0 <= who.min() <= who.max() < len(offsets) - 1):
        raise ValueError(f"terminals {who}: allowed: a list of numbers from 0 to {len(offsets) - 2}")
    return who


def checked_models(w: Array, d: int, terminals: Array) -> Array:
    """Return one model of ``d`` features a job, (T, d)."""
    if np.shape(w) != (len(terminals), d):
        raise ValueError(f"models {np.shape(w)}: allowed: {(len(terminals), d)}")
    return w


def models_sent(w: Array, sent: Array | None, d: int, terminals: Array) -> tuple[Array, Array]:
    """Return models (S, d) of ``d`` features and which of them each job was sent, (T,); without ``sent`` its own."""
    if sent is None:
        return checked_models(w, d, terminals), np.arange(len(terminals))
    which = np.ascontiguousarray(sent, np.int64)
    if np.ndim(w) != 2 or np.shape(w)[1] != d or which.shape != (len(terminals),):
        raise ValueError(f"models {np.shape(w)}, sent {which.shape}: allowed: (S, {d}), ({len(terminals)},)")
    if len(which) and not 0 <= which.min() <= which.max() < len(w):
        raise ValueError(f"models sent {which}: allowed: numbers from 0 to {len(w) - 1}")
    return w, which


def ranges_of(offsets: Array, terminals: ArrayLike) -> tuple[Array, Array]:
    """Return the jobs' terminals and the (T + 1,) ranges of their rows laid end to end."""
    who = known_terminals(offsets, terminals)
    return who, np.concatenate([[0], np.cumsum(offsets[who + 1] - offsets[who])]).astype(np.int64)


def checked_weights(weights: Array | None, rows: int) -> Array | None:
    """Return the weights of the jobs' rows as (rows,) float64, None if all weigh 1."""
    if weights is None:
        return None
    if np.shape(weights) != (rows,):
        raise ValueError(f"weights {np.shape(weights)}: allowed: {(rows,)}, one for every row of the jobs")
    return np.ascontiguousarray(weights, np.float64)


def arrived_jobs(
    offsets: Array, updates: AscentUpdates, arrived: ArrayLike, gamma: ArrayLike
) -> tuple[Array, Array, Array]:
    """Return of each of the jobs that arrived: its terminal, where ``updates.alpha`` has its duals, its gamma."""
    kept, shares, T = np.asarray(arrived), np.asarray(gamma, np.float64), len(updates.terminals)
    if kept.dtype != np.bool_ or kept.shape != (T,) or shares.shape != (T,):
        raise ValueError(f"arrived {kept.dtype}{kept.shape}, gamma {shares.shape}: allowed: one of each for {T} jobs")
    who, first, last = updates.terminals[kept], updates.offsets[:-1][kept], updates.offsets[1:][kept]
    who = known_terminals(offsets, who)
    rising = bool((who[1:] > who[:-1]).all())  # as they come; sorting them takes longer
    if not (rising or len(np.unique(who)) == len(who)) or (last - first != offsets[who + 1] - offsets[who]).any():
        raise ValueError(f"updates of terminals {who}: allowed: at most one of each, with a dual for every row")
    return who, first, shares[kept]


def arrivals(updates: AscentUpdates, arrived: ArrayLike, offsets: ArrayLike) -> tuple[Array, Array]:
    """Return (T,) which jobs arrived and the (S + 1,) ranges of jobs that are added up together."""
    kept, ranges, T = np.asarray(arrived), np.ascontiguousarray(offsets, np.int64), len(updates.terminals)
    if kept.dtype != np.bool_ or kept.shape != (T,):
        raise ValueError(f"arrived {kept.dtype}{kept.shape}: allowed: a truth for each of {T} jobs")
    if ranges.ndim != 1 or len(ranges) == 0 or ranges[0] != 0 or ranges[-1] != T or (ranges[1:] < ranges[:-1]).any():
        raise ValueError(f"offsets {ranges}: allowed: a rising sequence from 0 to the number of jobs {T}")
    return kept, ranges
