"""D-FedEM: the published vectors, the server's rounds on a complete graph, gossip with a single component."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.messages import Plan
from learning.methods.dfedem import DecentralisedMixtureParameters, DFedEM
from learning.methods.fedem import FedEM, MixtureParameters
from learning.mixing import metropolis, mixing_matrix
from learning.mixtures import expectation
from learning.setting import Setting
from netsim.port import Cohort, Mixing
from netsim.topology import Pairs, Topology
from netsim.world import build_world
from scenarios.streams import Streams
from tests.learning.driving import (
    UNRELIABLE,
    Driver,
    federation_of,
    fingerprint,
    scenario_of,
    setting_of,
    simulated,
    weights_of,
)
from tests.learning.mixture_toy import HEAVY, REFERENCE, ROUNDS, components, held_out_scores, toy_federation

Array = NDArray[np.float64]
EVERYTHING = 1000  # a batch of this many rows is all a terminal has
COMPLETE = np.arange(3)


def dfedem(setting: Setting, **parameters: Any) -> DFedEM:
    """Return a fresh method that takes full steps of 0.1."""
    return DFedEM(setting, DecentralisedMixtureParameters(batch_size=EVERYTHING, local_iterations=1, **parameters))


def together(method: DFedEM, degree: int) -> None:
    """Let all terminals do a round on a complete graph of which each end takes the nodes' degree for this."""
    owner = method.setting.federation.terminal_task
    cohorts = [Cohort(owner[[t]], np.array([0, 1]), np.array([t])) for t in range(len(owner))]
    works = [method.train(cohort, Plan(1, 1)) for cohort in cohorts]
    for t, own in enumerate(works):
        others = np.delete(np.arange(len(works)), t)
        degrees, met = np.full(len(others), degree), np.full(len(others), True)
        method.mix(Mixing(t, 0, own, others, degree, degrees, met, [works[other] for other in others]))
    method.settle()


@pytest.mark.parametrize(("key", "parameters"), [("dfedem", {}), ("dfedem_sgdm", HEAVY)])
def test_rounds_are_those_of_the_reference(key: str, parameters: dict[str, Any]) -> None:
    data = toy_federation()
    method = dfedem(setting_of(data, "logistic", 1e-15), components=2, **parameters)
    method.models()[0].values[:, :10] = components()
    assert metropolis(3, np.array([3])).tolist() == [0.25]  # the weights of the reference: 1/2, 1/4, 1/4
    for number in range(1, 21):
        mixture, before = method._em.mixture, weights_of(method)[:1]
        losses = mixture.losses(before[:, :10], data.X[:12], data.y[:12], np.array([0, 12]))
        q, _ = expectation(losses, before[:, 10:], np.array([0, 12]))
        together(method, degree=3)
        if number in ROUNDS:
            found, expected = weights_of(method), REFERENCE[key][str(number)]
            np.testing.assert_allclose(found[:, :10].reshape(3, 2, 5), expected["cl"], atol=2e-6)
            np.testing.assert_allclose(found[:, 10:], expected["pi"], atol=2e-6)
            np.testing.assert_allclose(q[:3].T, expected["q1"], atol=2e-6)
            np.testing.assert_allclose(held_out_scores(mixture, found, (1, 2, 3)), expected["eval"], atol=2e-6)


def test_mixing_with_everybody_alike_is_the_server_of_terminals_with_equally_many_rows() -> None:
    rng = np.random.default_rng(0)
    data = federation_of(rng.normal(size=(40, 4)), rng.choice([-1.0, 1.0], 40), [8] * 5, 1)
    central = FedEM(setting_of(data, "logistic"), MixtureParameters(batch_size=EVERYTHING))
    expected = Driver(central).run(Plan(1, 1), 15).models()[0]
    method = dfedem(setting_of(data, "logistic"))
    for _ in range(15):
        together(method, degree=4)
    np.testing.assert_allclose(weights_of(method)[:, :12], np.tile(expected, (5, 1)), atol=1e-13)
    np.testing.assert_allclose(weights_of(method)[:, 12:], central._shares.values, atol=1e-13)


