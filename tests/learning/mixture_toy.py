"""Closed-form rows of four terminals for FedEM, the fourth of which takes no part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation, Unseen
from tests.learning.driving import federation_of

Array = NDArray[np.float64]

ROWS = (12, 8, 10, 9)


def terminal_rows(t: int) -> tuple[Array, Array]:
    """Return (n, 5) rows of terminal t = 1..4, a constant among them, and their labels.

    x_ij = sin(1.3 i + .8 j^2 + 1.9 t) + .3 cos(.6 i j + t), and y = sign(x . w), w_j = cos j or sin 2 j; i, j from 1.
    """
    i, j = np.arange(1, ROWS[t - 1] + 1)[:, None], np.arange(1, 5)
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
