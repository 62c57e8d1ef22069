"""Hard parameter sharing: reference vectors, one SGD step for all tasks, and heads that never travel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learning import trunks
from learning.build import build_method
from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.fedper import FedPer, JointParameters
from learning.methods.fedrep import AlternatingParameters, FedRep
from learning.setting import Setting
from netsim.port import CLOUD
from netsim.simulation import simulate
from netsim.world import build_world
from scenarios.errors import ScenarioError
from tests.learning.driving import (
    UNRELIABLE,
    cohort_of,
    federation_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_for,
    simulated,
    weights_of,
)
from tests.learning.sharing import (
    EVERYTHING,
    METHODS,
    MODEL,
    SHARED,
    TRUNK,
    joint_loss,
    rounds,
    shared_setting,
    torch_copies,
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "hard_sharing_toy.json").read_text())


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
    common: dict[str, Any] = {"batch_size": EVERYTHING, "learning_rate": 0.05, "weighting": "equal"}
    method: Any = FedRep(setting, AlternatingParameters(head_iterations=5, trunk_iterations=1, **common))
    if name == "fedper":
        method = FedPer(setting, JointParameters(local_iterations=5, **common))
    trunk = 0.3 * np.sin(np.arange(1, 5) + np.arange(1, 3)[:, None])  # (width, features), as torch keeps it
    method._cloud.values[:] = trunk.ravel()
    method._held.values[:] = np.concatenate([trunk.ravel(), [0.1, 0.1]])
    return method


def objective(method: Any) -> float:
    """Return the mean over tasks of the loss of what their terminals hold."""
    measured = method.evaluate(CLOUD)
    method.settle()
    return float(measured.scalars["objective"]) / method.setting.tasks


@pytest.mark.parametrize("name", ["fedrep", "fedper"])
def test_the_linear_toy_follows_its_reference_vectors(name: str) -> None:
    method, reference, done = toy_method(name), VECTORS[name], 0
    method._held.values[:, :8] = method._cloud.values
    assert objective(method) == pytest.approx(reference["loss0"], abs=1e-14)
    for number in (1, 2, 10):
        rounds(method, number - done)
        done, expected = number, reference[str(number)]
        models = weights_of(method)
        assert objective(method) == pytest.approx(expected["loss"], abs=1e-13)
        np.testing.assert_allclose(models[0, :8].reshape(2, 4).T, expected["B"], atol=1e-11)
        np.testing.assert_allclose(models[:, 8:], expected["H"], atol=1e-11)


# One step for all tasks ---------------------------------------------------------------------------------------


def one_step_methods(setting: Setting, weighting: str) -> FedPer:
    """Return FedPer that takes one full step a round."""
    values: dict[str, Any] = {"batch_size": EVERYTHING, "learning_rate": 0.3, "weighting": weighting}
    return FedPer(setting, JointParameters(local_iterations=1, **values))


@pytest.mark.parametrize("weighting", ["equal", "samples"])
def test_one_step_of_everybody_is_centralised_multi_task_sgd(weighting: str) -> None:
    federation = random_federation(3, tasks=2, terminals=3, loss="logistic")
    setting = shared_setting(federation, width=5)
    method = one_step_methods(setting, weighting)
    trunk, heads = torch_copies(weights_of(method), features=4, width=5)
    sizes = np.diff(federation.terminal_offsets)
    shares = sizes / sizes.sum() if weighting == "samples" else np.full(6, 1.0 / 6.0)
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


# Momentum -----------------------------------------------------------------------------------------------------


def own_rounds(method: Any, federation: Federation, groups: Callable[[Any, Any], list[Any]], steps: list[int]) -> Any:
    """Return what torch's optimisers make of the one terminal's model in two rounds, each group in its own steps."""
    trunk, (head,) = torch_copies(weights_of(method), features=4, width=5)
    for _ in range(2):
        parts = groups(trunk.parameters(), head.parameters())
        for part, count in zip(parts, steps, strict=True):
            optimiser = torch.optim.SGD(part, lr=0.3, momentum=0.7, weight_decay=0.02)
            for _ in range(count):
                trunk.zero_grad()
                head.zero_grad()
                joint_loss(trunk, [head], federation, np.ones(1)).backward()
                optimiser.step()
    return np.concatenate([p.detach().numpy().ravel() for p in (*trunk.parameters(), *head.parameters())])


@pytest.mark.parametrize("name", ["fedrep", "fedper"])
def test_momentum_and_weight_decay_are_those_of_torch_in_either_schedule(name: str) -> None:
    federation = random_federation(6, tasks=1, terminals=1, loss="logistic")
    setting = shared_setting(federation, width=5)
    common: dict[str, Any] = {"batch_size": EVERYTHING, "learning_rate": 0.3, "momentum": 0.7, "weight_decay": 0.02}
    if name == "fedrep":
        method: Any = FedRep(setting, AlternatingParameters(head_iterations=3, trunk_iterations=2, **common))
        expected = own_rounds(method, federation, lambda trunk, head: [head, trunk], [3, 2])
    else:
        method = FedPer(setting, JointParameters(local_iterations=4, **common))
        expected = own_rounds(method, federation, lambda trunk, head: [[*trunk, *head]], [4])
    rounds(method, 2)
    np.testing.assert_allclose(weights_of(method)[0], expected, rtol=0.0, atol=1e-12)


# What travels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fedrep", "fedper"])
def test_the_recorded_bytes_are_those_of_trunks_and_of_nothing_else(name: str) -> None:
    bare = {"learning": MODEL | {"message_overhead_bits": 0}}
    result, method = simulated(scenario_of(SHARED, bare), name)
    merged = sum(result.terminals.columns["merged"])
    assert merged > 0
    assert sum(result.terminals.columns["bytes_up"]) == 4 * TRUNK * merged
    assert result.rounds[-1]["bytes_uplink"] == 4 * TRUNK * merged
    assert result.rounds[-1]["bytes_downlink"] == 4 * TRUNK * merged / 3  # a broadcast serves three terminals
    assert method.setting.model.size == TRUNK + 7
    assert method.sizes(Plan(4, 1)).update_values == TRUNK


@pytest.mark.parametrize("name", ["fedrep", "fedper"])
def test_permuting_heads_between_clients_changes_nothing_on_the_wire(name: str) -> None:
    scenario = scenario_of(SHARED)
    plain, _ = simulated(scenario, name)
    moved, _ = simulated_with(scenario, name, lambda heads: heads[::-1] + 5.0)
    for table in ("participation", "terminals", "base_stations"):
        assert repr(getattr(moved, table)) == repr(getattr(plain, table))
    on_the_wire = ("time_s", "energy_j", "bytes", "bytes_uplink", "bytes_downlink", "bytes_backhaul")
    for before, after in zip(plain.rounds, moved.rounds, strict=True):
        assert [before[key] for key in on_the_wire] == [after[key] for key in on_the_wire]
    assert plain.rounds[-1]["objective"] != moved.rounds[-1]["objective"]


def simulated_with(scenario: Any, name: str, change: Any) -> tuple[Any, Any]:
    """Run a method whose terminals start with other heads than the usual."""
    setting = setting_for(scenario)
    data = setting.federation
    method: Any = build_method(name, scenario.methods[name], setting)
    method._held.values[:, TRUNK:] = change(method._held.values[:, TRUNK:] + np.arange(setting.terminals)[:, None])
    world = build_world(scenario, [int(task) for task in data.terminal_task], setting.tasks, setting.streams)
    return simulate(world, method, list(data.task_names)), method


def test_what_a_terminal_sends_is_a_trunk_and_depends_on_no_other_terminals_head() -> None:
    federation = random_federation(5, loss="logistic")
    uploads = []
    for change in (0.0, 3.0):
        method = FedRep(shared_setting(federation), AlternatingParameters())
        cohort = cohort_of(federation, [0, 1, 2])
        method._held.values[1:, method._trunk_size :] += change
        work = method.train(cohort, Plan(6, 1))
        upload = method._kept.part(cohort.terminals, work, np.full(9, True))
        method.settle()
        uploads.append(upload.value)
    assert uploads[0].shape == (9, method._trunk_size)
    np.testing.assert_array_equal(uploads[0][0], uploads[1][0])
    assert np.all(np.abs(uploads[0][1:] - uploads[1][1:]).max(axis=1) > 0.0)


def test_an_update_that_is_lost_moves_neither_trunk_nor_heads() -> None:
    federation = random_federation(5, loss="logistic")
    method = FedPer(shared_setting(federation), JointParameters())
    before, cohort = weights_of(method), cohort_of(federation, [1])
    method.adopt(np.array([1]))
    method.merge(cohort, method.train(cohort, Plan(5, 1)), np.array([True, False, True]))
    method.combine()
    after, trunk = weights_of(method), method._trunk_size
    changed = np.abs(after - before)
    assert np.flatnonzero(changed[:, trunk:].max(axis=1)).tolist() == [3, 5]
    assert changed[:, :trunk].min(axis=0).max() > 0.0  # the mean of the two that arrived reaches everybody
    assert np.ptp(after[:, :trunk], axis=0).max() == 0.0


# The network --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "network"), [*((name, UNRELIABLE) for name in METHODS), ("fedrep", {})])
def test_deferred_is_eager_and_a_second_run_the_first_to_the_last_bit(name: str, network: dict[str, Any]) -> None:
    scenario = scenario_of(SHARED, network)
    found = [fingerprint(simulated(scenario, name, eager=eager)[0]) for eager in (False, False, True)]
    assert found[0] == found[1] == found[2]
    assert "log_loss" in found[0]["tasks"]


def test_trunks_can_be_added_up_by_the_air() -> None:
    uplink = {"network": {"uplink": {"transfer": "over_the_air"}}}
    result, _ = simulated(scenario_of(SHARED, uplink), "fedrep")
    noises = [row["air_noise"] for row in result.rounds if row["event"] == "edge"]
    assert noises and min(noises) > 0.0
    assert result.rounds[-1]["objective"] < result.rounds[0]["objective"]


def test_a_model_without_heads_is_refused_in_one_line() -> None:
    scenario = scenario_of(SHARED, {"learning": {"loss": "logistic"}})
    with pytest.raises(ScenarioError, match=r"^learning.model = .*, such as learning.trunks:mlp, for FedRep$"):
        simulated(scenario, "fedrep")


@pytest.mark.parametrize("name", ["fedrep", "fedper"])
def test_late_updates_bring_their_trunks_and_keep_their_heads(name: str) -> None:
    late = {"collection": {"policy": "first_k", "k_fraction": 0.5, "late": "carry"}}
    found = [fingerprint(simulated(scenario_of(SHARED, late), name, eager=eager)[0]) for eager in (False, True)]
    assert found[0] == found[1]
    assert found[0] != fingerprint(
        simulated(scenario_of(SHARED, late | {"collection": {"policy": "first_k"}}), name)[0]
    )
