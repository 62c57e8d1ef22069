"""When a terminal changes cells, and what becomes of its upload: closed forms, and journeys followed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simpy import Environment

from netsim.air import Air
from netsim.compute import Luck
from netsim.engines import needs_processes
from netsim.mobility.event_a3 import EventA3, filter_weight
from netsim.obstacles import Ends
from netsim.participation import ParticipationLog
from netsim.result import Result
from netsim.terminal import Terminal
from netsim.turns import Turns
from netsim.world import World
from scenarios.mobility import Handover
from scenarios.streams import Streams
from tests.netsim.any_motion import Leg, watch
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

ISD_M, SPEED_MPS, TICK_S = 500.0, 25.0, 0.2
FLAT = {"environment": "free-space", "inter_site_distance_m": ISD_M}


def _event(**law: float) -> EventA3:
    return EventA3(Handover(offset_db=2.0, hysteresis_db=1.0, **law), 1, 3)


def _hear(event: EventA3, levels: list[tuple[float, float, float]], step_s: float = 0.1) -> list[int]:
    return [int(event.measure(step_s * i, np.array([level]))[0]) for i, level in enumerate(levels)]


def test_a_neighbour_has_to_be_better_by_offset_and_hysteresis() -> None:
    assert _hear(_event(time_to_trigger_s=0.0), [(0.0, 3.0, 0.0), (0.0, 3.01, 0.0)]) == [-1, 1]


def test_it_has_to_be_better_at_all_measurements_during_the_time_to_trigger() -> None:
    good, bad = (0.0, 4.0, 0.0), (0.0, 2.5, 0.0)
    assert _hear(_event(time_to_trigger_s=0.2), [good, good, good]) == [-1, -1, 1]
    assert _hear(_event(time_to_trigger_s=0.2), [good, good, bad, good, good, good]) == [-1, -1, -1, -1, -1, 1]
    assert _hear(_event(time_to_trigger_s=0.15), [good, good, good]) == [-1, -1, 1]


def test_once_triggered_it_stays_so_until_it_is_worse_by_the_hysteresis() -> None:
    levels = [(0.0, 4.0, 0.0), (0.0, 1.5, 0.0), (0.0, 0.9, 0.0), (0.0, 2.5, 0.0)]
    assert _hear(_event(time_to_trigger_s=0.0), levels) == [1, 1, -1, -1]


def test_the_best_of_those_triggered_is_taken() -> None:
    assert _hear(_event(time_to_trigger_s=0.0), [(0.0, 4.0, 5.0)]) == [2]
    # The better one has not been better for long enough.
    assert _hear(_event(time_to_trigger_s=0.1), [(0.0, 4.0, 0.0), (0.0, 4.0, 9.0), (0.0, 4.0, 9.0)]) == [-1, 1, 2]


def test_in_a_new_cell_everything_begins_anew() -> None:
    event = _event(time_to_trigger_s=0.1)
    assert _hear(event, [(0.0, 4.0, 0.0), (0.0, 4.0, 0.0)]) == [-1, 1]
    event.forget(0)
    assert _hear(event, [(0.0, 4.0, 0.0)]) == [-1]


@pytest.mark.parametrize("interval_s", [0.05, 0.2, 0.4])
def test_the_filter_forgets_as_fast_in_seconds_whatever_the_interval(interval_s: float) -> None:
    assert filter_weight(4.0, 0.2) == pytest.approx(0.5)
    assert filter_weight(0.0, interval_s) == 1.0
    left = (1.0 - filter_weight(4.0, interval_s)) ** (2.0 / interval_s)
    assert left == pytest.approx(0.5**10)


def test_broadcasts_take_turns_and_the_lower_number_goes_first_whoever_asks_first() -> None:
    for order in ([2, 0, 1], [1, 2, 0]):
        env, heard = Environment(), []
        turns = Turns(env)

        def broadcast(number: int, turns: Turns = turns, env: Environment = env, heard: list[Any] = heard) -> Any:
            yield turns.ask(number)
            heard.append((number, env.now))
            yield env.timeout(1.0)
            turns.leave()

        for number in order:
            env.process(broadcast(number))
        env.run()
        assert heard == [(0, 0.0), (1, 1.0), (2, 2.0)]


# Journeys ---------------------------------------------------------------------------------------------------------


def _journey(tmp_path: Path, way: list[tuple[float, float, float]], law: dict[str, Any], **changes: Any) -> World:
    """Return two cells with line of sight everywhere; the one terminal of the first goes a way of (t, x, y)."""
    path = tmp_path / "way.csv"
    rows = [f"0,{time_s},{x_m},{y_m}" for time_s, x_m, y_m in way]
    path.write_text("\n".join(["terminal,time_s,x_m,y_m", *rows]))
    motion = {"model": "trace", "trace_path": str(path), "measurement_s": TICK_S, **law}
    settings = {
        "budget": {"time_s": 40.0},
        "mobility": motion,
        "terminals": device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}},
        "network": {
            "layout": FLAT,
            "propagation": {"spatial_consistency": True, "shadowing": False, "fading": "none"},
        },
    }
    for name, value in changes.items():
        settings[name] = value
    return world(scenario(**settings), 2, 1)


def _crossing(tmp_path: Path, **law: Any) -> World:
    """From the first site to the second, at (ISD, 0), in a straight line."""
    return _journey(tmp_path, [(0.0, 40.0, 0.0), (420.0 / SPEED_MPS, 460.0, 0.0)], law)


def _handovers(result: Result) -> list[dict[str, Any]]:
    assert result.handovers is not None
    return [row for row in result.handovers if row["terminal"] == 0]


@pytest.mark.parametrize(("ttt_s", "extra_ticks"), [(0.0, 0), (0.16, 1), (0.64, 4)])
def test_on_a_straight_way_the_cell_changes_once_where_the_gains_differ_by_offset_and_hysteresis(
    tmp_path: Path, ttt_s: float, extra_ticks: int
) -> None:
    law = {"filter_coefficient": 0.0, "time_to_trigger_s": ttt_s, "offset_db": 2.0, "hysteresis_db": 1.0}
    (row,) = _handovers(run(_crossing(tmp_path, handover=law), Counting(bits_up=1e3)))
    up_m = 25.0 - 1.5  # urban macro mast
    x_m = np.linspace(40.0, 460.0, 100_001)
    ahead_db = 10.0 * np.log10((x_m**2 + up_m**2) / ((ISD_M - x_m) ** 2 + up_m**2))
    border_m = float(x_m[np.argmax(ahead_db > 3.0)])
    first_tick = np.ceil((border_m - 40.0) / SPEED_MPS / TICK_S - 1e-9)
    # What is being received may put it off, by whole measurements.
    assert row["time_s"] - row["delay_s"] == pytest.approx((first_tick + extra_ticks) * TICK_S, abs=1e-6)
    assert row["x_m"] == pytest.approx(40.0 + SPEED_MPS * row["time_s"])
    assert (row["from_cell"], row["to_cell"], row["kind"], row["ping_pong"]) == ("bs-00", "bs-01", "handover", False)


def _long_upload(tmp_path: Path, in_flight: str, **law: Any) -> tuple[Result, list[Leg]]:
    """Cross the border while a long upload goes on."""
    where = _crossing(tmp_path, handover={"in_flight": in_flight, "interruption_s": 0.05}, **law)
    rate_bps = where.scenario.network.uplink.bandwidth_hz * 5.0
    witness = watch(where)
    result = run(where, Counting(bits_down=1e3, bits_up=15.0 * rate_bps, cloud_rounds=2, bs_iterations=1))
    return result, [leg for leg in witness.legs if leg.transfer.terminal == 0]


def test_a_migrating_upload_goes_on_with_the_bits_that_are_left_after_the_interruption(tmp_path: Path) -> None:
    result, legs = _long_upload(tmp_path, "migrate")
    (row,) = _handovers(result)
    assert [leg.site for leg in legs[:2]] == [0, 1]
    assert legs[0].end_s == row["time_s"] and legs[1].start_s == pytest.approx(row["time_s"] + 0.05)
    assert legs[1].transfer.bits == row["left_bits"] == legs[0].unsent_bits
    assert 0.0 < row["left_bits"] < legs[0].transfer.bits and row["again_bits"] == 0.0
    assert row["assignment"] == "migrated"
    first = next(entry for entry in result.participation if entry["terminal"] == 0)
    assert first["outcome"] == "merged"
    # It came in at the other base station and went home over both wires.
    wires_s = 2 * 0.01 + 2 * legs[0].transfer.bits / 1e9
    assert first["finish_s"] == pytest.approx(first["start_s"] + first["compute_s"] + first["upload_s"] + wires_s)
    assert first["upload_s"] == pytest.approx(0.01 + (legs[1].end_s or 0.0) - legs[0].start_s)


def test_a_restarting_upload_sends_all_bits_again(tmp_path: Path) -> None:
    result, legs = _long_upload(tmp_path, "restart")
    (row,) = _handovers(result)
    assert row["assignment"] == "restarted"
    assert row["left_bits"] == pytest.approx(legs[0].transfer.bits)
    assert row["again_bits"] == pytest.approx(legs[0].transfer.bits - legs[0].unsent_bits)
    assert legs[1].transfer.bits == pytest.approx(legs[0].transfer.bits)


def test_an_upload_that_is_to_be_finished_holds_the_terminal_back(tmp_path: Path) -> None:
    result, legs = _long_upload(tmp_path, "finish")
    row, first = _handovers(result)[0], legs[0]
    assert first.end_s is not None
    assert first.site == 0 and first.unsent_bits == 0.0
    assert row["time_s"] == pytest.approx(np.ceil(first.end_s / TICK_S) * TICK_S)
    assert row["delay_s"] > 1.0 and row["assignment"] in ("nothing", "computing")


def test_whoever_leaves_its_base_station_drops_its_work_and_is_not_asked_any_more(tmp_path: Path) -> None:
    result, legs = _long_upload(tmp_path, "migrate", membership="leave")
    (row,) = _handovers(result)
    assert row["assignment"] == "dropped" and len(legs) == 1
    mine = [entry for entry in result.participation if entry["terminal"] == 0]
    assert [entry["outcome"] for entry in mine] == ["dropped"]
    assert mine[0]["start_s"] + mine[0]["compute_s"] + mine[0]["upload_s"] == pytest.approx(row["time_s"])
    # Nobody else is at home there, so its base station waits to the end; its link home carried what was sent.
    assert result.ended_by in ("time budget", "no terminal left at bs-00")
    assert result.terminals[0]["bytes_up"] * 8.0 == pytest.approx(legs[0].sent_bits)


def test_a_model_is_relayed_to_the_cell_that_serves_and_the_update_comes_back(tmp_path: Path) -> None:
    where = _journey(tmp_path, [(0.0, 460.0, 0.0)], {})  # at home in cell 0, parked beside site 1
    bits = 1e6
    result = run(where, Counting(bits_down=bits, bits_up=bits, cloud_rounds=1, bs_iterations=1))
    row = next(entry for entry in result.participation if entry["terminal"] == 0)
    wires_s = 2 * (bits / 1e9 + 0.01)
    site_1 = next(entry for entry in result.participation if entry["terminal"] == 1)
    to_cloud_s = bits / 1e9 + 0.01
    down_s = bits / where.radio.broadcast_bps([0])
    own_s = bits / where.radio.broadcast_bps([1])
    assert site_1["start_s"] == pytest.approx(to_cloud_s + 0.004 + own_s)
    # The relayed model comes while the other base station broadcasts its own, and has to wait.
    begins_s = max(to_cloud_s + wires_s + 0.004, site_1["start_s"])
    assert row["start_s"] == pytest.approx(begins_s + down_s)
    assert row["finish_s"] == pytest.approx(row["start_s"] + row["compute_s"] + row["upload_s"] + wires_s)
    # Cloud down and up for two base stations; one model and one update over two wires.
    assert result.rounds[-1]["bytes_backhaul"] == pytest.approx((2 * 2 + 2 * 2) * bits / 8.0)
    stations = list(result.base_stations)
    assert [station["downlink_airtime_s"] for station in stations] == pytest.approx([0.0, own_s + down_s])
    assert result.terminals[0]["served_by"] == "bs-01" and result.terminals[0]["away_s"] == result.totals["time_s"]


def test_a_parked_terminal_lives_as_one_that_cannot_move(tmp_path: Path) -> None:
    layout = {"layout": FLAT, "propagation": {"spatial_consistency": True, "fading": "none"}}
    still = world(scenario(budget={"time_s": 5.0}, network=layout), 2, 1)
    x_m, y_m = still.deployment.terminal_xy_m[0].tolist()
    parked = _journey(tmp_path, [(0.0, x_m, y_m)], {}, budget={"time_s": 5.0}, network=layout, terminals={})
    one, other = run(still, Counting(bits_up=3e5)), run(parked, Counting(bits_up=3e5))
    assert len(one.rounds) == len(other.rounds)
    for ours, theirs in zip(one.rounds, other.rounds, strict=True):
        assert ours["event"] == theirs["event"]
        numbers = [name for name, value in ours.items() if isinstance(value, float | int)]
        assert [ours[name] for name in numbers] == pytest.approx([theirs[name] for name in numbers], rel=1e-9)
    for name, values in one.terminals.columns.items():
        if values.dtype != object:
            np.testing.assert_allclose(other.terminals.columns[name], values, rtol=1e-9)


def test_going_back_at_once_is_a_ping_pong(tmp_path: Path) -> None:
    over_s = 420.0 / 100.0
    way = [(0.0, 40.0, 0.0), (over_s, 460.0, 0.0), (2 * over_s, 40.0, 0.0)]
    quick = {"filter_coefficient": 0.0, "time_to_trigger_s": 0.0}
    there, back = _handovers(run(_journey(tmp_path, way, {"handover": quick}), Counting(bits_up=1e3)))
    assert not there["ping_pong"] and not back["ping_pong"] and back["to_cell"] == "bs-00"
    patient = quick | {"ping_pong_s": 5.0}
    there, back = _handovers(run(_journey(tmp_path, way, {"handover": patient}), Counting(bits_up=1e3)))
    assert back["ping_pong"] and not there["ping_pong"]


def test_without_event_a3_a_link_fails_in_the_end_and_is_established_in_the_best_cell(tmp_path: Path) -> None:
    deaf = {"offset_db": 100.0, "failure_sinr_db": 5.0, "failure_timer_s": 1.0, "reestablishment_s": 0.5}
    (row,) = _handovers(run(_crossing(tmp_path, handover=deaf), Counting(bits_up=1e3)))
    assert (row["kind"], row["to_cell"], row["interruption_s"]) == ("link_failure", "bs-01", 0.5)


def test_a_command_over_a_lost_link_fails(tmp_path: Path) -> None:
    # Activity 0.3 and 6 dB: 10 log10(1 / (0.3 x 4)) is below 0 dB.
    late = {"offset_db": 5.0, "filter_coefficient": 0.0, "failure_sinr_db": 0.0, "failure_timer_s": 9.0}
    (row,) = _handovers(run(_crossing(tmp_path, handover=late), Counting(bits_up=1e3)))
    assert (row["kind"], row["to_cell"], row["interruption_s"]) == ("failed", "bs-01", 0.5)


def test_a_run_ends_when_everybody_is_parked_out_of_coverage(tmp_path: Path) -> None:
    way = [(0.0, 40.0, 0.0), (10.0, 4e6, 0.0)]
    where = _journey(tmp_path, way, {"membership": "leave"}, budget={"cost": 1e9})
    result = run(where, Counting(bits_up=1e5))
    assert result.ended_by in ("no terminal left at bs-00", "no link left")
    assert 10.0 <= result.totals["time_s"] < 60.0


@pytest.mark.parametrize("lag", [0.25, 1.0, 2.0])
def test_shadowing_along_a_way_is_forgotten_exponentially(lag: float) -> None:
    settings = scenario(network={"propagation": {"spatial_consistency": True}})
    masts, steps = 91, 60
    air = Air.of(settings.network, masts, Streams(3))
    correlation_m = air.environment.correlation_nlos_m
    way_m = np.stack([np.arange(steps) * 2.5 * correlation_m, np.zeros(steps)], axis=1)
    everywhere = np.broadcast_to(np.arange(masts), (steps, masts))
    hidden = np.zeros((steps, masts), np.int64)

    def deviation(xy_m: np.ndarray) -> np.ndarray:
        return air.obstacles.deviation(Ends(xy_m, everywhere, np.zeros(steps, np.int64), 0), hidden)

    here, there = deviation(way_m), deviation(way_m + np.array([lag * correlation_m, 0.0]))
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] == pytest.approx(np.exp(-lag), abs=0.05)


def test_a_terminal_that_is_still_being_sent_a_model_is_not_asked_without_end(tmp_path: Path) -> None:
    where = _crossing(tmp_path)
    settings = where.scenario
    terminal = Terminal(where, 0, ParticipationLog(), Luck(settings.terminals, [0], where.streams))
    assert terminal.available() and terminal.available_from_s() == 0.0
    terminal.expecting = True
    assert not terminal.available() and terminal.available_from_s() >= 0.01


def test_the_dead_do_not_change_cells_and_those_switched_off_do_so_for_nothing(tmp_path: Path) -> None:
    way = [(0.0, 40.0, 0.0), (420.0 / SPEED_MPS, 460.0, 0.0)]
    dead = device(battery_j=1e-6) | {"slowdown": {"kind": "none"}}
    assert _handovers(run(_journey(tmp_path, way, {}, terminals=dead), Counting(bits_up=1e3))) == []
    away = device() | {"availability": {"mean_on_s": 1e-3, "mean_off_s": 1e5}}
    (row,) = _handovers(run(_journey(tmp_path, way, {}, terminals=away), Counting(bits_up=1e3)))
    assert (row["kind"], row["interruption_s"], row["assignment"]) == ("reselection", 0.0, "nothing")


def test_cohorts_do_not_move() -> None:
    law = {"network": {"propagation": {"spatial_consistency": True}}, "mobility": {}}
    assert needs_processes(scenario(**law)) == "mobility" and needs_processes(scenario()) is None
