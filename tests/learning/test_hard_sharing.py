"""Hard parameter sharing: reference vectors, one SGD step for all tasks, and heads that never travel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from learning import trunks
from learning.data.federate import Federation
from learning.methods.fedper import FedPer, JointParameters
from learning.methods.fedrep import AlternatingParameters, FedRep
from learning.primal_dual.losses import make_loss
from learning.setting import Setting
from learning.shared_trunk import SharedTrunkModel
from netsim.port import CLOUD
from tests.learning.driving import cohort_of, federation_of, random_federation, setting_of, weights_of

Array = NDArray[Any]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "hard_sharing_toy.json").read_text())
EVERYTHING = 1000


def shared_setting(federation: Federation, loss: str = "logistic", make: Any = trunks.mlp, **arguments: Any) -> Setting:
    """Return a setting whose model has a trunk and heads, with next to no ridge."""
    setting = setting_of(federation, loss, lambda1=1e-30, lambda2=0.0)
    return replace(setting, model=SharedTrunkModel(make, arguments, federation, make_loss(loss), "cpu"))


# The linear toy -----------------------------------------------------------------------------------------------


def toy_federation() -> Federation:
    """Three terminals of eight rows: x = sin(1.3 i + .8 j^2 + 1.9 t), y = x B* h*_t, B*_ab = cos(a + 2 b), from 1."""
    i, j = np.arange(1, 9)[:, None], np.arange(1, 5)
    X = np.concatenate([np.sin(1.3 * i + 0.8 * j**2 + 1.9 * t) for t in (1, 2, 3)])
    B = np.cos(np.arange(1, 5)[:, None] + 2 * np.arange(1, 3))
    heads = [np.array([np.sin(t), np.cos(2 * t)]) for t in (1, 2, 3)]
    y = np.concatenate([X[8 * k : 8 * k + 8] @ B @ h for k, h in enumerate(heads)])
    return federation_of(X, y, [8, 8, 8], 3)


def toy_method(name: str) -> Any:
    """Return FedRep or FedPer at the start of the toy: B_ab = .3 sin(a + b), h = .1."""
    setting = shared_setting(toy_federation(), "squared", trunks.linear_trunk, width=2)
    common: dict[str, Any] = {"batch_size": EVERYTHING, "learning_rate": 0.05, "average": "terminals"}
    method: Any = FedRep(setting, AlternatingParameters(head_iterations=5, trunk_iterations=1, **common))
    if name == "fedper":
        method = FedPer(setting, JointParameters(local_iterations=5, **common))
    trunk = 0.3 * np.sin(np.arange(1, 5) + np.arange(1, 3)[:, None])  # (width, features), as torch keeps it
    method._cloud.values[:] = trunk.ravel()
    method._held.values[:] = np.concatenate([trunk.ravel(), [0.1, 0.1]])
    return method


def rounds(method: Any, count: int) -> None:
    """Run cloud rounds in which every update arrives, without measuring."""
    plan, sites = method.make_controller().plan(None), list(range(method.setting.tasks))
    for _ in range(count):
        method.adopt(np.array(sites))
        cohort = cohort_of(method.setting.federation, sites)
        method.merge(cohort, method.train(cohort, plan), np.full(len(cohort.terminals), True))
        method.combine()


def objective(method: Any) -> float:
    """Return the objective of what the terminals hold."""
    measured = method.evaluate(CLOUD)
    method.settle()
    return float(measured.scalars["objective"])


@pytest.mark.parametrize(("name", "last"), [("fedrep", 500), ("fedper", 10)])
def test_the_linear_toy_follows_its_reference_vectors(name: str, last: int) -> None:
    method, reference, done = toy_method(name), VECTORS[name], 0
    method._held.values[:, :8] = method._cloud.values
    assert objective(method) == pytest.approx(reference["loss0"], abs=1e-14)
    for number in (number for number in (1, 2, 10, 500) if number <= last):
        rounds(method, number - done)
        done, expected = number, reference[str(number)]
        models = weights_of(method)
        assert objective(method) == pytest.approx(expected["loss"], abs=1e-13)
        np.testing.assert_allclose(models[0, :8].reshape(2, 4).T, expected["B"], atol=1e-11)
        np.testing.assert_allclose(models[:, 8:], expected["H"], atol=1e-11)


# One step for all tasks ---------------------------------------------------------------------------------------


def one_step_methods(setting: Setting, average: str) -> FedPer:
    """Return FedPer that takes one full step a round."""
    values: dict[str, Any] = {"batch_size": EVERYTHING, "learning_rate": 0.3, "average": average}
    return FedPer(setting, JointParameters(local_iterations=1, **values))


@pytest.mark.parametrize("average", ["terminals", "rows"])
def test_one_step_of_everybody_is_centralised_multi_task_sgd(average: str) -> None:
    federation = random_federation(3, tasks=2, terminals=3, loss="logistic")
    setting = shared_setting(federation, width=5)
    method = one_step_methods(setting, average)
    trunk, heads = torch_copies(weights_of(method), features=4, width=5)
    sizes = np.diff(federation.terminal_offsets)
    shares = sizes / sizes.sum() if average == "rows" else np.full(6, 1.0 / 6.0)
    groups = [{"params": trunk.parameters(), "lr": 0.3}]
    groups += [{"params": head.parameters(), "lr": 0.3 / share} for head, share in zip(heads, shares, strict=True)]
    descent = torch.optim.SGD(groups)  # a head has its own loss to itself: its share of the sum is undone by its rate
    for _ in range(4):
        rounds(method, 1)
        descent.zero_grad()
        joint_loss(trunk, heads, federation, shares).backward()
        descent.step()
    found = weights_of(method)
    for k, head in enumerate(heads):
        parts = [p.detach().numpy().ravel() for p in (*trunk.parameters(), *head.parameters())]
        np.testing.assert_allclose(found[k], np.concatenate(parts), rtol=0.0, atol=1e-12)
    assert np.abs(found[0] - found[1]).max() > 1e-3


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
