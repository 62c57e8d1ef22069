"""Terminals that send together: who begins when, how long it takes, and what it costs whom."""

from math import ceil, isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netsim.engines
from channel_models.over_the_air import inversion_power
from channel_models.units import dbm_to_watt
from netsim.energy import transmitter_w
from netsim.simulation import Result
from netsim.world import World, build_ground
from scenarios.errors import ScenarioError
from scenarios.loading import check
from scenarios.streams import Streams
from tests.netsim.analog import Chorus, cell_of, together
from tests.netsim.any_scenario import methods, worlds
from tests.netsim.sharing import listen
from tests.netsim.worlds import ENERGY_COLUMNS, PLAIN, change, device, run, scenario, world

CLOSE = 1e-9
COMPUTE_S = 0.1
ACCESS_S = 0.01
SYMBOL_S = 1.0714 / 15e3
STEADY = device(cpu_hz=1e9, cycles_per_sample=1e6, switched_capacitance=1e-28) | {"slowdown": {"kind": "none"}}
LONG = 60 * 4000  # values that take 4000 symbols, 0.29 s, on the 60 sub-carriers there are
Row = dict[str, Any]


def cell(collection: Row | None = None, per_site: int = 4, terminals: Row | None = None, **budget: float) -> World:
    """Return a world of one cell whose terminals compute for a tenth of a second and send together."""
    settings_ = scenario(
        budget=budget or {"time_s": 3.0},
        terminals=STEADY | (terminals or {}),
        collection=collection or {"policy": "all"},
        network={"uplink": together(), "propagation": {"fading": "rayleigh"}},
    )
    return world(settings_, 1, per_site)


def iteration(result: Result, number: int) -> tuple[float, dict[int, Row]]:
    """Return when an iteration was over and its participation rows by terminal."""
    (over_s,) = (r["time_s"] for r in result.rounds if r["event"] == "edge" and r["edge_round"] == number)
    return over_s, {row["terminal"]: row for row in result.participation if row["edge_round"] == number}


def outcomes(rows: dict[int, Row]) -> list[str]:
    return [rows[i]["outcome"] for i in range(len(rows))]


@pytest.mark.parametrize("per_site", [1, 4, 40])
@pytest.mark.parametrize("values", [1, 60, 61, LONG])
def test_a_transmission_takes_as_long_as_its_symbols_however_many_send(per_site: int, values: int) -> None:
    over_s, rows = iteration(run(cell(per_site=per_site), Chorus(values=values)), 0)
    began_s = rows[0]["start_s"] + COMPUTE_S + ACCESS_S
    assert {row["finish_s"] for row in rows.values()} == {over_s}
    assert over_s - began_s == pytest.approx(ceil(values / 60) * SYMBOL_S, rel=1e-7)


def test_nobody_begins_before_the_slowest_is_ready() -> None:
    where = cell()
    change(where, 3, cpu_hz=1e8)
    over_s, rows = iteration(run(where, Chorus(values=60)), 1)
    assert set(outcomes(rows)) == {"merged"}
    began_s = rows[3]["start_s"] + 10 * COMPUTE_S + ACCESS_S
    assert over_s == pytest.approx(began_s + SYMBOL_S, rel=CLOSE)
    for row in rows.values():
        assert row["start_s"] + row["compute_s"] + row["upload_s"] == pytest.approx(over_s, rel=CLOSE)


def test_the_first_k_that_are_ready_send_and_the_others_are_late() -> None:
    where = cell({"policy": "first_k", "k_fraction": 0.5})
    for terminal, cpu_hz in enumerate([1e8, 5e8, 2.5e8, 1e9]):
        change(where, terminal, cpu_hz=cpu_hz)
    over_s, rows = iteration(run(where, Chorus(values=LONG)), 0)
    assert outcomes(rows) == ["late", "merged", "late", "merged"]
    assert over_s == pytest.approx(rows[1]["start_s"] + 2 * COMPUTE_S + ACCESS_S + 4000 * SYMBOL_S, rel=CLOSE)
    # Terminal 2 was done in mid-transmission and waited for a turn that did not come; terminal 0 was still at work.
    assert rows[2]["start_s"] + 4 * COMPUTE_S + rows[2]["upload_s"] == pytest.approx(over_s, rel=CLOSE)
    assert rows[2]["upload_s"] > ACCESS_S
    assert isnan(rows[0]["upload_s"])


