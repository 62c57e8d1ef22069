"""Local training: every terminal descends on its own rows, sends nothing, and counts in its task's mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.local import Local, LocalParameters
from learning.metrics import accuracy, auc, balanced_accuracy, log_loss
from learning.primal_dual.losses import LOSSES, make_loss
from netsim.port import CLOUD, Cohort, Observation
from tests.learning.driving import (
    UNRELIABLE,
    cohort_of,
    federation_of,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
    weights_of,
)

Array = NDArray[Any]


def local(federation: Federation, loss: str = "logistic", **parameters: Any) -> Local:
    """Return a fresh method with lambda1 = 0.1."""
    return Local(setting_of(federation, loss), LocalParameters(**parameters))


def alone(federation: Federation, terminal: int) -> Cohort:
    """Return a terminal on its own."""
    return Cohort(federation.terminal_task[[terminal]], np.array([0, 1]), np.array([terminal]))


def chunk(method: Local, cohort: Cohort, plan: Plan) -> None:
    """Let a cohort do a chunk."""
    method.merge(cohort, method.train(cohort, plan), np.full(len(cohort.terminals), True))


def work(method: Local, chunks: int, plan: Plan) -> Array:
    """Let every terminal do some chunks and return the (M, P) models."""
    for _ in range(chunks):
        chunk(method, cohort_of(method.setting.federation, range(method.setting.tasks)), plan)
    return weights_of(method)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_full_batches_are_independent_gradient_descents(loss: str) -> None:
    federation = random_federation(1, loss=loss)
    found = work(local(federation, loss, batch_size=1000, decay=0.5), 4, Plan(5, 4))
    for j in range(9):
        rows, w = slice(federation.terminal_offsets[j], federation.terminal_offsets[j + 1]), np.zeros(4)
        X, y = federation.X[rows], federation.y[rows]
        for step in range(20):
            slope = X.T @ make_loss(loss).derivative(X @ w, y) / len(y) + 0.1 * w
            w = w - 0.1 / (1.0 + 0.5 * (step // 5)) * slope
        np.testing.assert_allclose(found[j], w, atol=1e-12)


def test_permuting_the_terminals_permutes_the_models() -> None:
    federation = random_federation(2, tasks=1, terminals=5)
    order, cuts = np.array([3, 0, 4, 2, 1]), federation.terminal_offsets
    rows = np.concatenate([np.arange(cuts[j], cuts[j + 1]) for j in order])
    other = federation_of(federation.X[rows], federation.y[rows], np.diff(cuts)[order].tolist(), 1)
    first, second = (work(local(data, batch_size=1000), 3, Plan(5, 3)) for data in (federation, other))
    np.testing.assert_array_equal(second, first[order])


def test_a_terminals_model_does_not_depend_on_what_the_others_do() -> None:
    federation = random_federation(3)
    lone, together = local(federation), local(federation)
    for _ in range(3):
        chunk(lone, alone(federation, 4), Plan(6, 3))
    found = work(together, 3, Plan(6, 3))
    np.testing.assert_array_equal(weights_of(lone)[4], found[4])
    np.testing.assert_array_equal(weights_of(lone)[5], np.zeros(4))


def test_terminals_one_by_one_at_their_own_pace_reach_the_models_of_all_together_to_the_last_bit() -> None:
    federation = random_federation(3)
    apart, together = local(federation, decay=0.3), local(federation, decay=0.3)
    for j in np.random.default_rng(0).permutation(np.repeat(np.arange(9), 4)):
        chunk(apart, alone(federation, int(j)), Plan(6, 4))
    np.testing.assert_array_equal(weights_of(apart), work(together, 4, Plan(6, 4)))


def test_a_chunk_that_was_cut_short_leaves_its_terminals_model_as_it_was() -> None:
    federation = random_federation(3)
    method, plan, everybody = local(federation), Plan(6, 3), cohort_of(federation, [0, 1, 2])
    before = work(method, 1, plan)
    finished = np.arange(9) % 3 != 1
    method.merge(everybody, method.train(everybody, plan), finished)
    after = weights_of(method)
    np.testing.assert_array_equal(after[~finished], before[~finished])
    assert np.all(np.any(after[finished] != before[finished], axis=1))


def test_the_plan_is_the_number_of_chunks() -> None:
    method = local(random_federation(3), local_iterations=7, chunks=9)
    assert method.plan(Observation(0, 9, 3)) == Plan(7, 9)
    assert method.protocol == "isolated"


def test_nothing_is_sent_and_every_visit_of_a_row_is_counted() -> None:
    federation = random_federation(3)
    method = local(federation, batch_size=3)
    sizes = method.sizes(Plan(1, 1))
    assert sizes.cloud_bits == sizes.broadcast_bits == sizes.update_bits == sizes.aggregate_bits == 0.0
    assert sizes.samples.tolist() == np.minimum(3, np.diff(federation.terminal_offsets)).tolist()
    assert not sizes.fixed_samples.any()


def test_a_tasks_scores_are_the_mean_over_its_terminals() -> None:
    federation = random_federation(4)
    method = local(federation)
    models = work(method, 3, Plan(5, 3))
    measured = method.evaluate(CLOUD)
    method.settle()
    ends = federation.test.task_offsets
    rows = [row for row in measured.tasks if row["split"] == "test"]
    assert [row["task"] for row in rows] == list(federation.task_names)
    for b, row in enumerate(rows):
        X, y = federation.test.X[ends[b] : ends[b + 1]], federation.test.y[ends[b] : ends[b + 1]]
        for name, measure in (
            ("accuracy", accuracy),
            ("balanced_accuracy", balanced_accuracy),
            ("auc", auc),
            ("log_loss", log_loss),
        ):
            expected = np.mean([measure(X @ models[j], y) for j in range(3 * b, 3 * b + 3)])
            assert row[name] == pytest.approx(expected, rel=1e-12)
        assert row["samples"] == len(y)
    assert dict(measured.scalars) == {}


@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_in_the_network_no_byte_and_no_radio_energy_is_used(world: dict[str, Any]) -> None:
    result, method = simulated(scenario_of(world), "local")
    last = result.rounds[-1]
    assert last["bytes"] == 0.0
    for name in ("terminal_transmit", "terminal_receive", "bs_transmit", "backhaul"):
        assert last[f"energy_{name}_j"] == 0.0
    assert last["energy_terminal_compute_j"] > 0.0
    assert np.abs(weights_of(method)).max() > 0.0


def test_every_terminal_does_all_its_chunks_if_the_budget_allows() -> None:
    result, _ = simulated(scenario_of({"budget": {"cost": 1e6}}), "local")
    assert result.ended_by == "plan complete"
    assert [row["merged"] for row in result.terminals] == [6] * 9
