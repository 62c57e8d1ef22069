"""Rounds without a centre: who waits for whom, what a meeting needs, and where every byte and joule goes."""

from __future__ import annotations

from collections import Counter
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_models.units import dbm_to_watt
from netsim.energy import TERMINAL_COMPONENTS, transmitter_w
from netsim.engines import run
from netsim.port import Cohort
from netsim.port import Plan as AnyPlan
from netsim.world import World, build_ground
from scenarios.errors import ScenarioError
from scenarios.schema import Scenario
from scenarios.streams import Streams
from tests.netsim.any_scenario import terminals as any_terminals
from tests.netsim.any_scenario import weak_hardware
from tests.netsim.gossiping import Gossiping, gossip
from tests.netsim.worlds import ENERGY_COLUMNS, change, device, scenario, world

STEADY = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}}
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROUND_S, ACCESS_S, BITS = 0.1, 0.004, 2e4
SNR_DB = 23.0 - 110.0 - (-174.0 + 60.0 + 9.0)
BPS = 1e6 * log2(1.0 + 10.0 ** ((SNR_DB - 2.0) / 10.0)) * 0.86
AIR_S = BITS / BPS
TRANSMIT_W = transmitter_w(dbm_to_watt(23.0), 0.35, 0.15)


def alike(**changes: Any) -> Scenario:
    """Return a scenario in which all terminals hear each other equally well, in a ring unless it says otherwise."""
    graph, link = changes.pop("graph", {"kind": "ring"}), changes.pop("link", {})
    network = {
        "graph": graph,
        "device_to_device": {"environment": "log-distance"} | link,
        "propagation": {"log_distance": {"reference_loss_db": 110.0, "exponent": 0.0}},
    }
    return scenario(**{"budget": {"time_s": 1e4}, "terminals": STEADY, "network": network} | changes)


def rounds(number: int, **changes: Any) -> Gossiping:
    return Gossiping(bs_iterations=number, bits=BITS, **changes)


# Time, bytes and joules ---------------------------------------------------------------------------------------


def test_a_round_takes_the_work_the_access_and_the_messages_one_after_the_other() -> None:
    result = gossip(world(alike(), 2, 4), rounds(10))
    assert result.ended_by == "plan complete"
    assert result.totals["time_s"] == pytest.approx(10 * (ROUND_S + ACCESS_S + 2 * AIR_S), rel=1e-4)
    clouds = [row for row in result.rounds if row["event"] == "cloud"]
    assert [row["cloud_round"] for row in clouds] == list(range(10))
    assert [row["count"] for row in clouds][-1] == 80
    assert all(row["participants"] == 8 for row in clouds)


@pytest.mark.parametrize(("sending", "messages"), [("unicast", 2), ("broadcast", 1)])
def test_bytes_are_degree_times_bits_and_a_broadcast_counts_once(sending: str, messages: int) -> None:
    where = world(alike(link={"sending": sending}), 2, 4)
    result = gossip(where, rounds(10))
    last = result.rounds[-1]
    assert last["bytes"] == last["bytes_uplink"] == 10 * 8 * messages * BITS / 8.0
    assert [row["bytes_up"] for row in result.terminals] == [10 * messages * BITS / 8.0] * 8
    assert [row["bytes_down"] for row in result.terminals] == [10 * 2 * BITS / 8.0] * 8
    assert last["bytes_downlink"] == last["bytes_backhaul"] == 0.0
    assert last["energy_terminal_transmit_j"] == pytest.approx(80 * messages * AIR_S * TRANSMIT_W, rel=1e-4)
    assert last["energy_terminal_compute_j"] == pytest.approx(80 * ROUND_S * 1e-28 * 1e27, rel=1e-9)


def test_power_control_of_the_uplink_is_none_of_the_links_between_terminals() -> None:
    settled = alike()
    control = {"uplink": settled.network.uplink.model_dump() | {"power_control": {"alpha": 1.0}}}
    quiet = Scenario.model_validate(settled.model_dump() | {"network": settled.network.model_dump() | control})
    plain, controlled = (gossip(world(each, 2, 4), rounds(3)).rounds[-1] for each in (settled, quiet))
    assert plain == controlled


def test_who_hears_two_at_once_draws_power_for_one_receiver() -> None:
    triangle = gossip(world(alike(graph={"kind": "complete"}, link={"sending": "broadcast"}), 1, 3), rounds(10))
    pair = gossip(world(alike(graph={"kind": "complete"}), 1, 2), rounds(10))
    for row in (*triangle.terminals, *pair.terminals):
        assert row["energy_receive_j"] == pytest.approx(10 * AIR_S * 0.5, rel=1e-4)


