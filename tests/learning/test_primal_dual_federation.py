"""A whole federation on a small scale: known trajectories, safety, and the invariants of every round.

The known numbers come from a second implementation, written from the closed algorithm alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.primal_dual.aggregation import SafeAggregation
from learning.primal_dual.centralised import solve_joint
from learning.primal_dual.certificate import Certificate, joint_certificate, task_certificate
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.jobs import AscentJobs, Sampling, host
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import LOSSES, make_loss
from learning.primal_dual.solver import LocalSolver
from learning.primal_dual.torch_solver import TorchSolver
from scenarios.streams import Streams

Array = NDArray[Any]


@dataclass
class Federation:
    """Cloud, base stations and terminals in lock step."""

    solver: LocalSolver
    coupling: Coupling
    task: Array  # (M,) task of each terminal
    aggregation: SafeAggregation
    sampling: Sampling = Sampling.UNIFORM
    seed: int = 0
    r: Array = field(init=False)
    W: Array = field(init=False)
    rounds: int = 0

    def __post_init__(self) -> None:
        self.sizes = np.diff(self.solver.offsets)
        self.counts = np.bincount(self.task, self.sizes, self.coupling.tasks)
        self.everyone = np.arange(len(self.task))
        self.r = np.zeros(self.solver.dual_image([0]).shape[1])
        self.W = self.coupling.primal_map(self.dual_sums(), self.r)

    def dual_sums(self) -> Array:
        """Return U (B, d) recomputed from the terminals' duals."""
        U = np.zeros((self.coupling.tasks, len(self.r)))
        np.add.at(U, self.task, self.solver.dual_image(self.everyone))
        return U / self.counts[:, None]

    def station_round(self, steps: Array | int, order: Array | None = None) -> Array:
        """Let every terminal ascend once and add the results; return the (M, 2) gap readings."""
        who = self.everyone if order is None else order
        task = self.task[who]
        lam_n = self.coupling.lam * self.counts[task]
        jobs = AscentJobs(
            who,
            self.W[task],
            np.broadcast_to(steps, len(self.task))[who],
            np.full(len(who), self.aggregation.sigma_prime),
            lam_n,
            np.full(len(who), self.rounds),
            Streams(self.seed).key("row"),
            self.sampling,
        )
        updates = self.solver.ascend(jobs)
        self.solver.commit(updates, np.full(len(who), True), np.full(len(who), self.aggregation.gamma))
        np.add.at(self.W, task, self.aggregation.gamma / lam_n[:, None] * host(updates.du))
        self.rounds += 1
        return updates.gap

    def cloud_round(self) -> None:
        """Move r to the mean model and broadcast it, which moves every model by its share."""
        r = self.W.mean(axis=0)
        self.W += self.coupling.share * (r - self.r)
        self.r = r

    def certificate(self) -> Certificate:
        """Return the joint certificate of the current duals."""
        U = self.dual_sums()
        sums = self.solver.sums(self.everyone, self.coupling.joint_map(U)[0][self.task])
        return joint_certificate(self.coupling, U, sums, self.task, self.counts)

    def task_certificate(self, b: int) -> Certificate:
        """Return task b's certificate at the current r."""
        mine = self.everyone[self.task == b]
        sums = self.solver.sums(mine, np.tile(self.W[b], (len(mine), 1)))
        return task_certificate(self.coupling, self.dual_sums()[b], self.r, sums, self.counts[b])


def tiny_rows() -> tuple[Array, Array]:
    """Return the tiny acceptance set: two tasks, two terminals each, three rows each, d = 2."""
    i, b = np.tile(np.arange(6), 2), np.repeat([0, 1], 6)
    X = np.stack([np.sin(1 + i + 3 * b), np.cos(2 * i + b)], axis=1)
    y = np.where(X[:, 0] + (1 - 2 * b) * 0.5 * X[:, 1] >= 0, 1.0, -1.0)
    y[[0, 6]] *= -1
    return X, y


def tiny_federation(name: str, sampling: Sampling = Sampling.CYCLIC) -> Federation:
    """Return the tiny set with lambda1 = .1, lambda2 = .05, adding."""
    solver = KernelSolver(*tiny_rows(), [0, 3, 6, 9, 12], make_loss(name))
    task = np.array([0, 0, 1, 1])
    return Federation(solver, Coupling(0.1, 0.05, 2), task, SafeAggregation.adding(2), sampling)


