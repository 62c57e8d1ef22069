"""Link budgets worked out by hand, rates that follow from them, and who is out of coverage."""

from typing import Any

import numpy as np
import pytest

from channel_models.fading import rayleigh_ergodic_se
from channel_models.link_adaptation import ShannonGap
from channel_models.rates import ofdma_rate
from netsim.cell import Allotted, BandShared, InTurn, MaxMin, ProportionalFair, TimeShared
from netsim.engines import needs_processes
from netsim.radio import Radio, link_budget
from netsim.world import World
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

SITES, PER_SITE = 4, 5
HARDWARE = {"rx_power_w": 0.5, "amplifier_efficiency": 0.35, "tx_circuit_w": 0.15}


def made(**network: Any) -> World:
    terminals = {
        "classes": [
            {"name": name, "tx_power_dbm": power_dbm} | HARDWARE
            for name, power_dbm in (("strong", 23.0), ("weak", 10.0))
        ]
    }
    return world(scenario(network=network, terminals=terminals), SITES, PER_SITE)


def test_the_uplink_snr_is_the_link_budget_worked_out_by_hand() -> None:
    uplink = {"bandwidth_hz": 1.8e6, "noise_figure_db": 4.0, "interference_margin_db": 2.5}
    gains = {"base_station_antenna_gain_dbi": 14.0, "terminal_antenna_gain_dbi": -3.0}
    where = made(uplink=uplink, propagation=gains)
    there = where.deployment
    power_dbm = np.array([kind.tx_power_dbm for kind in where.devices])
    assert set(power_dbm) == {23.0, 10.0}
    received_dbm = power_dbm + 14.0 - 3.0 - there.path_loss_db - there.shadowing_db
    noise_dbm = -174.0 + 10.0 * np.log10(1.8e6) + 4.0 + 2.5
    np.testing.assert_allclose(10.0 * np.log10(where.radio.uplink_snr), received_dbm - noise_dbm, rtol=1e-12)


def test_the_downlink_sinr_counts_every_other_site_for_its_share_of_time() -> None:
    downlink = {"bandwidth_hz": 0.9e6, "tx_power_dbm": 36.5, "noise_figure_db": 9.0, "neighbour_activity": 0.3}
    where = made(downlink=downlink)
    there, power_w = where.deployment, 10.0 ** ((36.5 - 30.0) / 10.0)
    noise_w = 10.0 ** ((-174.0 + 9.0 - 30.0) / 10.0) * 0.9e6
    assert np.all(there.neighbour_gain > 0.0)
    expected = power_w * there.serving_gain / (noise_w + 0.3 * power_w * there.neighbour_gain)
    np.testing.assert_allclose(where.radio.downlink_sinr, expected, rtol=1e-12)


def test_rates_are_band_times_efficiency_after_overhead() -> None:
    where = made(link={"overhead": 0.25, "shannon_gap_db": 2.0}, uplink={"bandwidth_hz": 2e6})
    law = ShannonGap(2.0)
    for i, snr in enumerate(where.radio.uplink_snr):
        whole_bps = 0.75 * 2e6 * float(law.spectral_efficiency(snr))
        assert where.radio.whole_band_bps(i) == pytest.approx(whole_bps, rel=1e-3)
        assert where.radio.band_shared_bps(i, 1) == pytest.approx(where.radio.whole_band_bps(i), rel=1e-12)
        slice_bps = 0.75 * float(ofdma_rate(2e6, snr, 4, law.spectral_efficiency))
        assert where.radio.band_shared_bps(i, 4) == pytest.approx(slice_bps, rel=1e-3)


def test_the_tables_give_every_rate_in_a_share_of_the_band() -> None:
    radio = made(link={"overhead": 0.25}, uplink={"bandwidth_hz": 2e6}, propagation={"fading": "rician"}).radio
    snr_grid, efficiency_grid = radio.tables()
    assert radio.fading.any() and not radio.fading.all()
    for i, (snr, kind) in enumerate(zip(radio.uplink_snr, radio.fading, strict=True)):
        points, efficiency = snr_grid[kind], efficiency_grid[kind]
        for n in (1, 3, 11):
            slice_bps = 0.75 * 2e6 / n * np.interp(n * snr, points, efficiency, left=0.0)
            assert radio.band_shared_bps(i, n) == pytest.approx(slice_bps, rel=1e-12)


def test_fading_is_averaged_and_spares_those_with_line_of_sight_when_it_is_rician() -> None:
    link = {"max_bit_s_hz": 40.0, "min_sinr_db": -100.0, "shannon_gap_db": 3.0, "overhead": 0.1}
    steady, rayleigh, rician = (
        made(link=link, propagation={"fading": fading}).radio for fading in ("none", "rayleigh", "rician")
    )
    closed_form = 0.9 * rayleigh_ergodic_se(steady.uplink_snr / 10.0**0.3)
    np.testing.assert_allclose(rayleigh.uplink_efficiency, closed_form, atol=1e-3)
    los = made(link=link).deployment.los
    assert los.any() and not los.all()
    np.testing.assert_array_equal(rician.uplink_efficiency[~los], rayleigh.uplink_efficiency[~los])
    assert np.all(rician.uplink_efficiency[los] > rayleigh.uplink_efficiency[los])
    assert np.all(rician.uplink_efficiency[los] < steady.uplink_efficiency[los])
    np.testing.assert_allclose(steady.uplink_efficiency, 0.9 * np.log2(1.0 + steady.uplink_snr / 10.0**0.3), rtol=1e-3)


