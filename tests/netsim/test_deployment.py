"""Terminals stand in their hexagon, are attached to the site they receive best, and keep their channels."""

from math import cos, pi, sin
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from channel_models.layout import uniform_in_hexagon
from channel_models.path_loss import ENVIRONMENTS
from netsim.deployment import Deployment, backbone, deploy
from scenarios.network import Network
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


def drawn_alone(network: Network, there: Deployment, i: int, streams: Streams) -> tuple[Any, float, float]:
    """Draw one terminal, all its links at once, until its site is the strongest: position, gain, neighbours' gain."""
    environment, sites = ENVIRONMENTS[network.layout.environment], there.site_xy_m
    own, entity, fc_hz = int(there.serving[i]), int(there.entity[i]), network.propagation.carrier_frequency_hz
    apart_m = spacing_m(network.layout.model_dump())
    away = np.round(np.linalg.norm(sites - sites[own], axis=1) / apart_m, 6)
    heard = sorted(range(len(sites)), key=lambda site: (away[site], site))[: network.layout.neighbour_sites + 1]
    nearest_m = network.layout.min_distance_m or environment.min_placement_d2d_m
    for attempt in range(100):
        u = streams.uniform("position", entity, attempt, draw=np.arange(3))[None]
        xy = sites[own] + uniform_in_hexagon(u, apart_m, nearest_m)[0]
        d2d = np.linalg.norm(xy - sites[heard], axis=1)
        los = streams.uniform("line of sight", entity, attempt, draw=heard) < environment.los_probability(d2d)
        lost_db = environment.path_loss_db(los, d2d, fc_hz, extrapolate=True)
        deviation_db = environment.shadowing_sigma_db(los, d2d, fc_hz)
        lost_db = lost_db + deviation_db * streams.normal("shadowing", entity, attempt, draw=heard)
        gain = 10.0 ** ((8.0 - lost_db) / 10.0)
        if gain.argmax() == 0:
            return xy, gain[0], gain[1:].sum()
    raise AssertionError("never the strongest")


@settings(max_examples=25, deadline=None)
@given(SETTINGS, st.integers(1, 70), st.integers(6, 40), st.integers(0, 1000))
def test_every_terminal_is_as_if_drawn_alone_until_its_site_is_the_strongest_of_those_modelled(
    layout: dict[str, Any], sites: int, neighbours: int, seed: int
) -> None:
    network = scenario(network={"layout": layout | {"neighbour_sites": neighbours}}).network
    serving = np.random.default_rng(seed).integers(0, sites, 8)
    there = deploy(network, serving, sites, Streams(seed))
    for i in range(len(serving)):
        xy, own, others = drawn_alone(network, there, i, Streams(seed))
        np.testing.assert_array_equal(there.terminal_xy_m[i], xy)
        assert there.serving_gain[i] == pytest.approx(own, rel=1e-12)
        assert there.neighbour_gain[i] == pytest.approx(others, rel=1e-12)


def test_a_network_within_reach_is_modelled_in_full_and_a_larger_one_hears_less_than_all() -> None:
    for sites, same in ((37, True), (61, False)):
        three_rings, whole = (
            place({"environment": "UMa", "neighbour_sites": neighbours}, sites, 3) for neighbours in (36, 60)
        )
        assert np.array_equal(three_rings.neighbour_gain, whole.neighbour_gain) == same
        alike = np.all(three_rings.terminal_xy_m == whole.terminal_xy_m, axis=1)
        assert alike.mean() > 0.95  # hardly a terminal is lost to a site beyond three rings
        assert np.all(three_rings.neighbour_gain[alike] <= whole.neighbour_gain[alike])
        assert three_rings.neighbour_gain[alike].sum() > 0.9 * whole.neighbour_gain[alike].sum()


def test_terminals_are_the_same_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = place({"environment": "UMi"}, 9, 11)
    for size in (1, 7, 98):
        monkeypatch.setattr("netsim.deployment._BATCH", size)
        for field, values in vars(place({"environment": "UMi"}, 9, 11)).items():
            np.testing.assert_array_equal(values, getattr(at_once, field), err_msg=field)


def test_after_the_last_attempt_a_terminal_stays_where_it_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    at_ease = place({"environment": "UMa"}, 7, 20)
    monkeypatch.setattr("netsim.deployment._MAX_ATTEMPTS", 1)
    at_once = place({"environment": "UMa"}, 7, 20)
    u = Streams(0).uniform("position", at_once.entity[:, None], 0, draw=np.arange(3))
    np.testing.assert_array_equal(
        at_once.terminal_xy_m, at_once.site_xy_m[at_once.serving] + uniform_in_hexagon(u, 500.0, 35.0)
    )
    drawn_again = np.any(at_once.terminal_xy_m != at_ease.terminal_xy_m, axis=1)
    assert 0.1 < drawn_again.mean() < 0.9
    np.testing.assert_array_equal(at_once.neighbour_gain[~drawn_again], at_ease.neighbour_gain[~drawn_again])
    gain_db = 10.0 * np.log10(at_once.serving_gain)
    np.testing.assert_allclose(gain_db, 8.0 - at_once.path_loss_db - at_once.shadowing_db, rtol=1e-12)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_an_entity_is_the_place_among_the_terminals_of_a_site_and_the_site(serving: list[int]) -> None:
    there = deploy(scenario().network, np.array(serving, np.int64), 6, Streams(0))
    expected = [4096 * serving[:i].count(site) + site for i, site in enumerate(serving)]
    assert there.entity.tolist() == expected


def test_more_sites_or_terminals_than_the_random_streams_can_tell_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 4096 sites"):
        place({"environment": "UMa"}, 4097, 1)
    with pytest.raises(ValueError, match="1048576 terminals"):
        deploy(scenario().network, np.zeros(2**20 + 1, np.int64), 1, Streams(0))


def test_the_gain_is_antennas_minus_path_loss_minus_shadowing() -> None:
    there = place({"environment": "UMa"}, 7, 10, base_station_antenna_gain_dbi=8.0, terminal_antenna_gain_dbi=-1.0)
    gain_db = 10.0 * np.log10(there.serving_gain)
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


def test_the_backbone_is_a_tree_from_the_cloud_to_every_base_station() -> None:
    there = place({"environment": "UMa"}, 3, 4)
    graph = backbone(there, 0.01, 1e9)
    assert nx.is_tree(graph)
    assert nx.get_node_attributes(graph, "tier") == {"cloud": "cloud"} | dict.fromkeys(
        ("bs-00", "bs-01", "bs-02"), "base_station"
    )
    for site, (x, y) in enumerate(there.site_xy_m):
        assert nx.shortest_path(graph, "cloud", f"bs-{site:02d}") == ["cloud", f"bs-{site:02d}"]
        assert (graph.nodes[f"bs-{site:02d}"]["x_m"], graph.nodes[f"bs-{site:02d}"]["y_m"]) == (x, y)
    assert graph.edges["cloud", "bs-02"] == {"latency_s": 0.01, "rate_bps": 1e9}