def test_at_the_deadline_those_who_are_ready_begin() -> None:
    where = cell({"policy": "deadline", "deadline_s": 0.35})
    change(where, 3, cpu_hz=1e8)
    over_s, rows = iteration(run(where, Chorus(values=600)), 2)
    assert outcomes(rows) == ["merged", "merged", "merged", "late"]
    assert over_s == pytest.approx(rows[0]["start_s"] + 0.35 + 10 * SYMBOL_S, rel=CLOSE)


def test_before_the_deadline_all_begin_as_soon_as_all_are_ready() -> None:
    over_s, rows = iteration(run(cell({"policy": "deadline", "deadline_s": 0.35}), Chorus(values=600)), 2)
    assert over_s == pytest.approx(rows[0]["start_s"] + COMPUTE_S + ACCESS_S + 10 * SYMBOL_S, rel=CLOSE)


def test_under_a_deadline_nobody_can_keep_the_first_to_be_ready_sends_alone() -> None:
    where = cell({"policy": "deadline", "deadline_s": 0.05})
    change(where, 2, cpu_hz=1.1e9)
    over_s, rows = iteration(run(where, Chorus(values=600)), 1)
    assert outcomes(rows) == ["late", "late", "merged", "late"]
    assert over_s == pytest.approx(rows[2]["start_s"] + COMPUTE_S / 1.1 + ACCESS_S + 10 * SYMBOL_S, rel=CLOSE)


def test_those_who_are_lost_are_not_waited_for_and_those_who_are_ready_begin_at_that_instant() -> None:
    result = run(cell(terminals={"dropout_probability": 0.5}), Chorus(values=60))
    lost = 0
    for number in range(8):
        over_s, rows = iteration(result, number)
        gone_s = [row["start_s"] + row["compute_s"] for row in rows.values() if row["outcome"] == "dropped"]
        lost += len(gone_s)
        ready_s = [row["start_s"] + COMPUTE_S + ACCESS_S for row in rows.values() if row["outcome"] == "merged"]
        last_s = max(gone_s + [ready + SYMBOL_S for ready in ready_s])
        assert over_s == pytest.approx(last_s, rel=CLOSE)
    assert 8 < lost < 24


def test_an_iteration_that_loses_everybody_tells_the_method_nothing_of_the_air() -> None:
    method = Chorus()
    result = run(cell(terminals={"dropout_probability": 0.999}), method)
    assert len(method.heard) > 10
    assert all(distortion is None and len(who) == 0 for who, distortion in method.heard)
    assert all("air_noise" not in row for row in result.rounds)


def test_the_method_is_told_of_those_who_sent_to_the_end_in_their_order() -> None:
    where = cell({"policy": "deadline", "deadline_s": 0.35})
    change(where, 1, cpu_hz=1e8)
    method = Chorus()
    rows = [row for row in run(where, method).rounds if row["event"] == "edge"]
    for number, (row, (who, distortion)) in enumerate(zip(rows, method.heard, strict=True)):
        assert distortion is not None
        assert who.tolist() == [0, 2, 3]
        assert distortion.entity.tolist() == where.deployment.entity[[0, 2, 3]].tolist()
        assert (distortion.site, distortion.edge_round) == (0, number)
        assert row["air_noise"] == distortion.noise_std == distortion.sent.noise_std / 3.0


# Joules ---------------------------------------------------------------------------------------------------------


