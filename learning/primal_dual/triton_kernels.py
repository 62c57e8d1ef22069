"""Local work of federated terminals on a GPU, in Triton: the kernels of ``kernels``, one program a job.

A program keeps its model in registers, padded to ``BLOCK`` features, and gathers one row a step; duals and the
order of a permutation stay in global memory. Barriers order what one thread stores before what all threads read.
Losses and steps are those of ``kernel_maths``, the random words those of ``scenarios.streams``: the same rows are
drawn as on the CPU.

Arguments shared by the kernels (M terminals exist, T jobs are done, d features):

- ``orders`` (T, 4) int64: terminal, steps, round and first place in the flat duals of each job.
- ``key`` (2,) int64: two 32-bit words.
- ``X`` (n, d), ``y, norms, alpha`` (n,), ``offsets`` (M + 1,) int64: as in ``kernels``.
- ``w`` (S, d), ``sent`` (T,) int64: models, and which of them each job starts from.
- ``order`` int32: scratch as long as the flat duals, read where rows are drawn without replacement only.
- ``CODE, MU``: ``Loss.code`` and ``Loss.smoothness``; ``TILE``: rows read side by side.

Terminals hold fewer than 2**31 rows. Sums over rows are float64, all else is of the rows' precision.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from learning.primal_dual import kernel_maths

HINGE = tl.constexpr(kernel_maths.HINGE)
SQUARED_HINGE = tl.constexpr(kernel_maths.SQUARED_HINGE)
LOGISTIC = tl.constexpr(kernel_maths.LOGISTIC)
SQUARED = tl.constexpr(kernel_maths.SQUARED)
UNIFORM = tl.constexpr(kernel_maths.UNIFORM)
CYCLIC = tl.constexpr(kernel_maths.CYCLIC)
LANES = tl.constexpr(32)  # threads of a warp


def shape_options(d: int) -> dict[str, int]:
    """Return how the kernels hold rows of d features: padded width, rows a tile, warps a program."""
    block = max(16, 1 << (d - 1).bit_length())
    return {"D": d, "BLOCK": block, "TILE": max(1, 512 // block), "num_warps": min(8, max(1, block // 256))}


@triton.jit
def _words(seed: tl.tensor, block: tl.tensor, round_: tl.tensor, terminal: tl.tensor) -> Any:
    """Return four words of ``scenarios.streams``, each uint32; ``seed`` is the key, its first word the low one."""
    counter = block.to(tl.uint32)
    return tl.philox(seed, counter, round_.to(tl.uint32), terminal.to(tl.uint32), counter * 0, n_rounds=10)


@triton.jit
def _word(step: tl.tensor, word0: tl.tensor, word1: tl.tensor, word2: tl.tensor, word3: tl.tensor) -> Any:
    lane = step % 4
    return tl.where(lane == 0, word0, tl.where(lane == 1, word1, tl.where(lane == 2, word2, word3)))


@triton.jit
def _shuffle(order: tl.tensor, position: tl.tensor, n: tl.tensor, word: tl.tensor) -> Any:
    """Return the row at a position of an epoch; ``order`` carries its permutation (lazy Fisher-Yates)."""
    if position == 0:
        tl.debug_barrier()
        for base in range(0, n, LANES):
            places = base + tl.arange(0, LANES)
            tl.store(order + places, places, mask=places < n)
        tl.debug_barrier()
    other = position + tl.umulhi(word, (n - position).to(tl.uint32)).to(tl.int32)
    row, displaced = tl.load(order + other), tl.load(order + position)
    tl.debug_barrier()
    tl.store(order + other, displaced)
    tl.store(order + position, row)
    tl.debug_barrier()
    return row


@triton.jit
def _draw(order: tl.tensor, position: tl.tensor, n: tl.tensor, word: tl.tensor, SAMPLING: tl.constexpr) -> Any:
    if SAMPLING == UNIFORM:
        row = tl.umulhi(word, n.to(tl.uint32)).to(tl.int32)
    elif SAMPLING == CYCLIC:
        row = position
    else:
        row = _shuffle(order, position, n, word)
    return row


@triton.jit
def _log1p(t: tl.tensor) -> Any:
    u = 1.0 + t  # the rounding of u cancels in the quotient
    lost = u == 1.0
    return tl.where(lost, t, tl.log(u) * (t / tl.where(lost, 1.0, u - 1.0)))


@triton.jit
def _softplus(x: tl.tensor) -> Any:
    return tl.maximum(x, 0.0) + _log1p(tl.exp(-tl.abs(x)))


@triton.jit
def _expit(z: tl.tensor) -> Any:
    tail = tl.exp(-tl.abs(z))
    return tl.where(z >= 0.0, 1.0, tail) / (1.0 + tail)


@triton.jit
def _sign(y: tl.tensor, CODE: tl.constexpr) -> Any:
    sign = y
    if CODE == SQUARED:
        sign = y * 0.0 + 1.0
    return sign


@triton.jit
def _loss(score: tl.tensor, y: tl.tensor, CODE: tl.constexpr, MU: tl.constexpr) -> Any:
    if CODE == SQUARED:
        value = 0.5 * (score - y) * (score - y)
    elif CODE == LOGISTIC:
        value = _softplus(-y * score)
    else:
        short = tl.maximum(1.0 - y * score, 0.0)
        value = short - 0.5 * MU
        if CODE == SQUARED_HINGE:
            value = 0.5 * short * short
        elif CODE != HINGE:
            value = tl.where(short < MU, 0.5 * short * short / MU, value)
    return value


@triton.jit
def _slope(score: tl.tensor, y: tl.tensor, CODE: tl.constexpr, MU: tl.constexpr) -> Any:
    if CODE == SQUARED:
        value = score - y
    elif CODE == LOGISTIC:
        value = -y * _expit(-y * score)
    else:
        short = tl.maximum(1.0 - y * score, 0.0)
        if CODE == SQUARED_HINGE:
            value = -y * short
        elif CODE == HINGE:
            value = tl.where(short > 0.0, -y, 0.0)
        else:
            value = -y * tl.minimum(short / MU, 1.0)
    return value


@triton.jit
def _conjugate(a: tl.tensor, y: tl.tensor, CODE: tl.constexpr, MU: tl.constexpr) -> Any:
    if CODE == SQUARED:
        value = 0.5 * a * a - a * y
    elif CODE == LOGISTIC:
        inner = (a > 0.0) & (a < 1.0)
        c = tl.where(inner, a, 0.5)
        value = tl.where(inner, c * tl.log(c) + (1.0 - c) * _log1p(-c), 0.0)
    else:
        value = 0.5 * MU * a * a - a
    return value


@triton.jit
def _fenchel_young(score: tl.tensor, a: tl.tensor, y: tl.tensor, CODE: tl.constexpr, MU: tl.constexpr) -> Any:
    if CODE == SQUARED:
        value = 0.5 * (score - y + a) * (score - y + a)
    elif CODE == LOGISTIC:
        m = y * score
        value = tl.maximum(_conjugate(a, y, CODE, MU) + a * _softplus(m) + (1.0 - a) * _softplus(-m), 0.0)
    else:
        short = 1.0 - y * score
        value = (1.0 - a) * (short - 0.5 * MU * (1.0 + a))
        if CODE == SQUARED_HINGE:
            value = 0.5 * (short - a) * (short - a)
        elif CODE != HINGE:
            value = tl.where(short < MU, 0.5 * (short - MU * a) * (short - MU * a) / MU, value)
        value = tl.where(short <= 0.0, 0.5 * MU * a * a - a * short, value)
    return value


@triton.jit
def _logistic_step(a: tl.tensor, m: tl.tensor, q: tl.tensor) -> Any:
    """Return the root c of m + q (c - a) + logit(c) = 0; ``kernel_maths`` says why this Newton is monotone."""
    low, high = -m - q * (1.0 - a), -m + q * a
    negative = m + q * (0.5 - a) >= 0.0
    low, high = tl.where(negative, low, tl.maximum(low, 0.0)), tl.where(negative, tl.minimum(high, 0.0), high)
    unit: tl.constexpr = 4.440892098500626e-16 if m.dtype == tl.float64 else 2.384185791015625e-07
    noise = unit * (1.0 + tl.abs(m) + q)
    z = tl.minimum(tl.maximum(-m, low), high)
    count, running = tl.full((), 0, tl.int32), noise > 0.0
    while running:
        before, tail = z, tl.exp(-tl.abs(z))
        f = m + q * (tl.where(z >= 0.0, 1.0, tail) / (1.0 + tail) - a) + z
        z = z - f / (1.0 + q * tail / ((1.0 + tail) * (1.0 + tail)))
        z = tl.minimum(tl.maximum(z, low), high)
        count += 1
        # rounding may leave f above the noise at a z that no longer moves
        running = (tl.abs(f) > noise) & (z != before) & (count < 100)
    return _expit(z)


@triton.jit
def _coordinate_step(
    a: tl.tensor, score: tl.tensor, y: tl.tensor, q: tl.tensor, CODE: tl.constexpr, MU: tl.constexpr
) -> Any:
    if CODE == SQUARED:
        best = a + (y - score - a) / (q + 1.0)
    elif CODE == LOGISTIC:
        best = _logistic_step(a, y * score, q)
    else:
        best = tl.maximum(a + (1.0 - y * score - MU * a) / (q + MU), 0.0)
        if CODE != SQUARED_HINGE:
            best = tl.minimum(best, 1.0)
    return best


@triton.jit
def _ascend(
    X: tl.tensor,
    y: tl.tensor,
    norms: tl.tensor,
    a_: tl.tensor,
    order: tl.tensor,
    w: tl.tensor,
    n: tl.tensor,
    steps: tl.tensor,
    scale: tl.tensor,
    seed: tl.tensor,
    round_: tl.tensor,
    terminal: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    CODE: tl.constexpr,
    MU: tl.constexpr,
    SAMPLING: tl.constexpr,
) -> None:
    """Do the steps of one job on its duals ``a_``; the next row is on its way while a step is computed."""
    cols = tl.arange(0, BLOCK)
    ahead, position = tl.full((), 0, tl.int64), tl.full((), 0, tl.int32)
    word0, word1, word2, word3 = _words(seed, ahead, round_, terminal)
    row = _draw(order, position, n, word0, SAMPLING)
    x = tl.load(X + row.to(tl.int64) * D + cols, mask=cols < D, other=0.0)
    label, norm, old = tl.load(y + row), tl.load(norms + row), tl.load(a_ + row)
    for _ in range(steps):
        ahead += 1
        position = tl.where(position + 1 < n, position + 1, 0)
        if SAMPLING != CYCLIC and ahead % 4 == 0:
            word0, word1, word2, word3 = _words(seed, ahead // 4, round_, terminal)
        next_row = _draw(order, position, n, _word(ahead, word0, word1, word2, word3), SAMPLING)
        next_x = tl.load(X + next_row.to(tl.int64) * D + cols, mask=cols < D, other=0.0)
        next_label, next_norm = tl.load(y + next_row), tl.load(norms + next_row)
        next_old = tl.load(a_ + next_row)
        q = scale * norm
        best = _coordinate_step(old, tl.sum(x * w), label, tl.where(q > 0.0, q, 1.0), CODE, MU)
        new = tl.where(q > 0.0, best, old)
        tl.store(a_ + row, new)
        w += scale * _sign(label, CODE) * (new - old) * x
        tl.debug_barrier()
        old = tl.where(next_row == row, new, next_old)
        row, x, label, norm = next_row, next_x, next_label, next_norm


@triton.jit
def local_dual_ascent(
    orders: tl.tensor,
    scales: tl.tensor,
    key: tl.tensor,
    X: tl.tensor,
    y: tl.tensor,
    norms: tl.tensor,
    alpha: tl.tensor,
    offsets: tl.tensor,
    w: tl.tensor,
    sent: tl.tensor,
    order: tl.tensor,
    out_alpha: tl.tensor,
    out_du: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    CODE: tl.constexpr,
    MU: tl.constexpr,
    SAMPLING: tl.constexpr,
) -> None:
    """Do the work of :func:`kernels.local_dual_ascent` but the gaps; ``scales`` (T,) float64 are sigma' / lam_n."""
    job = tl.program_id(0).to(tl.int64)
    terminal, steps = tl.load(orders + 4 * job), tl.load(orders + 4 * job + 1)
    round_, place = tl.load(orders + 4 * job + 2), tl.load(orders + 4 * job + 3)
    first, n = _range(offsets, terminal)
    X, y, norms, alpha, a_ = X + first * D, y + first, norms + first, alpha + first, out_alpha + place
    for base in range(0, n, LANES):
        rows = base + tl.arange(0, LANES)
        tl.store(a_ + rows, tl.load(alpha + rows, mask=rows < n), mask=rows < n)
    tl.debug_barrier()
    cols = tl.arange(0, BLOCK)
    model = tl.load(w + tl.load(sent + job) * D + cols, mask=cols < D, other=0.0)
    scale = tl.load(scales + job).to(model.dtype)
    seed = tl.load(key) | (tl.load(key + 1) << 32)
    if (steps > 0) & (n > 0):
        _ascend(
            X, y, norms, a_, order + place, model, n, steps, scale, seed, round_, terminal, D, BLOCK, CODE, MU, SAMPLING
        )
    du = tl.zeros((BLOCK,), tl.float64)
    for base in range(0, n, TILE):
        rows = base + tl.arange(0, TILE)
        present = rows < n
        change = tl.load(a_ + rows, mask=present, other=0.0).to(tl.float64)
        change -= tl.load(alpha + rows, mask=present, other=0.0).to(tl.float64)
        change *= _sign(tl.load(y + rows, mask=present, other=0.0), CODE)
        du += tl.sum(change[:, None] * _tile(X, rows, change != 0.0, D, BLOCK), axis=0)
    tl.store(out_du + job * D + cols, du.to(model.dtype), mask=cols < D)


