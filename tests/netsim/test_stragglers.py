"""Terminals that are slow, lost, away or out of battery: what becomes of them and of those who wait for them."""

from math import isnan
from typing import Any

import pytest

from netsim.availability import Presence
from netsim.simulation import Result
from netsim.world import World
from scenarios.streams import Streams
from tests.netsim.counting import Counting
from tests.netsim.sharing import listen
from tests.netsim.worlds import change, device, run, scenario, world

CLOSE = 1e-9
COMPUTE_S = 0.1  # of Counting's default effort on the device below
ACCESS_S = 0.01
STEADY = device(cpu_hz=1e9, cycles_per_sample=1e6, switched_capacitance=1e-28) | {"slowdown": {"kind": "none"}}
Row = dict[str, Any]


def cell(collection: Row | None = None, seed: int = 0, terminals: Row | None = None, **budget: float) -> World:
    """Return a world of one cell with four terminals that all compute for a tenth of a second."""
    settings = scenario(
        budget=budget or {"time_s": 3.0},
        terminals=STEADY | (terminals or {}),
        collection=collection or {"policy": "all"},
        network={
            "uplink": {"share": "tdma", "access_delay_s": ACCESS_S},
            "link": {"max_bit_s_hz": 30.0},
        },  # no ceiling: nobody is equally fast
    )
    return world(settings, 1, 4, seed)


def iteration(result: Result, number: int) -> tuple[float, dict[int, Row]]:
    """Return when an iteration was over and its participation rows by terminal."""
    (over_s,) = (r["time_s"] for r in result.rounds if r["event"] == "edge" and r["edge_round"] == number)
    return over_s, {row["terminal"]: row for row in result.participation if row["edge_round"] == number}


def finishes(rows: dict[int, Row]) -> list[float]:
    return sorted(row["finish_s"] for row in rows.values() if row["outcome"] == "merged")


def test_waiting_for_all_takes_as_long_as_the_slowest() -> None:
    where = cell()
    change(where, 3, cpu_hz=1e8)
    over_s, rows = iteration(run(where), 1)
    assert {row["outcome"] for row in rows.values()} == {"merged"}
    assert over_s == rows[3]["finish_s"] == finishes(rows)[-1]
    assert rows[3]["compute_s"] == pytest.approx(10 * COMPUTE_S, rel=CLOSE)
    assert rows[0]["compute_s"] == pytest.approx(COMPUTE_S, rel=CLOSE)


def test_after_the_first_k_the_slowest_is_told_to_stop_and_takes_part_again() -> None:
    where = cell({"policy": "first_k", "k_fraction": 0.75})
    change(where, 3, cpu_hz=1e8)
    result = run(where, Counting(cloud_rounds=2))
    for number in range(4):
        over_s, rows = iteration(result, number)
        assert over_s == finishes(rows)[2]
        assert rows[3]["outcome"] == "late" and isnan(rows[3]["finish_s"]) and isnan(rows[3]["upload_s"])
        assert rows[3]["start_s"] + rows[3]["compute_s"] == pytest.approx(over_s, rel=CLOSE)
    computing_w = 1e-28 * 1e8**3
    worked_s = sum(row["compute_s"] for row in result.participation if row["terminal"] == 3)
    assert result.terminals[3]["energy_compute_j"] == pytest.approx(computing_w * worked_s, rel=CLOSE)


def test_at_the_deadline_those_who_are_not_there_are_told_to_stop() -> None:
    where = cell({"policy": "deadline", "deadline_s": 0.35})
    change(where, 3, cpu_hz=1e8)
    over_s, rows = iteration(run(where), 2)
    assert over_s == pytest.approx(rows[0]["start_s"] + 0.35, rel=CLOSE)
    assert [rows[i]["outcome"] for i in range(4)] == ["merged", "merged", "merged", "late"]


def test_under_a_deadline_nobody_can_keep_the_first_update_is_awaited() -> None:
    over_s, rows = iteration(run(cell({"policy": "deadline", "deadline_s": 0.05})), 1)
    assert [row["outcome"] for row in rows.values()].count("merged") == 1
    assert finishes(rows) == [over_s]
    assert over_s > rows[0]["start_s"] + COMPUTE_S