def test_a_node_without_neighbours_does_not_wait() -> None:
    lonely = alike(graph={"kind": "geometric", "radius_m": 1e-6, "connect": False})
    where = world(lonely, 1, 3)
    change(where, 2, cycles_per_sample=1e7)
    result = gossip(where, rounds(5))
    assert result.rounds[-1]["bytes"] == 0.0
    ends_s = [max(row["finish_s"] for row in result.participation if row["terminal"] == i) for i in range(3)]
    assert ends_s == pytest.approx([0.5, 0.5, 5.0])


def test_budgets_end_a_run_to_the_byte_and_second_and_refund_what_was_not_sent() -> None:
    limit = 3.4 * BITS / 8.0 * 16
    result = gossip(world(alike(budget={"bytes": limit}), 2, 4), rounds(10))
    assert result.ended_by == "bytes budget"
    assert limit - 8 * BITS / 8.0 < result.totals["bytes"] <= limit
    assert result.rounds[-1]["bytes_uplink"] == result.totals["bytes"]
    end_s = ROUND_S + ACCESS_S + 0.5 * AIR_S
    last = gossip(world(alike(budget={"time_s": end_s}), 2, 4), rounds(10)).rounds[-1]
    assert last["bytes_uplink"] == pytest.approx(8 * 0.5 * BITS / 8.0, rel=1e-3)
    assert last["bytes_uplink"] == pytest.approx(last["bytes"], rel=1e-12)


# Who waits for whom -------------------------------------------------------------------------------------------


class Tagged(Gossiping):
    """Sends who it is and which round this is, as long as no round is missed."""

    def train(self, cohort: Cohort, plan: AnyPlan) -> Any:
        (terminal,) = cohort.terminals
        self.values[terminal] += 1.0
        return terminal, self.values[terminal] - 1.0

    def mix(self, mixing: Any) -> None:
        self.mixings.append(mixing)


@pytest.mark.parametrize("graph", [{"kind": "ring"}, {"probability": 0.4, "redraw_every": 1}])
def test_what_a_node_mixes_is_its_neighbours_work_of_the_same_round_even_if_they_are_ahead(graph: Any) -> None:
    where = world(alike(graph=graph, terminals=STEADY | {"slowdown": {"kind": "pareto"}}), 3, 4)
    method = Tagged(bs_iterations=12, bits=BITS, values=np.zeros(12))
    gossip(where, method)
    assert len(method.mixings) == 12 * 12
    for mixing in method.mixings:
        assert mixing.met.all() and mixing.work == (mixing.node, mixing.round)
        assert mixing.works == [(other, mixing.round) for other in mixing.neighbours.tolist()]


def test_a_slow_node_holds_up_its_neighbours_at_once_and_others_a_round_later_for_every_hop() -> None:
    where = world(alike(), 1, 9)
    change(where, 0, cycles_per_sample=5e6)
    result = gossip(where, rounds(8))
    finish_s = {(row["terminal"], row["cloud_round"]): row["finish_s"] for row in result.participation}
    slow_s, quick_s = 5 * ROUND_S + ACCESS_S, ROUND_S + ACCESS_S
    for node in range(9):
        hops = min(node, 9 - node)
        for round_ in range(8):
            held_up = max(0, round_ + 2 - max(hops, 1)) if node else round_ + 1
            least_s = held_up * slow_s + (round_ + 1 - held_up) * quick_s
            assert least_s <= finish_s[node, round_] <= least_s + 4 * (round_ + 1) * AIR_S + 1e-9


def test_neighbours_are_never_more_than_a_round_apart() -> None:
    where = world(alike(terminals=STEADY | {"slowdown": {"kind": "pareto"}}), 3, 4)
    result = gossip(where, rounds(15))
    finish_s = {(row["terminal"], row["cloud_round"]): row["finish_s"] for row in result.participation}
    start_s = {(row["terminal"], row["cloud_round"]): row["start_s"] for row in result.participation}
    for node in range(12):
        for round_ in range(14):
            assert finish_s[node, round_ + 1] >= start_s[(node + 1) % 12, round_ + 1]


# What is lost is lost at both ends ----------------------------------------------------------------------------


