"""Link budgets worked out by hand, rates that follow from them, and who is out of coverage."""

from typing import Any

import numpy as np
import pytest

from channel_models.fading import ErgodicSpectralEfficiency, Rician, rayleigh_ergodic_se
from channel_models.link_adaptation import ShannonGap
from netsim.cell import Allotted, BandShared, InTurn, MaxMin, ProportionalFair, TimeShared
from netsim.cohort.engine import simulate_cohorts
from netsim.engines import needs_processes
from netsim.link_tables import LOWEST_K_DB, fading_rows, uplink_tables
from netsim.radio import Radio, link_budget
from netsim.world import World
from scenarios.streams import Streams
from tests.netsim.agreement import assert_agree
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
        slice_bps = 0.75 * 2e6 / 4 * float(law.spectral_efficiency(4 * snr))
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
    powers_dbm = np.array([kind.tx_power_dbm for kind in where.devices])
    return link_budget(network, where.deployment, powers_dbm, where.streams)


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


def test_nakagami_fading_is_rayleigh_with_shape_one_and_steadier_above_on_every_link() -> None:
    def efficiency(**propagation: Any) -> np.ndarray:
        return made(link={"max_bit_s_hz": 40.0}, propagation=propagation).radio.uplink_efficiency

    rayleigh, steady = efficiency(fading="rayleigh"), efficiency(fading="none")
    np.testing.assert_allclose(efficiency(fading="nakagami", nakagami_m=1.0), rayleigh, rtol=1e-9)
    assert np.all(efficiency(fading="nakagami", nakagami_m=4.0) > rayleigh)
    np.testing.assert_allclose(efficiency(fading="nakagami", nakagami_m=1e4), steady, rtol=1e-3)


def test_drawn_rician_factors_follow_the_law_of_the_environment_and_belong_to_the_link() -> None:
    network = scenario(network={"propagation": {"fading": "rician", "rician_k": "drawn"}}).network
    entity, sight = np.arange(4000), np.ones(4000, np.bool_)
    rows = fading_rows(network, Streams(3), entity, np.zeros(4000, np.int64), sight)
    k_db = rows - 1 + LOWEST_K_DB
    assert k_db.mean() == pytest.approx(9.0, abs=4 * 3.5 / np.sqrt(4000))
    assert k_db.std() == pytest.approx(np.hypot(3.5, 12**-0.5), rel=0.05)
    sight[::2] = False
    again = fading_rows(network, Streams(3), entity[5:], np.zeros(3995, np.int64), sight[5:])
    np.testing.assert_array_equal(again, np.where(sight, rows, 0)[5:])
    assert np.any(fading_rows(network, Streams(3), entity, np.ones(4000, np.int64), ~sight)[::2] != rows[::2])


def test_rounding_a_drawn_rician_factor_changes_little() -> None:
    network = scenario(network={"propagation": {"fading": "rician", "rician_k": "drawn"}}).network
    worst = 0.0
    for row in (12, 18, 24):  # 1, 7 and 13 dB
        here, law = uplink_tables(network)[row], ShannonGap()
        beside = ErgodicSpectralEfficiency(law, Rician(10.0 ** ((row - 1 + LOWEST_K_DB + 0.5) / 10.0)))
        snr = 10.0 ** (np.linspace(0.0, 30.0, 61) / 10.0)
        worst = max(worst, float(np.max(np.abs(here(snr) - beside(snr)))))
    assert 0.0 < worst < 0.04  # bit/s/Hz


