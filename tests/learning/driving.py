"""Runs learning methods for the tests of this room: through the port in lock step, or in the real network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.build import build_federation, build_method, build_setting, load_tasks
from learning.data.federate import Evaluation, Federation
from learning.deferred import DeferredQueue, Pending
from learning.evaluation import Measurement
from learning.messages import Plan, owners
from learning.methods.base import Method
from learning.models import LinearModel
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.losses import make_loss
from learning.primal_dual.solver import make_solver
from learning.setting import Setting
from learning.torch_model import TorchModel
from netsim.port import CLOUD, Cohort, Node
from netsim.simulation import Result, simulate
from netsim.world import build_ground, build_world
from scenarios import loading
from scenarios.schema import Scenario
from scenarios.streams import Streams

Array = NDArray[Any]

# Data and settings --------------------------------------------------------------------------------------------


def federation_of(X: ArrayLike, y: ArrayLike, sizes: Sequence[int], tasks: int) -> Federation:
    """Return a federation of equally many terminals a task, scored on its own training rows.

    Args:
        X: (n, d) rows, terminal after terminal; y: (n,).
        sizes: rows of each terminal.
        tasks: number of tasks.
    """
    rows, labels = np.asarray(X, np.float64), np.asarray(y, np.float64)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    owner = np.repeat(np.arange(tasks), len(sizes) // tasks)
    counts = np.bincount(owner, weights=np.asarray(sizes, float), minlength=tasks).astype(np.int64)
    held_out = Evaluation(rows, labels, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    names = tuple(f"task-{b}" for b in range(tasks))
    return Federation(rows, labels, offsets, owner, names, counts, held_out, held_out)


def random_federation(
    seed: int, tasks: int = 3, terminals: int = 3, features: int = 4, loss: str = "hinge", rows: int = 8
) -> Federation:
    """Return ragged terminals of 1 to ``rows`` rows with labels a linear model nearly explains."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rows + 1, tasks * terminals)
    X = rng.normal(size=(sizes.sum(), features))
    y = X @ rng.normal(size=features) + 0.5 * rng.normal(size=len(X))
    return federation_of(X, y if loss == "squared" else np.where(y > 0, 1.0, -1.0), sizes.tolist(), tasks)


def setting_of(
    federation: Federation,
    loss: str = "hinge",
    lambda1: float = 0.1,
    lambda2: float = 0.1,
    seed: int = 0,
    module: Callable[[int], Any] | None = None,
    eager: bool = False,
    overhead_bits: float = 0.0,
    edge_metrics: bool = True,
) -> Setting:
    """Return a fresh setting on the CPU; ``module`` makes a torch module instead of the linear model."""
    kind = make_loss(loss)
    data = (federation.X, federation.y, federation.terminal_offsets)
    solver = make_solver("cpu", *data, kind)
    return Setting(
        federation,
        kind,
        Coupling(lambda1, lambda2, len(federation.task_names)),
        TorchModel(module, *data, kind, "cpu") if module else LinearModel(federation.X.shape[1], solver),
        solver,
        Streams(seed),
        DeferredQueue(eager),
        overhead_bits=overhead_bits,
        edge_metrics=edge_metrics,
    )


# The port in lock step ----------------------------------------------------------------------------------------


def cohort_of(federation: Federation, sites: Sequence[int]) -> Cohort:
    """Return all terminals of some base stations."""
    members = [np.flatnonzero(federation.terminal_task == site) for site in sites]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in members])]).astype(np.int64)
    return Cohort(np.array(sites, np.int64), offsets, np.concatenate(members).astype(np.int64))


def always(terminal: int, iteration: int) -> bool:
    """No update is ever lost."""
    return True


@dataclass(frozen=True, eq=False)
class Work:
    """What a cohort was asked to do, and (n,) whose updates arrived."""

    cohort: Cohort
    update: Pending
    arrived: Array


