"""Updates that the air adds up: what is heard of them, and what becomes of the methods that are told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.build import build_method
from learning.distortion import distorted_sum
from learning.messages import Plan
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.methods.fedem import FedEM, MixtureParameters
from learning.methods.fedprox import FedProx, ProximalParameters
from learning.methods.hfedmtl import FixedDualParameters, HFedMTL
from learning.methods.local import Local
from learning.primal_dual.losses import make_loss
from netsim.port import CLOUD, Node
from scenarios.errors import ScenarioError
from scenarios.schema import Method as MethodEntry
from tests.learning.driving import (
    UNRELIABLE,
    cohort_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_for,
    setting_of,
    simulated,
    weights_of,
)

METHODS = ("rhfedmtl", "published", "hfedmtl", "fedavg", "fedprox")
AIR = {"transfer": "over_the_air"}
NOISY = {"network": {"uplink": AIR | {"noise_figure_db": 25.0, "over_the_air": {"phase_error_rad": 0.2}}}}
QUIET_UPLINK = AIR | {"over_the_air": {"truncation_threshold": 1e-300}}
STEADY = {"per_base_station": 3, "slowdown": {"kind": "none"}}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Perfect:
    """Hears what was sent."""

    def received(self, symbols: Array) -> Array:
        """The mean."""
        return np.asarray(symbols.mean(axis=0))


@dataclass(frozen=True)
class Hiss:
    """Adds given numbers to the mean of the symbols.

    Args:
        noise: (q,).
    """

    noise: tuple[float, ...]

    def received(self, symbols: Array) -> Array:
        """The mean and the noise."""
        return np.asarray(symbols.mean(axis=0) + self.noise)


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 40), st.floats(1e-9, 1e9), st.floats(-10.0, 10.0), st.integers(0, 99))
def test_what_is_heard_perfectly_is_the_sum(senders: int, size: int, scale: float, offset: float, seed: int) -> None:
    updates = scale * (np.random.default_rng(seed).normal(size=(senders, size)) + offset)
    heard = distorted_sum(updates, Perfect())
    np.testing.assert_allclose(heard, updates.sum(axis=0), rtol=0.0, atol=1e-12 * senders * np.abs(updates).max())


def test_symbols_have_no_mean_and_unit_variance_and_noise_is_in_proportion_to_the_updates() -> None:
    updates = 3.0 + 7.0 * np.random.default_rng(0).normal(size=(4, 50))
    sent: list[Array] = []

    class Listening(Perfect):
        def received(self, symbols: Array) -> Array:
            sent.append(symbols)
            return super().received(symbols)

    distorted_sum(updates, Listening())
    assert sent[0].mean() == pytest.approx(0.0, abs=1e-12) and sent[0].std() == pytest.approx(1.0)
    noise = np.linspace(-1.0, 1.0, 50)
    astray = distorted_sum(updates, Hiss(tuple(noise))) / 4.0 - updates.mean(axis=0)
    np.testing.assert_allclose(astray, updates.std() * noise, atol=1e-12)


def test_updates_that_are_all_the_same_number_are_heard_without_error() -> None:
    assert distorted_sum(np.full((3, 2), 0.7), Hiss((5.0, 5.0))) == pytest.approx([2.1, 2.1], abs=1e-12)
    assert distorted_sum(np.full((4, 2), 0.5), Hiss((5.0, 5.0))).tolist() == [2.0, 2.0]


def test_an_entry_that_nobody_sends_is_taken_to_be_the_common_mean() -> None:
    class Deaf:
        def received(self, symbols: Array) -> Array:
            return np.zeros(symbols.shape[1])

    updates = np.array([[1.0, 2.0], [4.0, 9.0]])
    assert distorted_sum(updates, Deaf()) == pytest.approx([8.0, 8.0])


# Methods --------------------------------------------------------------------------------------------------------


def fresh(kind: str, seed: int = 0, over_the_air: bool = True) -> Any:
    """Return a method on random data."""
    setting = setting_of(random_federation(seed, loss="smoothed_hinge"), "smoothed_hinge")
    setting = replace(setting, over_the_air=over_the_air)
    if kind == "hfedmtl":
        return HFedMTL(setting, FixedDualParameters())
    if kind == "fedem":
        return FedEM(replace(setting, loss=make_loss("logistic")), MixtureParameters())
    if kind == "fedprox":
        return FedProx(setting, ProximalParameters(proximal=0.5))
    return FedAvg(setting, AveragingParameters())


def advance(method: Any, distortion: Any, rounds: int = 3) -> None:
    """Let every base station in turn aggregate what all but one of its terminals sent."""
    for number in range(rounds):
        for site in range(method.setting.tasks):
            cohort = cohort_of(method.setting.federation, [site])
            arrived = np.arange(len(cohort.terminals)) != number
            work = method.train(cohort, Plan(3, 1))
            method.merge(cohort, work, arrived, distortion)
        method.combine()
        method.adopt(np.arange(method.setting.tasks))


@pytest.mark.parametrize("kind", ["fedavg", "fedem", "fedprox", "hfedmtl"])
def test_a_sum_that_is_heard_perfectly_gives_the_models_of_separate_messages(kind: str) -> None:
    digital, analog = fresh(kind, over_the_air=False), fresh(kind)
    advance(digital, None)
    advance(analog, Perfect())
    np.testing.assert_allclose(weights_of(analog), weights_of(digital), rtol=0.0, atol=1e-12)
    assert np.abs(weights_of(digital)).max() > 0.1


def test_fedavg_takes_the_weighted_mean_of_changes_and_the_noise_on_it() -> None:
    method, noise = fresh("fedavg"), (0.3, -0.2, 0.1, 0.0)
    cohort = cohort_of(method.setting.federation, [1])
    work = method.train(cohort, Plan(3, 1))
    method.merge(cohort, work, np.array([True, False, True]), Hiss(noise))
    method.settle()
    rows = np.diff(method.setting.federation.terminal_offsets)[cohort.terminals[[0, 2]]]
    changes = work.value[[0, 2]] * rows[:, None]  # from a model of 0
    expected = (changes.sum(axis=0) + 2.0 * changes.std() * np.array(noise)) / rows.sum()
    assert method._sites.values[1] == pytest.approx(expected, abs=1e-12)


def test_the_duals_of_a_noisy_aggregate_stay_exact_and_the_models_do_not_follow_them() -> None:
    clean, noisy = fresh("hfedmtl", over_the_air=False), fresh("hfedmtl")
    for method, distortion in ((clean, None), (noisy, Hiss((0.2, -0.4, 0.1, 0.3)))):
        cohort = cohort_of(method.setting.federation, [0])
        method.merge(cohort, method.train(cohort, Plan(4, 1)), np.full(3, True), distortion)
        method.settle()
    assert noisy.setting.solver.duals().tolist() == clean.setting.solver.duals().tolist()
    images = noisy.setting.solver.dual_image(np.arange(3)).sum(axis=0) / noisy.setting.federation.task_samples[0]
    assert noisy._image[0] == pytest.approx(images, abs=1e-12)
    assert np.abs(noisy._u[0] - noisy._image[0]).max() > 1e-3
    assert weights_of(noisy)[0] == pytest.approx(noisy.setting.coupling.primal_map(noisy._u[0], noisy._r), abs=1e-15)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 50), st.floats(0.0, 1.0))
def test_the_recorded_gap_is_that_of_the_models_at_the_exact_duals_and_never_below_what_they_are_short_of(
    seed: int, loudness: float
) -> None:
    method = fresh("hfedmtl", seed)
    advance(method, Hiss(tuple(loudness * np.array([1.0, -2.0, 0.5, 1.5]))))
    everywhere, here = method.evaluate(CLOUD), method.evaluate(Node("base_station", 1))
    method.settle()
    for measured in (everywhere.scalars, here.scalars):
        assert measured["gap"] == pytest.approx(measured["primal"] - measured["dual"], abs=1e-9)
        assert measured["gap"] >= 0.0
    data, coupling = method.setting.federation, method.setting.coupling
    images = method.setting.solver.dual_image(np.arange(9)).reshape(3, 3, -1).sum(axis=1)
    beta_image = images / data.task_samples[:, None]
    W = weights_of(method)
    scores = np.einsum("nd,nd->n", data.X, W[np.repeat(data.terminal_task, np.diff(data.terminal_offsets))])
    owner = np.repeat(data.terminal_task, np.diff(data.terminal_offsets))
    losses = method.setting.loss.value(scores, data.y)
    mean = np.bincount(owner, losses) / data.task_samples
    # The model in use at the base station, against its own duals: from scratch.
    assert here.scalars["primal"] == pytest.approx(coupling.task_objective(mean[1], W[1], method._r), rel=1e-12)
    sums = method.setting.solver.sums(np.arange(9), W[data.terminal_task])
    conjugate = sums[3:6, 1].sum() / data.task_samples[1]
    dual = coupling.task_dual(float(conjugate), beta_image[1], method._r)
    assert here.scalars["dual"] == pytest.approx(dual, rel=1e-9, abs=1e-12)
    # The joint dual bounds the objective of any models, those in use among them.
    assert everywhere.scalars["objective"] >= everywhere.scalars["dual"] - 1e-12


def test_without_noise_the_certificate_is_that_of_separate_messages() -> None:
    digital, analog = fresh("hfedmtl", over_the_air=False), fresh("hfedmtl")
    advance(digital, None)
    advance(analog, Perfect())
    for node in (CLOUD, Node("base_station", 2)):
        one, other = digital.evaluate(node), analog.evaluate(node)
        for method in (digital, analog):
            method.settle()
        assert dict(other.scalars) == pytest.approx(dict(one.scalars), rel=1e-12, abs=1e-12)


# The network ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["hfedmtl", "fedavg", "fedprox"])
@pytest.mark.parametrize("fading", ["none", "rayleigh"])
def test_in_a_network_without_noise_and_truncation_the_air_adds_up_like_a_computer(key: str, fading: str) -> None:
    classes = [{"name": "loud", "tx_power_dbm": 500.0}]
    network = {"propagation": {"fading": fading}}
    entries = {key: {"cloud_rounds": 4, "bs_iterations": 2}}
    common = {"terminals": STEADY | {"classes": classes}, "budget": {"time_s": 1e4}, "methods": entries}
    _, digital = simulated(scenario_of(common, {"network": network}), key)
    result, analog = simulated(scenario_of(common, {"network": network | {"uplink": QUIET_UPLINK}}), key)
    assert result.ended_by == "plan complete"
    np.testing.assert_allclose(weights_of(analog), weights_of(digital), rtol=0.0, atol=1e-12)
    assert np.abs(weights_of(digital)).max() > 0.1


@pytest.mark.parametrize("key", METHODS)
@pytest.mark.parametrize("circumstances", [{}, UNRELIABLE])
def test_what_is_deferred_is_heard_as_what_is_computed_at_once(key: str, circumstances: dict[str, Any]) -> None:
    scenario = scenario_of(circumstances, NOISY)
    (lazy, method), (eager, other) = (simulated(scenario, key, eager=at_once) for at_once in (False, True))
    assert fingerprint(lazy) == fingerprint(eager)
    assert weights_of(method).tolist() == weights_of(other).tolist()
    assert any(row.get("air_noise", 0.0) > 0.0 for row in lazy.rounds)


@pytest.mark.parametrize("key", METHODS)
def test_noise_changes_models_and_a_seed_decides_how(key: str) -> None:
    noisy, quiet = scenario_of(NOISY), scenario_of({"network": {"uplink": AIR | {"noise_figure_db": 0.0}}})
    (_, one), (_, again), (_, other), (_, clear) = (
        simulated(scenario, key, seed) for scenario, seed in ((noisy, 0), (noisy, 0), (noisy, 1), (quiet, 0))
    )
    assert weights_of(one).tolist() == weights_of(again).tolist()
    assert weights_of(one).tolist() != weights_of(other).tolist()
    assert np.abs(weights_of(one) - weights_of(clear)).max() > 1e-4


def test_the_gap_of_a_noisy_network_stays_above_0_where_that_of_messages_goes_on_to_fall() -> None:
    entries = {"hfedmtl": {"local_iterations": 20, "bs_iterations": 1, "cloud_rounds": 400}}
    settings_ = {"budget": {"time_s": 1e5}, "methods": entries, "learning": {"lambda1": 0.1}}
    digital, _ = simulated(scenario_of(settings_), "hfedmtl")
    analog, _ = simulated(scenario_of(settings_, NOISY), "hfedmtl")
    assert digital.rounds[-1]["gap"] < 1e-6
    assert analog.rounds[-1]["gap"] > 1e-4
    assert analog.rounds[-1]["gap"] < 0.5 * analog.rounds[0]["gap"]
    last = analog.rounds[-1]
    assert last["objective"] >= last["dual"]


# Who can take a sum ---------------------------------------------------------------------------------------------


class Picky(FedAvg):
    """Needs every update."""

    sums_updates = False
    label = "Picky"


def test_a_method_that_needs_every_update_is_refused_in_one_line_and_one_that_sends_nothing_is_not() -> None:
    setting = setting_for(scenario_of({"network": {"uplink": AIR}}))
    entry = MethodEntry(use="tests.learning.test_distortion:Picky")
    with pytest.raises(ScenarioError, match=r"network\.uplink\.transfer = 'over_the_air': allowed: digital, as Picky"):
        build_method("picky", entry, setting)
    assert isinstance(build_method("local", MethodEntry(), setting), Local)
    digital = setting_for(scenario_of())
    assert build_method("picky", entry, digital).label == "Picky"
