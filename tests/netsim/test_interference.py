"""Cells that disturb each other: worked out by hand for two and three cells, and what must hold for any."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, log2
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_models.load_coupling import StrongestCells, settle_loads
from netsim import engines
from netsim.cell import Transfer
from netsim.energy import transmitter_w
from netsim.interference import CoupledInterference
from netsim.load import downlink_activity, uplink_noise_w
from netsim.neighbours import strongest_cells
from netsim.transmitters import Transmitters
from netsim.world import World
from scenarios.errors import ScenarioError
from scenarios.network import Interference
from tests.netsim.agreement import assert_agree
from tests.netsim.any_scenario import methods, worlds
from tests.netsim.counting import Counting
from tests.netsim.sharing import listen
from tests.netsim.worlds import run, scenario, world

LINK = {"max_bit_s_hz": 40.0, "min_sinr_db": -100.0, "shannon_gap_db": 0.0, "overhead": 0.1}
BAND_HZ, REFRESH_S = 0.9e6, 0.05
THERMAL_W = 10.0 ** ((-174.0 + 5.0 - 30.0) / 10.0) * BAND_HZ


def coupled(sites: int = 2, per_site: int = 1, seed: int = 0, uplink: Any = None, **interference: Any) -> World:
    rule = {"model": "coupled", "refresh_s": REFRESH_S, "threshold": 0.0} | interference
    return world(scenario(network={"link": LINK, "uplink": uplink or {}, "interference": rule}), sites, per_site, seed)


def gain(where: World, terminal: int, site: int) -> float:
    """Gain of one link."""
    near = where.near
    assert near is not None
    return float(near.gain[terminal, near.cell[terminal] == site].sum())


def rate_bps(where: World, terminal: int, interference_w: float, n: int = 1) -> float:
    """Rate in an n-th of the band, by hand."""
    site, power_w = int(where.deployment.serving[terminal]), float(where.radio.max_power_w[terminal])
    snr = n * power_w * gain(where, terminal, site) / (THERMAL_W + interference_w)
    return 0.9 * BAND_HZ / n * log2(1.0 + snr)


def received_w(where: World, terminal: int, site: int) -> float:
    return float(where.radio.max_power_w[terminal]) * gain(where, terminal, site)


def finished_s(where: World, transfer: Transfer) -> float:
    where.env.run(until=transfer.done)
    return float(where.env.now)


def test_the_links_kept_are_the_strongest_of_those_a_terminal_was_placed_with() -> None:
    where = coupled(7, 4, strongest_links=6)
    near, there = where.near, where.deployment
    assert near is not None and near.gain.shape == (28, 7)
    np.testing.assert_array_equal(near.cell[:, 0], there.serving)
    np.testing.assert_array_equal(near.gain[:, 0], there.serving_gain)
    np.testing.assert_allclose(near.gain[:, 1:].sum(axis=1), there.neighbour_gain, rtol=1e-12)
    assert np.all(np.diff(near.gain, axis=1) <= 0.0)
    assert np.all(np.sort(near.cell, axis=1) == np.arange(7))
    fewer = coupled(7, 4, strongest_links=2).near
    assert fewer is not None
    np.testing.assert_array_equal(fewer.gain, near.gain[:, :3])
    np.testing.assert_array_equal(fewer.cell, near.cell[:, :3])


def test_two_uploads_disturb_each_other_until_the_next_look_after_the_shorter_is_over() -> None:
    where = coupled()
    short, long = where.uplinks[0].start(0, 2e5), where.uplinks[1].start(1, 4e6)
    over_s = 2e5 / rate_bps(where, 0, received_w(where, 1, 0))
    assert finished_s(where, short) == pytest.approx(over_s, rel=1e-3)  # from a table of spectral efficiencies
    noticed_s = ceil(float(where.env.now) / REFRESH_S) * REFRESH_S
    slow_bps, fast_bps = rate_bps(where, 1, received_w(where, 0, 1)), rate_bps(where, 1, 0.0)
    assert slow_bps < 0.95 * fast_bps
    assert finished_s(where, long) == pytest.approx(noticed_s + (4e6 - slow_bps * noticed_s) / fast_bps, rel=1e-3)


def test_an_upload_alone_in_the_network_meets_thermal_noise_only() -> None:
    where = coupled(3, 2)
    transfer = where.uplinks[1].start(2, 1e6)
    assert finished_s(where, transfer) == pytest.approx(1e6 / rate_bps(where, 2, 0.0), rel=1e-3)
    assert where.interference is not None
    assert where.interference.noise_w[1] == pytest.approx(THERMAL_W, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("share", ["ofdma", "tdma"])
def test_the_noise_at_a_site_is_the_sum_over_the_shares_of_all_transmitters_elsewhere(share: str) -> None:
    where = coupled(3, 3, uplink={"share": share})
    for terminal in (0, 1, 4, 6, 7, 8):
        where.uplinks[terminal // 3].start(terminal, 1e12)
    where.env.run(until=0.001)
    assert where.interference is not None
    for site in range(3):
        others = [t for t in (0, 1, 4, 6, 7, 8) if t // 3 != site]
        active = {0: 2, 1: 1, 2: 3}
        turns = [1.0 if share == "ofdma" else 1.0 / active[t // 3] for t in others]
        expected_w = THERMAL_W + sum(
            turn * received_w(where, terminal, site) for turn, terminal in zip(turns, others, strict=True)
        )
        assert where.interference.noise_w[site] == pytest.approx(expected_w, rel=1e-12, abs=0.0)
        np.testing.assert_array_equal(
            where.radio.uplink_noise_w[where.terminals_of(site)], where.interference.noise_w[site]
        )


def test_nobody_looks_while_nothing_changes() -> None:
    where = coupled(2, 2, refresh_s=1e-3)
    where.uplinks[0].start(0, 1e12)
    where.env.run(until=10.0)
    assert where.interference is not None and where.interference.refreshes == 1
    where.uplinks[1].start(2, 1e12)
    where.uplinks[1].start(3, 1e12)
    where.env.run(until=20.0)
    assert where.interference.refreshes == 2


@pytest.mark.parametrize(("threshold", "reacts"), [(0.9, True), (1.1, False)])
def test_a_site_does_not_react_to_a_relative_change_below_the_threshold(threshold: float, reacts: bool) -> None:
    change = received_w(coupled(), 1, 0) / THERMAL_W
    where = coupled(threshold=threshold * change)
    where.env.run(until=0.5)
    where.uplinks[1].start(1, 1e12)
    where.env.run(until=1.0)
    assert where.interference is not None
    expected_w = THERMAL_W * (1.0 + change) if reacts else THERMAL_W
    assert where.interference.noise_w[0] == pytest.approx(expected_w, rel=1e-12, abs=0.0)


def test_the_order_of_what_happens_at_one_instant_does_not_matter() -> None:
    def finishes(order: list[int]) -> list[float]:
        where, over_s = coupled(4, 2), [0.0] * 8

        def upload(terminal: int) -> Any:
            for _ in range(1 + terminal % 2):  # the odd ones begin just when the interference is looked at
                yield where.env.timeout(REFRESH_S)
            yield where.uplinks[terminal // 2].start(terminal, 1e5 * (1 + terminal)).done
            over_s[terminal] = where.env.now

        for terminal in order:
            where.env.process(upload(terminal))
        where.env.run(until=60.0)
        return over_s

    forwards = finishes(list(range(8)))
    assert min(forwards) > 0.0
    assert finishes(list(range(7, -1, -1))) == forwards


def downlink_bps(where: World, terminal: int, on_air: list[int]) -> float:
    """Rate of a broadcast that only this terminal listens to, while some sites are on the air, by hand."""
    down = where.scenario.network.downlink
    power_w, noise_w = 10.0 ** ((down.tx_power_dbm - 30.0) / 10.0), 10.0 ** ((-174.0 + 9.0 - 30.0) / 10.0) * BAND_HZ
    site = int(where.deployment.serving[terminal])
    heard_w = sum(power_w * gain(where, terminal, other) for other in on_air if other != site)
    return 0.9 * BAND_HZ * log2(1.0 + power_w * gain(where, terminal, site) / (noise_w + heard_w))


def test_broadcasts_that_begin_together_disturb_each_other() -> None:
    where = coupled(3)
    result = run(where, Counting(bits_down=1e6, cloud_rounds=1, bs_iterations=1))
    for site, row in enumerate(result.base_stations):
        assert row["downlink_airtime_s"] == pytest.approx(1e6 / downlink_bps(where, site, [0, 1, 2]), rel=1e-3)


def test_a_broadcast_keeps_the_rate_of_its_first_instant() -> None:
    where = coupled(3)
    interference = where.interference
    assert interference is not None
    heard = np.array([0])
    where.env.run(until=interference.begin_broadcast(0))
    alone_bps = where.radio.broadcast_bps(heard, interference.interfering_gain(heard))
    where.env.run(until=interference.begin_broadcast(2))
    later_bps = where.radio.broadcast_bps(np.array([2]), interference.interfering_gain(np.array([2])))
    interference.end_broadcast(0)
    again_bps = where.radio.broadcast_bps(np.array([2]), interference.interfering_gain(np.array([2])))
    assert alone_bps == pytest.approx(downlink_bps(where, 0, []), rel=1e-3)
    assert later_bps == pytest.approx(downlink_bps(where, 2, [0]), rel=1e-3)
    assert again_bps == pytest.approx(downlink_bps(where, 2, []), rel=1e-3)


def test_a_broadcast_does_not_suffer_from_those_that_are_over() -> None:
    rule = {"model": "coupled"}
    settings = scenario(network={"link": LINK, "interference": rule}, terminals={"slowdown": {"kind": "none"}})
    where = world(settings, 3, 1)
    result = run(where, Counting(bits_down=1e5, samples=5e3, spread=0.4, cloud_rounds=1, bs_iterations=2))
    for site, row in enumerate(result.base_stations):
        together, alone = (1e5 / downlink_bps(where, site, on_air) for on_air in ([0, 1, 2], []))
        assert together > 1.01 * alone
        assert row["downlink_airtime_s"] == pytest.approx(together + alone, rel=1e-3)


def test_a_network_of_one_cell_knows_no_interference() -> None:
    settings = {"link": LINK, "uplink": {"interference_margin_db": 0.0}}
    alone = world(scenario(network=settings), 1, 5)
    together = world(scenario(network=settings | {"interference": {"model": "coupled"}}), 1, 5)
    assert_agree(*(run(where, Counting(bits_up=2e5, spread=0.4, bs_iterations=3)) for where in (alone, together)))


def test_coupled_runs_repeat_themselves_to_the_last_bit() -> None:
    first, second = (run(coupled(3, 4), Counting(bits_up=2e5, spread=0.4, bs_iterations=3)) for _ in range(2))
    assert first.rounds == second.rounds
    assert list(first.participation) == list(second.participation)


def test_who_interference_would_silence_goes_on_at_the_least_efficiency() -> None:
    link = LINK | {"min_sinr_db": 0.0, "outage_bit_s_hz": 0.05}
    rule = {"model": "coupled", "refresh_s": REFRESH_S}
    where = world(scenario(network={"link": link, "interference": rule}), 3, 8)
    for terminal in range(24):
        where.uplinks[terminal // 8].start(terminal, 1e12)
    where.env.run(until=0.001)
    snr, radio = where.radio.uplink_snr, where.radio
    silenced = np.flatnonzero(snr * 5 < 1.0)
    assert 0 < len(silenced) < 24
    for terminal in silenced.tolist():
        assert radio.band_shared_bps(terminal, 5) == pytest.approx(0.05 * BAND_HZ / 5, rel=1e-12)


def test_only_the_process_engine_couples_cells_and_controls_power() -> None:
    for network in ({"interference": {"model": "coupled"}}, {"uplink": {"power_control": {}}}):
        settings = scenario(network=network, engine="cohort")
        with pytest.raises(ScenarioError, match="engine"):
            engines.run(world(settings), Counting(), ["a", "b"])


def loaded(sites: int, per_site: int, offered_load_bps: float, seed: int = 0, **network: Any) -> World:
    rule = {"model": "load", "offered_load_bps": offered_load_bps, "strongest_links": 36}
    return world(scenario(network={"link": LINK, "interference": rule} | network), sites, per_site, seed)


def links(where: World) -> StrongestCells:
    return strongest_cells(where.scenario.network, where.deployment, where.streams)


def test_two_loaded_cells_settle_where_activity_and_interference_agree() -> None:
    where = loaded(2, 1, 5e5)
    near, radio, power_w = links(where), where.radio, float(where.radio.max_power_w[0])
    noise_w = np.full(2, THERMAL_W)
    for _ in range(200):
        rates_bps = 0.9 * BAND_HZ * np.log2(1.0 + power_w * near.gain[:, 0] / noise_w)
        noise_w = THERMAL_W + power_w * (5e5 / rates_bps * near.gain[:, 1])[::-1]
    np.testing.assert_allclose(radio.uplink_noise_w, noise_w, rtol=1e-3)
    down_w, activity = 10.0 ** ((35.5 - 30.0) / 10.0), np.zeros(2)
    for _ in range(200):
        heard_w = 10.0 ** ((-174.0 + 9.0 - 30.0) / 10.0) * BAND_HZ + down_w * near.gain[:, 1] * activity[::-1]
        sinr = down_w * near.gain[:, 0] / heard_w
        activity = np.minimum(1.0, 5e5 / (0.9 * BAND_HZ * np.log2(1.0 + sinr)))
    np.testing.assert_allclose(radio.downlink_sinr, sinr, rtol=1e-3)


def test_what_a_load_settles_at_is_its_own_consequence_wherever_the_search_starts() -> None:
    where = loaded(7, 6, 2e4)
    near, radio = links(where), where.radio
    demand_bps = np.full(where.terminals, 2e4)
    assert radio.reachable.all()
    share = demand_bps / (BAND_HZ * radio.uplink_efficiency)
    assert np.bincount(near.cell[:, 0], share).max() < 1.0
    noise_w = THERMAL_W + near.uplink_interference_w(share * radio.tx_power_w)
    np.testing.assert_allclose(radio.uplink_noise_w, noise_w[near.cell[:, 0]], rtol=1e-9)
    for start in (0.0, 1.0):
        down_w, thermal_w = 10.0 ** ((35.5 - 30.0) / 10.0), 10.0 ** ((-174.0 + 9.0 - 30.0) / 10.0) * BAND_HZ
        settled = settle_loads(near, demand_bps, down_w, thermal_w, BAND_HZ, radio.downlink_law, start=start)
        np.testing.assert_allclose(near.downlink_interference_w(settled.activity), radio.neighbour_gain, rtol=1e-6)


def test_more_load_that_cells_can_carry_is_never_less_interference() -> None:
    offered_bps = (1e-3, 1e3, 5e3, 2e4, 8e4)
    radios = [loaded(7, 4, offered).radio for offered in offered_bps]
    busiest = [
        offered * np.max(4.0 / (BAND_HZ * r.uplink_efficiency)) for offered, r in zip(offered_bps, radios, strict=True)
    ]
    assert busiest[-1] < 1.0
    for lighter, heavier in pairwise(radios):
        assert np.all(heavier.uplink_noise_w > lighter.uplink_noise_w)
        assert np.all(heavier.neighbour_gain > lighter.neighbour_gain)
    np.testing.assert_allclose(radios[0].uplink_noise_w, THERMAL_W, rtol=1e-4)


def test_sites_that_cannot_carry_their_load_are_always_on_the_air() -> None:
    where = loaded(7, 4, 1e8)
    np.testing.assert_allclose(where.radio.neighbour_gain, links(where).gain[:, 1:].sum(axis=1), rtol=1e-12)


def test_a_cell_that_cannot_carry_its_load_is_on_the_air_all_the_time_and_no_more() -> None:
    where = loaded(2, 3, 1e9)
    near, power_w = links(where), where.radio.tx_power_w
    rates_bps = where.radio.uplink_efficiency  # needs are in inverse proportion to them
    for site, other in ((0, 1), (1, 0)):
        there = np.flatnonzero(near.cell[:, 0] == other)
        share = 1.0 / rates_bps[there] / np.sum(1.0 / rates_bps[there])
        noise_w = THERMAL_W + np.sum(share * power_w[there] * near.gain[there, 1])
        np.testing.assert_allclose(where.radio.uplink_noise_w[where.terminals_of(site)], noise_w, rtol=1e-9)


def test_one_loaded_cell_has_only_itself() -> None:
    where = loaded(1, 5, 1e5)
    np.testing.assert_allclose(where.radio.uplink_noise_w, THERMAL_W, rtol=1e-12)
    np.testing.assert_array_equal(where.radio.neighbour_gain, 0.0)


@pytest.mark.parametrize("model", ["load", "coupled"])
def test_cells_that_mirror_each_other_disturb_each_other_alike(model: str) -> None:
    where = world(scenario(network={"link": LINK, "propagation": {"shadowing": False}}), 2, 1)
    serving, other = np.array([0, 1]), np.array([1, 0])
    near = StrongestCells(np.c_[serving, other], np.array([[1e-11, 3e-13], [1e-11, 3e-13]]), 2)
    where.radio.serving_gain[:] = 1e-11
    where.radio.fading[:] = 0
    where.radio.refresh(slice(None))
    if model == "load":
        noise_w = uplink_noise_w(where.radio, near, np.full(2, 2e5))
        activity = downlink_activity(where.radio, near, np.full(2, 2e5))
        assert activity[0] == activity[1] > 0.0
    else:
        rule = Interference(model="coupled", threshold=0.0, refresh_s=REFRESH_S)
        interference = CoupledInterference(where.env, where.radio, near, rule)
        for uplink, terminal in zip(where.uplinks, range(2), strict=True):
            transmitters = Transmitters(
                where.radio, where.devices, [1.0, 1.0], where.terminal_meter, interference.changed
            )
            transmitters.set_shares([terminal], 1.0)
            interference.add_cell(uplink, transmitters)
        where.env.run(until=1.0)
        noise_w = interference.noise_w
    assert noise_w[0] == noise_w[1] > 1.001 * THERMAL_W


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), methods(), st.sampled_from(["ofdma", "tdma"]))
def test_whatever_interferes_terminals_pay_for_their_time_on_the_air(
    data: st.DataObject, method: Counting, share: str
) -> None:
    uplink: dict[str, Any] = {"share": share}
    if share == "tdma":
        uplink["power_control"] = {"p0_dbm_per_rb": -80.0}
    rule = {"model": "coupled", "refresh_s": data.draw(st.sampled_from([1e-3, 0.03]))}
    where = data.draw(worlds(network={"uplink": uplink, "interference": rule}))
    logs = [listen(cell) for cell in where.uplinks]
    run(where, method)
    airtime_s: dict[int, float] = dict.fromkeys(range(where.terminals), 0.0)
    for log in logs:
        for transfer in log.transfers:
            airtime_s[transfer.terminal] += transfer.airtime_s
    for i, kind in enumerate(where.devices):
        power_w = transmitter_w(float(where.radio.tx_power_w[i]), kind.amplifier_efficiency, kind.tx_circuit_w)
        spent_j = where.terminal_meter.energy_j(i, "transmit")
        assert spent_j == pytest.approx(power_w * airtime_s[i], rel=1e-8, abs=1e-12)