def random_federation(
    name: str, rng: np.random.Generator, aggregation: SafeAggregation, tasks: int = 3, terminals: int = 3
) -> Federation:
    """Return a federation of ragged random terminals."""
    sizes = rng.integers(1, 7, tasks * terminals)
    X = rng.normal(size=(sizes.sum(), 4)) * rng.choice([0.3, 1.0, 3.0])
    y = np.where(rng.random(len(X)) < 0.5, -1.0, 1.0) if name != "squared" else rng.normal(size=len(X))
    lambda1, lambda2 = (10.0 ** rng.uniform(-2, 0, 2)).tolist()
    solver = KernelSolver(X, y, np.concatenate([[0], np.cumsum(sizes)]), make_loss(name))
    task = np.repeat(np.arange(tasks), terminals)
    return Federation(solver, Coupling(lambda1, lambda2, tasks), task, aggregation, seed=int(rng.integers(2**31)))


TRAJECTORIES = {
    "hinge": [[1.0442809205603, -0.1873022400608], [1.1568192452253, 0.1451817498160]],
    "logistic": [[0.7046749409028, -0.2109945112401], [0.8970106383555, 0.3734698278185]],
    "smoothed_hinge": [[0.8163292974512, -0.1177397961560], [0.9567096731591, 0.1728399133354]],
    "squared": [[0.5479294389916, -0.1582716228570], [0.6590997938606, 0.3225330807748]],
}


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_two_cloud_rounds_of_three_station_rounds_follow_the_known_trajectory(name: str) -> None:
    federation = tiny_federation(name)
    certificates = []
    for t in range(2):
        for _ in range(3):
            federation.station_round(4)
        if t == 0:
            federation.cloud_round()
        certificates.append(federation.certificate())
    np.testing.assert_allclose(federation.W, TRAJECTORIES[name], atol=1e-10)
    if name == "hinge":
        np.testing.assert_allclose(federation.W.mean(axis=0), [1.1005500828928, -0.0210602451224], atol=1e-10)
        values = [(c.primal, c.dual) for c in certificates]
        known = [(1.4432396524513, 1.2510005221046), (1.3016955303615, 1.2802821929796)]
        np.testing.assert_allclose(values, known, atol=1e-10)


def five_single_samples(sigma_prime: float) -> Federation:
    """Return five terminals with one identical sample each, squared loss, lambda = .1."""
    solver = KernelSolver(np.ones((5, 1)), np.ones(5), np.arange(6), make_loss("squared"))
    return Federation(solver, Coupling(0.1, 0.0, 1), np.zeros(5, int), SafeAggregation(1.0, sigma_prime))


def test_safe_adding_solves_five_identical_terminals_in_one_round() -> None:
    federation = five_single_samples(5.0)
    federation.station_round(1)
    assert federation.W[0, 0] == pytest.approx(10 / 11, abs=1e-12)


def test_unsafe_adding_of_five_identical_terminals_diverges_and_is_rejected() -> None:
    federation = five_single_samples(1.0)
    models = []
    for _ in range(3):
        federation.station_round(1)
        models.append(federation.W[0, 0])
    assert models == pytest.approx([3.3333333333, -5.5555555556, 18.1481481481], abs=1e-9)
    with pytest.raises(ValueError, match=r"sigma_prime >= gamma \* N"):
        federation.aggregation.require_safe(5)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(LOSSES)), seed=st.integers(0, 2**32 - 1), averaging=st.booleans())
