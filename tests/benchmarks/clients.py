"""Client updates per second on small models, learning alone and with every network event simulated.

Workload: FedAvg, logistic regression, 100 samples a client, 10 SGD steps of batch 10, full participation, no
evaluation. Baseline in the same run: one client at a time in a plain torch loop.
"""

from __future__ import annotations

import gc
import resource
from typing import Any

import numpy as np
import torch

from learning.build import build_method, build_setting
from learning.data.federate import Evaluation, Federation
from learning.messages import Plan
from learning.methods.fedavg import FedAvg
from netsim.port import Cohort
from netsim.simulation import simulate
from netsim.world import build_world
from scenarios.loading import check
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.benchmarks.timing import best_s, table

SAMPLES, STEPS, BATCH, RATE = 100, 10, 10, 0.1
WORKLOADS = ((5, 10, 100), (5, 100, 100), (1000, 10, 20), (1000, 100, 20))  # clients, features, rounds


def federation(clients: int, features: int, sites: int) -> Federation:
    """Return clients with 100 planted samples each, dealt to sites."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((clients * SAMPLES, features))
    y = np.where(X @ generator.standard_normal(features) + generator.standard_normal(len(X)) > 0, 1.0, -1.0)
    task = np.arange(clients) * sites // clients
    held_out = Evaluation(X[: sites * 2], y[: sites * 2], np.arange(sites + 1) * 2)
    counts = np.bincount(task, minlength=sites) * SAMPLES
    names = tuple(f"task-{site}" for site in range(sites))
    return Federation(X, y, np.arange(clients + 1) * SAMPLES, task, names, counts, held_out, held_out)


def scenario(rounds: int) -> Scenario:
    """Return the workload as a scenario."""
    method = {"local_iterations": STEPS, "batch_size": BATCH, "bs_iterations": 1, "learning_rate": RATE}
    return check(
        {
            "name": "clients",
            "learning": {"loss": "logistic", "lambda1": 1e-6, "lambda2": 0.0},
            "output": {"edge_metrics": False},
            "budget": {"time_s": 1e9},
            "methods": {"fedavg": method | {"cloud_rounds": rounds}},
        }
    )


def learn(data: Federation, experiment: Scenario, rounds: int) -> None:
    """Run the rounds through the method's port, without a network."""
    setting = build_setting(experiment, data, Streams(0))
    method = build_method("fedavg", experiment.methods["fedavg"], setting)
    assert isinstance(method, FedAvg)
    owner, sites = data.terminal_task, np.arange(setting.tasks)
    cohort = Cohort(sites, np.searchsorted(owner, np.arange(setting.tasks + 1)), np.arange(setting.terminals))
    plan, everybody = Plan(STEPS, 1), np.full(setting.terminals, True)
    for _ in range(rounds):
        method.adopt(sites)
        method.merge(cohort, method.train(cohort, plan), everybody)
        method.combine()
        method.settle()


def simulate_network(data: Federation, experiment: Scenario) -> None:
    """Run the same with every network event."""
    setting = build_setting(experiment, data, Streams(0))
    method: Any = build_method("fedavg", experiment.methods["fedavg"], setting)
    world = build_world(experiment, [int(t) for t in data.terminal_task], setting.tasks, Streams(0))
    simulate(world, method, list(data.task_names))


def torch_loop(data: Federation, rounds: int) -> None:
    """One client at a time: torch.nn.Linear and torch.optim.SGD, as most frameworks work."""
    clients, features = len(data.terminal_task), data.X.shape[1]
    X, y = torch.as_tensor(data.X), torch.as_tensor(data.y)
    average = torch.zeros(1, features, dtype=torch.float64)
    for _ in range(rounds):
        models = []
        for client in range(clients):
            model = torch.nn.Linear(features, 1, bias=False, dtype=torch.float64)
            model.weight.data.copy_(average)
            optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
            for step in range(STEPS):
                rows = slice(client * SAMPLES + step * BATCH, client * SAMPLES + (step + 1) * BATCH)
                optimiser.zero_grad()
                torch.nn.functional.softplus(-y[rows] * model(X[rows])[:, 0]).mean().backward()
                optimiser.step()
            models.append(model.weight.data)
        average = torch.stack(models).mean(0)


def main() -> dict[str, Any]:
    """Measure and return figures, one entry per workload."""
    gc.set_threshold(100_000, 50, 50)  # as the trials' own processes do
    return {f"{c} clients, d={d}, {r} rounds": measure(c, d, r) for c, d, r in WORKLOADS}


def measure(clients: int, features: int, rounds: int) -> dict[str, float]:
    """Return updates per second."""
    data, experiment = federation(clients, features, max(1, clients // 50)), scenario(rounds)
    learn(data, experiment, 1)  # what is done once is not timed
    torch_loop(data, 1)
    alone_s, _ = best_s(lambda: learn(data, experiment, rounds))
    network_s, _ = best_s(lambda: simulate_network(data, experiment))
    loop_rounds = 1 if clients > 100 else 10
    loop_s, _ = best_s(lambda: torch_loop(data, loop_rounds), 1)
    updates, loop_updates = clients * rounds, clients * loop_rounds
    return {
        "alone_per_s": updates / alone_s,
        "network_per_s": updates / network_s,
        "torch_loop_per_s": loop_updates / loop_s,
        "network_over_loop": updates / network_s / (loop_updates / loop_s),
        "network_s": network_s,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    columns = ["", "learning alone /s", "with network /s", "torch loop /s", "network/loop", "network s", "peak MB"]
    keys = ("alone_per_s", "network_per_s", "torch_loop_per_s", "network_over_loop")
    rows = [
        [name, *(f"{f[key]:,.0f}" for key in keys), f"{f['network_s']:.2f}", f"{f['peak_memory_mb']:.0f}"]
        for name, f in figures.items()
    ]
    return table("Client updates per second", columns, rows)


if __name__ == "__main__":
    print(text(main()))