@triton.jit
def _range(offsets: tl.tensor, terminal: tl.tensor) -> Any:
    """Return the first row of a terminal and the number of its rows."""
    first = tl.load(offsets + terminal)
    return first, (tl.load(offsets + terminal + 1) - first).to(tl.int32)


@triton.jit
def _tile(X: tl.tensor, rows: tl.tensor, present: tl.tensor, D: tl.constexpr, BLOCK: tl.constexpr) -> Any:
    """Return rows (TILE, BLOCK) of X in float64, zeros where one is not present."""
    cols = tl.arange(0, BLOCK)
    places = rows[:, None].to(tl.int64) * D + cols[None, :]
    return tl.load(X + places, mask=present[:, None] & (cols < D)[None, :], other=0.0).to(tl.float64)


@triton.jit
def terminal_sums(
    terminals: tl.tensor,
    places: tl.tensor,
    X: tl.tensor,
    y: tl.tensor,
    alpha: tl.tensor,
    starts: tl.tensor,
    offsets: tl.tensor,
    w: tl.tensor,
    sent: tl.tensor,
    scores: tl.tensor,
    out: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    CODE: tl.constexpr,
    MU: tl.constexpr,
) -> None:
    """Do the work of :func:`kernels.terminal_sums`; ``out`` (T, 3) is float64.

    ``starts`` (T,) int64 says where the duals of each job begin in ``alpha``, ``places`` where its part of the
    float64 scratch ``scores`` does: through it, each thread gets a row's loss of its own to compute.
    """
    job = tl.program_id(0).to(tl.int64)
    first, n = _range(offsets, tl.load(terminals + job))
    X, y, alpha = X + first * D, y + first, alpha + tl.load(starts + job)
    scores += tl.load(places + job)
    cols = tl.arange(0, BLOCK)
    model = tl.load(w + tl.load(sent + job) * D + cols, mask=cols < D, other=0.0).to(tl.float64)
    for base in range(0, n, TILE):
        rows = base + tl.arange(0, TILE)
        x = _tile(X, rows, rows < n, D, BLOCK)
        tl.store(scores + rows, tl.sum(x * model[None, :], axis=1), mask=rows < n)
    tl.debug_barrier()
    losses, conjugates = tl.zeros((LANES,), tl.float64), tl.zeros((LANES,), tl.float64)
    terms = tl.zeros((LANES,), tl.float64)
    for base in range(0, n, LANES):
        rows = base + tl.arange(0, LANES)
        present = rows < n
        score = tl.load(scores + rows, mask=present, other=0.0)
        label = tl.load(y + rows, mask=present, other=0.0).to(tl.float64)
        a = tl.load(alpha + rows, mask=present, other=0.0).to(tl.float64)
        losses += tl.where(present, _loss(score, label, CODE, MU), 0.0)
        conjugates += tl.where(present, _conjugate(a, label, CODE, MU), 0.0)
        terms += tl.where(present, _fenchel_young(score, a, label, CODE, MU), 0.0)
    tl.store(out + 3 * job, tl.sum(losses))
    tl.store(out + 3 * job + 1, tl.sum(conjugates))
    tl.store(out + 3 * job + 2, tl.sum(terms))


