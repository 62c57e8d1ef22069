"""Methods without rounds: against vectors computed elsewhere, against synchronous methods, and in the real network."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.build import check_method
from learning.messages import Plan
from learning.methods.fedasync import FedAsync
from learning.methods.fedavg import FedAvg
from learning.methods.fedbuff import FedBuff
from learning.methods.persafl import PersAFL
from learning.personal_descent import LocalLoss, Meta
from learning.primal_dual.jobs import SgdJobs
from learning.staleness import discounted
from scenarios.errors import ScenarioError
from scenarios.schema import Method
from tests.learning.driving import (
    ALIKE,
    UNRELIABLE,
    Driver,
    fingerprint,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
    weights_of,
)
from tests.learning.free_running import FreeRunning
from tests.learning.quadratic import QuadraticModel, quadratic_setting, toy

Array = NDArray[np.float64]
TOY: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "asynchronous_toy.json").read_text())
SERVICE_S = TOY["async_service_times"]
CLOSE = 1e-10
VECTORS: dict[str, tuple[Any, dict[str, Any]]] = {
    "fedasync_poly_a.5_alpha.6_Q2_eta.1": (FedAsync, {"proximal": 0.0}),
    "fedasync_const_alpha.6_Q2_eta.1": (FedAsync, {"proximal": 0.0, "discount": "constant"}),
    "fedbuff_K2_etag1_Q2_eta.1_sqrtstale": (FedBuff, {"buffer": 2}),
    "fedbuff_K2_nostale": (FedBuff, {"buffer": 2, "discount": "constant"}),
    "persafl_optionA_beta.2_Q2_eta.1": (PersAFL, {"option": "afl", "server_rate": 0.2}),
    "persafl_optionB_beta.2_Q2_eta.1": (PersAFL, {"option": "maml", "server_rate": 0.2, "adaptation_rate": 0.05}),
    "persafl_optionC_beta.2_Q2_eta.1": (
        PersAFL,
        {"option": "moreau", "server_rate": 0.2, "pull": 2.0, "adaptation_rate": 0.3, "adaptation_steps": 40},
    ),
}
ENTRIES: dict[str, dict[str, Any]] = {
    "fedasync": {"mixing": 0.3},
    "fedbuff": {"buffer": 4, "server_rate": 2.0, "max_staleness": 3},
    "afl": {"use": "persafl", "option": "afl"},
    "maml": {"use": "persafl", "option": "maml", "adaptation_rate": 0.1},
    "moreau": {"use": "persafl", "option": "moreau", "adaptation_rate": 0.1},
}


def made(kind: Any, setting: Any, **parameters: Any) -> Any:
    return kind(setting, kind.Parameters(**parameters))


def of_toy(kind: Any, eager: bool = False, **parameters: Any) -> Any:
    return made(kind, quadratic_setting(toy(), eager=eager), learning_rate=0.1, local_iterations=2, **parameters)


@pytest.mark.parametrize("name", VECTORS)
def test_the_cloud_is_where_it_should_be_after_every_report(name: str) -> None:
    kind, parameters = VECTORS[name]
    ran = FreeRunning(of_toy(kind, **parameters), SERVICE_S, 2).run(60, watch=True)
    for reports, model in TOY[name].items():
        assert ran.models[int(reports) - 1] == pytest.approx(model, abs=CLOSE)
    assert [list(pair) for pair in ran.reporters[:20]] == TOY["async_order_first20"]
    law = "every_second" if kind is FedBuff else "every_report_a_version"
    assert ran.staleness[:60] == TOY["staleness"][law]


@given(st.floats(0.5, 20.0), st.floats(0.0, 20.0))
def test_a_hinge_is_continuous_and_no_law_trusts_an_older_report_more(slope: float, start: float) -> None:
    rule = FedAsync.Parameters(discount="hinge", hinge_slope=slope, hinge_from=start)
    assert discounted(rule, start) == 1.0
    assert discounted(rule, start + 1e-9) == pytest.approx(1.0, abs=1e-7)
    for law in ("constant", "polynomial", "hinge"):
        rule = FedAsync.Parameters(discount=law, hinge_slope=slope, hinge_from=start)
        worth = [discounted(rule, age) for age in range(50)]
        assert all(0.0 < b <= a <= 1.0 for a, b in pairwise(worth))


def test_one_terminal_whose_reports_replace_the_model_is_sequential_sgd() -> None:
    data = random_federation(3, tasks=1, terminals=1, rows=30)
    setting = setting_of(data)
    method = made(FedAsync, setting, mixing=1.0, proximal=0.0, discount="constant", local_iterations=3)
    ran = FreeRunning(method, [1.0], 3).run(7)
    w = np.zeros((1, data.X.shape[1]))
    for number in range(7):
        jobs = SgdJobs(
            np.array([0]),
            w,
            w,
            np.array([3]),
            np.array([0.1]),
            np.array([number]),
            setting.streams.key("local rows"),
            4,
            0.1,
        )
        w = setting.model.descend(jobs)
    assert ran.staleness == [0] * 7
    assert method.cloud.values[0] == pytest.approx(w[0], rel=1e-13)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_buffer_for_all_is_fedavg_if_everybody_is_as_fast_and_nobody_restarts_before_the_step(at_once: bool) -> None:
    method = of_toy(FedBuff, buffer=6)
    ran = FreeRunning(method, [1.0] * 6, 2, at_once=at_once).run(30)
    rounds = made(FedAvg, quadratic_setting(toy()), learning_rate=0.1, local_iterations=2, bs_iterations=1)
    expected = Driver(rounds).run(Plan(2, 1), 5).models()[0]
    if at_once:  # five of six start again from the version before
        assert np.abs(method.cloud.values[0] - expected).max() > 1e-3
        assert set(ran.staleness) == {0, 1}
    else:
        assert method.cloud.values[0] == pytest.approx(expected, rel=1e-12)
        assert ran.staleness == [0] * 30


def test_an_average_of_small_steps_of_everybody_is_the_optimum_of_the_sum() -> None:
    model = toy()
    method = made(FedBuff, quadratic_setting(model), learning_rate=0.01, local_iterations=1, buffer=6)
    FreeRunning(method, [1.0] * 6, 1, at_once=False).run(6 * 3000)
    optimum = (model.A * model.C).sum(axis=0) / model.A.sum(axis=0)
    assert method.cloud.values[0] == pytest.approx(optimum, abs=1e-9)


def test_reports_that_are_too_old_are_thrown_away_and_say_so() -> None:
    method = of_toy(FedAsync, max_staleness=0, mixing=1.0, proximal=0.0, discount="constant")
    two = FreeRunning(method, [1.0, 1.5, 100.0, 100.0, 100.0, 100.0], 2).run(3, watch=True)
    assert two.staleness == [0, 1, 0]
    assert np.array_equal(two.models[0], two.models[1])
    assert not np.array_equal(two.models[1], two.models[2])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from(sorted(VECTORS)))
def test_what_is_lost_leaves_no_trace_and_what_is_at_work_is_computed_together(seed: int, name: str) -> None:
    kind, parameters = VECTORS[name]
    lost = set(zip(*np.random.default_rng(seed).integers(0, [[6], [20]], (2, 40)).tolist(), strict=True))
    calls: list[list[int]] = []

    class Watched(QuadraticModel):
        def descend(self, jobs: SgdJobs) -> Array:
            calls.append(list(jobs.terminals))
            return super().descend(jobs)

    def run(eager: bool) -> tuple[Array, list[int]]:
        model = toy()
        setting = quadratic_setting(Watched(model.A, model.C), eager=eager)
        method = made(kind, setting, learning_rate=0.1, local_iterations=2, **parameters)
        ran = FreeRunning(method, SERVICE_S, 2, arrives=lambda i, number: (i, number) not in lost).run(40)
        return method.cloud.values[0].copy(), ran.staleness

    one, other = run(eager=False), run(eager=True)
    assert np.array_equal(one[0], other[0])
    assert one[1] == other[1]
    assert sorted(calls[0]) == list(range(6))  # whoever is at work when the first report is needed
    assert all(len(set(call)) == len(call) for call in calls)


def test_maml_is_the_gradient_of_the_loss_after_a_step() -> None:
    data = random_federation(5, tasks=1, terminals=3, loss="logistic", rows=20)
    setting = setting_of(data, loss="logistic")
    loss, who = LocalLoss(setting, np.arange(3), 1000), np.arange(3)
    w = np.random.default_rng(0).normal(size=(3, data.X.shape[1]))
    alpha, exact = 0.3, np.zeros_like(w)

    def after_a_step(w: Array) -> Array:
        v = w - alpha * loss.gradient(w, "any", who)
        margins = [data.y[a:b] * (data.X[a:b] @ v[i]) for i, (a, b) in enumerate(pairwise(data.terminal_offsets))]
        return np.array([np.logaddexp(0.0, -m).mean() for m in margins]) + 0.05 * np.sum(v * v, axis=1)

    for j in range(w.shape[1]):
        e = 1e-5 * np.eye(w.shape[1])[j]
        exact[:, j] = (after_a_step(w + e) - after_a_step(w - e)) / 2e-5
    assert Meta(alpha, first_order=False).gradient(loss, w, who) == pytest.approx(exact, abs=1e-5)
    first_order = Meta(alpha, first_order=True).gradient(loss, w, who)
    assert np.abs(first_order - exact).max() > 1e-3


def test_terminals_use_what_they_have_adapted() -> None:
    model = toy()
    for option, expected in (
        ("afl", lambda w: w + 0.0 * model.C),
        ("maml", lambda w: w - 0.1 * model.A * (w - model.C)),
        ("moreau", lambda w: (model.A * model.C + 3.0 * w) / (model.A + 3.0)),
    ):
        more = {"pull": 3.0, "adaptation_steps": 60, "adaptation_rate": 0.1}
        method = of_toy(PersAFL, option=option, **more)
        FreeRunning(method, SERVICE_S, 2).run(10)
        _evaluate(method)
        assert weights_of(method) == pytest.approx(expected(method.cloud.values[0]), abs=1e-9), option


def _evaluate(method: Any) -> None:
    """Measure, which is when terminals adapt the model."""
    from netsim.port import CLOUD

    method.evaluate(CLOUD)
    method.settle()


@pytest.mark.parametrize("key", ENTRIES)
@pytest.mark.parametrize("world", [{}, UNRELIABLE])
def test_in_the_network_it_learns_and_running_everything_at_once_changes_no_bit(key: str, world: Any) -> None:
    scenario = scenario_of(world, {"data": ALIKE, "methods": ENTRIES})
    deferred, _ = simulated(scenario, key)
    eager, _ = simulated(scenario, key, eager=True)
    assert fingerprint(deferred) == fingerprint(eager)
    scores = [row for row in deferred.tasks if row["split"] == "validation"]
    names = {row["task"] for row in scores}
    first, last = (sum(row["accuracy"] for row in part) for part in (scores[: len(names)], scores[-len(names) :]))
    assert last > first
    assert any(row["staleness"] > 0.0 for row in deferred.participation)


@pytest.mark.parametrize("key", ["fedavg", "fedprox", "hfedmtl", "rhfedmtl", "local"])
def test_methods_with_rounds_say_why_they_need_them(key: str) -> None:
    with pytest.raises(ScenarioError, match="because"):
        check_method(key, Method(protocol="asynchronous"))


@pytest.mark.parametrize("key", ["fedasync", "fedbuff", "persafl"])
def test_methods_without_rounds_say_why_they_have_none(key: str) -> None:
    with pytest.raises(ScenarioError, match="because"):
        check_method(key, Method(protocol="hierarchical"))
