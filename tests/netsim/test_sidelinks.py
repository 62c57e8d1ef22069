"""Links from device to device: closed forms, the same channel both ways, and what the laws do not cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from channel_models.units import dbm_to_watt
from netsim.sidelinks import sidelinks
from netsim.topology import Pairs
from scenarios.errors import ScenarioError
from scenarios.network import Network
from scenarios.streams import Streams
from tests.netsim.worlds import scenario

XY_M = np.random.default_rng(3).uniform(0.0, 400.0, (30, 2))
HALF_W = float(dbm_to_watt(20.0))


def network(environment: str = "UMi", **propagation: Any) -> Network:
    link = {"environment": environment, "bandwidth_hz": 2e6}
    return scenario(network={"device_to_device": link, "propagation": propagation}).network


def rates(law: Network, xy_m: Any = XY_M, power_w: float = HALF_W, order: Any = None) -> tuple[Pairs, Any]:
    entity = np.arange(len(xy_m)) if order is None else order
    return sidelinks(law, Pairs.of(entity, xy_m), np.full(len(xy_m), power_w), Streams(0))


def test_a_rate_is_the_capacity_behind_the_gap_at_the_loss_of_the_distance() -> None:
    law = network("log-distance", log_distance={"reference_loss_db": 38.0, "exponent": 3.7})
    pairs, bps = rates(law)
    snr_db = 20.0 - (38.0 + 37.0 * np.log10(np.maximum(pairs.distance_m, 1.0))) - (-174.0 + 10 * np.log10(2e6) + 9.0)
    efficiency = np.minimum(np.log2(1.0 + 10.0 ** ((snr_db - law.link.shannon_gap_db) / 10.0)), 7.4063)
    expected = np.where(snr_db >= law.link.min_sinr_db, 2e6 * efficiency * (1.0 - law.link.overhead), 0.0)
    assert 0 < (expected == 0.0).sum() < len(expected) - 100
    np.testing.assert_allclose(bps[pairs.a, pairs.b], expected, rtol=2e-5)
    np.testing.assert_array_equal(pairs.in_reach, expected > 0.0)


def test_a_channel_is_the_same_both_ways_whoever_comes_first() -> None:
    bps = rates(network())[1]
    np.testing.assert_array_equal(bps, bps.T)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_array_equal(rates(network(), XY_M[order], order=order)[1], bps[np.ix_(order, order)])


def test_who_shouts_is_heard_farther_but_a_link_needs_both_ends() -> None:
    law, pairs = network(), Pairs.of(np.arange(30), XY_M)
    loud = np.full(30, HALF_W)
    loud[0] *= 100.0
    reach, bps = sidelinks(law, pairs, loud, Streams(0))
    plain_reach, plain = sidelinks(law, pairs, np.full(30, HALF_W), Streams(0))
    np.testing.assert_array_equal(reach.in_reach, plain_reach.in_reach)
    there = plain[0] > 0.0
    assert there.sum() > 3 and (bps[0, there] >= plain[0, there]).all() and (bps[0] > plain[0]).any()
    np.testing.assert_array_equal(bps[1:], plain[1:])


def test_close_terminals_see_each_other_and_shadowing_varies_the_rest() -> None:
    xy_m = np.stack([np.linspace(0.0, 900.0, 60), np.zeros(60)], axis=1)
    with_it, without = (rates(network(shadowing=shadowing), xy_m)[1] for shadowing in (True, False))
    assert not np.array_equal(with_it, without)
    near = np.abs(np.subtract.outer(xy_m[:, 0], xy_m[:, 0])) <= 18.0
    np.fill_diagonal(near, False)
    assert without[near].min() > np.median(without[~near])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"propagation": {"indoor_share": 0.5}}, "indoor_share = 0.5: allowed: 0 where terminals send to each other"),
        (
            {"layout": {"environment": "THz"}, "propagation": {"carrier_frequency_hz": 2e11}},
            "carrier_frequency_hz = 200000000000.0: allowed: 5e\\+08 to 1e\\+11 for device_to_device.environment UMi",
        ),
        (
            {"layout": {"environment": "RMa", "terminal_height_m": 1.0}},
            "terminal_height_m = 1.0: allowed: 1.5 to 22.5",
        ),
    ],
)
def test_what_the_laws_do_not_cover_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        rates(scenario(network=changes).network)
