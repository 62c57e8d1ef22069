"""Local work of a federated terminal, compiled: dual coordinate ascent, loss sums and SGD on its own rows.

The ascent is the local solver of CoCoA+ (Ma et al., "Adding vs. averaging in distributed primal-dual
optimization", ICML 2015). ``reference_solver`` says the same in plain tensors; the tests hold the two to each
other. Terminals are independent jobs: a result is the same to the last bit for any thread count or batch.

Argument names shared by the public kernels (M terminals exist, T jobs are done, d features):

- ``loss_code, smoothing``: ``Loss.code`` and ``Loss.smoothing``.
- ``X`` (n, d), ``y`` (n,): rows sorted by terminal; ``offsets`` (M + 1,) int64 row ranges.
- ``alpha`` (n,): duals a_i; ``terminals`` (T,) int64: whose job each is; ``w`` (T, d): its starting model.
- ``rounds`` (T,) int64, ``key0, key1``: row indices are Philox words at (step // 4, round, terminal, 0).
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, prange

from learning.primal_dual.kernel_maths import (
    PERMUTATION,
    SQUARED,
    UNCACHED,
    Array,
    conjugate,
    coordinate_step,
    curvature,
    draw,
    fenchel_young,
    loss,
    slope,
)
from learning.primal_dual.side_by_side import LANES, Data, Jobs, Results, ascend, make_lanes
from learning.primal_dual.vector_rows import FAN, add_row, add_rows, dot, prefetch
from scenarios.philox import philox_words

# The cached kernels below are renewed when these lines are; a test keeps them equal to the digests of the files.
PHILOX_SHA256 = "69583539bb9dbb3992051308315847e18152c38a34e30c39a1ff4430f9152c66"
KERNEL_MATHS_SHA256 = "920f00cac831a7cc4c3f024140bc3bd91e425ad2590416952e5ab0913908ea86"
SIDE_BY_SIDE_SHA256 = "bd928ed35de2661df03acb815725cad96d82fa0acfc7048fb02861b3666f28d2"
VECTOR_ROWS_SHA256 = "e0b61aeb05a934091c6c10fbd1f772f6469fca6a698e1060a371947cc105d9c6"

COMPILED = UNCACHED | {"cache": True}
_SHARES = 8  # parts of the jobs a thread does: few enough to reuse scratch, enough to even out unequal jobs


@njit(parallel=True, **COMPILED)
def squared_norms(X: Array, out: Array) -> None:
    """Write ||x_i||^2 of the rows of X (n, d) into ``out`` (n,)."""
    for i in prange(X.shape[0]):
        out[i] = dot(X, i, X, i)


@njit(parallel=True, **COMPILED)
def _ascend_in_parts(
    loss_code: int,
    smoothing: float,
    X: Array,
    y: Array,
    norms: Array,
    alpha: Array,
    offsets: Array,
    terminals: Array,
    w: Array,
    sent: Array,
    steps: Array,
    scale: Array,
    rounds: Array,
    key0: int,
    key1: int,
    sampling: int,
    measures_gap: bool,
    out_alpha: Array,
    out_offsets: Array,
    out_du: Array,
    out_gap: Array,
    width: int,
    parts: int,
) -> None:
    """Do the jobs of :func:`local_dual_ascent` in ``parts`` parts, ``width`` at a time in each."""
    mu, T = curvature(loss_code, smoothing), terminals.shape[0]
    groups = (T + width - 1) // width
    for index in prange(parts):
        part = np.int64(index)
        first, stop = groups * part // parts * width, min(T, groups * (part + 1) // parts * width)
        n_max = np.int64(0)
        for t in range(first, stop):
            n_max = max(n_max, offsets[terminals[t] + 1] - offsets[terminals[t]])
        data, jobs = Data(X, y, norms, alpha, offsets), Jobs(terminals, w, sent, steps, scale, rounds)
        results, lanes = Results(out_alpha, out_offsets, out_du, out_gap), make_lanes(width, w, n_max)
        ascend(loss_code, mu, data, jobs, results, lanes, first, stop, (key0, key1), sampling, measures_gap)


def local_dual_ascent(
    loss_code: int,
    smoothing: float,
    X: Array,
    y: Array,
    norms: Array,
    alpha: Array,
    offsets: Array,
    terminals: Array,
    w: Array,
    sent: Array,
    steps: Array,
    sigma_prime: Array,
    lam_n: Array,
    rounds: Array,
    key0: int,
    key1: int,
    sampling: int,
    measures_gap: bool,
    out_alpha: Array,
    out_offsets: Array,
    out_du: Array,
    out_gap: Array,
) -> None:
    """Do H dual coordinate steps on each job's rows, starting from the broadcast model and the current duals.

    Each step maximises the local sub-problem along one coordinate, with curvature sigma' ||x||^2 / (lam n_b).
    Rows with x = 0 are left alone: no model depends on their dual.

    Args:
        norms: (n,) float64 squared norms of the rows, from :func:`squared_norms`.
        w: (S, d) models; ``sent`` (T,) int64 says which of them each job starts from.
        steps: (T,) int64, H_j >= 0 steps of each job.
        sigma_prime: (T,) sub-problem safety factor sigma'.
        lam_n: (T,) (lambda1 + lambda2) times the sample count of the terminal's task.
        sampling: 0 uniform with replacement, 1 a fresh permutation every epoch, 2 cyclic.
        measures_gap: whether ``out_gap`` is wanted; without, it is NaN and two passes over the rows are saved.
        out_alpha: flat candidate duals, job t in ``out_offsets[t]:out_offsets[t + 1]``.
        out_du: (T, d) sum over the job's rows of (beta_new - beta_old) x.
        out_gap: (T, 2) sums of the Fenchel-Young terms before (old duals at w) and after (new duals at the
            terminal's own w + sigma' du / lam_n).
    """
    T, threads = len(terminals), get_num_threads()
    width = min(LANES, -(-T // threads))  # rather two threads with a terminal each than one with two
    parts = min(-(-T // max(1, width)), _SHARES * threads)
    out_gap.fill(np.nan)
    data, jobs = (X, y, norms, alpha, offsets), (terminals, w, sent, steps, sigma_prime / lam_n, rounds)
    how, results = (key0, key1, sampling, measures_gap), (out_alpha, out_offsets, out_du, out_gap)
    _ascend_in_parts(loss_code, smoothing, *data, *jobs, *how, *results, width, parts)


@njit(parallel=True, **COMPILED)
def terminal_sums(
    loss_code: int,
    smoothing: float,
    X: Array,
    y: Array,
    alpha: Array,
    offsets: Array,
    terminals: Array,
    w: Array,
    sent: Array,
    out: Array,
) -> None:
    """Write (T, 3) sums over each job's rows: loss at ``w[sent[t]]``, conjugate at the duals, Fenchel-Young terms."""
    mu = curvature(loss_code, smoothing)
    for t in prange(terminals.shape[0]):
        losses = conjugates = terms = 0.0
        for i in range(offsets[terminals[t]], offsets[terminals[t] + 1]):
            score = dot(X, i, w, sent[t])
            losses += loss(loss_code, mu, score, y[i])
            conjugates += conjugate(loss_code, mu, alpha[i], y[i])
            terms += fenchel_young(loss_code, mu, score, alpha[i], y[i])
        out[t, 0], out[t, 1], out[t, 2] = losses, conjugates, terms


