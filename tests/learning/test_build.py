"""From a scenario to a learning problem: every source is read, every mistake is one line, every run starts afresh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import savemat

from learning import build
from learning.build import (
    build_federation,
    build_method,
    build_setting,
    check_method,
    choose_device,
    gpu_possible,
    load_tasks,
)
from learning.methods import registry
from learning.methods.fedprox import FedProx
from learning.methods.local import Local
from learning.models import LinearModel
from learning.primal_dual.jobs import AscentJobs
from learning.primal_dual.losses import LOSSES
from learning.protocols import WHY_NOT
from learning.torch_model import TorchModel
from scenarios.errors import ScenarioError
from scenarios.schema import Data, Method, Scenario
from scenarios.streams import Streams
from tests.learning.driving import SCENARIO, scenario_of, setting_for, simulated


def tasks_from(loss: str = "hinge", **data: Any) -> list[str]:
    """Return the names of the tasks a data section gives."""
    return [task.name for task in load_tasks(Data(**data), loss, Streams(0))]


def own_tasks(tasks: int, targets: bool = False) -> dict[str, Any]:
    """Make tasks as a user would."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(tasks, 12, 3))
    return {f"own-{b}": (X[b], X[b, :, 0] if targets else np.sign(X[b, :, 0])) for b in range(tasks)}


# Devices and data ---------------------------------------------------------------------------------------------


def test_auto_takes_a_gpu_if_there_is_one() -> None:
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == "cpu"


def test_hidden_gpus_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not gpu_possible()
        assert choose_device("auto") == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is always asked")
def test_torch_is_asked_once_a_driver_shows_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(build, "GPU_NODES", (str(tmp_path / "none"),))
    assert not gpu_possible()
    monkeypatch.setattr(build, "GPU_NODES", (str(tmp_path / "none"), str(tmp_path)))
    assert gpu_possible()
    for present in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda present=present: present)
        assert choose_device("auto") == ("cuda" if present else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"^--device = 'cuda': allowed: cpu or auto"):
        choose_device("cuda")


def test_synthetic_tasks_take_their_arguments() -> None:
    assert len(tasks_from(source="synthetic")) == 8
    assert len(tasks_from(source="synthetic", arguments={"tasks": 3, "noise": 1})) == 3


def test_only_the_first_tasks_can_be_kept() -> None:
    assert tasks_from(source="synthetic", max_tasks=2) == ["task-01", "task-02"]


def test_a_function_of_ones_own_makes_tasks() -> None:
    assert tasks_from(source=f"{__name__}:own_tasks", arguments={"tasks": 2}) == ["own-0", "own-1"]
    assert len(tasks_from("squared", source=f"{__name__}:own_tasks", arguments={"tasks": 2, "targets": True})) == 2


