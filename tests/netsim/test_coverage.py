"""The coverage map: it is what a terminal at that place would receive."""

import numpy as np
import pytest

from channel_models.units import db_to_linear, dbm_to_watt, linear_to_db
from netsim.coverage import MOST_SITES, Coverage, coverage_map
from scenarios.network import Network
from scenarios.streams import Streams


def drawn(sites: int = 7, **sections: object) -> Coverage:
    network = Network.model_validate(sections)
    coverage = coverage_map(network, sites, Streams(3))
    assert coverage is not None
    return coverage


def test_in_free_space_a_lonely_site_is_heard_by_distance_alone() -> None:
    coverage = drawn(1, layout={"environment": "free-space"}, propagation={"shadowing": False})
    d3d = np.sqrt(np.square(coverage.xy_m).sum(axis=1) + (25.0 - 1.5) ** 2)
    loss_db = 20.0 * np.log10(4.0 * np.pi * d3d * 3.5e9 / 3e8)
    noise_dbm = -174.0 + 10.0 * np.log10(0.9e6) + 9.0
    far = np.square(coverage.xy_m).sum(axis=1) > 1.0  # closer, the law holds its distance
    expected_db = 35.5 + 8.0 - loss_db - noise_dbm
    np.testing.assert_allclose(linear_to_db(coverage.downlink_sinr)[far], expected_db[far], atol=0.05)


def test_every_base_station_covers_the_places_around_it_and_they_all_lie_around_the_network() -> None:
    coverage = drawn(propagation={"shadowing": False}, layout={"environment": "macro-128"})
    assert set(coverage.base_station) == set(range(7))
    near = np.hypot(*coverage.xy_m.T) < 200.0
    assert np.all(coverage.base_station[near] == 0)
    assert np.abs(coverage.xy_m).max() < 500.0 * 1.6


def test_busier_neighbours_leave_less_everywhere() -> None:
    calm, busy = (drawn(downlink={"neighbour_activity": activity}) for activity in (0.0, 1.0))
    assert np.all(busy.downlink_sinr < calm.downlink_sinr)
    np.testing.assert_array_equal(busy.base_station, calm.base_station)
    # Where all neighbours send all the time, even the best place on an edge between two cells hears them alike.
    assert np.quantile(busy.downlink_sinr, 0.02) < db_to_linear(1.0)


def test_a_map_is_the_same_every_time_and_large_networks_have_none() -> None:
    np.testing.assert_array_equal(drawn().downlink_sinr, drawn().downlink_sinr)
    assert coverage_map(Network(), MOST_SITES + 1, Streams(0)) is None


def test_more_power_is_more_signal() -> None:
    weak, strong = (
        drawn(1, downlink={"tx_power_dbm": power, "neighbour_activity": 0.0}).downlink_sinr for power in (20.0, 30.0)
    )
    np.testing.assert_allclose(strong / weak, dbm_to_watt(30.0) / dbm_to_watt(20.0), rtol=1e-12)
    assert strong.max() == pytest.approx(10.0 * weak.max(), rel=1e-12)