@njit(**UNCACHED)
def _descend(
    code: int,
    mu: float,
    X: Array,
    y: Array,
    low: int,
    n: int,
    ahead: int,
    anchor: Array,
    steps: int,
    before: int,
    batch: int,
    rate: float,
    ridge: float,
    proximal: float,
    stream: tuple[int, int, int, int],
    weights: Array,
    place: int,
    momentum: float,
    velocity: Array,
    w: Array,
    t: int,
) -> None:
    """Do one job of :func:`local_sgd` on row ``t`` of ``w`` and ``velocity`` in place, on ``n`` rows from ``low`` on.

    Meanwhile the rows from ``ahead`` on, which are likely to be next, are brought near. The weights of the job's rows,
    if there are any weights, begin at ``place``.
    """
    weighted, heavy = weights.shape[0] > 0, velocity.shape[0] > 0
    gradient, order = np.empty((1, w.shape[1])), np.empty(n, np.int64)
    room = min(batch, n) + FAN
    rows, slopes = np.empty(room, np.int64), np.empty(room)
    words = philox_words(0, 0, 0, 0, 0)
    used = first = 0
    for step in range(before + steps if n > 0 else 0):
        count = min(batch, n - first)
        for k in range(count):
            row = first + k
            prefetch(X, ahead + row)
            prefetch(y, ahead + row)
            if batch < n:
                if used & 3 == 0:
                    words = philox_words(used >> 2, stream[0], stream[1], stream[2], stream[3])
                row = draw(PERMUTATION, row, n, words[used & 3], order)
                used += 1
            if step >= before:
                rows[k] = low + row
                slopes[k] = slope(code, mu, dot(X, low + row, w, t), y[low + row]) / count
                if weighted:
                    slopes[k] *= weights[place + row]
        first = (first + count) % n
        if step < before:
            continue
        for k in range(count, count + FAN):  # the last few are filled up with nothing
            rows[k], slopes[k] = low, 0.0
        for c in range(gradient.shape[1]):
            gradient[0, c] = 0.0
        add_row(w, t, ridge + proximal, gradient, 0)
        add_row(anchor, t, -proximal, gradient, 0)
        for k in range(0, count, FAN):
            add_rows(X, rows, slopes, k, gradient, 0)
        if heavy:
            for c in range(gradient.shape[1]):
                velocity[t, c] = momentum * velocity[t, c] + gradient[0, c]
            add_row(velocity, t, -rate, w, t)
        else:
            add_row(gradient, 0, -rate, w, t)