@st.composite
def troubled(draw: st.DrawFn) -> World:
    """Return a world in which terminals leave, are lost and run out of energy, and all rounds can be finished."""
    weak = draw(weak_hardware(("highest",))) | {"cycles_per_sample": 2e5}
    section = draw(
        st.sampled_from([any_terminals(), st.just({"classes": [{"name": "weak", **weak}]})]).flatmap(lambda x: x)
    )
    graph = draw(st.sampled_from([{"kind": "ring"}, {"kind": "complete"}, {"probability": 0.4, "redraw_every": 2}]))
    link = {
        "sending": draw(st.sampled_from(["unicast", "broadcast"])),
        "bandwidth_hz": draw(st.sampled_from([1e5, 1e6])),
    }
    settled = alike(terminals=section, graph=graph, link=link)
    return world(settled, draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(0, 2**20)))


def symmetric(method: Gossiping) -> bool:
    met = {(m.round, m.node, j) for m in method.mixings for j in m.neighbours[m.met].tolist()}
    return met == {(round_, j, i) for round_, i, j in met}


@FEW
@given(troubled(), st.integers(1, 6))
def test_a_meeting_counts_for_both_or_for_neither_so_the_sum_over_all_nodes_stays(where: World, number: int) -> None:
    method = rounds(number)
    total, spread = method.values[: where.terminals].sum(), np.ptp(method.values[: where.terminals])
    result = gossip(where, method)
    assert result.ended_by in ("plan complete", "no terminal left")
    assert symmetric(method)
    assert method.values[: where.terminals].sum() == pytest.approx(total, rel=1e-12)
    assert np.ptp(method.values[: where.terminals]) <= spread + 1e-9


@FEW
@given(troubled(), st.integers(1, 6), st.floats(0.01, 2.0))
def test_joules_bytes_and_rows_add_up_whenever_a_run_ends(where: World, number: int, time_s: float) -> None:
    short = Scenario.model_validate(where.scenario.model_dump() | {"budget": {"time_s": time_s}})
    cut = world(short, where.sites, where.terminals // where.sites, where.streams.seed)
    result = gossip(cut, rounds(number))
    for row in result.rounds:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=1e-9, abs=1e-15)
        assert row["bytes"] >= row["bytes_uplink"] * (1.0 - 1e-9)
    last = result.rounds[-1]
    assert last["bytes"] == pytest.approx(last["bytes_uplink"], rel=1e-9, abs=1e-9)
    assert sum(row["bytes_up"] for row in result.terminals) == pytest.approx(last["bytes_uplink"], rel=1e-9)
    for part in TERMINAL_COMPONENTS:
        whole_j = sum(row[f"energy_{part}_j"] for row in result.terminals)
        assert whole_j == pytest.approx(last[f"energy_terminal_{part}_j"], rel=1e-9, abs=1e-15)
    keys = Counter((row["terminal"], row["cloud_round"]) for row in result.participation)
    assert not keys or max(keys.values()) == 1
    for row in result.participation:
        if row["outcome"] == "merged":
            assert row["finish_s"] == pytest.approx(row["start_s"] + row["compute_s"] + row["upload_s"], rel=1e-9)


def test_work_that_is_lost_leaves_the_weights_to_the_others_and_nobody_waits_for_it() -> None:
    where = world(alike(terminals=STEADY | {"dropout_probability": 0.3}), 2, 5)
    method = rounds(30)
    result = gossip(where, method)
    outcomes = Counter(row["outcome"] for row in result.participation)
    assert outcomes["dropped"] + outcomes["merged"] == 300 and 60 < outcomes["dropped"] < 120
    lost = {(row["terminal"], row["cloud_round"]) for row in result.participation if row["outcome"] == "dropped"}
    assert all((m.node, m.round) not in lost for m in method.mixings)
    for mixing in method.mixings:
        assert set(mixing.neighbours[~mixing.met].tolist()) == {
            j for j in mixing.neighbours.tolist() if (j, mixing.round) in lost
        }
    assert result.totals["time_s"] < 30 * (ROUND_S + ACCESS_S + 2 * AIR_S) * (1.0 + 1e-9)


def test_who_comes_back_goes_on_with_the_latest_round_and_what_it_missed_is_written_down() -> None:
    away = STEADY | {"availability": {"mean_on_s": 1.0, "mean_off_s": 0.5}}
    result = gossip(world(alike(terminals=away), 2, 5, seed=4), rounds(40))
    assert result.ended_by == "plan complete"
    rows: dict[int, list[tuple[int, str]]] = {}
    for row in result.participation:
        rows.setdefault(row["terminal"], []).append((row["cloud_round"], row["outcome"]))
    assert all([number for number, _ in each] == list(range(len(each))) for each in rows.values())
    assert Counter(outcome for each in rows.values() for _, outcome in each)["unavailable"] > 20
    numbers = [row["cloud_round"] for row in result.rounds if row["event"] == "cloud"]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 39


