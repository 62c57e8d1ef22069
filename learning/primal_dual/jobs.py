"""Work orders a base station hands to its terminals and what comes back, as plain stacked arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Sampling(IntEnum):
    """How a terminal picks the row of each dual step."""

    UNIFORM = 0  # with replacement
    PERMUTATION = 1  # a fresh random order every epoch
    CYCLIC = 2  # the stored order, over and over


def host(values: Any) -> Array:
    """Return an array or tensor of a solver as float64 in the host's memory."""
    return np.asarray(values if isinstance(values, np.ndarray) else values.cpu().numpy(), np.float64)


def _require_lengths(owner: object, names: tuple[str, ...], length: int) -> None:
    for name in names:
        shape = np.shape(getattr(owner, name))
        if not shape or shape[0] != length:
            raise ValueError(f"{name} has shape {shape}: allowed: one entry for each of the {length} jobs")


@dataclass(frozen=True)
class AscentJobs:
    """T independent rounds of local dual ascent.

    Args:
        terminals: (T,) int64, whose rows each job works on.
        w: (S, d) the models that were sent.
        steps: (T,) int64, coordinate steps H_j >= 0 of each job (0 where a terminal has no time).
        sigma_prime: (T,) safety factor of the sub-problem, see :class:`~.aggregation.SafeAggregation`.
        lam_n: (T,) (lambda1 + lambda2) times the sample count of the terminal's whole task.
        rounds: (T,) int64 below 2**32, round index of the row stream.
        key: two 32-bit words, ``Streams.key(purpose)``.
        sampling: how rows are picked.
        measures_gap: whether the gaps before and after are wanted; each costs a pass over the rows.
        sent: (T,) int64, which of the models each job was sent; None: a model each.

    Raises:
        ValueError: if lengths disagree, a step count is negative or a factor is not above 0.
    """

    terminals: Array
    w: Array
    steps: Array
    sigma_prime: Array
    lam_n: Array
    rounds: Array
    key: tuple[int, int]
    sampling: Sampling = Sampling.UNIFORM
    measures_gap: bool = True
    sent: Array | None = None

    def __post_init__(self) -> None:
        names = ("w" if self.sent is None else "sent", "steps", "sigma_prime", "lam_n", "rounds")
        _require_lengths(self, names, len(self.terminals))
        if np.any(np.asarray(self.steps) < 0):
            raise ValueError("steps holds a negative count: allowed: 0 and above")
        if not (np.all(np.asarray(self.sigma_prime) > 0.0) and np.all(np.asarray(self.lam_n) > 0.0)):
            raise ValueError("sigma_prime or lam_n holds a value that is not above 0")

    @property
    def models(self) -> Array:
        """(T, d) the model that each job was sent."""
        return self.w if self.sent is None else self.w[self.sent]


@dataclass(frozen=True)
class AscentUpdates:
    """What T rounds of local dual ascent produced; nothing is committed yet.

    Args:
        terminals: (T,) int64, as in the jobs.
        du: (T, d) sum over the terminal's rows of (beta_new - beta_old) x: what a terminal uploads; on the solver's
            device (array or tensor).
        gap: (T, 2) sums of Fenchel-Young terms: at the received model with the old duals, and at the terminal's
            own model with the new ones. Their ratio tells how well the local sub-problem was solved. NaN if the
            jobs did not ask for them.
        alpha: flat candidate duals, on the device likewise.
        offsets: (T + 1,) int64 ranges of the jobs in ``alpha``.
    """

    terminals: Array
    du: Any
    gap: Array
    alpha: Any
    offsets: Array

    def split(self, sizes: Sequence[int]) -> list[AscentUpdates]:
        """Return the updates of the first ``sizes[0]`` jobs, of the next ``sizes[1]``, and so on, without copying."""
        if len(sizes) == 1:
            return [self]
        edges = np.concatenate([[0], np.cumsum(sizes)])
        return [self._part(int(a), int(b)) for a, b in pairwise(edges)]

    def _part(self, a: int, b: int) -> AscentUpdates:
        first, last = int(self.offsets[a]), int(self.offsets[b])
        offsets = self.offsets[a : b + 1] - first
        return AscentUpdates(self.terminals[a:b], self.du[a:b], self.gap[a:b], self.alpha[first:last], offsets)


@dataclass(frozen=True)
class SgdJobs:
    """T independent rounds of local minibatch SGD (FedAvg, FedProx, purely local training).

    Args:
        terminals: (T,) int64.
        w: (T, d) starting models.
        anchor: (T, d) centres of the proximal term.
        steps: (T,) int64 steps; E epochs are E * ceil(n_j / batch) of them.
        learning_rate: (T,).
        rounds: (T,) int64 below 2**32, round index of the row stream.
        key: two 32-bit words, ``Streams.key(purpose)``.
        batch: rows a step; n_j and above is full-batch gradient descent.
        ridge: weight of ||w||^2 / 2.
        proximal: weight of ||w - anchor||^2 / 2, of all jobs or (T,); 0 is FedAvg.
        before: steps that all jobs have done of this round already: their rows are passed over, so that a round done
            in pieces meets the rows of a round done at once.
        weights: (r,) float64 factor of the loss of every row, the jobs' rows laid end to end, each job's in stored
            order; None is 1 everywhere. A batch's mean is over its rows, whatever they weigh.
        momentum: m of a step v <- m v + gradient, w <- w - learning_rate v; 0 is a plain step.
        velocity: (T, d) v that each job goes on with, changed in place to what it is after; None without momentum.

    Raises:
        ValueError: if lengths disagree, a step count is negative, the batch is empty, or there is momentum without
            velocities.
    """

    terminals: Array
    w: Array
    anchor: Array
    steps: Array
    learning_rate: Array
    rounds: Array
    key: tuple[int, int]
    batch: int
    ridge: float = 0.0
    proximal: float | Array = 0.0
    before: int = 0
    weights: Array | None = None
    momentum: float = 0.0
    velocity: Array | None = None

    def __post_init__(self) -> None:
        own = (("proximal", np.ndim(self.proximal) > 0), ("velocity", self.velocity is not None))
        names = ("w", "anchor", "steps", "learning_rate", "rounds", *(name for name, given in own if given))
        _require_lengths(self, names, len(self.terminals))
        if self.momentum != 0.0 and self.velocity is None:
            raise ValueError("momentum without velocity: allowed: (T, d) numbers to go on with, 0 at rest")
        if np.any(np.asarray(self.steps) < 0) or self.batch < 1 or self.before < 0:
            raise ValueError("steps or before below 0, or batch below 1")
