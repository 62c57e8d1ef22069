"""Channels between any place and any base station: drawn for each link, or read off a landscape."""

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from channel_models.path_loss import ENVIRONMENTS
from netsim.air import Air, Links
from netsim.deployment import deploy
from netsim.obstacles import Ends
from scenarios.errors import ScenarioError
from scenarios.network import Layout
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
    for seed in range(600):  # one realisation of a landscape is no sample, 600 of them are
        links = heard(air(2, seed, spatial_consistency=True), [[200.0, 90.0], [-1500.0, 800.0]])
        seen.append(links.los)
        deviation.append(links.shadowing_db / law.shadowing_sigma_db(links.los, links.distance_m, 3.5e9))
        distance_m = links.distance_m
    z = np.array(deviation)
    assert stats.kstest(z[:, 0, 0], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(z[:, 0, 0], z[:, 0, 1])[0, 1]) < 0.14  # 3.3 standard errors
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


ENVIRONMENT_LIMITS = [
    ({"environment": "UMa", "terminal_height_m": 1.0}, "network.layout.terminal_height_m = 1.0: allowed: 1.5 to 22.5"),
    ({"environment": "RMa", "terminal_height_m": 11.0}, "network.layout.terminal_height_m = 11.0: allowed: 1 to 10 in"),
    ({"environment": "RMa", "base_station_height_m": 9.0}, "base_station_height_m = 9.0: allowed: 10 to 150 in RMa"),
    ({"environment": "InF-SH", "terminal_height_m": 2.0}, "terminal_height_m = 2.0: allowed: .* clutter height 2 m"),
    ({"environment": "InF-DH", "base_station_height_m": 5.0}, "allowed: .* clutter height 6 m <= h_bs_m"),
    (
        {"environment": "InH-open", "inter_site_distance_m": 300.0},
        "inter_site_distance_m = 300.0: allowed: at most 260",
    ),
    ({"environment": "UMi", "min_distance_m": 100.0}, "min_distance_m = 100.0: allowed: less than 100, half"),
    ({"environment": "UMa", "sectors": 3}, "network.propagation.antenna = 'omni': allowed: sector"),
]


def test_a_scenario_can_name_every_environment_there_is() -> None:
    made = {"log-distance", "THz"}  # with parameters of their own
    assert set(get_args(Layout.model_fields["environment"].annotation)) == set(ENVIRONMENTS) | made


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_path_loss_sight_and_shadowing_are_those_of_the_environment(name: str) -> None:
    law, there = ENVIRONMENTS[name], air(1, layout={"environment": name})
    reach_m = min(law.validity.max_d2d_nlos_m, 1000.0)
    xy = np.stack([np.linspace(law.min_d2d_m, reach_m, 4000), np.zeros(4000)], axis=1)
    links = heard(there, xy)
    height_m = there.network.layout.terminal_height_m
    expected_db = law.path_loss_db(links.los[:, 0], xy[:, 0], 3.5e9, law.h_bs_m, height_m)
    np.testing.assert_array_equal(links.path_loss_db[:, 0], expected_db)
    seen = law.los_probability(xy[:, 0], height_m)
    assert abs(links.los.sum() - seen.sum()) <= 4.0 * np.sqrt(np.sum(seen * (1.0 - seen)))
    sigma_db = law.shadowing_sigma_db(links.los, xy[:, :1], 3.5e9, law.h_bs_m, height_m)
    if law.sigma_los_db:
        assert stats.kstest((links.shadowing_db / sigma_db)[:, 0], "norm").pvalue > 1e-3
    else:
        assert not links.shadowing_db.any()


@pytest.mark.parametrize(("layout", "line"), ENVIRONMENT_LIMITS)
def test_what_the_laws_do_not_cover_is_refused_in_one_line(layout: dict[str, Any], line: str) -> None:
    with pytest.raises(ScenarioError, match=line):
        air(3, layout=layout)


