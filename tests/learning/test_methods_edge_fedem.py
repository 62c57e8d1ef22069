"""Edge FedEM: FedEM's rounds on a complete graph, edge gossip with a single component, bytes over the wires."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.learning.driving import UNRELIABLE, fingerprint, scenario_of, simulated, weights_of

METHODS = {
    "edge_fedem": {"cloud_rounds": 3},
    "fedem": {"cloud_rounds": 3},
    "single": {"use": "edge_fedem", "components": 1, "cloud_rounds": 3},
    "edge_gossip": {"cloud_rounds": 3},
}


def on(graph: dict[str, Any], *changes: dict[str, Any]) -> Any:
    """Return the small scenario on a graph of base stations, with enough to spend."""
    network = {"network": {"graph": graph}, "learning": {"loss": "logistic"}}
    return scenario_of(network, {"budget": {"time_s": 1e5}, "methods": METHODS}, *changes)


def test_on_a_complete_graph_of_equal_tasks_it_is_fedem() -> None:
    scenario = on({"kind": "complete"})
    (edge, mine), (cloud, theirs) = (simulated(scenario, key) for key in ("edge_fedem", "fedem"))
    assert len(set(mine.setting.federation.task_samples.tolist())) == 1
    np.testing.assert_allclose(mine._sites.values, np.tile(theirs._cloud.values, (3, 1)), atol=1e-12)
    np.testing.assert_allclose(mine._shares.values, theirs._shares.values, atol=1e-12)
    ends = [[row for row in result.tasks if row["event"] == "end"] for result in (edge, cloud)]
    assert len(ends[0]) == 6
    for one, other in zip(*ends, strict=True):
        assert one["log_loss"] == pytest.approx(other["log_loss"], abs=1e-12)
    message = mine.setting.message_bits(3 * mine.setting.model.size) / 8.0
    assert edge.rounds[-1]["bytes_backhaul"] == 3 * 3 * 2 * message
    assert edge.rounds[-1]["disagreement"] < 1e-12


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_one_component_is_edge_gossip_to_the_last_bit(world: dict[str, Any]) -> None:
    scenario = on({"probability": 0.5}, world)
    (mixed, mixture), (plain, gossip) = (simulated(scenario, key) for key in ("single", "edge_gossip"))
    assert weights_of(mixture).tobytes() == weights_of(gossip).tobytes()
    assert [row["disagreement"] for row in mixed.rounds if row["event"] != "edge"] == [
        row["disagreement"] for row in plain.rounds if row["event"] != "edge"
    ]
    assert mixed.rounds[-1]["bytes"] == plain.rounds[-1]["bytes"]


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_late_evaluation_is_immediate_evaluation(world: dict[str, Any]) -> None:
    scenario = on({"probability": 0.6, "redraw_every": 2}, world)
    late, eager = (simulated(scenario, "edge_fedem", eager=eager) for eager in (False, True))
    assert fingerprint(late[0]) == fingerprint(eager[0])
    assert weights_of(late[1]).tobytes() == weights_of(eager[1]).tobytes()
    np.testing.assert_allclose(late[1]._shares.values.sum(axis=1), 1.0, atol=1e-12)
    assert np.ptp(late[1]._shares.values) > 1e-3
