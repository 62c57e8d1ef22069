"""Terminals off the grid, in sectors, in hotspots and where a file says; sites where a file says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from netsim.air import Air
from netsim.cohort.engine import simulate_cohorts
from netsim.deployment import Deployment, deploy
from netsim.placement import InHotspots, build_placement
from netsim.position_files import read_sites, read_terminals
from scenarios.errors import ScenarioError
from scenarios.network import Network
from scenarios.streams import Streams
from tests.netsim.agreement import assert_agree
from tests.netsim.counting import Counting
from tests.netsim.worlds import run, scenario, world


def network(layout: dict[str, Any], **propagation: Any) -> Network:
    return scenario(network={"layout": layout, "propagation": propagation}).network


def place(there: Network, sites: int, per_site: int, seed: int = 0) -> Deployment:
    return deploy(there, np.repeat(np.arange(sites), per_site), sites, Streams(seed))


def strongest(there: Network, where: Deployment, sites: int, seed: int = 0) -> np.ndarray:
    """The base station that each terminal receives best in a landscape."""
    air = Air.of(there, sites, Streams(seed))
    every = np.tile(np.arange(sites), (len(where.serving), 1))
    return air.links(where.terminal_xy_m, every, where.entity).gain.argmax(axis=1)


@pytest.mark.parametrize("layout", [{"sectors": 3}, {"site_placement": "poisson"}, {"terminal_placement": "clustered"}])
def test_terminals_are_attached_to_the_base_station_they_receive_best(layout: dict[str, Any]) -> None:
    there = network(layout, antenna="sector" if "sectors" in layout else "omni", spatial_consistency=True)
    where = place(there, 21, 30)
    assert np.mean(strongest(there, where, 21) == where.serving) > 0.98


def test_terminals_of_a_sector_stand_mostly_in_front_of_its_antenna() -> None:
    there = network({"sectors": 3}, antenna="sector")
    where = place(there, 21, 200)
    east_m, north_m = (where.terminal_xy_m - where.site_xy_m[where.serving]).T
    facing_deg = np.array([30.0, 150.0, 270.0])[where.serving % 3]
    off_deg = np.abs((np.rad2deg(np.arctan2(north_m, east_m)) - facing_deg + 180.0) % 360.0 - 180.0)
    assert np.mean(off_deg < 60.0) > 0.9
    np.testing.assert_array_equal(where.site_xy_m[::3], where.site_xy_m[1::3])


def test_a_terminal_keeps_its_place_and_channel_whatever_else_stands_in_its_network() -> None:
    for layout in ({"site_placement": "poisson"}, {"terminal_placement": "clustered"}, {"sectors": 3}):
        there = network(layout, antenna="sector" if "sectors" in layout else "omni", indoor_share=0.4)
        many, few = place(there, 9, 12), place(there, 9, 5)
        kept = many.entity // 4096 < 5
        for field in ("terminal_xy_m", "indoor", "los", "serving_gain", "neighbour_gain", "path_loss_db"):
            np.testing.assert_array_equal(getattr(many, field)[kept], getattr(few, field), err_msg=f"{layout} {field}")


def test_sites_of_a_poisson_process_differ_from_seed_to_seed_and_leave_room_for_all_terminals() -> None:
    there = network({"site_placement": "poisson"})
    one, other = place(there, 30, 20), place(there, 30, 20, seed=1)
    assert not np.any(one.site_xy_m == other.site_xy_m)
    assert one.distance_m.min() >= 35.0 * (1.0 - 1e-12) and one.distance_m.max() <= 500.0 * (1.0 + 1e-12)


def test_hotspots_gather_the_terminals_of_a_base_station_in_a_few_discs() -> None:
    there = network({"terminal_placement": "clustered", "hotspots": 2, "hotspot_radius_m": 30.0})
    air = Air.of(there, 7, Streams(0))
    law = build_placement(air, np.full(7, 4000), Streams(0))
    assert isinstance(law, InHotspots) and law.centre_xy_m.shape == (7, 2, 2)
    entity = np.arange(4000) * 4096 + 5
    xy = law.positions_m(np.full(4000, 5), entity, 0)
    away_m = np.linalg.norm(xy[:, None] - law.centre_xy_m[5], axis=2)
    nearest = away_m.argmin(axis=1)
    assert stats.kstest((away_m.min(axis=1) / 30.0) ** 2, "uniform").pvalue > 1e-3
    assert stats.binomtest(int(nearest.sum()), 4000, 0.5).pvalue > 1e-3
    assert np.linalg.norm(law.centre_xy_m[5] - air.sites.xy_m[5], axis=1).max() <= 500.0 / np.sqrt(3.0)


def test_hotspots_of_a_sector_lie_in_front_of_its_antenna() -> None:
    there = network({"sectors": 3, "terminal_placement": "clustered", "hotspots": 20}, antenna="sector")
    air = Air.of(there, 9, Streams(0))
    law = build_placement(air, np.ones(9, np.int64), Streams(0))
    assert isinstance(law, InHotspots)
    east_m, north_m = np.moveaxis(law.centre_xy_m - air.sites.xy_m[:, None], 2, 0)
    off_deg = np.rad2deg(np.arctan2(north_m, east_m)) - air.sites.boresight_deg[:, None]
    assert np.all(np.abs((off_deg + 180.0) % 360.0 - 180.0) <= 60.0)


def written(folder: Path, text: str) -> str:
    file = folder / "places.csv"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_terminals_of_a_file_stand_where_it_says_and_stay_with_their_base_station(tmp_path: Path) -> None:
    rows = [(1, 900.0, 0.0), (0, 10.0, 2.0), (1, -50.0, 3.0), (0, 480.0, 1.0), (1, 0.0, 0.0)]
    text = "base_station,x_m,y_m\n" + "".join(f"{s},{x},{y}\n" for s, x, y in rows) + "\n"
    there = network({"terminals_csv": written(tmp_path, text)})
    where = deploy(there, np.array([0, 1, 0, 1]), 2, Streams(0))
    np.testing.assert_array_equal(where.terminal_xy_m, [[10.0, 2.0], [900.0, 0.0], [480.0, 1.0], [-50.0, 3.0]])
    assert where.serving.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(where.distance_m[3], np.hypot(550.0, 3.0))  # nearer to base station 0 and yet not its
    alone = deploy(there, np.array([0, 1, 1]), 2, Streams(0))
    np.testing.assert_array_equal(alone.serving_gain, where.serving_gain[[0, 1, 3]])


def test_sites_of_a_file_stand_where_it_says_and_face_as_it_says(tmp_path: Path) -> None:
    path = written(tmp_path, "x_m,y_m,azimuth_deg\n0,0,90\n100.5,-7,210\n9,9,9\n")
    plain = Air.of(network({"sites_csv": path}, antenna="sector"), 2, Streams(0)).sites
    np.testing.assert_array_equal(plain.xy_m, [[0.0, 0.0], [100.5, -7.0]])
    np.testing.assert_array_equal(plain.boresight_deg, [90.0, 210.0])
    trio = Air.of(network({"sites_csv": path, "sectors": 3}, antenna="sector"), 6, Streams(0)).sites
    np.testing.assert_array_equal(trio.boresight_deg, [90.0, 210.0, 330.0, 210.0, 330.0, 450.0])
    np.testing.assert_array_equal(trio.xy_m, np.repeat(plain.xy_m, 3, axis=0))


def test_rows_of_a_file_at_the_same_place_share_their_shadows(tmp_path: Path) -> None:
    path = written(tmp_path, "x_m,y_m,azimuth_deg\n0,0,30\n0,0,150\n700,0,30\n")
    air = Air.of(network({"sites_csv": path}, antenna="sector"), 3, Streams(0))
    assert air.sites.mast.tolist() == [0, 0, 2]
    links = air.links(np.array([[50.0, 90.0]]), np.array([[0, 1, 2]]), np.array([8]))
    assert links.shadowing_db[0, 0] == links.shadowing_db[0, 1] != links.shadowing_db[0, 2]
    assert links.gain[0, 0] != links.gain[0, 1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x,y_m\n1,2\n", r"places.csv: header = 'x,y_m': allowed: columns x_m, y_m and perhaps azimuth_deg"),
        (
            "x_m,y_m,z_m\n1,2,3\n",
            r"places.csv: header = 'x_m,y_m,z_m': allowed: columns x_m, y_m and perhaps",
        ),
        (
            "x_m,y_m,x_m\n1,2,3\n",
            r"places.csv: header = 'x_m,y_m,x_m': allowed: columns x_m, y_m and perhaps",
        ),
        ("x_m,y_m\n,\n1,2\n3,4\n", r"places.csv, row 2: x_m = '': allowed: a value"),
        ("x_m,y_m\n1,2\n3,north\n", r"places.csv, row 3: y_m = 'north': allowed: a finite number"),
        ("x_m,y_m\n1,2\nnan,0\n", r"places.csv, row 3: x_m = 'nan': allowed: a finite number"),
        ("x_m,y_m\n1,2\n3\n", r"places.csv, row 3: y_m = '': allowed: a value"),
        ("x_m,y_m\n1,2\n", r"places.csv: rows = 1: allowed: at least 2, one for each site"),
        ("", r"places.csv: header = '': allowed: columns x_m, y_m and perhaps azimuth_deg"),
    ],
)
def test_a_file_of_sites_with_a_mistake_is_refused_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ScenarioError, match=line):
        read_sites(written(tmp_path, text), 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0,1,1\n2,1,1\n", r"places.csv, row 3: base_station = '2': allowed: a whole number from 0 to 1"),
        ("0,1,1\n0.5,1,1\n", r"places.csv, row 3: base_station = '0.5': allowed: a whole number from 0 to 1"),
        ("1,1,1\n0,1,1\n", r"places.csv: rows of base_station 0 = 1: allowed: at least 2, one for each of its"),
    ],
)
def test_a_file_of_terminals_with_a_mistake_is_refused_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ScenarioError, match=line):
        read_terminals(written(tmp_path, "base_station,x_m,y_m\n" + text), np.array([2, 1]))


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ScenarioError, match=r"network.layout.sites_csv = '.*nowhere.csv': allowed: a readable CSV file \(no such file"
    ):
        read_sites(str(tmp_path / "nowhere.csv"), 1)


@pytest.mark.parametrize(
    ("layout", "propagation"),
    [
        ({"environment": "RMa"}, {"indoor_share": 0.5, "penetration": "low", "spatial_consistency": True}),
        ({"environment": "UMi", "sectors": 3}, {"antenna": "sector", "indoor_share": 1.0, "fading": "rician"}),
        ({"environment": "InF-DH", "site_placement": "poisson", "terminal_placement": "clustered"}, {}),
        ({"environment": "free-space"}, {"fading": "rician"}),
    ],
)
def test_both_engines_record_the_same_wherever_terminals_stand(
    layout: dict[str, Any], propagation: dict[str, Any]
) -> None:
    settings = scenario(network={"layout": layout, "propagation": propagation}, budget={"time_s": 2.0})
    where = world(settings, sites=6, per_site=4)
    by_processes = run(where)
    assert_agree(by_processes, simulate_cohorts(where, Counting(), [f"task {site}" for site in range(6)]))
    told = [row["indoor"] for row in by_processes.terminals]
    assert told == where.deployment.indoor.tolist()
    assert any(told) == (propagation.get("indoor_share", 0.0) > 0.0)


def test_links_into_buildings_fade_without_a_dominant_path() -> None:
    settings = scenario(network={"propagation": {"indoor_share": 0.5, "fading": "rician"}})
    where = world(settings, sites=3, per_site=60)
    there = where.deployment
    assert np.any(there.los & there.indoor) and np.any(there.los & ~there.indoor)
    np.testing.assert_array_equal(where.radio.fading == 1, there.los & ~there.indoor)


def test_in_free_space_nothing_scatters_and_without_sight_everything_does() -> None:
    for environment, dominant in (("free-space", True), ("macro-128", False)):
        link: dict[str, Any] = {"link": {"model": "shannon"}}
        faded, still = (
            world(scenario(network={"layout": {"environment": environment}, "propagation": {"fading": fading}} | link))
            for fading in ("rician", "none")
        )
        same = faded.radio.uplink_efficiency == still.radio.uplink_efficiency
        assert np.all(same) if dominant else not np.any(same)


def test_base_stations_say_where_their_antennas_face_if_they_face_anywhere() -> None:
    sectors = {"layout": {"sectors": 3}, "propagation": {"antenna": "sector"}}
    rows = run(world(scenario(network=sectors, budget={"time_s": 0.2}), sites=6)).base_stations
    assert [row["azimuth_deg"] for row in rows] == [30.0, 150.0, 270.0] * 2
    blind = run(world(scenario(budget={"time_s": 0.2}), sites=2)).base_stations
    assert not any("azimuth_deg" in row for row in blind)
