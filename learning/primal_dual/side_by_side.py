"""Dual ascent of several terminals side by side on one thread, compiled; the body of ``kernels.local_dual_ascent``.

A coordinate step waits for the one before: its score needs the model that step left. The processor fills the wait with
steps of other terminals, so each thread advances a few in turn. Meanwhile it asks for the rows of the terminals that
come next: steps on data larger than the caches then cost little more than steps on data within them.

Neighbours share nothing but time: a terminal's arithmetic is the same to the last bit whatever stands beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from learning.primal_dual.kernel_maths import (
    CYCLIC,
    PERMUTATION,
    SQUARED,
    UNCACHED,
    Array,
    coordinate_step,
    fenchel_young,
)
from learning.primal_dual.vector_rows import FAN, add_row, add_rows, address, dot, prefetch
from scenarios.philox import philox_words

BORROWING = UNCACHED | {"_nrt": False}  # arrays outlive the calls: counting references costs more than the steps
LANES = 4  # more lanes gain little and crowd the nearest cache
BLOCK = 64  # steps between refills of random words, a multiple of four
_SHIFT, _ZERO, _ONE = np.uint64(32), np.uint64(0), np.uint64(1)
_LINE_BYTES = 64


class Data(NamedTuple):
    """Rows (n, d), labels, squared norms and duals (n,) of all terminals and their row ranges (M + 1,)."""

    X: Array
    y: Array
    norms: Array
    alpha: Array
    offsets: Array


class Jobs(NamedTuple):
    """What T terminals are to do, as in ``kernels.local_dual_ascent``; ``scale`` (T,) is sigma' / lam_n."""

    terminals: Array
    w: Array
    sent: Array
    steps: Array
    scale: Array
    rounds: Array


class Results(NamedTuple):
    """Where the results of T jobs go, as in ``kernels.local_dual_ascent``."""

    alpha: Array
    offsets: Array
    du: Array
    gap: Array


class Lanes(NamedTuple):
    """Scratch of one thread. What has an entry a lane is the state of the terminal there.

    Args:
        model: (LANES + 1, >= d) local models, and one more; no two share a cache line.
        total: (1, d) float64 du of one lane.
        words: (LANES, 4, BLOCK / 4) random words of the steps to come, a Philox block in a column.
        order: (LANES, n_max) permutations in the making.
        rows, changes: (n_max + FAN,) rows of one lane whose dual changed, and by how much.
        left: steps left in this block; ``scale``: sigma' / lam_n.
        low, size: the terminal's rows; ``place``: where its results begin; ``position``: in the epoch.
        ahead, last: rows to prefetch, of the terminal that comes next; ``ahead_place``: where its results begin.
    """

    model: Array
    total: Array
    words: Array
    order: Array
    rows: Array
    changes: Array
    left: Array
    scale: Array
    low: Array
    size: Array
    place: Array
    position: Array
    ahead: Array
    last: Array
    ahead_place: Array


