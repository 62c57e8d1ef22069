"""Terminals that train the heads of a model only: what they send, what they change, and who has no use for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from learning.build import build_federation, build_method, build_setting, load_tasks
from learning.messages import Plan
from learning.methods.fedavg import FedAvg
from learning.methods.fedper import FedPer, JointParameters
from learning.methods.fedrep import AlternatingParameters, FedRep
from netsim.engines import run
from netsim.port import Cohort, Late
from netsim.world import build_ground
from scenarios.errors import ScenarioError
from scenarios.streams import Streams
from tests.learning.driving import (
    UNRELIABLE,
    cohort_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_for,
    simulated,
    weights_of,
)
from tests.learning.sharing import EVERYTHING, MODEL, SHARED, TRUNK, joint_loss, rounds, shared_setting, torch_copies

SHARING = ["fedrep", "fedper"]
SMALL = {"name": "small", "trains": "head", "cpu_hz": 5e8, "cycles_per_sample": 1e6}
LARGE = {"name": "large", "cycles_per_sample": 1e6}
MIXED: dict[str, Any] = SHARED | {"terminals": {"per_base_station": 3, "classes": [LARGE, SMALL]}}
ALL_SMALL: dict[str, Any] = SHARED | {"terminals": {"per_base_station": 3, "classes": [SMALL]}}
SOME = np.array([False, True, False, True, True, True, False, False, True])  # nobody at site 1 trains the trunk


class Whole(FedAvg):
    """A method of one's own that knows nothing of heads."""


def method_of(name: str, heads_only: Any, seed: int = 5, **changes: Any) -> Any:
    """Return FedRep or FedPer for three tasks of three terminals."""
    setting = shared_setting(random_federation(seed, loss="logistic"), heads_only=heads_only)
    if name == "fedrep":
        return FedRep(setting, AlternatingParameters(**changes))
    return FedPer(setting, JointParameters(**changes))


