"""Channels between any place and any base station: drawn for each link, or read off a landscape."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from channel_models.path_loss import ENVIRONMENTS
from netsim.air import Air, Links
from netsim.deployment import deploy
from netsim.obstacles import Ends
from scenarios.streams import Streams
from tests.netsim.worlds import scenario


def air(sites: int, seed: int = 0, layout: dict[str, Any] | None = None, **propagation: Any) -> Air:
    network = scenario(network={"layout": layout or {}, "propagation": propagation}).network
    return Air.of(network, sites, Streams(seed))


def heard(there: Air, xy_m: Any, first_entity: int = 0, attempt: int = 0) -> Links:
    """Channels from places to all base stations."""
    places = np.asarray(xy_m, np.float64)
    site = np.tile(np.arange(len(there.sites.xy_m)), (len(places), 1))
    return there.links(places, site, first_entity + np.arange(len(places)), attempt)


def scattered(n: int, reach_m: float = 1000.0, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-reach_m, reach_m, (n, 2))


def test_in_a_landscape_a_channel_depends_on_the_place_alone() -> None:
    there = air(7, spatial_consistency=True)
    xy = scattered(50)
    once, again = heard(there, xy), heard(there, xy, first_entity=700, attempt=3)
    for before, after in zip(once, again, strict=True):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(once.shadowing_db, heard(air(7, seed=1, spatial_consistency=True), xy).shadowing_db)


def test_without_a_landscape_every_terminal_and_every_try_has_channels_of_its_own() -> None:
    there = air(7)
    xy = scattered(50)
    once = heard(there, xy).shadowing_db
    np.testing.assert_array_equal(once, heard(there, xy).shadowing_db)
    assert not np.any(once == heard(there, xy, first_entity=50).shadowing_db)
    assert not np.any(once == heard(there, xy, attempt=1).shadowing_db)


@pytest.mark.parametrize("consistent", [False, True])
def test_a_link_is_the_same_whichever_others_are_asked_for(consistent: bool) -> None:
    there, more = (air(sites, spatial_consistency=consistent) for sites in (7, 12))
    xy = scattered(40)
    everything = heard(more, xy)
    for row, site in ((0, 6), (17, 0), (39, 3)):
        alone = there.links(xy[[row]], np.array([[site]]), np.array([row]))
        for one, many in zip(alone, everything, strict=True):
            assert one[0, 0] == many[row, site]


def test_shadows_fade_with_the_distance_walked_as_their_environment_says() -> None:
    law = ENVIRONMENTS["UMa"]
    start = scattered(4000, 20_000.0)
    there = air(1, spatial_consistency=True).obstacles
    for los, distance_m in ((False, law.correlation_nlos_m), (True, law.correlation_los_m)):
        for walked_m in (0.3 * distance_m, distance_m):
            ends = np.concatenate([start, start + np.array([walked_m, 0.0])])
            state = np.full((len(ends), 1), los)
            link = Ends(ends, np.zeros((len(ends), 1), np.int64), np.arange(len(ends)), 0)
            before, after = there.deviation(link, state)[:, 0].reshape(2, -1)
            assert np.corrcoef(before, after)[0, 1] == pytest.approx(np.exp(-walked_m / distance_m), abs=0.15)


def test_terminals_side_by_side_mostly_share_their_line_of_sight() -> None:
    xy = scattered(3000, 150.0)
    beside = xy + np.array([1.0, 0.0])
    for consistent, least, most in ((True, 0.9, 0.999), (False, 0.4, 0.8)):
        there = air(1, spatial_consistency=consistent)
        same = heard(there, xy).los == heard(there, beside, first_entity=3000).los
        assert least < same.mean() < most


def test_a_landscape_keeps_the_laws_of_its_environment_and_its_sites_apart() -> None:
    law = ENVIRONMENTS["UMa"]
    seen, deviation, distance_m = [], [], []
    for seed in range(150):  # one realisation of a landscape is no sample, 150 of them are
        links = heard(air(2, seed, spatial_consistency=True), [[200.0, 90.0], [-1500.0, 800.0]])
        seen.append(links.los)
        deviation.append(links.shadowing_db / law.shadowing_sigma_db(links.los, links.distance_m, 3.5e9))
        distance_m = links.distance_m
    z = np.array(deviation)
    assert stats.kstest(z[:, 0, 0], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(z[:, 0, 0], z[:, 0, 1])[0, 1]) < 0.27  # 3.3 standard errors
    expected = law.los_probability(distance_m)
    spread = np.sqrt(expected * (1.0 - expected) / len(seen))
    assert np.all(np.abs(np.mean(seen, axis=0) - expected) < 4.0 * spread + 1e-9)


def test_terminals_are_dropped_into_the_landscape_where_their_site_is_the_strongest() -> None:
    network = scenario(network={"propagation": {"spatial_consistency": True}}).network
    there = deploy(network, np.repeat(np.arange(7), 30), 7, Streams(2))
    links = heard(Air.of(network, 7, Streams(2)), there.terminal_xy_m)
    np.testing.assert_array_equal(links.gain.argmax(axis=1), there.serving)
    np.testing.assert_array_equal(links.gain.max(axis=1), there.serving_gain)
    fewer = deploy(network, np.repeat(np.arange(7), 20), 7, Streams(2))
    kept = there.entity // 4096 < 20
    np.testing.assert_array_equal(fewer.neighbour_gain, there.neighbour_gain[kept])