@pytest.mark.parametrize(
    "network",
    [
        {"propagation": {"fading": "rician", "rician_k": "drawn"}},
        {"propagation": {"fading": "nakagami", "nakagami_m": 2.5}},
        {"link": {"model": "truncated_shannon"}},
        {"link": {"model": "finite_blocklength", "block": {"channel_uses": 200}}},
        {"uplink": {"duty": 0.25}, "downlink": {"duty": 0.6}},
        {"uplink": {"duty": 0.25, "share": "tdma"}, "downlink": {"duty": 0.6}},
        {"interference": {"model": "load", "offered_load_bps": 5e4}},
    ],
)
def test_both_engines_have_the_same_links(network: dict[str, Any]) -> None:
    where = world(scenario(network=network, budget={"time_s": 3.0}), 3, 6)
    counting = [Counting(spread=0.381966, bits_up=1e5, bs_iterations=3) for _ in range(2)]
    result = run(where, counting[0])
    assert result.totals["bytes"] > 0.0
    assert_agree(result, simulate_cohorts(where, counting[1], ["task 0", "task 1", "task 2"]))


def test_a_truncated_shannon_link_differs_up_and_down() -> None:
    radio = made(link={"model": "truncated_shannon", "overhead": 0.0}).radio
    up, down = np.log2(1.0 + radio.uplink_snr), np.log2(1.0 + radio.downlink_sinr)
    assert np.any(up > 5.0) and np.any(up < 5.0)
    np.testing.assert_allclose(radio.uplink_efficiency, np.minimum(0.4 * up, 2.0), rtol=1e-3)
    np.testing.assert_allclose(radio.downlink_efficiency, np.minimum(0.6 * down, 4.4), rtol=1e-3)


def test_short_blocks_carry_less_than_long_ones_and_those_less_than_the_capacity() -> None:
    def efficiency(channel_uses: float) -> np.ndarray:
        link = {"model": "finite_blocklength", "block": {"channel_uses": channel_uses}, "overhead": 0.0}
        return made(link=link).radio.uplink_efficiency

    radio = made().radio
    short, long, capacity = efficiency(100), efficiency(1e6), np.log2(1.0 + radio.uplink_snr)
    assert np.all(short < long) and np.all(long < capacity)
    np.testing.assert_allclose(long, capacity, atol=0.01)
    n = 100.0  # log2(1 + g) - sqrt(V / n) Q^-1(1e-3) log2(e) + log2(n) / (2 n)
    spread = np.sqrt((1.0 - (1.0 + radio.uplink_snr) ** -2.0) / n) * 3.0902323 / np.log(2.0)
    np.testing.assert_allclose(short, capacity - spread + np.log2(n) / (2.0 * n), rtol=2e-3)


def test_a_band_in_turns_carries_its_share_and_radios_draw_power_in_their_turns_only() -> None:
    fdd, tdd = (made(uplink={"duty": up}, downlink={"duty": down}) for up, down in ((1.0, 1.0), (0.25, 0.75)))
    everybody = list(range(SITES * PER_SITE))
    for n in (1, 3):
        assert tdd.radio.band_shared_bps(2, n) == pytest.approx(0.25 * fdd.radio.band_shared_bps(2, n), rel=1e-12)
    assert tdd.radio.whole_band_bps(2) == pytest.approx(0.25 * fdd.radio.whole_band_bps(2), rel=1e-12)
    assert tdd.radio.broadcast_bps(everybody) == pytest.approx(0.75 * fdd.radio.broadcast_bps(everybody), rel=1e-12)
    np.testing.assert_array_equal(tdd.radio.reachable, fdd.radio.reachable)


def test_radios_draw_power_in_their_turns_only() -> None:
    duties = ({}, {"uplink": {"duty": 0.25}, "downlink": {"duty": 0.75}})
    one, other = (run(world(scenario(network=duty), 2, 1), Counting(bits_up=2e5, cloud_rounds=1)) for duty in duties)
    for a, b in zip(one.terminals, other.terminals, strict=True):  # longer at less power: the energy is the same
        for component in ("transmit", "receive"):
            assert b[f"energy_{component}_j"] == pytest.approx(a[f"energy_{component}_j"], rel=1e-9)
    for a, b in zip(one.base_stations, other.base_stations, strict=True):
        assert b["energy_transmit_j"] == pytest.approx(a["energy_transmit_j"], rel=1e-9)
        assert b["downlink_airtime_s"] == pytest.approx(a["downlink_airtime_s"] / 0.75, rel=1e-9)
        assert b["uplink_airtime_s"] == pytest.approx(a["uplink_airtime_s"] / 0.25, rel=1e-9)


