"""Torch modules as a user would write them in a file of their own, good ones and bad ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def linear(features: int) -> nn.Module:
    """The linear model, whose scores come as a column."""
    return nn.Linear(features, 1, bias=False)


def perceptron(features: int) -> nn.Module:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(features, 6), nn.Tanh(), nn.Linear(6, 1))


class Flat(nn.Module):
    """A score function of shape (n,), with tied parameters and a layer that finds its own width."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.LazyLinear(3)
        self.again = self.hidden

    def forward(self, rows: Tensor) -> Tensor:
        """Return (n,) scores."""
        return torch.tanh(self.again(rows)).sum(dim=1)


def flat(features: int) -> nn.Module:
    """Scores of shape (n,)."""
    return Flat()


def two_scores(features: int) -> nn.Module:
    """Two scores a row."""
    return nn.Linear(features, 2)


def wrong_width(features: int) -> nn.Module:
    """A module for other rows."""
    return nn.Linear(features + 1, 1)


def no_module(features: int) -> int:
    """Not a module at all."""
    return features


def no_argument() -> nn.Module:
    """A factory that does not want to know the number of features."""
    return nn.Linear(3, 1)


class Pair(nn.Module):
    """A module that returns two things."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(1)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores twice."""
        return self.layer(rows), self.layer(rows)


def pair(features: int) -> nn.Module:
    """Not one tensor."""
    return Pair()


def nothing_to_learn(features: int) -> nn.Module:
    """No parameters."""
    return nn.Softmax(dim=1) if features == 1 else nn.AvgPool1d(features)


def batch_norm(features: int) -> nn.Module:
    """Statistics of the batch cannot be kept for many terminals at once."""
    return nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, 1))


def dropout(features: int) -> nn.Module:
    """Randomness that no seed of a run controls."""
    return nn.Sequential(nn.Linear(features, 4), nn.Dropout(0.5), nn.Linear(4, 1))


def headless(features: int, outputs: int) -> nn.Module:
    """A model with outputs and no parts."""
    return nn.Linear(features, outputs)


def loose(features: int, outputs: int) -> nn.Module:
    """A trunk and a head, and parameters that are of neither."""
    parts = nn.ModuleDict({"trunk": nn.Linear(features, 3), "head": nn.Linear(3, outputs)})
    parts["scale"] = nn.Linear(outputs, outputs)
    return parts


def swollen(features: int, outputs: int) -> nn.Module:
    """A trunk that is as wide as there are outputs."""
    return nn.Sequential(OrderedDict(trunk=nn.Linear(features, outputs), head=nn.Linear(outputs, outputs)))


def bare(features: int, outputs: int) -> nn.Module:
    """A trunk that learns nothing."""
    return nn.Sequential(OrderedDict(trunk=nn.Tanh(), head=nn.Linear(features, outputs)))


def narrow(features: int, outputs: int) -> nn.Module:
    """A head with one output, whatever is asked for."""
    return nn.Sequential(OrderedDict(trunk=nn.Linear(features, 3), head=nn.Linear(3, 1)))


def normed(features: int, outputs: int) -> nn.Module:
    """A trunk with statistics of the batch."""
    trunk = nn.Sequential(nn.Linear(features, 3), nn.BatchNorm1d(3))
    return nn.Sequential(OrderedDict(trunk=trunk, head=nn.Linear(3, outputs)))


def mixed_tasks(kinds: Sequence[Any] = ("binary", "classes:3", "values", "both"), rows: int = 120) -> dict[str, Any]:
    """Return tasks of different label spaces that the same two directions of three features explain."""
    rng, made = np.random.default_rng(0), {}
    for number, kind in enumerate(kinds):
        X = rng.normal(size=(rows, 3))
        side, turn = np.where(X[:, 0] > 0, 1.0, -1.0), np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7]).astype(float)
        labels = {"binary": side, "classes:3": turn, "classes": turn, "values": 2.0 * X[:, 0] - X[:, 1]}
        task = f"{number}-{kind}"
        if kind == "both":
            made[task] = (X, np.column_stack([turn, side]), {"turn": "classes", "side": "binary"})
        else:
            made[task] = (X, labels[kind], kind)
    return made