@dataclass
class Driver:
    """Cloud, base stations and terminals in lock step, without a clock.

    Args:
        method: a fresh hierarchical method.
        arrives: whether the update of a terminal in its base station's iteration arrives; all that is lost was
            trained for nothing.
        together: whether the base stations act as one cohort, or one after the other.
    """

    method: Method
    arrives: Callable[[int, int], bool] = always
    together: bool = True
    records: list[tuple[Node, Measurement]] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    iterations: Counter[int] = field(default_factory=Counter)

    @property
    def tasks(self) -> int:
        """Number of base stations."""
        return self.method.setting.tasks

    def record(self, node: Node) -> None:
        """Ask for a measurement."""
        self.records.append((node, self.method.evaluate(node)))

    def iterate(self, sites: Sequence[int], plan: Plan) -> Work:
        """One iteration of some base stations, which is one cohort."""
        cohort = cohort_of(self.method.setting.federation, sites)
        update = self.method.train(cohort, plan)
        numbers = [self.iterations[int(site)] for site in owners(cohort)]
        pairs = zip(cohort.terminals.tolist(), numbers, strict=True)
        arrived = np.array([self.arrives(terminal, number) for terminal, number in pairs], np.bool_)
        self.method.merge(cohort, update, arrived)
        self.iterations.update(sites)
        for site in sites:
            self.record(Node("base_station", site))
        self.works.append(Work(cohort, update, arrived))
        return self.works[-1]

    def begin(self, sites: Sequence[int]) -> None:
        """Hand what the cloud sent to some base stations."""
        self.method.adopt(np.array(sites))
        for site in sites:
            self.record(Node("base_station", site))

    def cloud_round(self, plan: Plan) -> None:
        """One round of the whole system."""
        everywhere = list(range(self.tasks))
        for sites in [everywhere] if self.together else [[site] for site in everywhere]:
            self.begin(sites)
            for _ in range(plan.bs_iterations):
                self.iterate(sites, plan)
        self.method.combine()
        self.record(CLOUD)

    def run(self, plan: Plan, rounds: int) -> Driver:
        """Several rounds, everything computed in the end."""
        for _ in range(rounds):
            self.cloud_round(plan)
        self.method.settle()
        return self

    def models(self) -> Array:
        """Settle and return the (B, P) models in use."""
        return weights_of(self.method)

    def site_scalars(self, site: int) -> list[Mapping[str, float]]:
        """Numbers recorded at a base station, in order: when a round begins and after every iteration."""
        self.method.settle()
        return [measured.scalars for node, measured in self.records if node == Node("base_station", site)]

    def cloud_scalars(self) -> list[Mapping[str, float]]:
        """Numbers recorded at the cloud, in order."""
        self.method.settle()
        return [measured.scalars for node, measured in self.records if node == CLOUD]


def weights_of(method: Method) -> Array:
    """Settle and return a copy of the models in use, one row each."""
    method.settle()
    models, rows = method.models()
    return np.array(models.values[rows])


# The real network ---------------------------------------------------------------------------------------------

SCENARIO: dict[str, Any] = {
    "name": "small",
    "data": {
        "source": "synthetic",
        "arguments": {"tasks": 3, "samples_per_task": 40, "features": 4},
        "split": {"train_fraction": 0.5, "validation_fraction": 0.2, "test_fraction": 0.3},
    },
    "terminals": {"per_base_station": 3},
    "budget": {"cost": 500},
    "methods": {
        "rhfedmtl": {"cloud_rounds": 4},
        "published": {"use": "rhfedmtl", "controller": "reference", "cloud_rounds": 2},
        "hfedmtl": {"local_iterations": 3, "bs_iterations": 2},
        "fedavg": {},
        "fedprox": {"decay": 0.1},
        "local": {"chunks": 6},
    },
}
ALIKE: dict[str, Any] = {
    "source": "synthetic",
    "arguments": {"tasks": 3, "samples_per_task": 80, "features": 4, "relatedness": 1.0, "noise": 0.1},
    "split": {"train_fraction": 0.4, "validation_fraction": 0.3, "test_fraction": 0.3},
}
"""Tasks that one model can do."""
UNRELIABLE: dict[str, Any] = {
    "terminals": {
        "per_base_station": 3,
        "dropout_probability": 0.25,
        "classes": [{"name": "slow", "cycles_per_sample": 1e6}],
        "slowdown": {"kind": "pareto"},
        "availability": {"mean_on_s": 0.3, "mean_off_s": 0.1},
    },
    "collection": {"policy": "deadline", "deadline_s": 0.02},
}


def scenario_of(*changes: Mapping[str, Any]) -> Scenario:
    """Return the small scenario with sections replaced."""
    tree = dict(SCENARIO)
    for change in changes:
        tree |= change
    return loading.check(tree)


def setting_for(scenario: Scenario, seed: int = 0, eager: bool = False) -> Setting:
    """Return a fresh setting of a scenario."""
    streams = Streams(seed)
    tasks = load_tasks(scenario.data, scenario.learning.loss, Streams(0))
    federation = build_federation(scenario, tasks, streams)
    heads_only = None
    if any(kind.trains == "head" for kind in scenario.terminals.classes):
        heads_only = build_ground(scenario, federation.terminal_task, len(tasks), streams).heads_only
    return build_setting(scenario, federation, streams, eager=eager, heads_only=heads_only)


def simulated(scenario: Scenario, key: str, seed: int = 0, eager: bool = False) -> tuple[Result, Any]:
    """Run one method of a scenario in the network; return what was recorded and the method in its last state."""
    setting = setting_for(scenario, seed, eager)
    data = setting.federation
    method: Any = build_method(key, scenario.methods[key], setting)
    serving = [int(task) for task in data.terminal_task]
    world = build_world(scenario, serving, setting.tasks, setting.streams)
    return simulate(world, method, list(data.task_names)), method


TABLES = ("rounds", "tasks", "participation", "terminals", "base_stations")


def fingerprint(result: Result) -> dict[str, str]:
    """Return every table as text that changes with the last bit of any number."""
    return {name: repr(getattr(result, name)) for name in TABLES}