def test_the_broadcast_goes_at_the_rate_of_the_worst_scheduled_terminal() -> None:
    where = made(link={"max_bit_s_hz": 40.0})
    radio, audience = where.radio, [1, 3, 4]
    worst = radio.downlink_efficiency[audience].min()
    assert radio.broadcast_bps(audience) == where.scenario.network.downlink.bandwidth_hz * worst
    assert radio.broadcast_bps(np.array(audience)) == radio.broadcast_bps(audience)
    assert radio.broadcast_bps([0, 1, 2, 3, 4]) <= radio.broadcast_bps(audience)


def test_a_broadcast_lasts_as_long_as_its_worst_listener_needs() -> None:
    where = made(link={"max_bit_s_hz": 40.0}, downlink={"tx_power_dbm": 36.5})
    result = run(where, Counting(bits_down=1e6, cloud_rounds=2, bs_iterations=3))
    for site, row in enumerate(result.base_stations):
        airtime_s = 1e6 / where.radio.broadcast_bps(where.terminals_of(site))
        assert row["downlink_airtime_s"] == pytest.approx(6 * airtime_s, rel=1e-9)
        radiated_w = 10.0 ** ((36.5 - 30.0) / 10.0)
        assert row["energy_transmit_j"] == pytest.approx(where.site_power.slope * radiated_w * 6 * airtime_s, rel=1e-9)
        for terminal in where.terminals_of(site):
            assert result.terminals[terminal]["energy_receive_j"] == pytest.approx(0.5 * 6 * airtime_s, rel=1e-9)


def limited(where: World, outage_bit_s_hz: float) -> Radio:
    link = where.scenario.network.link.model_copy(update={"outage_bit_s_hz": outage_bit_s_hz})
    network = where.scenario.network.model_copy(update={"link": link})
    return link_budget(network, where.deployment, np.array([kind.tx_power_dbm for kind in where.devices]))


def test_coverage_is_decided_by_the_worse_direction_and_the_threshold() -> None:
    where = made(link={"max_bit_s_hz": 40.0})
    worse = np.minimum(where.radio.uplink_efficiency, where.radio.downlink_efficiency)
    for threshold in (0.02, *np.sort(worse)[::4]):
        np.testing.assert_array_equal(limited(where, float(threshold)).reachable, worse >= threshold)


def test_who_is_out_of_coverage_is_never_scheduled() -> None:
    settings = scenario(
        terminals=device(tx_power_dbm=-25.0), network={"link": {"outage_bit_s_hz": 1.0}}, budget={"time_s": 2.0}
    )
    where = world(settings, 1, 8)
    reachable = where.radio.reachable
    assert reachable.any() and not reachable.all()
    result = run(where)
    for row in result.terminals:
        outcomes = {entry["outcome"] for entry in result.participation if entry["terminal"] == row["terminal"]}
        assert outcomes == ({"merged"} if reachable[row["terminal"]] else {"unavailable"})
        assert (row["energy_transmit_j"] > 0.0) == reachable[row["terminal"]]


def test_the_scenario_says_how_the_uplink_is_shared_and_how_narrow_a_slice_may_be() -> None:
    in_time, in_frequency = made(uplink={"share": "tdma"}), made(uplink={"share": "ofdma", "min_slice_hz": 180e3})
    assert all(isinstance(cell, TimeShared) for cell in in_time.uplinks)
    assert all(isinstance(cell, BandShared) for cell in in_frequency.uplinks)
    cell = in_frequency.uplinks[0]
    for terminal in range(PER_SITE):
        cell.start(terminal, 1e12)
    cell.start(0, 1e12)  # a sixth upload waits: the band has five slices
    in_frequency.env.run(until=1.0)
    assert in_frequency.terminal_meter.component_j("transmit") == pytest.approx(
        sum(10.0 ** (kind.tx_power_dbm / 10.0 - 3.0) / 0.35 + 0.15 for kind in list(in_frequency.devices)[:PER_SITE])
    )


@pytest.mark.parametrize(
    ("share", "kind"),
    [
        ("proportional_fair", ProportionalFair),
        ("max_min", MaxMin),
        ("sequential", InTurn),
        ("allotted", Allotted),
    ],
)
def test_every_way_of_sharing_has_its_discipline_and_only_processes_know_the_newer_ones(share: str, kind: type) -> None:
    where = made(uplink={"share": share})
    assert [type(cell) for cell in where.uplinks] == [kind] * SITES
    assert needs_processes(where.scenario) == "network.uplink.share"
    assert needs_processes(made(uplink={"share": "tdma"}).scenario) is None


def test_choosing_among_fading_terminals_gains_rate_and_without_fading_it_is_turns() -> None:
    faded, steady = (made(propagation={"fading": fading}).radio for fading in ("rayleigh", "none"))
    for i in range(SITES * PER_SITE):
        assert faded.proportional_fair_bps(i, 1) == faded.whole_band_bps(i)
        assert steady.proportional_fair_bps(i, 4) == steady.whole_band_bps(i) / 4
        if 0.0 < faded.uplink_efficiency[i] < 5.0:
            assert faded.whole_band_bps(i) / 4 < faded.proportional_fair_bps(i, 4) <= faded.whole_band_bps(i)


def test_a_slice_of_a_share_of_the_power_has_the_rate_of_its_snr() -> None:
    where = made(link={"overhead": 0.25}, uplink={"bandwidth_hz": 2e6})
    law = ShannonGap(2.0)
    for i, snr in enumerate(where.radio.uplink_snr):
        assert where.radio.slice_bps(i, 2e6 / 3) == pytest.approx(where.radio.band_shared_bps(i, 3), rel=1e-12)
        weak_bps = 0.75 * 0.4e6 * float(law.spectral_efficiency(snr * 5.0 * 0.1))
        assert where.radio.slice_bps(i, 0.4e6, 0.1) == pytest.approx(weak_bps, rel=1e-3, abs=1.0)