def test_a_battery_that_runs_empty_ends_a_nodes_part_and_the_others_go_on() -> None:
    where = world(alike(), 1, 4)
    change(where, 1, battery_j=0.05)
    method = rounds(10)
    result = gossip(where, method)
    assert result.ended_by == "plan complete" and symmetric(method)
    assert result.terminals[1]["energy_j"] == pytest.approx(0.05, rel=1e-9)
    assert [row["merged"] == 10 for row in result.terminals] == [True, False, True, True]


# Base stations ------------------------------------------------------------------------------------------------


def at_the_edge(number: int, **changes: Any) -> Gossiping:
    return EdgeGossiping(nodes="base_stations", bs_iterations=2, cloud_rounds=number, bits=BITS, **changes)


class EdgeGossiping(Gossiping):
    """Numbers at base stations; terminals only cost time."""

    def train(self, cohort: Cohort, plan: AnyPlan) -> Any:
        return np.ones(len(cohort.terminals), np.int64)

    def offer(self, node: int) -> Any:
        return self.values[node]

    def merge(self, cohort: Cohort, work: Any, arrived: Any) -> None:
        self.total += int(work[arrived].sum())


WIRES = {"rate_bps": 1e6, "latency_s": 0.05, "energy_j_per_bit": 1e-6}


def test_base_stations_iterate_with_their_terminals_and_then_exchange_over_wires() -> None:
    settled = alike(graph={"kind": "complete"})
    settled = Scenario.model_validate(
        settled.model_dump() | {"network": settled.network.model_dump() | {"backhaul": WIRES}}
    )
    where, method = world(settled, 4, 3), at_the_edge(5)
    result = gossip(where, method)
    assert result.ended_by == "plan complete"
    last = result.rounds[-1]
    assert last["bytes_backhaul"] == 5 * 4 * 3 * BITS / 8.0
    assert last["energy_backhaul_j"] == pytest.approx(5 * 4 * 3 * BITS * 1e-6, rel=1e-9)
    assert last["bytes_uplink"] == 5 * 2 * 12 * method.bits_up / 8.0
    assert [row["edge_rounds"] for row in result.base_stations] == [10] * 4
    np.testing.assert_allclose(method.values[:4], 1.5, rtol=1e-12)
    edges_s = [row["time_s"] for row in result.rounds if row["event"] == "edge" and row["edge_round"] == 1]
    first = next(row for row in result.rounds if row["event"] == "cloud")
    assert first["time_s"] == pytest.approx(max(edges_s) + BITS / 1e6 + 0.05, rel=1e-9)


@pytest.mark.parametrize("recovery", ["wait", "skip"])
@pytest.mark.parametrize("shared", [False, True])
def test_sites_that_fail_delay_or_skip_and_the_sum_stays(recovery: str, shared: bool) -> None:
    outage = {"mean_up_s": 2.0, "mean_down_s": 0.7, "recovery": recovery}
    settled = alike(base_stations={"outage": outage}, terminals=STEADY | {"dropout_probability": 0.1})
    wires = {"backhaul": WIRES | {"shared": shared}}
    settled = Scenario.model_validate(settled.model_dump() | {"network": settled.network.model_dump() | wires})
    method = at_the_edge(12)
    result = gossip(world(settled, 5, 2), method)
    assert result.ended_by == "plan complete"
    assert symmetric(method)
    assert method.values[:5].sum() == pytest.approx(10.0, rel=1e-12)
    missed = sum((~mixing.met).sum() for mixing in method.mixings)
    assert (missed > 0) == (recovery == "skip")


# What it cannot do --------------------------------------------------------------------------------------------


def test_cohorts_and_terminals_that_move_are_refused_in_one_line() -> None:
    ground = build_ground(alike(engine="cohort"), np.zeros(3, np.int64), 1, Streams(0))
    with pytest.raises(ScenarioError, match="process or auto, because of a decentralised method"):
        run(ground, rounds(1), ["task"])
    network = {"propagation": {"spatial_consistency": True}}
    moving = scenario(mobility={"model": "random_waypoint"}, network=network)
    with pytest.raises(ScenarioError, match="mobility = 'given': allowed: absent"):
        gossip(world(moving), rounds(1))