def radiated_w(where: World, senders: list[int]) -> np.ndarray:
    """Return what senders radiate to arrive alike, from scratch: the worst all it can, the others in proportion."""
    inversion = inversion_power(where.radio.fading_law(0), 0.032)
    can_w = np.array([dbm_to_watt(where.devices[i].tx_power_dbm) for i in senders])
    arrives_w = can_w * where.radio.serving_gain[senders] / inversion
    return can_w * arrives_w.min() / arrives_w


def test_every_sender_draws_what_it_needs_to_arrive_like_the_worst_for_as_long_as_all_send() -> None:
    where = cell()
    change(where, 1, tx_circuit_w=0.4, amplifier_efficiency=0.2)
    result = run(where, Chorus(values=600, cloud_rounds=3, bs_iterations=2))
    power_w = radiated_w(where, [0, 1, 2, 3])
    assert (power_w <= 0.2 * (1.0 + CLOSE)).all() and power_w.min() < 0.19
    for i, row in enumerate(result.terminals):
        kind = where.devices[i]
        drawn_w = transmitter_w(power_w[i], kind.amplifier_efficiency, kind.tx_circuit_w)
        assert row["energy_transmit_j"] == pytest.approx(6 * drawn_w * 10 * SYMBOL_S, rel=CLOSE)
    assert result.base_stations[0]["uplink_airtime_s"] == pytest.approx(6 * 10 * SYMBOL_S, rel=1e-7)


@pytest.mark.parametrize("values", [7, 60, 61, 95])
def test_the_radiated_energy_is_the_sum_over_all_symbols_of_what_each_takes(values: int) -> None:
    where = cell(terminals=device(tx_circuit_w=0.0, amplifier_efficiency=1.0, cycles_per_sample=1e6))
    result = run(where, Chorus(values=values, cloud_rounds=1, bs_iterations=1))
    used = min(values, 60)
    gain = where.radio.serving_gain
    inversion = inversion_power(where.radio.fading_law(0), 0.032)
    rho0_w = (dbm_to_watt(23.0) * gain / (used * inversion)).min()
    for i, row in enumerate(result.terminals):
        # E|p|^2 = rho0 c / G a symbol, whichever sub-carrier and time it has.
        assert row["energy_transmit_j"] == pytest.approx(values * SYMBOL_S * rho0_w * inversion / gain[i], rel=CLOSE)


# Bytes ----------------------------------------------------------------------------------------------------------


def test_a_transmission_counts_as_one_message_of_which_every_sender_has_an_equal_share() -> None:
    result = run(cell(), Chorus(bits_up=8e3, cloud_rounds=3, bs_iterations=2))
    assert result.rounds[-1]["bytes_uplink"] == pytest.approx(6 * 1e3, rel=CLOSE)
    assert [row["bytes_up"] for row in result.terminals] == pytest.approx([1.5e3] * 4, rel=CLOSE)


def test_a_message_that_does_not_fit_into_the_budget_ends_the_run_when_it_would_begin() -> None:
    where = cell(bytes=4e3)
    result = run(where, Chorus(bits_down=8e3, bits_up=8e3))
    # Backhaul, broadcast, message, broadcast: the fifth does not fit.
    assert result.ended_by == "bytes budget"
    assert result.totals["bytes"] == 4e3
    began = [row for row in result.participation if row["outcome"] == "merged"]
    assert result.totals["time_s"] > began[0]["finish_s"] + COMPUTE_S


def test_a_run_that_ends_in_mid_transmission_has_sent_its_part_to_the_bit_and_the_joule() -> None:
    whole = run(cell(time_s=100.0), Chorus(values=LONG, bits_up=8e5, cloud_rounds=1, bs_iterations=1))
    over_s, _ = iteration(whole, 0)
    where = cell(time_s=over_s - 1000 * SYMBOL_S)
    result = run(where, Chorus(values=LONG, bits_up=8e5))
    assert result.totals["time_s"] == over_s - 1000 * SYMBOL_S
    assert result.rounds[-1]["bytes_uplink"] == pytest.approx(0.75e5, rel=1e-7)
    assert result.totals["bytes"] == pytest.approx(whole.rounds[1]["bytes"] - 0.25e5, rel=1e-7)
    for part, all_of_it in zip(result.terminals, whole.terminals, strict=True):
        assert part["energy_transmit_j"] == pytest.approx(0.75 * all_of_it["energy_transmit_j"], rel=1e-7)


