"""Gossip among terminals and among base stations: limits, rates, bytes, and the graph that follows the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.messages import Plan
from learning.methods.dynamic_graph_mtl import DynamicGraphMTL, DynamicGraphParameters
from learning.methods.edge_gossip import EdgeGossip
from learning.methods.fedavg import AveragingParameters
from learning.methods.gossip import Gossip, GossipParameters
from learning.mixing import disagreement, mixing_matrix, second_largest_modulus
from learning.setting import Setting
from netsim.port import Cohort, Mixing
from netsim.result import Result
from netsim.simulation import simulate
from netsim.topology import Pairs, Topology
from netsim.world import World, build_world
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.learning.driving import UNRELIABLE, fingerprint, scenario_of, setting_for, simulated, weights_of
from tests.learning.quadratic import QuadraticModel, quadratic_setting, toy

Array = NDArray[np.float64]
EVERYWHERE = {  # all terminals hear each other
    "propagation": {"log_distance": {"reference_loss_db": 90.0, "exponent": 0.0}},
    "device_to_device": {"environment": "log-distance"},
}
METHODS = {
    "gossip": {"rounds": 6},
    "dynamic_graph_mtl": {"rounds": 7, "probe_every": 3, "head": 1},
    "symmetric": {"use": "dynamic_graph_mtl", "rounds": 5, "weights": "metropolis"},
    "edge_gossip": {"cloud_rounds": 3},
    "local": {"chunks": 6, "local_iterations": 5},
    "fedavg": {"cloud_rounds": 3},
}


def on(graph: Mapping[str, Any], *changes: Mapping[str, Any]) -> Scenario:
    """Return the small scenario on a graph, with enough to spend."""
    network = {"network": EVERYWHERE | {"graph": graph}}
    return scenario_of(network, {"budget": {"time_s": 1e5}, "methods": METHODS}, *changes)


def played(method: Any, graph: Mapping[str, Any]) -> tuple[Result, World]:
    """Run a method over three tasks or one in the network."""
    setting: Setting = method.setting
    scenario = on(graph)
    serving = setting.federation.terminal_task.tolist()
    world = build_world(scenario, serving, setting.tasks, Streams(0))
    return simulate(world, method, list(setting.federation.task_names)), world


# Gossip -------------------------------------------------------------------------------------------------------


def test_a_round_on_a_complete_graph_ends_with_the_mean_of_what_everybody_learned_alone() -> None:
    scenario = on(
        {"kind": "complete"}, {"methods": {"gossip": {"rounds": 1}, "local": {"chunks": 1, "local_iterations": 5}}}
    )
    (_, together), (_, alone) = (simulated(scenario, key) for key in ("gossip", "local"))
    learned = weights_of(alone)
    assert disagreement(learned) > 0.01
    np.testing.assert_allclose(weights_of(together), np.tile(learned.mean(axis=0), (9, 1)), atol=1e-12)


def test_without_edges_it_is_local_training_to_the_last_bit() -> None:
    scenario = on({"kind": "geometric", "radius_m": 1e-9, "connect": False})
    (result, apart), (_, alone) = (simulated(scenario, key) for key in ("gossip", "local"))
    np.testing.assert_array_equal(weights_of(apart), weights_of(alone))
    assert result.rounds[-1]["bytes"] == 0.0


@pytest.mark.parametrize("graph", [{"kind": "ring"}, {"probability": 0.5}])
def test_rounds_are_those_of_the_matrix(graph: dict[str, Any]) -> None:
    model = toy()
    method = Gossip(quadratic_setting(model, 3), GossipParameters(local_iterations=2, rounds=9, decay=0.1))
    _, world = played(method, graph)
    pairs = Pairs.of(world.deployment.entity, world.deployment.terminal_xy_m)
    weights = mixing_matrix(Topology(world.scenario.network.graph, pairs, world.streams).graph(0))
    x = np.zeros_like(model.C)
    for round_ in range(9):
        for _ in range(2):
            x = x - 0.1 / (1.0 + 0.1 * round_) * model.A * (x - model.C)
        x = weights @ x
    np.testing.assert_allclose(weights_of(method), x, atol=1e-12)


def test_without_learning_disagreement_contracts_at_the_rate_of_the_matrix_and_is_recorded() -> None:
    still = QuadraticModel(np.zeros((20, 3)), np.zeros((20, 3)))
    method = Gossip(quadratic_setting(still), GossipParameters(rounds=60))
    method.models()[0].values[:] = np.random.default_rng(0).normal(size=(20, 3))
    result, world = played(method, {"probability": 0.5})
    pairs = Pairs.of(world.deployment.entity, world.deployment.terminal_xy_m)
    rate = second_largest_modulus(mixing_matrix(Topology(world.scenario.network.graph, pairs, world.streams).graph(0)))
    seen = [row["disagreement"] for row in result.rounds]
    assert 0.3 < rate < 0.9 and seen[0] > 1.0
    assert seen[-1] <= seen[0] * rate**60 * (1.0 + 1e-6)
    assert seen[-1] == disagreement(weights_of(method))


@pytest.mark.parametrize("key", ["gossip", "dynamic_graph_mtl", "symmetric", "edge_gossip"])
@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_late_evaluation_is_immediate_evaluation_and_a_run_is_repeated_to_the_last_bit(
    key: str, world: dict[str, Any]
) -> None:
    scenario = on({"probability": 0.4, "redraw_every": 2}, world)
    late, again, eager = (simulated(scenario, key, eager=eager) for eager in (False, False, True))
    assert fingerprint(late[0]) == fingerprint(again[0]) == fingerprint(eager[0])
    np.testing.assert_array_equal(weights_of(late[1]), weights_of(eager[1]))
    assert len(late[0].rounds) > 4


def test_bytes_are_degree_times_a_model() -> None:
    result, method = simulated(on({"kind": "ring"}), "gossip")
    message = method.setting.message_bits(method.setting.model.size) / 8.0
    assert result.rounds[-1]["bytes_uplink"] == 6 * 9 * 2 * message
    assert {row["merged"] for row in result.terminals} == {6}


# Base stations ------------------------------------------------------------------------------------------------


def test_on_a_complete_graph_of_equal_tasks_edge_gossip_is_hierarchical_fedavg() -> None:
    (edge, gossiping), (_, averaging) = (simulated(on({"kind": "complete"}), key) for key in ("edge_gossip", "fedavg"))
    assert len(set(gossiping.setting.federation.task_samples.tolist())) == 1
    np.testing.assert_allclose(weights_of(gossiping), weights_of(averaging), atol=1e-12)
    message = gossiping.setting.message_bits(gossiping.setting.model.size) / 8.0
    assert edge.rounds[-1]["bytes_backhaul"] == 3 * 3 * 2 * message
    assert edge.rounds[-1]["disagreement"] < 1e-12


def test_a_base_station_offers_what_it_had_whatever_comes_after() -> None:
    method = EdgeGossip(quadratic_setting(toy(), 3), AveragingParameters())
    method.models()[0].values[:] = np.arange(3.0)[:, None]
    offers = [method.offer(site) for site in range(3)]
    for site in (0, 1, 2):
        others = np.array([other for other in range(3) if other != site])
        works = [offers[other] for other in others]
        method.mix(Mixing(site, 0, offers[site], others, 2, np.array([2, 2]), np.full(2, True), works))
    np.testing.assert_allclose(weights_of(method), 1.0, rtol=1e-15)


# The graph that follows the tasks -----------------------------------------------------------------------------


def opposed(n: int = 8) -> QuadraticModel:
    """Return two groups of terminals, in turns, that pull to opposite sides."""
    rng = np.random.default_rng(1)
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)[:, None]
    return QuadraticModel(np.ones((n, 3)), signs * (1.0 + 0.2 * rng.random((n, 3))))


def test_two_opposed_groups_part_after_two_probes_and_each_comes_to_agree() -> None:
    model = opposed()
    method = DynamicGraphMTL(
        quadratic_setting(model), DynamicGraphParameters(rounds=60, probe_every=3, decay=0.2, local_iterations=1)
    )
    result, _ = played(method, {"kind": "complete"})
    found = weights_of(method)
    for group in (found[::2], found[1::2]):
        assert disagreement(group) < 0.01
    assert disagreement(found) > 0.5
    kept = [row["links_kept"] for row in result.rounds if row["event"] == "cloud"]
    assert kept[3:] == pytest.approx([12 / 28] * 57)


def test_apart_messages_go_to_the_own_group_alone_except_when_updates_are_compared() -> None:
    method = DynamicGraphMTL(quadratic_setting(opposed()), DynamicGraphParameters(rounds=10, probe_every=4))
    result, _ = played(method, {"kind": "complete"})
    trunk, both = (method.setting.message_bits(values) / 8.0 for values in (3, 6))
    probes, others = 3, 7  # rounds 0, 4 and 8 of 10
    assert result.rounds[-1]["bytes"] == 8 * (probes * 7 * both + others * 3 * trunk)


def test_while_all_pull_the_same_way_nobody_parts_and_the_means_are_weighted_by_likeness() -> None:
    model = QuadraticModel(np.ones((6, 3)), 1.0 + 0.2 * np.random.default_rng(2).random((6, 3)))
    parameters = DynamicGraphParameters(rounds=12, learning_rate=0.01, memory=0.5)
    method = DynamicGraphMTL(quadratic_setting(model), parameters)
    result, _ = played(method, {"kind": "complete"})
    assert {row["links_kept"] for row in result.rounds[1:]} == {1.0}
    alone = model.C * (1.0 - 0.99**60)
    assert disagreement(weights_of(method)) < 0.2 * disagreement(alone)
    np.testing.assert_allclose(weights_of(method), np.tile(alone.mean(axis=0), (6, 1)), rtol=0.01)


def test_a_mixing_by_hand_follows_the_reference_vectors() -> None:
    updates = np.array([[1.0, 0.2, 0.0], [0.9, 0.1, 0.1], [-1.0, 0.3, 0.0]])
    still = QuadraticModel(np.ones((3, 3)), updates)
    method = DynamicGraphMTL(quadratic_setting(still), DynamicGraphParameters(local_iterations=1, learning_rate=1.0))
    works = []
    for node in range(3):
        works.append(method.train(Cohort(np.array([0]), np.array([0, 1]), np.array([node])), Plan(1, 1)))
        assert len(method.contacts(node, 0, np.delete(np.arange(3), node)).nodes) == 2
    for node in range(3):
        others = np.delete(np.arange(3), node)
        met = [works[other] for other in others]
        method.mix(Mixing(node, 0, works[node], others, 2, np.array([2, 2]), np.full(2, True), met))
    weights = np.array([[0.502457, 0.497543, 0.0], [0.497543, 0.502457, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(weights_of(method), weights @ updates, atol=1e-6)
    assert [method.contacts(node, 1, np.delete(np.arange(3), node)).nodes.tolist() for node in range(3)] == [
        [1],
        [0],
        [],
    ]


def test_a_head_is_never_mixed() -> None:
    model = QuadraticModel(np.ones((5, 3)), np.arange(15.0).reshape(5, 3))
    parameters = DynamicGraphParameters(rounds=5, head=1, local_iterations=1)
    method = DynamicGraphMTL(quadratic_setting(model), parameters)
    result, _ = played(method, {"kind": "complete"})
    alone = model.C[:, 2] * (1.0 - 0.9**5)
    np.testing.assert_allclose(weights_of(method)[:, 2], alone, rtol=1e-12)
    assert not np.allclose(weights_of(method)[:, 1], model.C[:, 1] * (1.0 - 0.9**5))
    trunk, both = (method.setting.message_bits(values) / 8.0 for values in (2, 4))
    assert result.rounds[-1]["bytes"] == 5 * 4 * (both + 4 * trunk)


def test_personal_scores_come_with_every_round() -> None:
    scenario = on({"probability": 0.5})
    for key in ("gossip", "edge_gossip"):
        result, _ = simulated(scenario, key)
        events = {row["event"] for row in result.tasks}
        assert {"start", "cloud", "end"} <= events
        assert len({row["task"] for row in result.tasks}) == setting_for(scenario).tasks