def controlled(sites: int = SITES, per_site: int = PER_SITE, p0_dbm: float = -95.0, **uplink: Any) -> World:
    power_control = {"p0_dbm_per_rb": p0_dbm, "alpha": 0.9}
    network = {"link": {"max_bit_s_hz": 40.0}, "uplink": {"power_control": power_control, **uplink}}
    return world(scenario(network=network), sites, per_site)


def test_power_control_compensates_its_share_of_the_loss_within_what_the_device_can_radiate() -> None:
    where = controlled(p0_dbm=-80.0)
    there = where.deployment
    loss_db = there.path_loss_db + there.shadowing_db - 8.0
    for n in (1, 5):
        wanted_dbm = -80.0 + 10.0 * np.log10(0.9e6 / n / 180e3) + 0.9 * loss_db
        radiated_dbm = 10.0 * np.log10(where.radio.power_w(slice(None), n)) + 30.0
        np.testing.assert_allclose(radiated_dbm, np.clip(wanted_dbm, -40.0, 23.0), rtol=1e-12)
        single_w = [where.radio.slice_power_w(terminal, n) for terminal in range(where.terminals)]
        np.testing.assert_array_equal(single_w, where.radio.power_w(slice(None), n))
    np.testing.assert_array_equal(where.radio.tx_power_w, where.radio.power_w(slice(None), 1))


def test_a_terminal_that_is_not_power_limited_keeps_its_sinr_in_a_narrower_slice() -> None:
    radio = controlled(p0_dbm=-80.0).radio
    limited = radio.wanted_power_w >= radio.max_power_w
    assert limited.any() and not limited.all()
    for terminal, full in enumerate(limited.tolist()):
        whole, fifth = radio.band_shared_bps(terminal, 1), radio.band_shared_bps(terminal, 5)
        if full:
            assert fifth > 1.01 * whole / 5.0
        else:
            assert fifth == pytest.approx(whole / 5.0, rel=1e-12)


@pytest.mark.parametrize("share", ["ofdma", "tdma"])
def test_transmitters_draw_what_they_radiate(share: str) -> None:
    where = controlled(1, 4, share=share)
    cell = where.uplinks[0]
    transfers = [cell.start(terminal, 1e9) for terminal in range(3)]
    where.env.run(until=2.0)
    cell.cancel(transfers[1])
    where.env.run(until=3.0)
    for terminal, spells in {0: [(2.0, 3), (1.0, 2)], 1: [(2.0, 3)], 2: [(2.0, 3), (1.0, 2)], 3: []}.items():
        expected_j = sum(
            spell_s
            * (where.radio.slice_power_w(terminal, n if share == "ofdma" else 1) / 0.35 + 0.15)
            / (1 if share == "ofdma" else n)
            for spell_s, n in spells
        )
        assert where.terminal_meter.energy_j(terminal, "transmit") == pytest.approx(expected_j, rel=1e-12)


def test_the_power_follows_a_link_that_changes_during_an_upload() -> None:
    where = controlled(1, 1)
    where.uplinks[0].start(0, 1e9)
    where.env.run(until=1.0)
    before_w = where.radio.tx_power_w[0]
    where.radio.serving_gain[0] *= 10.0
    where.radio.refresh(np.array([0]))
    where.uplinks[0].retune([0])
    where.env.run(until=3.0)
    after_w = where.radio.tx_power_w[0]
    assert after_w == pytest.approx(before_w / 10.0**0.9, rel=1e-12)
    expected_j = before_w / 0.35 + 2.0 * after_w / 0.35 + 3.0 * 0.15
    assert where.terminal_meter.energy_j(0, "transmit") == pytest.approx(expected_j, rel=1e-12)


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
