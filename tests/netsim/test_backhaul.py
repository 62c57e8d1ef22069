"""The wires: latency and bits over rate along the quickest path, whatever lies between cloud and base station."""

from collections.abc import Generator
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment, Event

from netsim.accounts import Account
from netsim.backhaul import DOWN, UP, Backhaul, SharedWires
from netsim.energy import Meter
from tests.netsim.counting import Counting
from tests.netsim.worlds import run, scenario, world


def wires() -> nx.Graph:
    """Return cloud - router - aggregation - bs-00, a slower detour to it, and bs-01 at the router."""
    graph = nx.Graph()
    graph.add_edge("cloud", "router", latency_s=0.010, rate_bps=10e9)
    graph.add_edge("router", "aggregation", latency_s=0.002, rate_bps=1e9)
    graph.add_edge("aggregation", "bs-00", latency_s=0.001, rate_bps=2e8)
    graph.add_edge("cloud", "bs-00", latency_s=0.020, rate_bps=1e10)
    graph.add_edge("router", "bs-01", latency_s=0.003, rate_bps=5e9)
    return graph


def test_a_path_adds_up_latencies_and_is_as_fast_as_its_slowest_wire() -> None:
    backhaul = Backhaul(wires(), 2, 1e-9)
    assert [backhaul.latency_s(site) for site in range(2)] == pytest.approx([0.013, 0.013])
    assert [backhaul.sending_s(site, 1e8) for site in range(2)] == pytest.approx([0.5, 0.02])


@given(st.floats(1.0, 1e12), st.floats(0.0, 1e-5), st.integers(0, 1))
def test_sending_costs_the_joules_of_its_bits(bits: float, j_per_bit: float, site: int) -> None:
    backhaul = Backhaul(wires(), 2, j_per_bit)
    assert backhaul.power_w(site) * backhaul.sending_s(site, bits) == pytest.approx(bits * j_per_bit, rel=1e-12)


def test_a_base_station_without_wires_is_an_error_that_names_it() -> None:
    graph = wires()
    graph.add_node("bs-02")
    for broken in (graph, wires()):
        with pytest.raises(ValueError, match="bs-02 has no path to the cloud"):
            Backhaul(broken, 3, 0.0)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e4, 1e9), st.floats(0.0, 0.2), st.floats(1e3, 1e6), st.floats(1e3, 1e6))
def test_a_cloud_round_takes_the_wires_the_radio_and_the_slowest_cell(
    rate_bps: float, latency_s: float, bits_down: float, bits_up: float
) -> None:
    network = {"backhaul": {"rate_bps": rate_bps, "latency_s": latency_s}}
    where = world(scenario(budget={"time_s": 1e6}, network=network), 2, 2)
    result = run(where, Counting(bits_down=bits_down, bits_up=bits_up, cloud_rounds=1))
    access_s = where.scenario.network.downlink.access_delay_s
    first_s, cell_s = {}, {}
    for site in range(2):
        airtime_s = bits_down / where.radio.broadcast_bps(where.terminals_of(site))
        first_s[site] = bits_down / rate_bps + latency_s + access_s + airtime_s
        cell_s[site] = max(r["time_s"] for r in result.rounds if r["event"] == "edge" and r["node"] == f"bs-{site:02d}")
    for row in result.participation:
        if row["edge_round"] == 0:
            assert row["start_s"] == pytest.approx(first_s[int(row["base_station"][3:])], rel=1e-9)
    (cloud_s,) = (row["time_s"] for row in result.rounds if row["event"] == "cloud")
    assert cloud_s == pytest.approx(max(cell_s.values()) + bits_up / rate_bps + latency_s, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.floats(1e6, 1e9), st.floats(1e3, 1e6), st.floats(1e3, 1e6))