# In the network -----------------------------------------------------------------------------------------------

EVERYWHERE = {  # all terminals hear each other
    "propagation": {"log_distance": {"reference_loss_db": 90.0, "exponent": 0.0}},
    "device_to_device": {"environment": "log-distance"},
}
METHODS = {
    "dfedem": {"rounds": 6},
    "single": {"use": "dfedem", "components": 1, "rounds": 6},
    "gossip": {"rounds": 6},
}


def on(graph: dict[str, Any], *changes: dict[str, Any]) -> Any:
    """Return the small scenario on a graph, with enough to spend."""
    network = {"network": EVERYWHERE | {"graph": graph}, "learning": {"loss": "logistic"}}
    return scenario_of(network, {"budget": {"time_s": 1e5}, "methods": METHODS}, *changes)


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_one_component_is_gossip_to_the_last_bit(world: dict[str, Any]) -> None:
    scenario = on({"probability": 0.5}, world)
    (mixed, mixture), (plain, gossip) = (simulated(scenario, key) for key in ("single", "gossip"))
    assert weights_of(mixture)[:, :-1].tobytes() == weights_of(gossip).tobytes()
    assert fingerprint(mixed)["terminals"] == fingerprint(plain)["terminals"]
    assert [row["disagreement"] for row in mixed.rounds] == [row["disagreement"] for row in plain.rounds]


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_late_evaluation_is_immediate_evaluation(world: dict[str, Any]) -> None:
    scenario = on({"probability": 0.4, "redraw_every": 2}, world)
    late, eager = (simulated(scenario, "dfedem", eager=eager) for eager in (False, True))
    assert fingerprint(late[0]) == fingerprint(eager[0])
    assert weights_of(late[1]).tobytes() == weights_of(eager[1]).tobytes()
    np.testing.assert_allclose(weights_of(late[1])[:, -3:].sum(axis=1), 1.0, atol=1e-12)


def test_without_learning_components_agree_at_the_rate_of_the_graph_and_shares_do_not() -> None:
    scenario = on({"kind": "ring"}, {"methods": {"dfedem": {"rounds": 12, "learning_rate": 1e-30}}})
    result, method = simulated(scenario, "dfedem")
    world = build_world(scenario, method.setting.federation.terminal_task.tolist(), 3, Streams(0))
    pairs = Pairs.of(world.deployment.entity, world.deployment.terminal_xy_m)
    W = mixing_matrix(Topology(world.scenario.network.graph, pairs, world.streams).graph(0))
    start = np.random.default_rng(0).normal(size=(9, 15))
    assert max(row["disagreement"] for row in result.rounds) < 1e-15  # all started from the same components
    method.models()[0].values[:, :15] = start
    cohorts = [Cohort(np.array([t // 3]), np.array([0, 1]), np.array([t])) for t in range(9)]
    for _ in range(12):
        works = [method.train(cohort, Plan(1, 1)) for cohort in cohorts]
        for t in range(9):
            others = np.flatnonzero((W[t] > 0.0) & (np.arange(9) != t))
            degrees = np.full(len(others), 2)
            method.mix(Mixing(t, 0, works[t], others, 2, degrees, np.full(2, True), [works[o] for o in others]))
    found = weights_of(method)
    np.testing.assert_allclose(found[:, :15], np.linalg.matrix_power(W, 12) @ start, atol=1e-12)
    rate = np.sort(np.abs(np.linalg.eigvalsh(W)))[-2]
    apart = [np.linalg.norm(x - x.mean(axis=0)) for x in (start, found[:, :15])]
    assert 0.5 < rate < 1.0 and apart[1] <= rate**12 * apart[0] * (1.0 + 1e-9)
    assert np.ptp(found[:, 15:], axis=0).min() > 1e-3


def test_bytes_are_degree_times_all_models() -> None:
    result, method = simulated(on({"kind": "ring"}), "dfedem")
    message = method.setting.message_bits(3 * method.setting.model.size) / 8.0
    assert result.rounds[-1]["bytes_uplink"] == 6 * 9 * 2 * message