def test_with_safe_aggregation_no_round_lowers_the_dual_whatever_the_steps_and_order(
    name: str, seed: int, averaging: bool
) -> None:
    rng = np.random.default_rng(seed)
    rule = SafeAggregation.averaging(3) if averaging else SafeAggregation.adding(3)
    federation = random_federation(name, rng, rule.require_safe(3))
    federation.sampling = Sampling(int(rng.integers(3)))
    federation.r = rng.normal(size=4)
    federation.W = federation.coupling.primal_map(federation.dual_sums(), federation.r)
    before = [federation.task_certificate(b).dual for b in range(3)]
    for _ in range(6):
        steps = rng.integers(0, 9, len(federation.task))  # stragglers do nothing at all
        federation.station_round(steps, rng.permutation(len(federation.task)))
        after = [federation.task_certificate(b).dual for b in range(3)]
        assert np.all(np.subtract(after, before) >= -1e-12 * np.maximum(1.0, np.abs(after)))
        before = after


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(LOSSES)), seed=st.integers(0, 2**32 - 1))
def test_after_every_round_the_certificates_are_consistent(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    federation = random_federation(name, rng, SafeAggregation.adding(3))
    for _ in range(4):
        federation.station_round(int(rng.integers(0, 9)))
        federation.cloud_round()
        U = federation.dual_sums()
        np.testing.assert_allclose(federation.W, federation.coupling.primal_map(U, federation.r), atol=1e-12)
        W, r = federation.coupling.joint_map(U)
        np.testing.assert_allclose(r, W.mean(axis=0), atol=1e-12)
        for found in (federation.certificate(), federation.task_certificate(0)):
            scale = max(1.0, abs(found.primal))
            assert found.gap >= 0.0
            assert found.primal - found.dual >= -1e-12 * scale
            assert found.primal - found.dual == pytest.approx(found.gap, abs=1e-10 * scale)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_models_stay_the_primal_map_of_the_duals_over_ten_thousand_rounds(name: str) -> None:
    federation = tiny_federation(name, Sampling.UNIFORM)
    for k in range(10_000):
        federation.station_round(2)
        if k % 10 == 9:
            federation.cloud_round()
    expected = federation.coupling.primal_map(federation.dual_sums(), federation.r)
    np.testing.assert_allclose(federation.W, expected, atol=1e-12)
    found = federation.certificate()
    assert -1e-12 <= found.gap <= 1e-6 * found.primal


def test_a_terminals_gap_readings_add_up_to_the_tasks_certificate() -> None:
    federation = tiny_federation("logistic")
    for _ in range(3):
        federation.station_round(2)
    expected = [federation.task_certificate(b).gap for b in range(2)]
    readings = federation.station_round(0)
    np.testing.assert_allclose(readings[:, 0].reshape(2, 2).sum(axis=1) / 6, expected, rtol=1e-12)
    np.testing.assert_array_equal(readings[:, 0], readings[:, 1])


def test_enough_local_steps_close_the_local_sub_problems_own_gap() -> None:
    federation = tiny_federation("smoothed_hinge")
    readings = federation.station_round(4000)
    assert np.all(readings[:, 1] <= 1e-12)
    assert np.all(readings[:, 0] > 0.1)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_scaling_rows_by_c_and_weights_by_c_squared_leaves_duals_and_margins_alone(name: str) -> None:
    X, y = tiny_rows()
    runs = []
    for c in (1.0, 3.7):
        solver = KernelSolver(c * X, y, [0, 3, 6, 9, 12], make_loss(name))
        coupling = Coupling(0.1 * c**2, 0.05 * c**2, 2)
        federation = Federation(solver, coupling, np.array([0, 0, 1, 1]), SafeAggregation.adding(2))
        for _ in range(5):
            federation.station_round(3)
            federation.cloud_round()
        runs.append((solver.duals(), c * X @ federation.W.T))
    np.testing.assert_allclose(runs[0][0], runs[1][0], atol=1e-12)
    np.testing.assert_allclose(runs[0][1], runs[1][1], atol=1e-12)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_tensors_and_kernels_run_the_same_federation(name: str) -> None:
    X, y = tiny_rows()
    task = np.array([0, 0, 1, 1])
    pair = [
        Federation(solver, Coupling(0.1, 0.05, 2), task, SafeAggregation.averaging(2))
        for solver in (
            KernelSolver(X, y, [0, 3, 6, 9, 12], make_loss(name)),
            TorchSolver(X, y, [0, 3, 6, 9, 12], make_loss(name)),
        )
    ]
    for federation in pair:
        for _ in range(5):
            federation.station_round(3)
            federation.cloud_round()
    np.testing.assert_allclose(pair[0].W, pair[1].W, atol=1e-12)
    np.testing.assert_allclose(pair[0].solver.duals(), pair[1].solver.duals(), atol=1e-12)
    assert pair[0].certificate().gap == pytest.approx(pair[1].certificate().gap, abs=1e-12)


@pytest.mark.parametrize("adding", [True, False])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_federation_reaches_the_joint_optimum_and_proves_it(name: str, adding: bool) -> None:
    rng = np.random.default_rng(21)
    rule = SafeAggregation.adding(3) if adding else SafeAggregation.averaging(3)
    task, offsets = np.repeat([0, 1, 2], 3), np.array([0, 3, 11, 20, 30, 45, 51, 60, 61, 77])
    task_of_row = np.repeat(task, np.diff(offsets))
    X = rng.normal(size=(77, 4))
    y = X @ [1.0, -1.0, 0.5, 0.0] + 0.5 * rng.normal(size=77)
    y = y if name == "squared" else np.sign(y)
    solver = KernelSolver(X, y, offsets, make_loss(name))
    federation = Federation(solver, Coupling(0.1, 0.1, 3), task, rule, Sampling.PERMUTATION)
    for _ in range(60):
        for _ in range(30):
            federation.station_round(10)
        federation.cloud_round()
    best = solve_joint(X, y, task_of_row, 3, make_loss(name), 0.1, 0.1, tolerance=1e-12)
    found = federation.certificate()
    assert -1e-12 <= found.gap <= 1e-6 * found.primal
    assert found.primal == pytest.approx(best.primal, rel=1e-6)
    np.testing.assert_allclose(federation.W, best.W, atol=2e-3)
    np.testing.assert_allclose(federation.r, best.r, atol=2e-3)
