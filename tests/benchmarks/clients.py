"""Client updates per second on small models, learning alone and with every network event simulated.

Workload: FedAvg, logistic regression, 100 samples a client, 10 SGD steps of batch 10, full participation, no
evaluation. Baseline in the same run: one client at a time in a plain torch loop.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from typing import Any

import numpy as np

from learning.build import build_method, build_setting
from learning.data.federate import Evaluation, Federation
from learning.messages import Plan
from learning.methods.fedavg import FedAvg
from netsim.engines import run
from netsim.port import Cohort
from netsim.world import build_ground
from scenarios.loading import check
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.benchmarks.timing import best_s, peak_memory_b, table

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


def everyone(data: Federation, sites: int) -> Cohort:
    """Return all terminals as one cohort."""
    offsets = np.searchsorted(data.terminal_task, np.arange(sites + 1))
    return Cohort(np.arange(sites), offsets, np.arange(len(data.terminal_task)))


def learn(data: Federation, experiment: Scenario, rounds: int) -> None:
    """Run the rounds through the method's port, without a network."""
    setting = build_setting(experiment, data, Streams(0))
    method = build_method("fedavg", experiment.methods["fedavg"], setting)
    assert isinstance(method, FedAvg)
    cohort, sites = everyone(data, setting.tasks), np.arange(setting.tasks)
    plan, everybody = Plan(STEPS, 1), np.full(setting.terminals, True)
    for _ in range(rounds):
        method.adopt(sites)
        method.merge(cohort, method.train(cohort, plan), everybody)
        method.combine()
        method.settle()


def simulate_network(data: Federation, experiment: Scenario, engine: str) -> None:
    """Run the same with every network event."""
    setting = build_setting(experiment, data, Streams(0))
    method: Any = build_method("fedavg", experiment.methods["fedavg"], setting)
    chosen = experiment.model_copy(update={"engine": engine})
    run(build_ground(chosen, data.terminal_task, setting.tasks, Streams(0)), method, list(data.task_names))


def torch_loop(data: Federation, rounds: int) -> None:
    """One client at a time: torch.nn.Linear and torch.optim.SGD, as most frameworks work."""
    import torch  # not where ours is measured: it is not part of it

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


def measure(clients: int, features: int, rounds: int) -> dict[str, float]:
    """Return updates per second of ours, measured in this process."""
    gc.set_threshold(100_000, 50, 50)  # as the trials' own processes do
    data, experiment = federation(clients, features, max(1, clients // 50)), scenario(rounds)
    learn(data, experiment, 1)  # what is done once is not timed
    alone_s, _ = best_s(lambda: learn(data, experiment, rounds))
    network_s, _ = best_s(lambda: simulate_network(data, experiment, "process"))
    peak_mb = peak_memory_b() / 1e6
    simulate_network(data, experiment, "cohort")
    cohort_s, _ = best_s(lambda: simulate_network(data, experiment, "cohort"))
    updates = clients * rounds
    return {
        "submit_us": submit_us(data, experiment),
        "alone_per_s": updates / alone_s,
        "network_per_s": updates / network_s,
        "cohort_per_s": updates / cohort_s,
        "network_s": network_s,
        "peak_memory_mb": peak_mb,
    }


def submit_us(data: Federation, experiment: Scenario) -> float:
    """Return the time to submit the work of a cohort and its aggregation, per terminal, microseconds."""
    setting = build_setting(experiment, data, Streams(0))
    method: Any = build_method("fedavg", experiment.methods["fedavg"], setting)
    cohort, everybody = everyone(data, setting.tasks), np.full(setting.terminals, True)
    plan = Plan(STEPS, 1)

    def submit() -> None:
        method.merge(cohort, method.train(cohort, plan), everybody)

    seconds, _ = best_s(submit, 9)
    method.settle()
    return seconds / setting.terminals * 1e6


def main() -> dict[str, Any]:
    """Measure every workload: ours in a process of its own, then the baseline."""
    figures = {}
    for clients, features, rounds in WORKLOADS:
        command = [sys.executable, "-m", "tests.benchmarks.clients", str(clients), str(features), str(rounds)]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        data = federation(clients, features, max(1, clients // 50))
        torch_loop(data, 1)
        loop_rounds = 1 if clients > 100 else 10
        loop_s, _ = best_s(lambda data=data, n=loop_rounds: torch_loop(data, n))  # type: ignore[misc]
        per_s = clients * loop_rounds / loop_s
        ratios = {"torch_loop_per_s": per_s, "network_over_loop": ours["network_per_s"] / per_s}
        figures[f"{clients} clients, d={features}, {rounds} rounds"] = ours | ratios
    return figures


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    names = ("learning alone /s", "with network /s", "cohorts /s", "torch loop /s", "network/loop")
    columns = ["", *names, "network s", "submit us", "peak MB"]
    keys = ("alone_per_s", "network_per_s", "cohort_per_s", "torch_loop_per_s", "network_over_loop")
    rows = [
        [
            name,
            *(f"{f[key]:,.0f}" for key in keys),
            f"{f['network_s']:.2f}",
            f"{f['submit_us']:.2f}",
            f"{f['peak_memory_mb']:.0f}",
        ]
        for name, f in figures.items()
    ]
    return table("Client updates per second", columns, rows)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measure(*(int(argument) for argument in sys.argv[1:]))))
    else:
        print(text(main()))
