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
from numba import njit, prange

from learning.primal_dual.kernel_maths import (
    COMPILED,
    CYCLIC,
    PERMUTATION,
    SQUARED,
    Array,
    add_row,
    conjugate,
    coordinate_step,
    curvature,
    dot,
    draw,
    fenchel_young,
    loss,
    philox_words,
    slope,
    touch,
)

# The cached kernels below are renewed when this line is; a test keeps it equal to the digest of the file it names.
KERNEL_MATHS_SHA256 = "49d04261950155f2b893af8df7a53093c436576bc0b1352d2b53ef3c0c858cac"


@njit(**COMPILED)
def _ascend(
    code: int,
    mu: float,
    X: Array,
    y: Array,
    norms: Array,
    alpha: Array,
    w: Array,
    steps: int,
    scale: float,
    stream: tuple[int, int, int, int],
    sampling: int,
    measures_gap: bool,
    a: Array,
    du: Array,
    gap: Array,
) -> None:
    """Do one job of :func:`local_dual_ascent`; arrays are its own slices, ``scale`` is sigma' / lam_n."""
    n, d = a.shape[0], w.shape[0]
    local, order = w.copy(), np.empty(n, np.int64)
    a[:] = alpha
    du[:] = touch(X)
    words, position = philox_words(0, 0, 0, 0, 0), 0
    for step in range(steps if n > 0 else 0):
        if step & 3 == 0 and sampling != CYCLIC:
            words = philox_words(step >> 2, stream[0], stream[1], stream[2], stream[3])
        i = draw(sampling, position, n, words[step & 3], order)
        position = position + 1 if position + 1 < n else 0
        q = scale * norms[i]
        if q > 0.0:
            old = a[i]
            a[i] = coordinate_step(code, mu, old, dot(X, i, local), y[i], q)
            sign = 1.0 if code == SQUARED else np.float64(y[i])
            add_row(X, i, scale * sign * (a[i] - old), local)
    for i in range(n):
        if a[i] != alpha[i]:
            sign = 1.0 if code == SQUARED else np.float64(y[i])
            add_row(X, i, sign * (a[i] - alpha[i]), du)
    gap[:] = np.nan
    if measures_gap:
        before = after = 0.0
        for j in range(d):
            local[j] = w[j] + scale * du[j]
        for i in range(n):
            before += fenchel_young(code, mu, dot(X, i, w), alpha[i], y[i])
            after += fenchel_young(code, mu, dot(X, i, local), a[i], y[i])
        gap[0], gap[1] = before, after


@njit(parallel=True, **COMPILED)
def squared_norms(X: Array, out: Array) -> None:
    """Write ||x_i||^2 of the rows of X (n, d) into ``out`` (n,)."""
    for i in prange(X.shape[0]):
        out[i] = dot(X, i, X[i])


@njit(parallel=True, **COMPILED)
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
    mu = curvature(loss_code, smoothing)
    for t in prange(terminals.shape[0]):
        j = terminals[t]
        mine = slice(offsets[j], offsets[j + 1])
        scale, stream = sigma_prime[t] / lam_n[t], (rounds[t], j, key0, key1)
        data = (X[mine], y[mine], norms[mine], alpha[mine])
        start = (w[t], steps[t], scale, stream, sampling, measures_gap)
        candidate = out_alpha[out_offsets[t] : out_offsets[t + 1]]
        _ascend(loss_code, mu, *data, *start, candidate, out_du[t], out_gap[t])


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
    out: Array,
) -> None:
    """Write (T, 3) sums over each job's rows: loss at w, conjugate at the duals, Fenchel-Young terms."""
    mu = curvature(loss_code, smoothing)
    for t in prange(terminals.shape[0]):
        losses = conjugates = terms = 0.0
        for i in range(offsets[terminals[t]], offsets[terminals[t] + 1]):
            score = dot(X, i, w[t])
            losses += loss(loss_code, mu, score, y[i])
            conjugates += conjugate(loss_code, mu, alpha[i], y[i])
            terms += fenchel_young(loss_code, mu, score, alpha[i], y[i])
        out[t, 0], out[t, 1], out[t, 2] = losses, conjugates, terms


@njit(**COMPILED)
def _descend(
    code: int,
    mu: float,
    X: Array,
    y: Array,
    anchor: Array,
    steps: int,
    batch: int,
    rate: float,
    ridge: float,
    proximal: float,
    stream: tuple[int, int, int, int],
    w: Array,
) -> None:
    """Do one job of :func:`local_sgd` on ``w`` in place; all arrays are the job's own slices."""
    n, d = X.shape[0], w.shape[0]
    gradient, order = np.empty(d), np.empty(n, np.int64)
    words = philox_words(0, 0, 0, 0, 0)
    used = first = 0
    for _ in range(steps if n > 0 else 0):
        count = min(batch, n - first)
        for j in range(d):
            gradient[j] = ridge * w[j] + proximal * (w[j] - anchor[j])
        for i in range(first, first + count):
            row = i
            if batch < n:
                if used & 3 == 0:
                    words = philox_words(used >> 2, stream[0], stream[1], stream[2], stream[3])
                row = draw(PERMUTATION, used % n, n, words[used & 3], order)
                used += 1
            add_row(X, row, slope(code, mu, dot(X, row, w), y[row]) / count, gradient)
        for j in range(d):
            w[j] -= rate * gradient[j]
        first = (first + count) % n


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
    proximal: float,
    rounds: Array,
    key0: int,
    key1: int,
    out_w: Array,
) -> None:
    """Do minibatch SGD on mean loss + ridge/2 ||w||^2 + proximal/2 ||w - anchor||^2 of each job's rows.

    An epoch visits every row once in a fresh random order, in batches of ``batch`` rows of which the last
    holds what is left: E epochs are E * ceil(n_j / batch) steps, and ``batch >= n_j`` is gradient descent.

    Args:
        anchor: (T, d) centre of the proximal term (FedProx), the broadcast model as a rule.
        steps: (T,) int64 steps of each job; learning_rate: (T,).
        out_w: (T, d) the models reached.
    """
    mu = curvature(loss_code, smoothing)
    for t in prange(terminals.shape[0]):
        j = terminals[t]
        lo, hi = offsets[j], offsets[j + 1]
        out_w[t] = w[t]
        stream = (rounds[t], j, key0, key1)
        _descend(
            loss_code,
            mu,
            X[lo:hi],
            y[lo:hi],
            anchor[t],
            steps[t],
            batch,
            learning_rate[t],
            ridge,
            proximal,
            stream,
            out_w[t],
        )


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
    order = np.empty(n, np.int64)
    words = philox_words(0, 0, 0, 0, 0)
    for epoch in range(first_epoch, first_epoch + epochs):
        for position in range(n):
            if position & 3 == 0:
                words = philox_words(position >> 2, epoch, 0, 0, 0)
            i = draw(PERMUTATION, position, n, words[position & 3], order)
            if curvatures[i] > 0.0:
                b, old = task[i], alpha[i]
                score = own * dot(X, i, U[b]) + shared * dot(X, i, total)
                alpha[i] = coordinate_step(loss_code, mu, old, score, y[i], curvatures[i])
                change = (alpha[i] - old) * inverse_counts[b] * (1.0 if loss_code == SQUARED else y[i])
                add_row(X, i, change, U[b])
                add_row(X, i, change, total)
