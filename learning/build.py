"""From a scenario to a learning problem: tasks loaded, rows dealt, solver and model made, method instantiated."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation, federate
from learning.data.matlab import matlab_tasks
from learning.data.mixture import mixture_tasks
from learning.data.records import TaskRecords, check
from learning.data.smartwatch import smartwatch_tasks
from learning.data.split import BlockSplit
from learning.data.synthetic import synthetic_tasks
from learning.data.table import table_tasks
from learning.data.targets import one_kind
from learning.data.user import import_object, user_tasks
from learning.deferred import DeferredQueue
from learning.head_evaluation import HeadedModel
from learning.methods import registry
from learning.methods.base import Method
from learning.models import LinearModel, Model
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.losses import Loss, make_loss
from learning.primal_dual.solver import LocalSolver, make_solver
from learning.protocols import refusal
from learning.setting import Setting
from scenarios.errors import ScenarioError
from scenarios.schema import Data, Learning, Scenario
from scenarios.schema import Method as MethodEntry
from scenarios.streams import Streams

GPU_NODES = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/nvmap", "/dev/kfd", "/dev/dxg")
_SYNTHETIC = {"tasks": 8, "samples_per_task": 120, "features": 12, "relatedness": 0.7, "noise": 0.5}
_MIXTURE = {"tasks": 24, "features": 150, "components": 3, "concentration": 0.4, "noise": 0.1}
_MIXTURE |= {"least_rows": 50, "most_rows": 1000}


def choose_device(wanted: str) -> str:
    """Return ``"cpu"`` or ``"cuda"`` for a wish of ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ScenarioError: a GPU is asked for and there is none.
    """
    if wanted == "cpu" or (wanted == "auto" and not gpu_possible()):
        return "cpu"
    import torch  # costs a second and two hundred megabytes, which a machine without a GPU need not pay

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise ScenarioError("--device", wanted, "cpu or auto; no CUDA device is present")
    return "cpu"


def gpu_possible() -> bool:
    """Return whether torch might find a GPU; False is certain, True is a guess.

    On Linux every driver torch can use answers at a file: NVIDIA's own, its boards', AMD's, and the one that WSL lends
    from Windows. Other systems have no such sign, so there torch has to be asked.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    return sys.platform != "linux" or any(Path(node).exists() for node in GPU_NODES)


def load_tasks(data: Data, loss: str, streams: Streams) -> Sequence[TaskRecords]:
    """Read the tasks a scenario names.

    Raises:
        ScenarioError: the source is unknown, a file is missing or malformed, or its rows cannot be learned from.
    """
    tasks = _read(data, loss != "squared", streams)
    if data.max_tasks is not None:
        tasks = tasks[: data.max_tasks]
    check(tasks, "data", classification=loss != "squared")
    return tasks


def _read(data: Data, classification: bool, streams: Streams) -> Sequence[TaskRecords]:
    sources: dict[str, Callable[[], Sequence[TaskRecords]]] = {
        "smartwatch": lambda: smartwatch_tasks(
            data.positive_exercises, data.window_s, data.stride_s, data.group_by, data.targets
        ),
        "matlab": lambda: matlab_tasks(
            _path(data), minimum_per_class=data.minimum_per_class, classification=classification
        ),
        "table": lambda: table_tasks(
            _path(data),
            data.task_column,
            data.label_column,
            minimum_per_class=data.minimum_per_class,
            classification=classification,
        ),
        "synthetic": lambda: synthetic_tasks(**_arguments(data, _SYNTHETIC), streams=streams),
        "synthetic_mixture": lambda: mixture_tasks(**_arguments(data, _MIXTURE), streams=streams),
    }
    if ":" in data.source:
        return user_tasks(data.source, **data.arguments)
    if data.source not in sources:
        allowed = ", ".join(sources) + " or an import path module:function"
        raise ScenarioError("data.source", data.source, allowed)
    return sources[data.source]()


def _path(data: Data) -> str:
    if data.path is None:
        raise ScenarioError("data.path", None, f"a file, as data.source is {data.source}")
    return data.path


