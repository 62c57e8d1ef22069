"""A torch module is trained by the same SGD as the linear model; what cannot be trained is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.models import LinearModel
from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.losses import LOSSES
from learning.setting import Setting
from scenarios.errors import ScenarioError
from scenarios.streams import Streams
from tests.learning import user_modules
from tests.learning.driving import Driver, random_federation, scenario_of, setting_of, simulated

Array = NDArray[Any]


def pair_of_settings(loss: str) -> tuple[Setting, Setting]:
    """Return the same problem with the linear model and with the torch module that is linear."""
    federation = random_federation(5, loss=loss)
    return setting_of(federation, loss), setting_of(federation, loss, module=user_modules.linear)


def jobs_on(federation: Federation, batch: int, seed: int = 0) -> SgdJobs:
    """Return SGD jobs of very different lengths for all terminals, from random models and anchors."""
    rng = np.random.default_rng(seed)
    T, d = len(federation.terminal_task), federation.X.shape[1]
    return SgdJobs(
        terminals=np.arange(T)[::-1].copy(),
        w=rng.normal(size=(T, d)),
        anchor=rng.normal(size=(T, d)),
        steps=rng.integers(0, 12, T),
        learning_rate=rng.uniform(0.01, 0.3, T),
        rounds=rng.integers(0, 50, T),
        key=Streams(3).key("rows"),
        batch=batch,
        ridge=0.05,
        proximal=rng.uniform(0.0, 0.5, T),
        before=2,
    )


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_linear_module_takes_the_steps_of_the_linear_model(loss: str, batch: int) -> None:
    linear, torch_linear = pair_of_settings(loss)
    jobs = jobs_on(linear.federation, batch)
    weighted = replace(jobs, weights=np.random.default_rng(1).uniform(0.0, 2.0, len(linear.federation.y)))
    for each in (jobs, weighted):
        expected, found = linear.model.descend(each), torch_linear.model.descend(each)
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
        assert np.abs(expected - jobs.w).max() > 0.1


def test_the_linear_module_scores_like_the_linear_model() -> None:
    linear, torch_linear = pair_of_settings("logistic")
    w, X = np.arange(4.0), linear.federation.X
    np.testing.assert_allclose(torch_linear.model.scores(w, X), linear.model.scores(w, X), atol=1e-13)
    assert torch_linear.model.scores(w, X[:0]).shape == linear.model.scores(w, X[:0]).shape == (0,)
    assert linear.model.linear and not torch_linear.model.linear
    assert linear.model.size == torch_linear.model.size == 4


def test_fedavg_of_the_linear_module_is_fedavg_of_the_linear_model() -> None:
    found = []
    for setting in pair_of_settings("smoothed_hinge"):
        method = FedAvg(setting, AveragingParameters(local_iterations=3, bs_iterations=2))
        method._cloud.values[:] = 0.0  # where the linear model starts; a torch module has its own start
        found.append(Driver(method).run(Plan(3, 2), 4).models())
    np.testing.assert_allclose(found[1], found[0], atol=1e-12)


def test_parameters_are_one_vector_in_the_modules_own_order() -> None:
    setting = setting_of(random_federation(1), module=user_modules.perceptron)
    flat, X = np.random.default_rng(0).normal(size=setting.model.size), setting.federation.X
    module = user_modules.perceptron(4).double()
    values = torch.as_tensor(flat)
    shapes = [(name, p.shape) for name, p in module.named_parameters()]
    parts = torch.split(values, [int(np.prod(shape)) for _, shape in shapes])
    named = {name: part.reshape(shape) for (name, shape), part in zip(shapes, parts, strict=True)}
    expected = functional_call(module, named, (torch.as_tensor(X),)).detach().numpy()[:, 0]
    assert setting.model.size == 4 * 6 + 6 + 6 + 1
    np.testing.assert_allclose(setting.model.scores(flat, X), expected, atol=1e-13)


def test_the_initial_model_depends_on_the_seed_of_the_run_and_on_nothing_else() -> None:
    model = setting_of(random_federation(1), module=user_modules.perceptron).model
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = model.initial(Streams(0))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    np.testing.assert_array_equal(model.initial(Streams(0)), first)
    assert not np.array_equal(model.initial(Streams(1)), first)
    assert np.abs(first).max() > 0.0
    linear = setting_of(random_federation(1)).model
    np.testing.assert_array_equal(linear.initial(Streams(0)), np.zeros(4))


def test_scores_may_come_as_a_vector_and_parameters_may_be_tied() -> None:
    setting = setting_of(random_federation(1), module=user_modules.flat)
    assert setting.model.size == 3 * 4 + 3
    assert setting.model.scores(np.ones(15), setting.federation.X).shape == (len(setting.federation.y),)


def test_a_perceptrons_step_is_the_one_autograd_gives() -> None:
    setting = setting_of(random_federation(2, loss="logistic"), "logistic", module=user_modules.perceptron)
    federation, w = setting.federation, setting.model.initial(Streams(4))
    T = len(federation.terminal_task)
    start = np.tile(w, (T, 1))
    ones = np.ones(T, np.int64)
    jobs = SgdJobs(np.arange(T), start, start, ones, 0.3 * ones, 0 * ones, (0, 0), 100, 0.05, 7.0)
    found = setting.model.descend(jobs)
    for j in range(T):
        rows = slice(federation.terminal_offsets[j], federation.terminal_offsets[j + 1])
        X, y = torch.as_tensor(federation.X[rows]), torch.as_tensor(federation.y[rows])
        flat = torch.tensor(w, requires_grad=True)
        one, two, three, four = torch.split(flat, [24, 6, 6, 1])
        scores = torch.tanh(X @ one.reshape(6, 4).T + two) @ three + four
        loss = torch.nn.functional.softplus(-y * scores).mean() + 0.025 * (flat**2).sum()
        loss.backward()
        assert flat.grad is not None
        np.testing.assert_allclose(found[j], w - 0.3 * flat.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two_scores", r"one score per row"),
        ("wrong_width", r"a module for rows \(n, d\)"),
        ("no_module", r"a function returning a torch.nn.Module"),
        ("no_argument", r"a function of one argument, the number of features"),
        ("pair", r"a module for rows \(n, d\)"),
        ("nothing_to_learn", r"that depends on parameters"),
        ("batch_norm", r"batch norm and dropout are not"),
        ("dropout", r"batch norm and dropout are not"),
    ],
)
def test_a_module_that_cannot_be_trained_is_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        setting_of(random_federation(1), module=getattr(user_modules, name))
    assert str(refused.value).startswith("learning.model = ") and "\n" not in str(refused.value)


def test_a_perceptron_learns_under_fedavg_in_the_network() -> None:
    scenario = scenario_of(
        {
            "learning": {"loss": "logistic", "model": "tests.learning.user_modules:perceptron", "lambda1": 1e-4},
            "budget": {"cost": 2500},
            "methods": {"fedavg": {"local_iterations": 20, "learning_rate": 0.5, "batch_size": 8}},
        }
    )
    result, method = simulated(scenario, "fedavg")
    objective = [row["objective"] for row in result.rounds if row["event"] in ("start", "cloud")]
    assert objective[-1] < 0.9 * objective[0]
    assert method.setting.model.size == 5 * 6 + 6 + 6 + 1  # four features and the bias
    bits = 32 * method.setting.model.size + 1024
    up = sum(row["bytes_up"] for row in result.terminals)
    assert up == pytest.approx(bits / 8 * sum(row["merged"] for row in result.terminals), rel=1e-12)
    eager, _ = simulated(scenario, "fedavg", eager=True)
    np.testing.assert_allclose(
        [row["objective"] for row in eager.rounds if "objective" in row],
        [row["objective"] for row in result.rounds if "objective" in row],
        rtol=1e-9,
    )


@pytest.mark.parametrize("rows", [0, 3, 1000, 3000])
def test_scores_of_many_models_are_those_of_one_at_a_time_to_the_last_bit(rows: int) -> None:
    generator = np.random.default_rng(rows)
    sizes = np.array([rows, 0, rows + 1, 1])
    offsets, models = np.concatenate([[0], np.cumsum(sizes)]), generator.standard_normal((4, 7))
    X = generator.standard_normal((offsets[-1], 7))
    model = LinearModel(7, None)  # type: ignore[arg-type]
    each = [model.scores(w, X[a:b]) for w, a, b in zip(models, offsets, offsets[1:], strict=False)]
    scores = model.scores_each(models, X, offsets)
    np.testing.assert_array_equal(scores, np.concatenate(each))
    np.testing.assert_allclose(scores, (X * models.repeat(sizes, axis=0)).sum(axis=1), rtol=0, atol=1e-13)
    for wrong in ((models[1:], X, offsets), (models[:, 1:], X, offsets), (models, X[1:], offsets)):
        with pytest.raises(ValueError, match="models"):
            model.scores_each(*wrong)