@njit(parallel=True, **COMPILED)
def local_sgd(
    loss_code: int,
    smoothing: float,
    X: Array,
    y: Array,
    offsets: Array,
    terminals: Array,
    w: Array,
    anchor: Array,
    steps: Array,
    batch: int,
    learning_rate: Array,
    ridge: float,
    proximal: Array,
    before: int,
    rounds: Array,
    key0: int,
    key1: int,
    weights: Array,
    places: Array,
    momentum: float,
    velocity: Array,
    out_w: Array,
) -> None:
    """Do minibatch SGD on mean loss + ridge/2 ||w||^2 + proximal/2 ||w - anchor||^2 of each job's rows.

    An epoch visits every row once in a fresh random order, in batches of ``batch`` rows of which the last
    holds what is left: E epochs are E * ceil(n_j / batch) steps, and ``batch >= n_j`` is gradient descent.

    Args:
        anchor: (T, d) centre of the proximal term (FedProx), the broadcast model as a rule.
        steps: (T,) int64 steps of each job; learning_rate, proximal: (T,).
        before: steps of the round whose rows are passed over.
        weights: (r,) factors of the losses of the jobs' rows, those of job t from ``places[t]`` on; of length 0 if
            all are 1.
        momentum, velocity: v <- momentum v + gradient in place, and steps go along v, (T, d); of length 0 they go
            along the gradient.
        out_w: (T, d) the models reached.
    """
    mu = curvature(loss_code, smoothing)
    for index in prange(terminals.shape[0]):
        t = np.int64(index)
        j = terminals[t]
        low, n = offsets[j], offsets[j + 1] - offsets[j]
        for c in range(w.shape[1]):
            out_w[t, c] = w[t, c]
        ahead = offsets[terminals[min(t + 1, terminals.shape[0] - 1)]]
        start, stream = (X, y, low, n, ahead, anchor, steps[t], before, batch), (rounds[t], j, key0, key1)
        how = (learning_rate[t], ridge, proximal[t], stream, weights, places[t], momentum, velocity)
        _descend(loss_code, mu, *start, *how, out_w, t)


@njit(**COMPILED)
def joint_epochs(
    loss_code: int,
    smoothing: float,
    X: Array,
    y: Array,
    task: Array,
    curvatures: Array,
    own: float,
    shared: float,
    inverse_counts: Array,
    first_epoch: int,
    epochs: int,
    alpha: Array,
    U: Array,
    total: Array,
) -> None:
    """Do epochs of joint dual ascent over the rows of all tasks, in place on alpha, U and total.

    Args:
        task: (n,) int64 task of each row; ``curvatures`` (n,) q of each row.
        own, shared: w_b = own U_b + shared total, with U (B, d) and total = sum_b U_b.
        inverse_counts: (B,) one over the sample count of each task.
        first_epoch: index of the first epoch in the permutation stream.
    """
    mu, n = curvature(loss_code, smoothing), y.shape[0]
    order, sums = np.empty(n, np.int64), total.reshape(1, total.shape[0])
    words = philox_words(0, 0, 0, 0, 0)
    for epoch in range(first_epoch, first_epoch + epochs):
        for position in range(n):
            if position & 3 == 0:
                words = philox_words(position >> 2, epoch, 0, 0, 0)
            i = draw(PERMUTATION, position, n, words[position & 3], order)
            if curvatures[i] > 0.0:
                b, old = task[i], alpha[i]
                score = own * dot(X, i, U, b) + shared * dot(X, i, sums, 0)
                alpha[i] = coordinate_step(loss_code, mu, old, score, y[i], curvatures[i])
                change = (alpha[i] - old) * inverse_counts[b] * (1.0 if loss_code == SQUARED else y[i])
                add_row(X, i, change, U, b)
                add_row(X, i, change, sums, 0)