def test_those_who_are_late_in_mid_upload_leave_the_air_at_that_instant() -> None:
    where = cell({"policy": "first_k", "k_fraction": 0.25})
    log = listen(where.uplinks[0])
    result = run(where, Counting(bits_up=1e6, cloud_rounds=1, bs_iterations=1))
    over_s, rows = iteration(result, 0)
    (first,) = (row for row in rows.values() if row["outcome"] == "merged")
    late = [row for row in rows.values() if row["outcome"] == "late"]
    assert len(late) == 3
    for row in late:
        assert row["start_s"] + row["compute_s"] + row["upload_s"] == pytest.approx(over_s, rel=CLOSE)
    cut = {transfer.terminal: unsent for transfer, unsent in log.unsent_bits.items() if unsent > 0.0}
    assert set(cut) == {row["terminal"] for row in late}
    for row in result.terminals:
        assert row["bytes_up"] * 8.0 == pytest.approx(1e6 - cut.get(row["terminal"], 0.0), rel=CLOSE)
    assert where.uplinks[0].busy_s == pytest.approx(over_s - first["start_s"] - COMPUTE_S - ACCESS_S, rel=1e-6)
    assert where.env.now > over_s  # the way to the cloud comes after


def test_those_who_are_lost_are_not_waited_for() -> None:
    result = run(cell(terminals={"dropout_probability": 0.5}))
    lost = 0
    for number in range(8):
        over_s, rows = iteration(result, number)
        gone_s = [row["start_s"] + row["compute_s"] for row in rows.values() if row["outcome"] == "dropped"]
        lost += len(gone_s)
        assert over_s == pytest.approx(max(finishes(rows) + gone_s), rel=CLOSE)
        assert all(row["compute_s"] < COMPUTE_S for row in rows.values() if row["outcome"] == "dropped")
    assert 8 < lost < 24


def test_an_iteration_that_loses_everybody_is_over_and_the_next_one_begins() -> None:
    result = run(cell(terminals={"dropout_probability": 0.999}))
    over_s, rows = iteration(result, 0)
    assert {row["outcome"] for row in rows.values()} == {"dropped"}
    assert over_s < rows[0]["start_s"] + COMPUTE_S
    assert len([row for row in result.rounds if row["event"] == "edge"]) > 10


def test_who_switches_off_in_mid_upload_is_dropped_then_and_pays_for_what_was_sent() -> None:
    absences = {"availability": {"mean_on_s": 3.0, "mean_off_s": 1.0}}
    where = cell(terminals=absences, time_s=60.0)
    log = listen(where.uplinks[0])
    result = run(where, Counting(bits_up=2e6))
    cut = [row for row in result.participation if row["outcome"] == "dropped" and not isnan(row["upload_s"])]
    assert len(cut) > 10
    for row in cut:
        entity = int(where.deployment.entity[row["terminal"]])
        presence = Presence(where.scenario.terminals.availability, entity, Streams(0))
        gone_s = presence.on_until_s(row["start_s"])
        assert row["start_s"] + row["compute_s"] + row["upload_s"] == pytest.approx(gone_s, abs=ACCESS_S)
    sent_bits = sum(transfer.bits - log.unsent_bits.get(transfer, 0.0) for transfer in log.transfers)
    assert result.rounds[-1]["bytes_uplink"] * 8.0 == pytest.approx(sent_bits, rel=CLOSE)


def test_a_base_station_whose_terminals_are_all_away_waits_for_the_first_to_come_back() -> None:
    absences = {"availability": {"mean_on_s": 0.5, "mean_off_s": 5.0}}
    where = world(scenario(budget={"time_s": 200.0}, terminals=STEADY | absences), 1, 1, 1)
    result = run(where, Counting(bs_iterations=10))
    ends = {row["edge_round"]: row["time_s"] for row in result.rounds if row["event"] == "edge"}
    starts = {row["edge_round"]: row["start_s"] for row in result.participation}
    presence = Presence(where.scenario.terminals.availability, int(where.deployment.entity[0]), Streams(1))
    sending_s = where.scenario.network.downlink.access_delay_s + 2e4 / where.radio.broadcast_bps([0])
    waits = 0
    for number in sorted(starts):
        if number % 10 == 0:
            continue  # the first of a cloud round also waits for the cloud
        back_s = presence.back_at_s(ends[number - 1])
        waits += back_s > ends[number - 1]
        assert starts[number] == pytest.approx(back_s + sending_s, abs=1e-8)
    assert waits > 10