def test_a_carrier_or_buildings_that_an_environment_does_not_know_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"carrier_frequency_hz = 60000000000.0: allowed: 5e\+08 to 3e\+10 in RMa"):
        air(1, layout={"environment": "RMa"}, carrier_frequency_hz=60e9)
    with pytest.raises(ScenarioError, match=r"indoor_share = 0.5: allowed: 0 in InH-open"):
        air(1, layout={"environment": "InH-open"}, indoor_share=0.5)
    with pytest.raises(ScenarioError, match="penetration = 'mixed': allowed: low in RMa"):
        air(1, layout={"environment": "RMa"}, indoor_share=0.5)
    with pytest.raises(ScenarioError, match="penetration = 'legacy': allowed: low, high or mixed above 6 GHz"):
        air(1, carrier_frequency_hz=28e9, indoor_share=0.5, penetration="legacy")


def test_walls_weaken_every_link_of_a_terminal_inside_by_the_same() -> None:
    xy, none = scattered(4000), air(7, shadowing=False)
    for model, wall_db in (("low", 12.7), ("legacy", 20.0)):
        there = air(7, shadowing=False, indoor_share=0.3, penetration=model)
        inside = there.indoors(np.arange(4000))
        assert stats.binomtest(int(inside.sum()), 4000, 0.3).pvalue > 1e-3
        outside, behind = heard(none, xy), heard(there, xy)
        lost_db = behind.path_loss_db - outside.path_loss_db
        same = behind.los == outside.los  # a deep terminal is nearer to its outer wall, which may bring sight
        assert not lost_db[~inside].any() and np.all(same[~inside])
        assert same.mean() > 0.98 and not np.any(outside.los & ~behind.los)
        taken_db = np.where(same, lost_db, np.nan)[inside]
        assert np.nanmax(np.ptp(taken_db[np.all(same[inside], axis=1)], axis=1)) < 1e-9
        depth_m = 25.0 / (3.0 if model == "low" else 2.0)  # the smaller of two uniform depths, or one
        assert np.nanmean(taken_db) == pytest.approx(wall_db + 0.5 * depth_m, abs=0.8)


def test_indoor_links_have_shadowing_of_their_own_deviation_and_place() -> None:
    xy = scattered(6000)
    for consistent in (False, True):
        there = air(1, indoor_share=0.5, spatial_consistency=consistent)
        inside = there.indoors(np.arange(6000))
        deviation_db = np.std(heard(there, xy).shadowing_db[inside])
        assert deviation_db == pytest.approx(7.0, rel=0.15 if consistent else 0.05)
    beside = heard(there, xy + np.array([20.0, 0.0])).shadowing_db[inside, 0]
    assert np.corrcoef(beside, heard(there, xy).shadowing_db[inside, 0])[0, 1] < 0.2  # exp(-20/7), not exp(-20/50)


def test_a_sector_antenna_favours_the_direction_it_faces() -> None:
    omni, there = air(1, shadowing=False), air(1, shadowing=False, antenna="sector", downtilt_deg=10.0)
    angle = np.deg2rad(np.arange(0.0, 360.0, 5.0))
    xy = 300.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gain_db = 10.0 * np.log10(heard(there, xy).gain / heard(omni, xy).gain)[:, 0]
    assert np.rad2deg(angle[gain_db.argmax()]) == pytest.approx(30.0)
    below_deg = np.rad2deg(np.arctan2(23.5, 300.0)) - 10.0
    assert gain_db.max() == pytest.approx(-12.0 * (below_deg / 65.0) ** 2)
    assert gain_db.min() == pytest.approx(-30.0)
    off_deg = np.abs((np.rad2deg(angle) - 30.0 + 180.0) % 360.0 - 180.0)
    assert np.all(np.diff(gain_db[np.argsort(off_deg, kind="stable")]) <= 1e-9)


def test_sectors_of_a_site_share_everything_but_the_antenna() -> None:
    for consistent in (False, True):
        there = air(21, layout={"sectors": 3}, antenna="sector", spatial_consistency=consistent)
        links = heard(there, scattered(300))
        for values in (links.distance_m, links.los, links.path_loss_db, links.shadowing_db):
            assert not np.ptp(values.reshape(300, 7, 3).astype(np.float64), axis=2).any()
        assert np.all(np.ptp(links.gain.reshape(300, 7, 3), axis=2) > 0.0)
        single = heard(air(7, spatial_consistency=consistent), scattered(300))
        np.testing.assert_array_equal(links.shadowing_db[:, ::3], single.shadowing_db)
        np.testing.assert_array_equal(links.los[:, ::3], single.los)
    np.testing.assert_array_equal(there.sites.boresight_deg[:6], [30.0, 150.0, 270.0] * 2)
    np.testing.assert_array_equal(there.sites.xy_m[::3], air(7).sites.xy_m)