def test_an_energy_budget_is_met_to_the_joule_in_mid_transmission() -> None:
    method = {"values": LONG, "cloud_rounds": 1, "bs_iterations": 1}
    whole = run(cell(time_s=100.0), Chorus(**method))
    over_s, rows = iteration(whole, 0)
    half_way = run(cell(time_s=over_s - 2000 * SYMBOL_S), Chorus(**method))
    limit_j = half_way.totals["energy_j"]
    result = run(cell(energy_j=limit_j), Chorus(**method))
    assert result.ended_by == "energy budget"
    assert result.totals["energy_j"] == pytest.approx(limit_j, rel=CLOSE)
    assert result.totals["time_s"] == pytest.approx(half_way.totals["time_s"], rel=1e-7)
    assert rows[0]["finish_s"] > result.totals["time_s"]


# Leaving --------------------------------------------------------------------------------------------------------


def test_a_battery_that_empties_in_mid_transmission_loses_that_terminal_and_no_time() -> None:
    mains = run(cell(time_s=100.0), Chorus(values=LONG, cloud_rounds=2, bs_iterations=1))
    over_s, _ = iteration(mains, 0)
    half_way = run(cell(time_s=over_s - 2000 * SYMBOL_S), Chorus(values=LONG))
    where = cell(time_s=100.0)
    change(where, 1, battery_j=half_way.terminals[1]["energy_j"])
    method = Chorus(values=LONG, bits_up=8e5, cloud_rounds=2, bs_iterations=1)
    result = run(where, method)
    end_s, rows = iteration(result, 0)
    assert outcomes(rows) == ["merged", "dropped", "merged", "merged"]
    assert end_s == pytest.approx(over_s, rel=CLOSE)
    spent_s = rows[1]["compute_s"] + rows[1]["upload_s"]
    assert rows[1]["start_s"] + spent_s == pytest.approx(over_s - 2000 * SYMBOL_S, rel=1e-7)
    assert method.heard[0][0].tolist() == [0, 2, 3]
    assert result.terminals[1]["bytes_up"] == pytest.approx(0.5 * 1e5 / 4, rel=1e-6)
    assert iteration(result, 1)[1][1]["outcome"] == "unavailable"


def test_who_switches_off_while_waiting_for_the_others_has_sent_nothing() -> None:
    absences = {"availability": {"mean_on_s": 1.0, "mean_off_s": 0.2}}
    where = cell(terminals=absences, time_s=60.0)
    change(where, 3, cpu_hz=1e8)
    log = listen(where.uplinks[0])
    result = run(where, Chorus(values=600))
    gone = [row for row in result.participation if row["outcome"] == "dropped" and row["upload_s"] > 2 * ACCESS_S]
    assert len(gone) > 5
    never = [transfer for transfer in log.transfers if transfer.airtime_s == 0.0]
    assert len(never) >= len(gone) > 5
    assert all(transfer.bits == 0.0 for transfer in never)


# Whatever happens -----------------------------------------------------------------------------------------------

