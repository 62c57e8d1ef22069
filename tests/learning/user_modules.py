"""Torch modules as a user would write them in a file of their own, good ones and bad ones."""

from __future__ import annotations

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
