"""A trunk with the heads of one terminal on it: from parameters and rows to scores, and to gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.func import vjp

from learning.data.targets import Target, Targets
from learning.flat_module import FlatModule
from learning.primal_dual import tensor_maths
from learning.primal_dual.losses import Loss


class Heads:
    """All that terminals with the same targets compute alike; their parameters are one vector, trunk then heads.

    Args:
        targets: what the heads predict.
        trunk: rows (n, d) to what all heads see.
        heads: one a target, to (n, outputs) scores.
        loss: of binary targets. Classes have the cross entropy of the softmax, values half the squared difference.
    """

    def __init__(self, targets: Targets, trunk: FlatModule, heads: Sequence[FlatModule], loss: Loss) -> None:
        self.targets = targets
        self._trunk, self._heads, self._loss = trunk, tuple(heads), loss
        self._sizes = [head.size for head in heads]
        self.size = trunk.size + sum(self._sizes)
        edges = list(accumulate((target.outputs for target in targets), initial=0))
        self.columns = [slice(a, b) for a, b in pairwise(edges)]

    def __call__(self, flat: Tensor, X: Tensor) -> Tensor:
        """Return (n, outputs) scores of all heads, side by side, of (n, d) rows."""
        seen = self._trunk(flat[: self._trunk.size], X)
        parts = torch.split(flat[self._trunk.size :], self._sizes)
        heads = zip(self._heads, parts, self.targets, strict=True)
        return torch.cat([head(part, seen).reshape(X.shape[0], target.outputs) for head, part, target in heads], dim=1)

    def gradient(self, flat: Tensor, moving: slice, X: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient of the weighted sum of the rows' losses in the ``moving`` part of the parameters.

        Args:
            flat: (size,) parameters.
            moving: which of them; what lies before is not differentiated through.
            X, labels, weights: (n, d), (n, targets), (n,) rows.
        """

        def scores_of(part: Tensor) -> Tensor:
            return self(torch.cat([flat[: moving.start], part, flat[moving.stop :]]), X)

        scores, pulled_back = vjp(scores_of, flat[moving])[:2]
        gradient: Tensor = pulled_back(self.slopes(scores, labels) * weights[:, None])[0]
        return gradient

    def slopes(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return (n, outputs) derivatives of a row's loss, summed over its targets, in its scores."""
        parts = zip(self.targets, self.columns, labels.unbind(1), strict=True)
        return torch.cat([self._slope(target, scores[:, at], y[:, None]) for target, at, y in parts], dim=1)

    def _slope(self, target: Target, scores: Tensor, y: Tensor) -> Tensor:
        if target.kind == "classes":
            return torch.softmax(scores, dim=1) - _members(y, target.classes)
        if target.kind == "binary" and self._loss.name == "logistic":
            return -y / (1.0 + torch.exp(y * scores))  # torch.sigmoid rounds differently with the place in the tensor
        return scores - y if target.kind == "values" else tensor_maths.derivative(self._loss, scores, y)


def _members(y: Tensor, classes: int) -> Tensor:
    """Return (n, classes): 1 in the column of the class of (n, 1) labels, 0 elsewhere."""
    return (y == torch.arange(classes, device=y.device)).to(y.dtype)