@pytest.mark.parametrize("consistent", [False, True])
def test_all_around_a_network_that_wraps_every_cell_is_an_inner_one(consistent: bool) -> None:
    there = air(19, layout={"wrap_around": True}, spatial_consistency=consistent)
    flat = air(19, spatial_consistency=consistent)
    xy = scattered(400, 1200.0)
    around, straight = heard(there, xy), heard(flat, xy)
    assert np.all(around.distance_m <= straight.distance_m)
    assert np.any(around.distance_m < straight.distance_m - 1.0)
    assert around.distance_m.max() < 1500.0  # no site is farther than the network is wide
    same = np.isclose(around.distance_m, straight.distance_m, rtol=1e-12)
    np.testing.assert_allclose(around.gain[same], straight.gain[same], rtol=1e-6)
    rivals = there.sites.neighbours(6)
    offset = there.sites.xy_m[:, None, None] - there.sites.xy_m[rivals][:, :, None] - there.sites.images_m
    np.testing.assert_allclose(np.linalg.norm(offset, axis=-1).min(axis=-1), 500.0)


def test_a_network_of_another_size_or_off_the_grid_is_not_wrapped() -> None:
    for sites, layout in ((8, {}), (7, {"site_placement": "poisson"})):
        with pytest.raises(
            ScenarioError, match=f"wrap_around = True: allowed: .* 7, 19, 37 base stations; this has {sites}"
        ):
            air(sites, layout={"wrap_around": True} | layout)


def _losses_under_roofs_db(there: Air, links: Links, roofs_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(roofs, n, k) path losses if all links had the same effective environment height."""
    terminal_m, fc_hz = there.network.layout.terminal_height_m, there.network.propagation.carrier_frequency_hz
    return np.stack(
        [
            there.environment.path_loss_db(
                links.los, links.distance_m, fc_hz, 25.0, terminal_m, h_e_m=roof_m, extrapolate=True
            )
            for roof_m in roofs_m
        ]
    )


def test_high_up_in_an_urban_macro_cell_roofs_are_drawn_once_a_link() -> None:
    there = air(7, layout={"terminal_height_m": 22.5}, shadowing=False)
    links = heard(there, scattered(4000, 1500.0))
    roofs_m = np.array([1.0, 12.0, 15.0, 18.0, 21.0])
    expected_db = _losses_under_roofs_db(there, links, roofs_m)
    off_db = np.abs(expected_db - links.path_loss_db)
    assert off_db.min(axis=0).max() < 1e-9
    # Beyond the breakpoint under the highest roof, and with line of sight, that roof can be told from all others.
    telling = links.los & (links.distance_m > 300.0)
    lift = 0.95**1.5 * 1.25 * (links.distance_m / 100.0) ** 3 * np.exp(-links.distance_m / 150.0)
    chance = (lift / (1.0 + lift) / 4.0)[telling]
    highest = (off_db.argmin(axis=0) == 4)[telling]
    assert len(chance) > 300
    assert abs(highest.sum() - chance.sum()) < 4.0 * np.sqrt(np.sum(chance * (1.0 - chance)))
    again = heard(there, scattered(4000, 1500.0))
    np.testing.assert_array_equal(again.path_loss_db, links.path_loss_db)


def test_the_sectors_of_a_site_are_under_the_same_roofs() -> None:
    there = air(21, layout={"terminal_height_m": 22.5, "sectors": 3}, antenna="sector", spatial_consistency=True)
    loss_db = heard(there, scattered(300)).path_loss_db.reshape(300, 7, 3)
    np.testing.assert_array_equal(loss_db[..., 1:], loss_db[..., :2])


@pytest.mark.parametrize("terminal_m", [1.5, 13.0])
def test_down_in_the_streets_no_roofs_are_drawn(terminal_m: float) -> None:
    there = air(7, layout={"terminal_height_m": terminal_m}, carrier_frequency_hz=0.7e9)
    links = heard(there, scattered(500))
    low_db, high_db = _losses_under_roofs_db(there, links, np.array([1.0, 12.0]))
    np.testing.assert_array_equal(links.path_loss_db, low_db)
    assert np.any(low_db != high_db) or terminal_m < 12.0