FEW = settings(max_examples=40, deadline=None)
NETWORK = st.fixed_dictionaries(
    {
        "uplink": st.builds(together, bandwidth_hz=st.sampled_from([0.09e6, 0.9e6])),
        "propagation": st.fixed_dictionaries({"fading": st.sampled_from(["none", "rayleigh", "rician"])}),
    }
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[World, Chorus]:
    """Return a world of any kind whose terminals send together, and a method."""
    method = draw(methods())
    told = {name: getattr(method, name) for name in ("bits_down", "bits_up", "samples", "local_iterations")}
    where = draw(worlds(network=draw(NETWORK)))
    return where, Chorus(**told, bs_iterations=method.bs_iterations, values=draw(st.sampled_from([3, 600, 60_000])))


@FEW
@given(scenes())
def test_joules_and_bytes_add_up_and_every_terminal_has_one_row_in_every_iteration(scene: tuple[World, Chorus]) -> None:
    where, method = scene
    logs = [listen(cell) for cell in where.uplinks]
    result = run(where, method)
    for row in result.rounds:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=CLOSE, abs=1e-15)
        carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
        assert row["bytes"] >= carried * (1.0 - CLOSE)
        if row["event"] == "cloud":
            assert row["bytes"] == pytest.approx(carried, rel=CLOSE)
    sent_bytes = sum(row["bytes_up"] for row in result.terminals)
    assert result.rounds[-1]["bytes_uplink"] == pytest.approx(sent_bytes, rel=CLOSE)
    for i, row in enumerate(result.terminals):
        airtime_s = sum(t.airtime_s for log in logs for t in log.transfers if t.terminal == i)
        most_w = transmitter_w(dbm_to_watt(where.devices[i].tx_power_dbm), 0.35, 0.15)
        assert 0.15 * airtime_s * (1 - 1e-9) <= row["energy_transmit_j"] <= most_w * airtime_s * (1 + 1e-6)
    keys = [(row["base_station"], row["edge_round"], row["terminal"]) for row in result.participation]
    assert len(keys) == len(set(keys))
    for row in (row for row in result.rounds if row["event"] == "edge"):
        same = [
            p["outcome"]
            for p in result.participation
            if (p["base_station"], p["edge_round"]) == (row["node"], row["edge_round"])
        ]
        assert same.count("merged") == row["participants"]
        assert len(same) - same.count("unavailable") == row["scheduled"]


@settings(FEW, max_examples=15)
@given(st.integers(0, 2**20), st.sampled_from([3, 6000]))
def test_the_same_seed_gives_the_same_run_to_the_last_bit(seed: int, values: int) -> None:
    absences = {"availability": {"mean_on_s": 1.0, "mean_off_s": 0.3}, "dropout_probability": 0.2}
    tried = scenario(budget={"time_s": 1.0}, terminals=STEADY | absences, network={"uplink": together()})
    one, other = (run(world(tried, seed=seed), Chorus(values=values)) for _ in range(2))
    assert repr(one.rounds) == repr(other.rounds)
    assert repr(one.terminals) == repr(other.terminals)


def test_a_link_that_changes_counts_from_the_next_transmission_on() -> None:
    where = cell()
    method = Chorus(values=LONG, cloud_rounds=1, bs_iterations=2)
    worst = int(np.argmin(where.radio.serving_gain))

    def fade() -> Any:
        yield where.env.timeout(0.3)
        assert where.uplinks[0].busy_s > 0.0  # in mid-transmission
        where.radio.serving_gain[worst] /= 10.0
        where.radio.refresh(np.array([worst]))
        where.uplinks[0].retune([worst])

    where.env.process(fade())
    run(where, method)
    (_, before), (_, after) = method.heard
    assert before is not None and after is not None
    assert before.sent.duration_s == after.sent.duration_s
    assert (after.noise_std / before.noise_std) ** 2 == pytest.approx(10.0)
    assert cell_of(where).busy_s == pytest.approx(2 * 4000 * SYMBOL_S, rel=1e-7)


def test_the_cohort_engine_says_in_one_line_that_it_cannot() -> None:
    settings_ = scenario(engine="cohort", network={"uplink": together()})
    ground = build_ground(settings_, np.zeros(2, np.int64), 1, Streams(0))
    with pytest.raises(ScenarioError, match=r"engine = 'cohort': allowed: process or auto.*network\.uplink\.transfer"):
        netsim.engines.run(ground, Chorus(), ["task"])


def test_a_band_without_room_for_a_subcarrier_is_refused_in_one_line() -> None:
    tree = PLAIN | {"network": {"uplink": together(bandwidth_hz=14e3)}}
    with pytest.raises(ScenarioError, match="at least one sub-carrier") as refused:
        check(tree)
    assert "\n" not in str(refused.value)