def _arguments(data: Data, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments of a generator, the stated ones checked."""
    for name, value in data.arguments.items():
        if name not in defaults:
            raise ScenarioError(f"data.arguments.{name}", value, "one of " + ", ".join(defaults))
        whole = isinstance(defaults[name], int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise ScenarioError(f"data.arguments.{name}", value, "a whole number" if whole else "a number")
    return defaults | data.arguments


def build_federation(scenario: Scenario, tasks: Sequence[TaskRecords], streams: Streams) -> Federation:
    """Split the tasks and deal their training rows to terminals."""
    data = scenario.data
    split = BlockSplit(data.split.train_fraction, data.split.validation_fraction, data.split.test_fraction)
    return federate(
        tasks,
        scenario.terminals.per_base_station,
        split,
        data.partition,
        streams,
        standardise=data.standardise,
        bias=data.bias,
        dirichlet_alpha=data.dirichlet_alpha,
        unseen_tasks=data.unseen_tasks,
    )


def build_setting(
    scenario: Scenario,
    federation: Federation,
    streams: Streams,
    device: str = "cpu",
    eager: bool = False,
    heads_only: NDArray[np.bool_] | None = None,
) -> Setting:
    """Return what every method is given; fresh for every run, as methods change the solver's duals.

    Args:
        scenario: what to learn, and how.
        federation: its tasks, split and dealt to terminals.
        streams: the run's randomness.
        device: where to compute.
        eager: compute at once instead of when a value is needed.
        heads_only: (terminals,) who trains heads only; ignored where no device class does, needed elsewhere.

    Raises:
        ScenarioError: the model is not there, or not what device classes or labels need.
        ValueError: it is not said which terminals train heads only.
    """
    learning = scenario.learning
    if not any(kind.trains == "head" for kind in scenario.terminals.classes):
        heads_only = None
    elif heads_only is None:
        raise ValueError("heads_only, as a device class trains heads only")
    loss = make_loss(learning.loss, learning.smoothing)
    # Duals of 0 make models of 0: before the first upload a base station knows nothing of its terminals' rows.
    solver = make_solver(device, *_dual_rows(federation), loss, np.dtype(learning.precision), start=0.0)
    model = _model(learning, federation, loss, solver, device, heads_only)
    if heads_only is not None and not isinstance(model, HeadedModel):
        allowed = "a model with heads, such as learning.trunks:mlp, as a device class trains heads only"
        raise ScenarioError("learning.model", learning.model, allowed)
    return Setting(
        federation=federation,
        loss=loss,
        coupling=Coupling(learning.lambda1, learning.lambda2, len(federation.task_names)),
        model=model,
        solver=solver,
        streams=streams,
        queue=DeferredQueue(eager),
        device=device,
        bits_per_value=learning.bits_per_value,
        overhead_bits=learning.message_overhead_bits,
        fixed_bits=learning.message_bits,
        edge_metrics=scenario.output.edge_metrics,
        late_updates=scenario.collection.late == "carry",
        over_the_air=scenario.network.uplink.transfer == "over_the_air",
        heads_only=heads_only,
    )


def _dual_rows(federation: Federation) -> tuple[Any, Any, Any]:
    """Return the rows that have dual variables: all or, where labels are of declared targets, none of them."""
    if federation.targets:
        return federation.X[:0], federation.y[:0], np.zeros_like(federation.terminal_offsets)
    return federation.X, federation.y, federation.terminal_offsets


def _model(
    learning: Learning,
    federation: Federation,
    loss: Loss,
    solver: LocalSolver,
    device: str,
    heads_only: NDArray[np.bool_] | None,
) -> Model:
    if learning.model == "linear" and federation.targets:
        allowed = "a model with heads, such as learning.trunks:mlp, for labels of declared targets"
        raise ScenarioError("learning.model", learning.model, allowed)
    if learning.model == "linear":
        return LinearModel(federation.X.shape[1], solver)
    if ":" not in learning.model:
        raise ScenarioError("learning.model", learning.model, "linear, or an import path module:function")
    make = import_object(learning.model, "learning.model")
    from learning.shared_trunk import SharedTrunkModel, is_factory
    from learning.torch_model import TorchModel

    if is_factory(make):
        return SharedTrunkModel(make, learning.model_arguments, federation, loss, device, heads_only)
    if federation.targets:
        allowed = "a function of (features, outputs), for labels of declared targets"
        raise ScenarioError("learning.model", learning.model, allowed)
    return TorchModel(make, federation.X, federation.y, federation.terminal_offsets, loss, device)


def check_method(key: str, entry: MethodEntry) -> tuple[type[Method], Any]:
    """Return the class and the checked parameters of a scenario's method entry.

    Raises:
        ScenarioError: no such method, a parameter it does not know or allow, or a protocol it cannot follow.
    """
    field = f"methods.{key}"
    kind = registry.find(entry.use or key, f"{field}.use" if entry.use else field)
    if entry.protocol is not None and entry.protocol not in kind.protocols:
        allowed = refusal(kind.protocols, entry.protocol, kind.obstacles)
        raise ScenarioError(f"{field}.protocol", entry.protocol, allowed)
    return kind, registry.parameters(kind, entry.parameters, field)


def build_method(key: str, entry: MethodEntry, setting: Setting) -> Method:
    """Return a fresh method for one run.

    Raises:
        ScenarioError: as :func:`check_method`; the method is not defined for the loss; the network adds updates up
            over the air, and the method needs each of them; it hands over late ones, and the method has no use for
            them; the method averages whole models, and tasks have heads that differ; or some terminals train heads
            only, and the method needs more of them, or the air adds up what all send.
    """
    kind, parameters = check_method(key, entry)
    protocol = entry.protocol or kind.protocols[0]
    if kind.losses and setting.loss.name not in kind.losses:
        allowed = f"{' or '.join(kind.losses)}, as {kind.label} (methods.{key}) is defined for no other"
        raise ScenarioError("learning.loss", setting.loss.name, allowed)
    if setting.over_the_air and not (kind.sums_updates or protocol == "isolated"):
        allowed = f"digital, as {kind.label} (methods.{key}) does not take updates summed over the air"
        raise ScenarioError("network.uplink.transfer", "over_the_air", allowed)
    if setting.late_updates and protocol == "hierarchical" and not _takes_late(kind):
        allowed = f"drop, as {kind.label} (methods.{key}) does not take in updates of earlier iterations"
        raise ScenarioError("collection.late", "carry", allowed)
    if kind.mixes_heads and not one_kind(setting.federation.targets):
        found = f"{kind.label} (methods.{key})"
        raise ScenarioError("data", found, "a method that keeps heads private: tasks have different label spaces")
    if setting.heads_only is not None:
        _check_heads_only(key, kind, setting.over_the_air and protocol != "isolated")
    method = kind(setting, parameters)
    method.protocol = protocol
    return method


def _takes_late(kind: type[Method]) -> bool:
    return kind.takes_late and "late" in signature(kind.merge).parameters


def _check_heads_only(key: str, kind: type[Method], summed: bool) -> None:
    if not kind.knows_heads_only:
        allowed = f"all, as {kind.label} (methods.{key}) wants whole models of all terminals"
        raise ScenarioError("terminals.classes.trains", "head", allowed)
    if summed:
        allowed = "digital, as terminals that train heads only have nothing to add to a sum"
        raise ScenarioError("network.uplink.transfer", "over_the_air", allowed)
