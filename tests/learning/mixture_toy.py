"""Closed-form rows of four terminals for FedEM and its kin, the fourth of which takes no part, and the vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation, Unseen
from learning.mixtures import Mixture
from tests.learning.driving import federation_of

Array = NDArray[np.float64]

ROWS = (12, 8, 10, 9)
HELD_OUT = (100, 20)
REFERENCE: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "fedem_toy.json").read_text(encoding="utf-8")
)
ROUNDS = (1, 2, 5, 20)
DECAYED = {"weight_decay": 5e-4}
HEAVY = {"momentum": 0.9, "momentum_across_rounds": True} | DECAYED
"""Momentum as the reference has it."""


def terminal_rows(t: int, skipped: int = 0, count: int | None = None) -> tuple[Array, Array]:
    """Return (n, 5) rows of terminal t = 1..4, a constant among them, and their labels.

    x_ij = sin(1.3 i + .8 j^2 + 1.9 t) + .3 cos(.6 i j + t), and y = sign(x . w), w_j = cos j or sin 2 j; i, j from 1.
    Those that the terminal trains on come first.
    """
    i, j = skipped + np.arange(1, (count or ROWS[t - 1]) + 1)[:, None], np.arange(1, 5)
    x = np.sin(1.3 * i + 0.8 * j**2 + 1.9 * t) + 0.3 * np.cos(0.6 * i * j + t)
    second = (i[:, 0] + t) % 3 >= 1 + t % 2
    margin = np.where(second, x @ np.sin(2.0 * j), x @ np.cos(j))
    return np.column_stack([x, np.ones(len(x))]), np.where(margin > 0.0, 1.0, -1.0)


def components() -> Array:
    """Return the (10,) two models of the start: weights .1 sin(3 m + j) and constant .05 m, m = 1, 2."""
    m, j = np.arange(1, 3)[:, None], np.arange(1, 5)
    return np.column_stack([0.1 * np.sin(3 * m + j), 0.05 * m]).ravel()


def toy_federation() -> Federation:
    """Return one task of three terminals, and an unseen one of the fourth."""
    rows, labels = (np.concatenate(parts) for parts in zip(*(terminal_rows(t) for t in (1, 2, 3)), strict=True))
    made = federation_of(rows, labels, ROWS[:3], 1)
    X, y = terminal_rows(4)
    offsets = np.array([0, len(y)])
    held_out = type(made.test)(X, y, offsets)
    return replace(made, unseen=Unseen(X, y, offsets, np.zeros(1, np.int64), ("newcomer",), held_out))


def held_out_scores(mixture: Mixture, vectors: Array, terminals: Sequence[int]) -> Array:
    """Return (n, 2) mean log loss and accuracy of (n, M P + M) mixtures on held-out rows of terminals 1 to 4."""
    found = []
    for vector, t in zip(vectors, terminals, strict=True):
        X, y = terminal_rows(t, *HELD_OUT)
        margins = y * mixture.scores_each(vector[None], X, np.array([0, len(y)]))
        found.append((np.logaddexp(0.0, -margins).mean(), np.mean(margins > 0.0)))
    return np.array(found)