def test_files_are_read(tmp_path: Path) -> None:
    made = own_tasks(2)
    cells = np.empty((2, 2), dtype=object)
    for b, (X, y) in enumerate(made.values()):
        cells[0, b], cells[1, b] = X, y[:, None]
    savemat(tmp_path / "tasks.mat", {"X": cells[:1], "Y": cells[1:]})
    assert len(tasks_from(source="matlab", path=str(tmp_path / "tasks.mat"))) == 2
    frames = [pd.DataFrame(X).add_prefix("f").assign(site=name, answer=y) for name, (X, y) in made.items()]
    pd.concat(frames).to_csv(tmp_path / "tasks.csv", index=False)
    columns = {"task_column": "site", "label_column": "answer"}
    assert tasks_from(source="table", path=str(tmp_path / "tasks.csv"), **columns) == ["own-0", "own-1"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"source": "synthetics"},
            r"^data\.source = 'synthetics': allowed: smartwatch, matlab, table, synthetic, synthetic_mixture or an",
        ),
        ({"source": "matlab"}, r"^data\.path = None: allowed: a file, as data.source is matlab"),
        ({"source": "table", "path": "no/such.csv"}, r"no/such\.csv"),
        ({"source": "synthetic", "arguments": {"task": 3}}, r"^data\.arguments\.task = 3: allowed: one of tasks, "),
        (
            {"source": "synthetic", "arguments": {"tasks": "3"}},
            r"^data\.arguments\.tasks = '3': allowed: a whole number",
        ),
        ({"source": "synthetic", "arguments": {"tasks": 2.5}}, r"a whole number"),
        ({"source": "synthetic", "arguments": {"noise": True}}, r"^data\.arguments\.noise = True: allowed: a number"),
        ({"source": "no_such_module:make"}, r"a module that imports"),
        ({"source": f"{__name__}:own_tasks", "arguments": {"teams": 1}}, r"the arguments the function takes"),
        ({"source": f"{__name__}:own_tasks", "arguments": {"tasks": 2, "targets": True}}, r"labels -1 and \+1"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_in_one_line(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        tasks_from(**data)
    assert "\n" not in str(refused.value)


def test_the_same_seed_deals_the_same_rows_and_another_deals_others() -> None:
    scenario = scenario_of()
    tasks = load_tasks(scenario.data, "hinge", Streams(0))
    first, again, other = (build_federation(scenario, tasks, Streams(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)
    assert first.X.shape == (60, 5) and len(first.terminal_task) == 9  # four features and the bias


# Settings -----------------------------------------------------------------------------------------------------


def changed(**learning: Any) -> Scenario:
    """Return the small scenario with another learning section."""
    return scenario_of({"learning": learning})


def test_every_run_starts_with_fresh_duals() -> None:
    first = setting_for(scenario_of())
    start = first.solver.duals()
    T, d = first.terminals, first.model.size
    one, zero = np.ones(T), np.zeros(T, np.int64)
    jobs = AscentJobs(np.arange(T), np.zeros((T, d)), zero + 3, one, one, zero, (0, 0))
    first.solver.commit(first.solver.ascend(jobs), np.full(T, True), one)
    assert not np.array_equal(first.solver.duals(), start)
    np.testing.assert_array_equal(setting_for(scenario_of()).solver.duals(), start)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_setting_carries_what_the_scenario_says(loss: str) -> None:
    scenario = changed(loss=loss, smoothing=0.2, lambda1=0.3, lambda2=0.4, bits_per_value=16, message_overhead_bits=5)
    setting = setting_for(scenario, eager=True)
    assert setting.loss.name == setting.solver.loss.name == loss
    assert (setting.coupling.lambda1, setting.coupling.lambda2, setting.coupling.tasks) == (0.3, 0.4, 3)
    assert setting.message_bits(10) == 165.0 and setting.queue.eager and setting.edge_metrics
    assert (setting.tasks, setting.terminals) == (3, 9)
    assert setting.solver.duals().dtype == np.float64
    if loss == "smoothed_hinge":
        assert setting.loss.smoothing == 0.2


@pytest.mark.parametrize("key", sorted(SCENARIO["methods"]))
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_single_precision_gives_the_models_of_double_to_its_own_rounding(key: str, loss: str) -> None:
    found = []
    for precision in ("float64", "float32"):
        scenario = changed(loss=loss, precision=precision)
        _, method = simulated(scenario, key)
        models, rows = method.models()
        assert method.setting.solver.duals().dtype == np.dtype(precision)
        assert models.values.dtype == np.float64
        found.append(models.values[rows])
    double, single = found
    assert np.abs(double).max() > 0.01
    assert np.abs(single - double).max() < 1e-5 * np.abs(double).max()
    assert not np.array_equal(single, double)


def test_the_model_is_linear_or_a_module_of_ones_own() -> None:
    assert isinstance(setting_for(scenario_of()).model, LinearModel)
    model = setting_for(changed(model="tests.learning.user_modules:perceptron")).model
    assert isinstance(model, TorchModel) and model.size == 5 * 6 + 13


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("linaer", r"^learning\.model = 'linaer': allowed: linear, or an import path module:function$"),
        ("no_such_module:make", r"a module that imports"),
        ("tests.learning.user_modules:no_such_name", r"a name that exists"),
        ("tests.learning.user_modules:no_module", r"a function returning a torch\.nn\.Module"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused_in_one_line(model: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        setting_for(changed(model=model))
    assert "\n" not in str(refused.value)


# Methods ------------------------------------------------------------------------------------------------------


def test_an_entry_is_named_after_its_method_or_says_which_to_use() -> None:
    scenario = scenario_of({"methods": {"local": {"chunks": 3}, "near": {"use": "fedprox", "proximal": 0.7}}})
    kind, parameters = check_method("near", scenario.methods["near"])
    assert kind is FedProx and parameters.proximal == 0.7
    setting = setting_for(scenario)
    assert isinstance(build_method("local", scenario.methods["local"], setting), Local)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"fedavgg": {}}, r"^methods\.fedavgg = 'fedavgg': allowed: did you mean 'fedavg'"),
        ({"mine": {"use": "fedavgg"}}, r"^methods\.mine\.use = 'fedavgg'"),
        ({"mine": {"use": "fedavg", "rate": 1}}, r"^methods\.mine\.rate = 1: allowed: "),
    ],
)
def test_a_wrong_entry_is_refused_where_it_stands(methods: dict[str, Any], said: str) -> None:
    scenario = scenario_of({"methods": methods})
    (key, entry) = next(iter(scenario.methods.items()))
    with pytest.raises(ScenarioError, match=said):
        check_method(key, entry)


@pytest.mark.parametrize("key", sorted(SCENARIO["methods"]))
def test_a_built_method_is_as_the_network_wants_it(key: str) -> None:
    scenario = scenario_of()
    tasks = load_tasks(scenario.data, scenario.learning.loss, Streams(0))
    streams = Streams(0)
    setting = build_setting(scenario, build_federation(scenario, tasks, streams), streams)
    method = build_method(key, scenario.methods[key], setting)
    assert method.protocol in ("hierarchical", "isolated")
    models, rows = method.models()
    assert models.values[rows].shape == (9 if key == "local" else 3, 5)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_before_anything_was_sent_every_base_station_has_the_zero_model(loss: str) -> None:
    setting = setting_for(changed(loss=loss))
    method = build_method("hfedmtl", Method(), setting)
    models, rows = method.models()
    assert not models.values[rows].any()


@pytest.mark.parametrize("protocol", sorted(WHY_NOT))
@pytest.mark.parametrize("name", registry.names())
def test_a_method_follows_a_protocol_or_says_in_a_line_why_not(name: str, protocol: str) -> None:
    entry = Method(use=name, protocol=protocol)
    if protocol in registry.find(name).protocols:
        assert check_method("mine", entry)[0] is registry.find(name)
        return
    with pytest.raises(ScenarioError) as told:
        check_method("mine", entry)
    line = str(told.value)
    assert "methods.mine.protocol" in line and protocol in line and ", because " in line and "\n" not in line


def test_no_method_follows_a_protocol_that_the_network_does_not_know() -> None:
    assert {protocol for name in registry.names() for protocol in registry.find(name).protocols} == set(WHY_NOT)
    with pytest.raises(ScenarioError, match=r"hierarchical$"):
        check_method("mine", Method(use="fedavg", protocol="telepathy"))