def test_base_stations_that_share_a_wire_get_equal_parts_of_it(
    sites: int, rate_bps: float, bits_down: float, bits_up: float
) -> None:
    network = {"backhaul": {"rate_bps": rate_bps, "shared": True, "energy_j_per_bit": 1e-8}}
    where = world(scenario(budget={"time_s": 1e6}, network=network), sites, 2)
    method = Counting(bits_down=bits_down, bits_up=bits_up, cloud_rounds=2, bs_iterations=1)
    result = run(where, method)
    access_s = where.scenario.network.downlink.access_delay_s
    for row in result.participation:
        site = int(row["base_station"][3:])
        airtime_s = bits_down / where.radio.broadcast_bps(where.terminals_of(site))
        if row["cloud_round"] == 0:
            assert row["start_s"] == pytest.approx(sites * bits_down / rate_bps + 0.01 + access_s + airtime_s, rel=1e-9)
    # On the way back whoever is ready sends: processor sharing, worked out on its own.
    ready_s = sorted(row["time_s"] for row in result.rounds if row["event"] == "edge" and row["cloud_round"] == 0)
    (cloud_s, _) = (row["time_s"] for row in result.rounds if row["event"] == "cloud")
    busy_until_s = ready_s[0]
    for at_s in ready_s:
        busy_until_s = max(busy_until_s, at_s) + bits_up / rate_bps
    assert cloud_s == pytest.approx(busy_until_s + 0.01, rel=1e-9)
    last = result.rounds[-1]
    assert last["bytes_backhaul"] == pytest.approx(2 * sites * (bits_down + bits_up) / 8.0, rel=1e-12)
    assert last["energy_backhaul_j"] == pytest.approx(8.0 * last["bytes_backhaul"] * 1e-8, rel=1e-9)


def test_a_base_station_alone_on_a_shared_wire_has_all_of_it() -> None:
    results = []
    for shared in (False, True):
        network = {"backhaul": {"rate_bps": 1e6, "shared": shared}}
        results.append(run(world(scenario(network=network), 1, 3)))
    assert results[1].totals == pytest.approx(results[0].totals, rel=1e-9)


def test_two_transfers_of_one_base_station_share_a_wire_and_both_are_charged() -> None:
    env = Environment()
    meter = Meter(env, 2, ("backhaul",), Account(env))
    graph = nx.Graph([("cloud", "bs-00", {"latency_s": 0.0, "rate_bps": 1e6})])
    graph.add_edge("cloud", "bs-01", latency_s=0.0, rate_bps=1e6)
    wires = SharedWires(env, Backhaul(graph, 2, 1e-6), 2, meter)
    over_s = {}

    def send(name: str, at_s: float, site: int, bits: float, way: int) -> Generator[Event, Any, None]:
        yield env.timeout(at_s)
        yield wires.send(site, bits, way)
        over_s[name] = env.now

    # Up: a and b of site 0 and c of site 1 at a third each; then a and b alone. Down: nobody else.
    for transfer in (("a", 0.0, 0, 2e6, UP), ("b", 0.0, 0, 3e6, UP), ("c", 0.0, 1, 1e6, UP), ("d", 1.0, 0, 4e6, DOWN)):
        env.process(send(*transfer))
    env.run(until=2.0)
    # 1/3 + 1/3 up and 1 down for site 0 since 1 s: 5/3 of a wire of 1 W, and 2/3 before.
    assert meter.energy_j(0, "backhaul") == pytest.approx(2 / 3 + 5 / 3)
    env.run()
    assert over_s == pytest.approx({"c": 3.0, "a": 5.0, "b": 6.0, "d": 5.0})
    assert meter.energy_j(0, "backhaul") == pytest.approx(9.0) and meter.energy_j(1, "backhaul") == pytest.approx(1.0)


@given(
    st.lists(
        st.tuples(st.floats(0.0, 5.0), st.integers(0, 2), st.floats(1.0, 1e6), st.sampled_from([DOWN, UP])),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_shares_the_wires_every_bit_costs_what_a_bit_costs(
    wanted: list[tuple[float, int, float, int]],
) -> None:
    env = Environment()
    meter = Meter(env, 3, ("backhaul",), Account(env))
    graph = nx.Graph()
    for site in range(3):
        graph.add_edge("cloud", f"bs-{site:02d}", latency_s=0.0, rate_bps=3e5)
    wires = SharedWires(env, Backhaul(graph, 3, 2e-6), 3, meter)

    def send(at_s: float, site: int, bits: float, way: int) -> Generator[Event, Any, None]:
        yield env.timeout(at_s)
        yield wires.send(site, bits, way)

    for transfer in wanted:
        env.process(send(*transfer))
    env.run()
    for site in range(3):
        bits = sum(transfer[2] for transfer in wanted if transfer[1] == site)
        assert meter.energy_j(site, "backhaul") == pytest.approx(2e-6 * bits, rel=1e-9)
