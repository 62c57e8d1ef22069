"""Models in two parts: a trunk that tasks share, and a head that turns what the trunk sees into scores.

What ``learning.model`` may name. A factory takes the number of features and of outputs, and whatever else
``learning.model_arguments`` gives it; it returns a module with the children ``trunk`` and ``head``. It is called once
for every number of outputs there is, and must make the trunk first, so that all trunks start alike.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import nn


def with_head(trunk: nn.Module, head: nn.Module) -> nn.Sequential:
    """Return the module that applies ``head`` to what ``trunk`` gives."""
    return nn.Sequential(OrderedDict(trunk=trunk, head=head))


def linear_trunk(features: int, outputs: int, width: int = 4) -> nn.Module:
    """Return a linear map to ``width`` numbers that all tasks share, and a linear head, both without bias.

    The representation of L. Collins, H. Hassani, A. Mokhtari, S. Shakkottai, "Exploiting shared representations for
    personalized federated learning", ICML 2021. A constant feature, ``data.bias``, gives it an intercept.
    """
    trunk = nn.Linear(features, width, bias=False)
    return with_head(trunk, nn.Linear(width, outputs, bias=False))


def mlp(features: int, outputs: int, width: int = 16, layers: int = 1) -> nn.Module:
    """Return ``layers`` hidden layers of ``width`` units (tanh) that all tasks share, and a linear head."""
    widths = [features] + [width] * layers
    trunk: list[nn.Module] = []
    for before, after in pairwise(widths):
        trunk += [nn.Linear(before, after), nn.Tanh()]
    return with_head(nn.Sequential(*trunk), nn.Linear(width, outputs))