def battery_run(phase: str) -> tuple[float, Result, Result]:
    """Run once on mains, and once with a battery that is empty half-way through a phase of terminal 1's iteration 2."""
    mains = run(cell(), Counting(bits_up=1e5))
    row = iteration(mains, 2)[1][1]
    empty_s = row["start_s"] + row["compute_s"] / 2.0
    if phase == "upload":
        empty_s = row["start_s"] + row["compute_s"] + (ACCESS_S + row["upload_s"]) / 2.0
    battery_j = run(cell(time_s=empty_s), Counting(bits_up=1e5)).terminals[1]["energy_j"]
    where = cell()
    change(where, 1, battery_j=battery_j)
    result = run(where, Counting(bits_up=1e5))
    assert result.terminals[1]["energy_j"] == pytest.approx(battery_j, rel=CLOSE)
    return empty_s, mains, result


@pytest.mark.parametrize("phase", ["compute", "upload"])
def test_a_battery_that_empties_in_the_middle_drops_the_terminal_then_and_for_good(phase: str) -> None:
    empty_s, mains, result = battery_run(phase)
    over_s, rows = iteration(result, 2)
    spent_s = sum(value for value in (rows[1]["compute_s"], rows[1]["upload_s"]) if not isnan(value))
    assert rows[1]["outcome"] == "dropped"
    assert rows[1]["start_s"] + spent_s == pytest.approx(empty_s, rel=CLOSE)
    assert isnan(rows[1]["upload_s"]) == (phase == "compute")
    assert {row["outcome"] for i, row in rows.items() if i != 1} == {"merged"}
    assert over_s < iteration(mains, 2)[0]  # the others get its airtime
    assert {row["outcome"] for row in result.participation if row["terminal"] == 1 and row["edge_round"] > 2} == {
        "unavailable"
    }
    full_bytes = 1e5 / 8.0
    assert (2.0 * full_bytes < result.terminals[1]["bytes_up"] < 3.0 * full_bytes) == (phase == "upload")


def test_a_battery_that_empties_while_the_model_is_received_still_leaves_one_row() -> None:
    where = cell(terminals=device(rx_power_w=0.5, idle_power_w=0.0))
    change(where, 2, battery_j=0.5 * 1e5 / where.radio.broadcast_bps([0, 1, 2, 3]) / 2.0)
    _, rows = iteration(run(where, Counting(bits_down=1e5)), 0)
    assert rows[2]["outcome"] == "dropped" and isnan(rows[2]["compute_s"])
    assert len(rows) == 4 and len(finishes(rows)) == 3


def test_a_battery_that_empties_at_the_instant_work_is_handed_over_drops_the_terminal() -> None:
    # Binary fractions: half a watt for half a second, the very instant at which a broadcast without bits ends.
    network = {
        "backhaul": {"latency_s": 0.25},
        "downlink": {"access_delay_s": 0.25},
    }
    where = world(scenario(terminals=device(idle_power_w=0.5, rx_power_w=0.0), network=network), 1, 2)
    change(where, 0, battery_j=0.25)
    _, rows = iteration(run(where, Counting(bits_down=0.0)), 0)
    assert rows[0]["start_s"] == 0.5
    assert [rows[i]["outcome"] for i in range(2)] == ["dropped", "merged"]


def test_who_cannot_pay_at_the_instant_it_is_told_to_stop_ends_the_run_without_a_scene() -> None:
    # Binary fractions again: terminal 1 asks for its bytes at 1.0 s, when the deadline strikes.
    network = {
        "backhaul": {"latency_s": 0.25},
        "downlink": {"access_delay_s": 0.25},
        "uplink": {"access_delay_s": 0.25},
    }
    settings = scenario(
        budget={"bytes": 150.0},
        terminals=STEADY | device(cycles_per_sample=1e6, cpu_hz=4e8),
        collection={"policy": "deadline", "deadline_s": 0.5},
        network=network,
    )
    where = world(settings, 1, 2)
    change(where, 0, cpu_hz=1e12)
    result = run(where, Counting(bits_down=0.0, bits_up=800.0))
    assert result.ended_by == "bytes budget"
    assert result.totals["time_s"] == 1.0
    assert result.totals["bytes"] == 100.0
