"""Trunks and heads for the tests of hard parameter sharing: settings, rounds without a network, and plain torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from learning import trunks
from learning.data.federate import Federation
from learning.primal_dual.losses import make_loss
from learning.setting import Setting
from learning.shared_trunk import SharedTrunkModel
from tests.learning.driving import cohort_of, setting_of

Array = NDArray[Any]
EVERYTHING = 1000
MODEL = {"loss": "logistic", "model": "learning.trunks:mlp", "model_arguments": {"width": 6}, "lambda1": 1e-4}
METHODS = {"fedrep": {"head_iterations": 3}, "fedper": {"local_iterations": 4}, "fedavg": {}, "local": {"chunks": 3}}
SHARED = {"learning": MODEL, "budget": {"cost": 400}, "methods": METHODS}
TRUNK = 5 * 6 + 6  # four features and the bias


def shared_setting(
    federation: Federation,
    loss: str = "logistic",
    make: Any = trunks.mlp,
    heads_only: Any = None,
    eager: bool = False,
    **arguments: Any,
) -> Setting:
    """Return a setting whose model has a trunk and heads, with next to no ridge."""
    setting = setting_of(federation, loss, lambda1=1e-30, lambda2=0.0, eager=eager)
    model = SharedTrunkModel(make, arguments, federation, make_loss(loss), "cpu", heads_only)
    return replace(setting, model=model, heads_only=heads_only)


def rounds(method: Any, count: int) -> None:
    """Run cloud rounds in which every update arrives, without measuring."""
    plan, sites = method.make_controller().plan(None), list(range(method.setting.tasks))
    for _ in range(count):
        method.adopt(np.array(sites))
        cohort = cohort_of(method.setting.federation, sites)
        method.merge(cohort, method.train(cohort, plan), np.full(len(cohort.terminals), True))
        method.combine()


def torch_copies(models: Array, features: int, width: int) -> tuple[torch.nn.Module, list[torch.nn.Module]]:
    """Return a trunk and one head a terminal as ordinary modules, with the (M, P) parameters."""
    trunk = torch.nn.Sequential(torch.nn.Linear(features, width), torch.nn.Tanh()).double()
    heads: list[torch.nn.Module] = [torch.nn.Linear(width, 1).double() for _ in models]
    for model, head in zip(models, heads, strict=True):
        flat = torch.as_tensor(model)
        torch.nn.utils.vector_to_parameters(flat[: width * (features + 1)], trunk.parameters())
        torch.nn.utils.vector_to_parameters(flat[width * (features + 1) :], head.parameters())
    return trunk, heads


def joint_loss(
    trunk: torch.nn.Module, heads: list[torch.nn.Module], federation: Federation, shares: Array
) -> torch.Tensor:
    """Return the weighted sum over terminals of the mean logistic loss of each one's rows."""
    cuts, total = federation.terminal_offsets, torch.zeros((), dtype=torch.float64)
    for k, (head, share) in enumerate(zip(heads, shares, strict=True)):
        X, y = (torch.as_tensor(a[cuts[k] : cuts[k + 1]]) for a in (federation.X, federation.y))
        total = total + share * torch.nn.functional.softplus(-y * head(trunk(X))[:, 0]).mean()
    return total
