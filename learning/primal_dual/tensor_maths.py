"""Arithmetic of many data rows at once in plain tensors: losses, dual steps and the random row streams.

The formulas are those of ``losses``; the streams are those of ``scenarios.streams``, word for word.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from learning.primal_dual.jobs import Sampling
from learning.primal_dual.losses import Loss

_MASK = 0xFFFFFFFF
_AHEAD = 64  # steps whose random words are made together, a multiple of 4


def _wide_product(a: int, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the high and low 32 bits of a * b; 16-bit limbs keep every product inside a signed 64-bit word."""
    low = a * (b & 0xFFFF)
    high = a * (b >> 16) + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def philox_words(blocks: Tensor, rounds: Tensor, terminals: Tensor, key: tuple[int, int]) -> list[Tensor]:
    """Return the four (b, T) int64 words of ``scenarios.streams.philox((block, rounds, terminals, 0), key)``.

    Args:
        blocks: (b,) int64.
        rounds, terminals: (T,) int64.
        key: two 32-bit words.
    """
    c1, c0 = torch.broadcast_tensors(rounds, blocks[:, None])
    c2, c3 = terminals.expand_as(c1), torch.zeros_like(c1)
    k0, k1 = key
    for _ in range(10):
        (high0, low0), (high1, low1) = _wide_product(0xD2511F53, c0), _wide_product(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return [c0, c1, c2, c3]


def row_stream(
    sampling: Sampling, counts: Tensor, rounds: Tensor, terminals: Tensor, key: tuple[int, int]
) -> Iterator[Tensor]:
    """Yield, step after step and without end, the (T,) row each job picks among its own ``counts`` rows."""
    size = counts.clamp(min=1)
    identity = torch.arange(int(size.max()) if len(size) else 1, device=counts.device)
    order = identity.repeat(len(counts), 1)
    step, words = 0, torch.zeros_like(counts)[None]
    while True:
        if step % _AHEAD == 0 and sampling != Sampling.CYCLIC:
            blocks = torch.arange(step // 4, (step + _AHEAD) // 4, device=counts.device)
            words = torch.stack(philox_words(blocks, rounds, terminals, key), dim=1).flatten(0, 1)
        position, word = step % size, words[step % len(words)]
        if sampling == Sampling.UNIFORM:
            yield (word * size) >> 32
        elif sampling == Sampling.CYCLIC:
            yield position
        else:
            order = torch.where((position == 0)[:, None], identity, order)
            other = position + ((word * (size - position)) >> 32)
            picked = order.gather(1, other[:, None])
            order.scatter_(1, other[:, None], order.gather(1, position[:, None]))
            order.scatter_(1, position[:, None], picked)
            yield picked[:, 0]
        step += 1


def sign(loss: Loss, y: Tensor) -> Tensor:
    """Return s with beta = s * a."""
    return torch.ones_like(y) if loss.name == "squared" else y


def _softplus(x: Tensor) -> Tensor:
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))


def value(loss: Loss, scores: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each score."""
    if loss.name == "squared":
        return (scores - y) ** 2 / 2
    if loss.name == "logistic":
        return _softplus(-y * scores)
    short = (1 - y * scores).clamp(min=0)
    if loss.name == "hinge":
        return short
    if loss.name == "squared_hinge":
        return short**2 / 2
    return torch.where(short < loss.smoothing, short**2 / (2 * loss.smoothing), short - loss.smoothing / 2)


def derivative(loss: Loss, scores: Tensor, y: Tensor) -> Tensor:
    """Return d loss / d score of each score."""
    if loss.name == "squared":
        return scores - y
    if loss.name == "logistic":
        return -y * torch.sigmoid(-y * scores)
    short = (1 - y * scores).clamp(min=0)
    if loss.name == "hinge":
        return -y * (short > 0)
    return -y * (short if loss.name == "squared_hinge" else (short / loss.smoothing).clamp(max=1))


def conjugate(loss: Loss, a: Tensor, y: Tensor) -> Tensor:
    """Return loss*(-beta) of duals inside their domain."""
    if loss.name == "squared":
        return a**2 / 2 - a * y
    if loss.name == "logistic":
        return torch.xlogy(a, a) + torch.xlogy(1 - a, 1 - a)
    return -a + loss.smoothness * a**2 / 2


def fenchel_young(loss: Loss, scores: Tensor, a: Tensor, y: Tensor) -> Tensor:
    """Return loss + conjugate + beta * score >= 0, written without cancellation."""
    mu, m = loss.smoothness, y * scores
    if loss.name == "squared":
        return (scores - y + a) ** 2 / 2
    if loss.name == "logistic":
        return (conjugate(loss, a, y) + a * _softplus(m) + (1 - a) * _softplus(-m)).clamp(min=0)
    met = a * (m - 1) + mu * a**2 / 2
    linear = (1 - a) * (1 - m - mu * (1 + a) / 2)
    if loss.name == "hinge":
        return torch.where(m >= 1, met, linear)
    curved = (1 - m - mu * a) ** 2 / (2 * mu)
    if loss.name == "squared_hinge":
        return torch.where(m >= 1, met, curved)
    return torch.where(m >= 1, met, torch.where(1 - m < mu, curved, linear))


def step(loss: Loss, a: Tensor, scores: Tensor, y: Tensor, q: Tensor) -> Tensor:
    """Return the duals that maximise each job's sub-problem along one coordinate, q > 0."""
    mu, m = loss.smoothness, y * scores
    if loss.name == "squared":
        return a + (y - scores - a) / (q + 1)
    if loss.name == "logistic":
        return _logistic_step(a, m, q)
    best = (a + (1 - m - mu * a) / (q + mu)).clamp(min=0)
    return best if loss.name == "squared_hinge" else best.clamp(max=1)


def _logistic_step(a: Tensor, m: Tensor, q: Tensor) -> Tensor:
    """Return the roots c of m + q (c - a) + logit(c) = 0 by Newton in z = logit(c), on the root's side of 0."""
    low, high = -m - q * (1 - a), -m + q * a
    negative = m + q * (0.5 - a) >= 0
    low, high = torch.where(negative, low, low.clamp(min=0)), torch.where(negative, high.clamp(max=0), high)
    z = (-m).clamp(low, high)
    noise = 2 * torch.finfo(m.dtype).eps * (1 + m.abs() + q)
    for _ in range(100):
        c = torch.sigmoid(z)
        f = m + q * (c - a) + z
        z = (z - f / (1 + q * c * torch.sigmoid(-z))).clamp(low, high)
        if bool((f.abs() <= noise).all()):
            break
    return torch.sigmoid(z)
