"""Terminals stand in their hexagon, are attached to the site they receive best, and keep their channels."""

from math import cos, pi, sin
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from channel_models.path_loss import ENVIRONMENTS
from netsim.deployment import Deployment, deploy, topology
from scenarios.streams import Streams
from tests.netsim.worlds import scenario

SETTINGS = st.fixed_dictionaries(
    {"environment": st.sampled_from(["UMa", "UMi"])},
    optional={"inter_site_distance_m": st.floats(100.0, 2000.0), "min_distance_m": st.floats(1.0, 45.0)},
)


def place(layout: dict[str, Any], sites: int, per_site: int, seed: int = 0, **propagation: Any) -> Deployment:
    network = scenario(network={"layout": layout, "propagation": propagation}).network
    return deploy(network, np.repeat(np.arange(sites), per_site), sites, Streams(seed))


def spacing_m(layout: dict[str, Any]) -> float:
    default = ENVIRONMENTS[layout["environment"]].inter_site_distance_m
    return float(layout.get("inter_site_distance_m") or default)


@settings(max_examples=40, deadline=None)
@given(SETTINGS, st.integers(1, 19), st.integers(1, 8), st.integers(0, 1000))
def test_terminals_lie_in_the_hexagon_of_their_site_and_not_too_close(
    layout: dict[str, Any], sites: int, per_site: int, seed: int
) -> None:
    there = place(layout, sites, per_site, seed)
    offset_m = there.terminal_xy_m - there.site_xy_m[there.serving]
    for side in range(6):  # the flat sides face the six neighbours
        towards = np.array([cos(side * pi / 3.0), sin(side * pi / 3.0)])
        assert np.all(offset_m @ towards <= spacing_m(layout) / 2.0 * (1.0 + 1e-12))
    nearest_m = layout.get("min_distance_m") or ENVIRONMENTS[layout["environment"]].min_placement_d2d_m
    assert np.all(there.distance_m >= nearest_m * (1.0 - 1e-12))
    np.testing.assert_allclose(there.distance_m, np.hypot(offset_m[:, 0], offset_m[:, 1]), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SETTINGS, st.integers(1, 19), st.integers(1, 8), st.integers(0, 1000))
def test_every_terminal_is_attached_to_its_strongest_site(
    layout: dict[str, Any], sites: int, per_site: int, seed: int
) -> None:
    there = place(layout, sites, per_site, seed)
    np.testing.assert_array_equal(there.gain.argmax(axis=1), there.serving)
    np.testing.assert_array_equal(there.serving, np.repeat(np.arange(sites), per_site))


def test_the_gain_is_antennas_minus_path_loss_minus_shadowing() -> None:
    there = place({"environment": "UMa"}, 7, 10, base_station_antenna_gain_dbi=8.0, terminal_antenna_gain_dbi=-1.0)
    gain_db = 10.0 * np.log10(there.gain[np.arange(70), there.serving])
    np.testing.assert_allclose(gain_db, 7.0 - there.path_loss_db - there.shadowing_db, rtol=1e-12)


def test_path_losses_are_those_of_the_environment_at_the_serving_distance() -> None:
    layout = {"environment": "UMi", "terminal_height_m": 5.0, "base_station_height_m": 12.0}
    there = place(layout, 3, 20, carrier_frequency_hz=28e9)
    expected_db = ENVIRONMENTS["UMi"].path_loss_db(there.los, there.distance_m, 28e9, 12.0, 5.0)
    np.testing.assert_allclose(there.path_loss_db, expected_db, rtol=1e-12)


def test_without_rivals_shadowing_and_sight_follow_the_laws_of_the_environment() -> None:
    there = place({"environment": "UMa"}, 1, 8000)
    deviation_db = np.where(there.los, 4.0, 6.0)
    assert stats.kstest(there.shadowing_db / deviation_db, "norm").pvalue > 1e-3
    seen = ENVIRONMENTS["UMa"].los_probability(there.distance_m)
    spread = np.sqrt(np.sum(seen * (1.0 - seen)))
    assert abs(there.los.sum() - seen.sum()) < 4.0 * spread


def test_a_lone_cell_is_filled_evenly() -> None:
    there = place({"environment": "UMa", "min_distance_m": 1e-3}, 1, 8000)
    angle = np.arctan2(there.terminal_xy_m[:, 1], there.terminal_xy_m[:, 0])
    sector = np.floor((angle + pi) / (pi / 3.0)).astype(int) % 6
    assert stats.chisquare(np.bincount(sector, minlength=6)).pvalue > 1e-3
    inner = there.distance_m < 250.0  # the inscribed circle
    share = pi * 250.0**2 / (np.sqrt(3.0) / 2.0 * 500.0**2)
    assert stats.binomtest(int(inner.sum()), 8000, share).pvalue > 1e-3
    assert stats.kstest((there.distance_m[inner] / 250.0) ** 2, "uniform").pvalue > 1e-3


def test_without_shadowing_there_is_none() -> None:
    there = place({"environment": "UMa"}, 3, 5, shadowing=False)
    assert not there.shadowing_db.any()


def test_the_topology_is_a_tree_from_the_cloud_to_every_terminal() -> None:
    there = place({"environment": "UMa"}, 3, 4)
    graph = topology(there, 0.01, 1e9)
    assert nx.is_tree(graph)
    assert nx.get_node_attributes(graph, "tier")["cloud"] == "cloud"
    for terminal, site in enumerate(there.serving):
        assert nx.shortest_path(graph, "cloud", f"terminal-{terminal}")[1] == f"bs-{site:02d}"
        edge = graph.edges[f"terminal-{terminal}", f"bs-{site:02d}"]
        assert edge["distance_m"] == pytest.approx(there.distance_m[terminal])
    assert graph.edges["cloud", "bs-02"] == {"latency_s": 0.01, "rate_bps": 1e9}