@njit(**UNCACHED)
def make_lanes(count: int, w: Array, n_max: int) -> Lanes:
    """Return scratch for ``count`` terminals of up to ``n_max`` rows and models like ``w`` (S, d)."""
    line = _LINE_BYTES // w.itemsize
    width = (w.shape[1] + line - 1) // line * line
    flat = np.empty((count + 1) * width + line, w.dtype)
    skip = -address(flat) % _LINE_BYTES // w.itemsize
    model = flat[skip : skip + (count + 1) * width].reshape((count + 1, width))
    words, order = np.empty((count, 4, BLOCK // 4), np.uint64), np.empty((count, n_max), np.uint64)
    rows, changes = np.empty(n_max + FAN, np.uint64), np.empty(n_max + FAN)
    left, scale, state = np.empty(count, np.int64), np.empty(count), np.empty((7, count), np.uint64)
    named = (state[0], state[1], state[2], state[3], state[4], state[5], state[6])
    return Lanes(model, np.empty((1, w.shape[1])), words, order, rows, changes, left, scale, *named)


@njit(**BORROWING)
def _seat(data: Data, jobs: Jobs, results: Results, lanes: Lanes, lane: int, t: int, following: int) -> None:
    """Put job ``t`` in a lane; ``following`` is the job this thread does there next, or ``t`` if there is none.

    Rows of that one are prefetched if a good part of them will be read.
    """
    w, sent, model, old, new = jobs.w, jobs.sent[t], lanes.model, data.alpha, results.alpha
    j, n = jobs.terminals[t], jobs.terminals[following]
    low, high, first = data.offsets[j], data.offsets[j + 1], results.offsets[t]
    lanes.low[lane], lanes.size[lane], lanes.place[lane], lanes.position[lane] = low, high - low, first, 0
    lanes.scale[lane] = jobs.scale[t]
    for c in range(w.shape[1]):
        model[lane, c] = w[sent, c]
    for i in range(high - low):
        new[first + i] = old[low + i]
    rows = data.offsets[n + 1] - data.offsets[n]
    worth = following != t and rows > 0 and 4 * jobs.steps[following] >= rows
    lanes.ahead[lane] = data.offsets[n] if worth else low
    lanes.last[lane] = data.offsets[n] + rows - 1 if worth else low
    lanes.ahead_place[lane] = results.offsets[following] if worth else first
    # a prefetched row's place counts from the first row to prefetch
    lanes.ahead_place[lane] -= lanes.ahead[lane]


@njit(forceinline=True, **BORROWING)
def _pick(sampling: int, lane: int, step: int, size: Array, position: Array, words: Array, order: Array) -> Any:
    """Return the row, counted from the terminal's first, of a step of this block; see ``kernel_maths.draw``."""
    at, n = position[lane], size[lane]
    if sampling != CYCLIC:
        word = words[lane, step & 3, step >> 2]
        if sampling != PERMUTATION:
            return (word * n) >> _SHIFT
    position[lane] = at + _ONE if at + _ONE < n else _ZERO
    if sampling == CYCLIC:
        return at
    if at == _ZERO:
        for i in range(n):
            order[lane, i] = i
    other = at + ((word * (n - at)) >> _SHIFT)
    row = order[lane, other]
    order[lane, other] = order[lane, at]
    order[lane, at] = row
    return row


@njit(**BORROWING)
def _advance(code: int, mu: float, data: Data, results: Results, lanes: Lanes, count: int, sampling: int) -> None:
    """Do the steps that the first ``count`` lanes have left, one of each in turn."""
    X, y, norms, old_alpha, _ = data
    alpha, _, _, _ = results
    model, _, words, order, _, _, left, scale, low, size, place, position, ahead, last, ahead_place = lanes
    longest = 0
    for lane in range(count):
        longest = max(longest, left[lane])
    for step in range(longest):
        for lane in range(count):
            if step < left[lane]:
                next_row = ahead[lane]
                prefetch(X, next_row)
                prefetch(y, next_row)
                prefetch(norms, next_row)
                prefetch(old_alpha, next_row)
                prefetch(alpha, ahead_place[lane] + next_row)
                ahead[lane] = min(next_row + _ONE, last[lane])
                i = _pick(sampling, lane, step, size, position, words, order)
                row, spot = low[lane] + i, place[lane] + i
                q = scale[lane] * norms[row]
                if q > 0.0:
                    old, label = np.float64(alpha[spot]), np.float64(y[row])
                    alpha[spot] = coordinate_step(code, mu, old, dot(X, row, model, lane), label, q)
                    change = np.float64(alpha[spot]) - old
                    sign = 1.0 if code == SQUARED else label
                    add_row(X, row, scale[lane] * sign * change, model, lane)


@njit(**BORROWING)
def _write_words(round_: int, terminal: int, key0: int, key1: int, first: int, words: Array) -> None:
    """Write the random words of BLOCK steps from step ``first`` on."""
    for b in range(BLOCK // 4):
        block = philox_words((first >> 2) + b, round_, terminal, key0, key1)
        words[0, b], words[1, b], words[2, b], words[3, b] = block


@njit(**BORROWING)
def _write_update(code: int, data: Data, results: Results, lanes: Lanes, lane: int, du: Array, t: int) -> None:
    """Write du of one lane's job, exactly: the sum of its rows times the changes of their duals, in float64.

    Its model holds the same but for the rounding of every step; models have to stay the image of the duals.
    """
    low, place, free = lanes.low[lane], lanes.place[lane], _ZERO
    X, y, old, new = data.X, data.y, data.alpha, results.alpha
    total, rows, changes = lanes.total, lanes.rows, lanes.changes
    for c in range(du.shape[1]):
        total[0, c] = 0.0
    for i in range(lanes.size[lane]):
        change = np.float64(new[place + i]) - np.float64(old[low + i])
        rows[free] = low + i
        changes[free] = change if code == SQUARED else change * y[low + i]
        free += np.uint64(change != 0.0)
    changed = np.int64(free)
    for i in range(changed, changed + FAN):  # the last few are filled up with nothing
        rows[i], changes[i] = low, 0.0
    for i in range(0, changed, FAN):
        add_rows(X, rows, changes, i, total, 0)
    for c in range(du.shape[1]):
        du[t, c] = total[0, c]


@njit(**BORROWING)
def _write_gap(code: int, mu: float, data: Data, results: Results, lanes: Lanes, lane: int, jobs: Jobs, t: int) -> None:
    """Write the Fenchel-Young sums of one lane's job: old duals at the model it was sent, new duals at its own."""
    X, y, old, new, du, model = data.X, data.y, data.alpha, results.alpha, results.du, lanes.model
    low, place, scale = lanes.low[lane], lanes.place[lane], lanes.scale[lane]
    w, sent = jobs.w, jobs.sent[t]
    start, before, after = model.shape[0] - 1, 0.0, 0.0
    for c in range(w.shape[1]):
        model[start, c] = w[sent, c]
        model[lane, c] = w[sent, c] + scale * du[t, c]
    for i in range(lanes.size[lane]):
        row = low + i
        before += fenchel_young(code, mu, dot(X, row, model, start), old[row], y[row])
        after += fenchel_young(code, mu, dot(X, row, model, lane), new[place + i], y[row])
    results.gap[t, 0], results.gap[t, 1] = before, after


@njit(**BORROWING)
def ascend(
    code: int,
    mu: float,
    data: Data,
    jobs: Jobs,
    results: Results,
    lanes: Lanes,
    first: int,
    stop: int,
    key: tuple[int, int],
    sampling: int,
    measures_gap: bool,
) -> None:
    """Do jobs ``first`` to ``stop - 1``, as many at a time as there are lanes."""
    width = lanes.left.shape[0]
    for group in range(first, stop, width):
        count, longest = min(width, stop - group), 0
        for lane in range(count):
            t = group + lane
            _seat(data, jobs, results, lanes, lane, t, t + width if t + width < stop else t)
            if lanes.size[lane] > _ZERO:
                longest = max(longest, jobs.steps[t])
        for done in range(0, longest, BLOCK):
            for lane in range(count):
                t = group + lane
                lanes.left[lane] = min(BLOCK, jobs.steps[t] - done) if lanes.size[lane] > _ZERO else 0
                if lanes.left[lane] > 0 and sampling != CYCLIC:
                    _write_words(jobs.rounds[t], jobs.terminals[t], key[0], key[1], done, lanes.words[lane])
            _advance(code, mu, data, results, lanes, count, sampling)
        for lane in range(count):
            t = group + lane
            _write_update(code, data, results, lanes, lane, results.du, t)
            if measures_gap:
                _write_gap(code, mu, data, results, lanes, lane, jobs, t)