@triton.jit
def dual_image(
    terminals: tl.tensor,
    X: tl.tensor,
    y: tl.tensor,
    alpha: tl.tensor,
    offsets: tl.tensor,
    out: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    CODE: tl.constexpr,
) -> None:
    """Write (T, d) float64 sums over each job's rows of beta x."""
    job = tl.program_id(0).to(tl.int64)
    first, n = _range(offsets, tl.load(terminals + job))
    X, y, alpha = X + first * D, y + first, alpha + first
    cols = tl.arange(0, BLOCK)
    image = tl.zeros((BLOCK,), tl.float64)
    for base in range(0, n, TILE):
        rows = base + tl.arange(0, TILE)
        present = rows < n
        beta = tl.load(alpha + rows, mask=present, other=0.0).to(tl.float64)
        beta *= _sign(tl.load(y + rows, mask=present, other=0.0), CODE)
        image += tl.sum(beta[:, None] * _tile(X, rows, present, D, BLOCK), axis=0)
    tl.store(out + job * D + cols, image, mask=cols < D)


@triton.jit
def local_sgd(
    orders: tl.tensor,
    numbers: tl.tensor,
    key: tl.tensor,
    X: tl.tensor,
    y: tl.tensor,
    weights: tl.tensor,
    offsets: tl.tensor,
    w: tl.tensor,
    anchor: tl.tensor,
    velocity: tl.tensor,
    batch: tl.tensor,
    before: tl.tensor,
    order: tl.tensor,
    out_w: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    CODE: tl.constexpr,
    MU: tl.constexpr,
    WEIGHTED: tl.constexpr,
    HEAVY: tl.constexpr,
) -> None:
    """Do the work of :func:`kernels.local_sgd`; ``numbers`` (T, 4) float64 are rate, ridge, proximal, momentum.

    Every job has a model of its own in ``w`` (T, d). If ``WEIGHTED``, the float64 ``weights`` lie where the scratch
    ``order`` does: from the place in ``orders`` on. If ``HEAVY``, the (T, d) ``velocity`` is changed in place.
    """
    job = tl.program_id(0).to(tl.int64)
    terminal, steps = tl.load(orders + 4 * job), tl.load(orders + 4 * job + 1)
    round_, place = tl.load(orders + 4 * job + 2), tl.load(orders + 4 * job + 3)
    first, n = _range(offsets, terminal)
    X, y, order = X + first * D, y + first, order + place
    weights += place
    cols = tl.arange(0, BLOCK)
    model = tl.load(w + job * D + cols, mask=cols < D, other=0.0)
    centre = tl.load(anchor + job * D + cols, mask=cols < D, other=0.0)
    rate, momentum = tl.load(numbers + 4 * job).to(model.dtype), tl.load(numbers + 4 * job + 3).to(model.dtype)
    ridge, proximal = tl.load(numbers + 4 * job + 1).to(model.dtype), tl.load(numbers + 4 * job + 2).to(model.dtype)
    moving = tl.load(velocity + job * D + cols, mask=cols < D, other=0.0) if HEAVY else model * 0.0
    used, position = tl.full((), 0, tl.int64), tl.full((), 0, tl.int32)
    seed = tl.load(key) | (tl.load(key + 1) << 32)
    word0, word1, word2, word3 = _words(seed, used, round_, terminal)
    for step in range(tl.where(n > 0, before + steps, 0)):
        count = tl.minimum(n - position, batch)
        drawn = tl.where(n > batch, count, 0)
        for i in range(drawn):
            if used % 4 == 0:
                word0, word1, word2, word3 = _words(seed, used // 4, round_, terminal)
            _shuffle(order, position + i, n, _word(used, word0, word1, word2, word3))
            used += 1
        used_rows = tl.where(step >= before, count, 0)
        slopes = _mean_gradient(
            X, y, weights, order, model, position, used_rows, drawn, D, BLOCK, TILE, CODE, MU, WEIGHTED
        )
        change = slopes + ridge * model + proximal * (model - centre)
        if HEAVY:
            moving = tl.where(step >= before, momentum * moving + change, moving)
            change = moving
        model -= tl.where(step >= before, rate, 0.0) * change
        position = tl.where(position + count < n, position + count, 0)
    tl.store(out_w + job * D + cols, model, mask=cols < D)
    if HEAVY:
        tl.store(velocity + job * D + cols, moving, mask=cols < D)


@triton.jit
def _mean_gradient(
    X: tl.tensor,
    y: tl.tensor,
    weights: tl.tensor,
    order: tl.tensor,
    w: tl.tensor,
    position: tl.tensor,
    count: tl.tensor,
    drawn: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    CODE: tl.constexpr,
    MU: tl.constexpr,
    WEIGHTED: tl.constexpr,
) -> Any:
    """Return the mean loss gradient of ``count`` rows from a position on, all drawn or (``drawn`` = 0) as stored."""
    cols = tl.arange(0, BLOCK)
    gradient = w * 0.0
    for base in range(0, count, TILE):
        slots = base + tl.arange(0, TILE)
        present = slots < count
        places = position + slots
        rows = tl.where(drawn > 0, tl.load(order + places, mask=slots < drawn, other=0), places)
        numbers = rows[:, None].to(tl.int64) * D + cols[None, :]
        x = tl.load(X + numbers, mask=present[:, None] & (cols < D)[None, :], other=0.0)
        slopes = _slope(tl.sum(x * w[None, :], axis=1), tl.load(y + rows, mask=present, other=0.0), CODE, MU)
        if WEIGHTED:
            slopes *= tl.load(weights + rows, mask=present, other=0.0).to(w.dtype)
        gradient += tl.sum((tl.where(present, slopes, 0.0) / count.to(w.dtype))[:, None] * x, axis=0)
    return gradient
