"""A torch module as a function of one flat vector that holds all its parameters, in the module's own order."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call


class FlatModule:
    """A module whose parameters are an argument, so that ``torch.func`` can train many copies side by side.

    Args:
        module: says how parameters become outputs; its own are the values to start from.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        named = list(module.named_parameters())
        self._names = [name for name, _ in named]
        self._shapes = [tuple(value.shape) for _, value in named]
        self._sizes = [value.numel() for _, value in named]
        self.size = sum(self._sizes)

    def __call__(self, flat: Tensor, X: Tensor) -> Tensor:
        """Return what the module makes of ``X`` with the (size,) parameters ``flat``."""
        parts = torch.split(flat, self._sizes)
        values = {n: part.reshape(shape) for n, part, shape in zip(self._names, parts, self._shapes, strict=True)}
        output: Tensor = functional_call(self.module, values, (X,))
        return output


def flat_values(module: torch.nn.Module) -> NDArray[np.float64]:
    """Return the (size,) parameters that a module holds."""
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in module.parameters()])