def trained(method: Any, sites: list[int], arrived: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Run an iteration of some sites, with all updates or some; return the (n, P) models that were reached."""
    cohort = cohort_of(method.setting.federation, sites)
    method.adopt(np.array(sites))
    work = method.train(cohort, method.make_controller().plan(None))
    method.merge(cohort, work, np.full(len(cohort.terminals), True) if arrived is None else arrived)
    method.settle()
    return np.asarray(work.value)


# What travels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("overhead_bits", [0, 1024])
def test_the_recorded_bytes_are_trunks_of_some_and_empty_messages_of_the_others(name: str, overhead_bits: int) -> None:
    learning = {"learning": MODEL | {"message_overhead_bits": overhead_bits}}
    result, method = simulated(scenario_of(MIXED, learning, {"methods": {name: {"cloud_rounds": 3}}}), name)
    columns, small = result.terminals.columns, np.array(method.setting.heads_only)
    merged, sent = np.array(columns["merged"]), np.array(columns["bytes_up"])
    assert 0 < small.sum() < 9 and merged.min() > 0
    assert sent.tolist() == (merged * np.where(small, 0, 4 * TRUNK) + merged * overhead_bits / 8).tolist()
    assert result.rounds[-1]["bytes_uplink"] == sent.sum()
    assert result.rounds[-1]["bytes_downlink"] == (4 * TRUNK + overhead_bits / 8) * merged.sum() / 3
    transmitting_j = np.array(columns["energy_transmit_j"])
    assert ((transmitting_j > 0.0) == (~small | (overhead_bits > 0))).all()


def test_a_stated_message_size_is_that_of_messages_with_something_in_them() -> None:
    stated = {"learning": MODEL | {"message_bits": 5e5, "message_overhead_bits": 64}}
    result, method = simulated(scenario_of(MIXED, stated), "fedper")
    columns = result.terminals.columns
    each = np.where(method.setting.heads_only, 64, 5e5) / 8
    np.testing.assert_allclose(columns["bytes_up"], np.array(columns["merged"]) * each, rtol=1e-12)


@pytest.mark.parametrize("name", SHARING)
def test_steps_on_a_trunk_that_is_not_trained_are_neither_taken_nor_charged(name: str) -> None:
    method = method_of(name, SOME, batch_size=EVERYTHING)
    rows = np.diff(method.setting.federation.terminal_offsets)
    plan = method.make_controller().plan(None)
    steps = np.where(SOME, 5, 6) if name == "fedrep" else np.full(9, 5)  # five steps on heads, one on the trunk
    assert method.sizes(plan).samples.tolist() == (rows * steps).tolist()


def test_a_small_terminal_computes_for_as_long_as_its_steps_on_heads_take() -> None:
    scenario = scenario_of(MIXED, {"terminals": MIXED["terminals"] | {"slowdown": {"kind": "none"}}})
    result, method = simulated(scenario, "fedrep")
    visits = method.sizes(Plan(4, 1)).samples
    for row in result.participation:
        hz = 5e8 if method.setting.heads_only[row["terminal"]] else 1e9
        assert row["samples"] == visits[row["terminal"]]
        assert row["compute_s"] == pytest.approx(visits[row["terminal"]] * 1e6 / hz, rel=1e-9)


# What is learned ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("weighting", ["equal", "samples"])
def test_the_trunk_is_the_mean_of_those_who_train_it(name: str, weighting: str) -> None:
    method = method_of(name, SOME, weighting=weighting)
    start, trunk = weights_of(method), method._trunk_size
    reached = trained(method, [0, 1, 2])
    rows = np.diff(method.setting.federation.terminal_offsets) if weighting == "samples" else np.ones(9)
    np.testing.assert_array_equal(method._sites.values[1], start[0, :trunk])
    for site in (0, 2):
        there = [t for t in range(3 * site, 3 * site + 3) if not SOME[t]]
        expected = sum(rows[t] * reached[t, :trunk] for t in there) / sum(rows[t] for t in there)
        np.testing.assert_allclose(method._sites.values[site], expected, rtol=0.0, atol=1e-15)
    method.combine()
    found = weights_of(method)
    expected = sum(rows[t] * reached[t, :trunk] for t in np.flatnonzero(~SOME)) / rows[~SOME].sum()
    np.testing.assert_allclose(found[0, :trunk], expected, rtol=0.0, atol=1e-15)
    np.testing.assert_array_equal(found[:, trunk:], reached[:, trunk:])
    np.testing.assert_array_equal(reached[SOME, :trunk], np.tile(start[0, :trunk], (SOME.sum(), 1)))
    assert np.abs(reached[~SOME, :trunk] - start[0, :trunk]).max(axis=1).min() > 0.0
    assert np.abs(reached[:, trunk:] - start[:, trunk:]).max(axis=1).min() > 0.0


def test_one_step_of_everybody_is_sgd_on_the_losses_of_those_who_train_the_trunk() -> None:
    federation = random_federation(3, tasks=2, terminals=3, loss="logistic")
    small = np.array([False, True, False, False, True, True])
    setting = shared_setting(federation, heads_only=small, width=5)
    values: dict[str, Any] = {"batch_size": EVERYTHING, "learning_rate": 0.3, "weighting": "samples"}
    method = FedPer(setting, JointParameters(local_iterations=1, **values))
    trunk, heads = torch_copies(weights_of(method), features=4, width=5)
    sizes = np.diff(federation.terminal_offsets)
    for _ in range(4):
        rounds(method, 1)
        with_trunk = np.where(small, 0.0, sizes) / sizes[~small].sum()
        slopes = torch.autograd.grad(joint_loss(trunk, heads, federation, with_trunk), list(trunk.parameters()))
        own = [list(head.parameters()) for head in heads]
        flat = [p for each in own for p in each]
        tilts = torch.autograd.grad(joint_loss(trunk, heads, federation, np.ones(6)), flat)
        with torch.no_grad():
            for p, slope in zip([*trunk.parameters(), *flat], [*slopes, *tilts], strict=True):
                p -= 0.3 * slope
    found = weights_of(method)
    for k, head in enumerate(heads):
        parts = [p.detach().numpy().ravel() for p in (*trunk.parameters(), *head.parameters())]
        np.testing.assert_allclose(found[k], np.concatenate(parts), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", SHARING)
def test_with_nobody_to_train_it_the_trunk_stays_and_heads_learn(name: str) -> None:
    scenario = scenario_of(ALL_SMALL)
    start = setting_for(scenario).model.initial(Streams(0))
    result, method = simulated(scenario, name)
    held = weights_of(method)
    assert method.setting.heads_only.all()
    np.testing.assert_array_equal(held[:, :TRUNK], np.tile(start[:TRUNK], (9, 1)))
    assert np.abs(held[:, TRUNK:] - start[TRUNK:]).max(axis=1).min() > 0.0
    assert result.rounds[-1]["objective"] < 0.97 * result.rounds[0]["objective"]


@pytest.mark.parametrize("name", SHARING)
def test_where_only_heads_arrive_the_trunk_stays_and_those_heads_are_kept(name: str) -> None:
    method = method_of(name, SOME)
    start, trunk = weights_of(method), method._trunk_size
    reached = trained(method, [0], np.array([False, True, False]))
    np.testing.assert_array_equal(method._sites.values[0], start[0, :trunk])
    held = weights_of(method)
    np.testing.assert_array_equal(held[1, trunk:], reached[1, trunk:])
    np.testing.assert_array_equal(held[[0, 2], trunk:], start[[0, 2], trunk:])


def test_late_heads_are_kept_and_late_trunks_of_the_others_are_averaged() -> None:
    method = method_of("fedper", SOME, late_power=1.0, weighting="equal")
    trunk, plan = method._trunk_size, Plan(5, 1)
    everybody = cohort_of(method.setting.federation, [0])
    method.adopt(np.array([0]))
    first = method.train(everybody, plan)
    method.merge(everybody, first, np.array([True, False, False]))
    few = Cohort(np.array([0]), np.array([0, 1]), np.array([0]))
    second = method.train(few, plan)
    late = [Late(everybody, first, np.array([False, True, False]), 1)]
    method.merge(few, second, np.array([False]), late=late)  # only heads have come
    method.settle()
    np.testing.assert_allclose(method._sites.values[0], first.value[0, :trunk], rtol=0.0, atol=1e-15)
    np.testing.assert_array_equal(weights_of(method)[1, trunk:], first.value[1, trunk:])
    third = method.train(few, plan)
    late = [Late(everybody, first, np.array([False, True, True]), 1)]
    method.merge(few, third, np.array([True]), late=late)
    method.settle()
    expected = (third.value[0, :trunk] + 0.5 * first.value[2, :trunk]) / 1.5
    np.testing.assert_allclose(method._sites.values[0], expected, rtol=0.0, atol=1e-15)


def test_left_to_itself_a_small_terminal_fits_heads_to_the_trunk_that_all_start_from() -> None:
    scenario = scenario_of(MIXED)
    start = setting_for(scenario).model.initial(Streams(0))
    _, method = simulated(scenario, "local")
    moved, small = np.abs(weights_of(method) - start), method.setting.heads_only
    assert moved[small, :TRUNK].max() == 0.0
    assert moved[~small, :TRUNK].max(axis=1).min() > 0.0
    assert moved[:, TRUNK:].max(axis=1).min() > 0.0


# The network --------------------------------------------------------------------------------------------------

CARRY = {"collection": {"policy": "first_k", "k_fraction": 0.5, "late": "carry"}}
FAULTY = UNRELIABLE | {"terminals": UNRELIABLE["terminals"] | {"classes": [LARGE, SMALL]}}


@pytest.mark.parametrize("name", [*SHARING, "local"])
@pytest.mark.parametrize("network", [{}, FAULTY, CARRY])
def test_deferred_is_eager_to_the_last_bit(name: str, network: dict[str, Any]) -> None:
    scenario = scenario_of(MIXED, network)
    found = [fingerprint(simulated(scenario, name, eager=eager)[0]) for eager in (False, True)]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", SHARING)
def test_a_class_of_terminals_that_train_all_is_no_class_of_its_own(name: str) -> None:
    plain = scenario_of(SHARED, {"terminals": {"per_base_station": 3, "classes": [LARGE]}})
    stated = scenario_of(SHARED, {"terminals": {"per_base_station": 3, "classes": [LARGE | {"trains": "all"}]}})
    found = [simulated(scenario, name) for scenario in (plain, stated)]
    assert fingerprint(found[0][0]) == fingerprint(found[1][0])
    assert found[1][1].setting.heads_only is None


# Who has no use for them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["fedavg", "ditto", "edge_gossip", "dynamic_graph_mtl", "fedbuff", "whole"])
def test_a_method_that_wants_whole_models_says_so_in_one_line(key: str) -> None:
    methods = {"whole": {"use": f"{__name__}:Whole"}, key: {"use": f"{__name__}:Whole"} if key == "whole" else {}}
    scenario = scenario_of(MIXED, {"methods": methods})
    with pytest.raises(ScenarioError) as refused:
        build_method(key, scenario.methods[key], setting_for(scenario))
    line = str(refused.value)
    assert line.startswith("terminals.classes.trains = 'head'") and "\n" not in line
    assert f"(methods.{key}) wants whole models of all terminals" in line


def test_trunks_that_the_air_adds_up_are_wanted_from_all() -> None:
    air = scenario_of(MIXED, {"network": {"uplink": {"transfer": "over_the_air"}}})
    with pytest.raises(ScenarioError, match=r"^network.uplink.transfer = .*digital, as .* nothing to add to a sum$"):
        build_method("fedrep", air.methods["fedrep"], setting_for(air))
    assert build_method("local", air.methods["local"], setting_for(air)).label == "Local"


def test_a_model_without_heads_has_none_to_train() -> None:
    scenario = scenario_of(MIXED, {"learning": {"loss": "logistic"}})
    with pytest.raises(ScenarioError, match=r"^learning.model = 'linear'.*as a device class trains heads only$"):
        setting_for(scenario)


def test_cohorts_do_not_know_them() -> None:
    scenario = scenario_of(MIXED, {"engine": "cohort"})
    setting = setting_for(scenario)
    method: Any = build_method("fedrep", scenario.methods["fedrep"], setting)
    ground = build_ground(scenario, setting.federation.terminal_task, setting.tasks, setting.streams)
    with pytest.raises(ScenarioError, match=r"^engine = 'cohort'.*because of terminals.classes.trains$"):
        run(ground, method, list(setting.federation.task_names))


def test_a_setting_is_not_made_without_knowing_who_they_are() -> None:
    scenario, streams = scenario_of(MIXED), Streams(0)
    data = build_federation(scenario, load_tasks(scenario.data, "logistic", streams), streams)
    with pytest.raises(ValueError, match="heads_only"):
        build_setting(scenario, data, streams)
    ground = build_ground(scenario, data.terminal_task, 3, streams)
    who = [kind.trains == "head" for kind in ground.devices]
    assert ground.heads_only.tolist() == who and build_setting(scenario, data, streams, heads_only=ground.heads_only)
