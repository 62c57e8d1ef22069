"""Terminals whose site fails: two cells followed by hand, and what holds whatever fails, moves, shares and disturbs."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_models.units import dbm_to_watt
from netsim.availability import Trajectory, outages_of
from netsim.energy import transmitter_w
from netsim.neighbours import strongest_cells
from netsim.result import Result
from netsim.world import World
from scenarios.streams import Streams
from tests.netsim.any_motion import LANDSCAPE, Leg, motions, watch
from tests.netsim.any_scenario import methods, terminals
from tests.netsim.counting import Counting
from tests.netsim.worlds import ENERGY_COLUMNS, device, run, scenario, world

CLOSE = 1e-9
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(MANY, max_examples=20)
BUSY = methods(bits_up=4e5)
FREE_SPACE = {
    "layout": {"environment": "free-space", "inter_site_distance_m": 500.0},
    "propagation": {"shadowing": False, "fading": "none"},
    "uplink": {"share": "tdma"},
}
LAW = {"mean_up_s": 1.0, "mean_down_s": 1.0, "recovery": "reassociate"}


def _failing(
    monkeypatch: pytest.MonkeyPatch, down: dict[int, tuple[float, float]], sites: int = 2, **changes: Any
) -> World:
    """Return cells in free space, one terminal each, of which some sites are down once, from one time to another."""

    def given(law: Any, site: int, streams: Streams) -> Trajectory:
        failed_s, back_s = down.get(site, (1e6, 2e6))
        return Trajectory(iter([(True, failed_s)] * (failed_s > 0.0) + [(False, back_s), (True, inf)]))

    monkeypatch.setattr("netsim.world.outages_of", given)
    law = LAW | changes.pop("law", {})
    where = {
        "budget": {"time_s": 60.0},
        "terminals": device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}},
        "base_stations": {"outage": law},
        "network": FREE_SPACE,
    }
    return world(scenario(**where | changes), sites, 1)


def _moves(result: Result, terminal: int = 0) -> list[dict[str, Any]]:
    return [row for row in result.handovers or [] if row["terminal"] == terminal]


def _legs(where: World, method: Counting) -> tuple[Result, list[Leg]]:
    witness = watch(where)
    result = run(where, method)
    return result, [leg for leg in witness.legs if leg.transfer.terminal == 0]


def test_an_upload_is_sent_again_in_the_next_cell_and_goes_on_at_home_after_the_repair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = _failing(monkeypatch, {0: (2.0, 6.0)})
    home_bps, bits = where.radio.whole_band_bps(0), 6.0 * where.radio.whole_band_bps(0)
    result, (first, second, third, *_) = _legs(where, Counting(bits_down=1e3, bits_up=bits, bs_iterations=1))
    assert [(leg.site, leg.transfer.bits) for leg in (first, second)] == [(0, bits), (1, bits)]
    assert (first.end_s, second.start_s, second.end_s, third.start_s) == (2.0, 2.5, 6.0, 6.5)
    assert third.site == 0 and third.transfer.bits == second.unsent_bits
    # Over there the other terminal has half of the turns, at first.
    power_w, up = float(where.radio.max_power_w[0]), where.scenario.network.uplink
    near = strongest_cells(where.scenario.network, where.deployment, where.streams)
    noise_dbm = -174.0 + 10.0 * np.log10(up.bandwidth_hz) + up.noise_figure_db + up.interference_margin_db
    snr = power_w * near.gain[0, 1] / dbm_to_watt(noise_dbm)
    away_bps = 0.86 * up.bandwidth_hz * min(7.4063, np.log2(1.0 + snr / 10.0**0.2))
    assert second.sent_bits == pytest.approx(away_bps * second.transfer.airtime_s, rel=1e-3)
    assert third.end_s == pytest.approx(6.5 + third.transfer.bits / home_bps)
    outage, back = _moves(result)
    assert (outage["kind"], outage["from_cell"], outage["to_cell"], outage["assignment"]) == (
        *("outage", "bs-00", "bs-01"),
        "restarted",
    )
    assert outage["again_bits"] == pytest.approx(first.sent_bits) and outage["delay_s"] == 0.0
    assert (back["kind"], back["to_cell"], back["assignment"]) == ("return", "bs-00", "migrated")
    assert back["left_bits"] == second.unsent_bits and back["level_difference_db"] > 0.0
    row = next(row for row in result.participation if row["terminal"] == 0)
    assert row["outcome"] == "merged"
    assert row["finish_s"] == pytest.approx(third.end_s)
    assert result.terminals[0]["away_s"] == pytest.approx(4.0) and result.terminals[0]["served_by"] == "bs-00"


def test_an_upload_may_be_lost_with_its_site(monkeypatch: pytest.MonkeyPatch) -> None:
    where = _failing(monkeypatch, {0: (2.0, 30.0)}, law={"in_flight": "lost"})
    bits = 4.0 * where.radio.whole_band_bps(0)
    result, (first, second, *_) = _legs(where, Counting(bits_down=1e3, bits_up=bits, bs_iterations=1))
    assert (first.end_s, _moves(result)[0]["assignment"]) == (2.0, "dropped")
    rows = [row for row in result.participation if row["terminal"] == 0]
    assert rows[0]["outcome"] == "dropped" and rows[1]["outcome"] == "merged" and second.site == 1


def test_models_and_updates_of_a_site_that_is_down_go_through_its_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    where, bits = _failing(monkeypatch, {0: (0.0, 1e3)}), 1e6
    result = run(where, Counting(bits_down=bits, bits_up=bits, cloud_rounds=1, bs_iterations=1))
    mine, other = (next(row for row in result.participation if row["terminal"] == t) for t in (0, 1))
    wires_s, to_cloud_s = 2 * (bits / 1e9 + 0.01), bits / 1e9 + 0.01
    own_s, down_s = (bits / where.radio.broadcast_bps([t]) for t in (1, 0))
    assert other["start_s"] == pytest.approx(to_cloud_s + 0.004 + own_s)
    begins_s = max(to_cloud_s + wires_s + 0.004, other["start_s"])
    assert mine["start_s"] == pytest.approx(begins_s + down_s)
    assert mine["finish_s"] == pytest.approx(mine["start_s"] + mine["compute_s"] + mine["upload_s"] + wires_s)
    assert [row["downlink_airtime_s"] for row in result.base_stations] == pytest.approx([0.0, own_s + down_s])
    assert result.rounds[-1]["bytes_backhaul"] == pytest.approx((2 * 2 + 2 * 2) * bits / 8.0)


def test_an_update_that_a_neighbour_relays_goes_through_the_wires_at_its_own_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    down, own = 1e6, np.array([3e5, 7e5])
    counting = Counting(bits_down=down, bits_own=own, cloud_rounds=1, bs_iterations=1)
    result = run(_failing(monkeypatch, {0: (0.0, 1e3)}), counting)
    with_the_cloud, relayed = 2 * (down + counting.bits_up), 2 * (down + own[0])
    assert result.rounds[-1]["bytes_backhaul"] == pytest.approx((with_the_cloud + relayed) / 8.0)


def test_a_broadcast_that_is_cut_short_is_sent_again_where_its_listener_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = _failing(monkeypatch, {})
    bits = 2.0 * slow.radio.broadcast_bps([0])  # two seconds
    where = _failing(monkeypatch, {0: (1.0, 50.0)})
    result = run(where, Counting(bits_down=bits, bits_up=1e3, cloud_rounds=1, bs_iterations=1))
    mine, other = (next(row for row in result.participation if row["terminal"] == t) for t in (0, 1))
    down_s = bits / where.radio.broadcast_bps([0])
    relayed_s = 1.5 + 2 * (bits / 1e9 + 0.01) + 0.004  # when it is on the air again, though that could be saved
    assert mine["start_s"] == pytest.approx(max(relayed_s, other["start_s"]) + down_s)
    began_s = bits / 1e9 + 0.01 + 0.004
    assert result.base_stations[0]["downlink_airtime_s"] == pytest.approx(1.0 - began_s)


@pytest.mark.parametrize("recovery", ["wait", "reassociate"])
def test_whoever_has_nowhere_to_go_loses_its_upload_and_waits_for_the_repair(
    monkeypatch: pytest.MonkeyPatch, recovery: str
) -> None:
    motion = {"mobility": {"moving_share": 0.0}} if recovery == "wait" else {}
    network = FREE_SPACE | {"propagation": FREE_SPACE["propagation"] | {"spatial_consistency": True}}
    where = _failing(monkeypatch, {0: (2.0, 9.0)}, 1, law={"recovery": recovery}, network=network, **motion)
    bits = 4.0 * where.radio.whole_band_bps(0)
    result, legs = _legs(where, Counting(bits_down=1e3, bits_up=bits, bs_iterations=1, cloud_rounds=2))
    assert legs[0].end_s == 2.0 and legs[1].start_s > 9.0 and {leg.site for leg in legs} == {0}
    assert [row["outcome"] for row in result.participation] == ["dropped", "merged"]
    assert _moves(result) == []


@pytest.mark.parametrize(("charge", "kinds"), [({}, []), ({"harvest": {"power_w": 1e-9}}, ["reselection"] * 2)])
def test_the_dead_stay_where_they_are_unless_something_charges_them(
    monkeypatch: pytest.MonkeyPatch, charge: dict[str, Any], kinds: list[str]
) -> None:
    weak = device(battery_j=1e-3, **charge)
    where = _failing(monkeypatch, {0: (2.0, 6.0)}, terminals=weak, budget={"time_s": 10.0})
    where.devices.kind[1] = len(where.devices.classes)
    where.devices.classes.append(where.devices[0].model_copy(update={"battery_j": None, "harvest": None}))
    assert [row["kind"] for row in _moves(run(where, Counting()))] == kinds


@pytest.mark.parametrize("model", ["fixed", "coupled"])
def test_sites_that_never_fail_change_nothing(model: str) -> None:
    network = {"interference": {"model": model}, "uplink": {"access_delay_s": 0.003}}
    law = {"mean_up_s": 1e15, "mean_down_s": 1.0, "recovery": "reassociate"}
    plain, ready = (
        run(world(scenario(budget={"time_s": 4.0}, network=network, base_stations=stations), 3, 3, 5), Counting())
        for stations in ({}, {"outage": law})
    )
    for ours, theirs in zip(plain.rounds, ready.rounds, strict=True):
        assert ours["event"] == theirs["event"]
        numbers = [name for name, value in ours.items() if isinstance(value, float | int)]
        assert [ours[name] for name in numbers] == pytest.approx([theirs[name] for name in numbers], rel=CLOSE)
    assert list(ready.handovers or []) == []


# Whatever fails -------------------------------------------------------------------------------------------------------


@st.composite
def failing_worlds(draw: st.DrawFn, budget: dict[str, float] | None = None, policies: Any = ("all",)) -> World:
    """Return a fresh world of cells that fail, whose terminals move or not, share wires, and disturb each other."""
    recovery = draw(st.sampled_from(["wait", "skip", "reassociate", "reassociate"]))
    keep = {"membership": "keep"} if recovery == "reassociate" else {}
    moves = draw(st.booleans()) or recovery != "reassociate"
    outage = {
        "mean_up_s": draw(st.sampled_from([0.3, 1.0])),
        "mean_down_s": draw(st.sampled_from([0.1, 0.5])),
        "recovery": recovery,
        "interruption_s": draw(st.sampled_from([0.0, 0.02, 0.3])),
        "in_flight": draw(st.sampled_from(["restart", "lost"])),
    }
    static = draw(st.sampled_from(["none", "airtime", "always"]))
    base_stations: dict[str, Any] = {"static_power": static, "outage": outage}
    if static == "always":
        base_stations["sleep"] = draw(st.sampled_from([None, {"after_s": 0.02, "wake_up_s": 0.01}]))
    chosen: dict[str, Any] = {
        "budget": budget or {"time_s": draw(st.floats(0.5, 4.0))},
        "terminals": draw(terminals()),
        "mobility": draw(motions(**keep)) if moves else None,
        "collection": {"policy": draw(st.sampled_from(policies)), "deadline_s": 0.3},
        "base_stations": base_stations,
        "network": {
            "propagation": LANDSCAPE if moves else {"fading": "none", "spatial_consistency": draw(st.booleans())},
            "layout": {"environment": "UMi", "neighbour_sites": draw(st.sampled_from([6, 36]))},
            "uplink": {
                "share": draw(st.sampled_from(["tdma", "ofdma", "max_min", "sequential", "proportional_fair"])),
                "access_delay_s": draw(st.sampled_from([0.0, 0.01])),
            },
            "downlink": {"access_delay_s": draw(st.sampled_from([0.0, 0.004]))},
            "interference": {"model": draw(st.sampled_from(["fixed", "coupled"]))},
            "backhaul": {
                "rate_bps": draw(st.sampled_from([5e6, 1e9])),
                "shared": draw(st.booleans()),
                "latency_s": draw(st.sampled_from([0.0, 0.01])),
            },
        },
    }
    size = draw(st.sampled_from([1, 2, 3, 7])), draw(st.integers(1, 3)), draw(st.integers(0, 999))
    return world(scenario(**chosen), *size)


def _ups(where: World, site: int, end_s: float) -> list[tuple[float, float]]:
    """Return when a site is up, from a trajectory of its own."""
    walk = outages_of(where.scenario.base_stations.outage, site, where.streams)
    intervals, now = [], 0.0
    while now < end_s:
        now = walk.back_at_s(now)
        intervals.append((now, walk.on_until_s(now)))
        now = intervals[-1][1]
    return intervals


def _is_up(where: World, site: int, from_s: float, to_s: float) -> bool:
    return any(a - 1e-9 <= from_s and to_s <= b + 1e-9 for a, b in _ups(where, site, to_s + 1e-9))


@MANY
@given(failing_worlds(policies=("all", "first_k", "deadline")), BUSY)
def test_bits_and_joules_are_those_of_the_time_on_the_air_of_sites_that_are_up(where: World, method: Counting) -> None:
    witness = watch(where)
    result = run(where, method)
    last, end_s = result.rounds[-1], result.totals["time_s"]
    sent: Counter[int] = Counter()
    airtime_s: Counter[int] = Counter()
    for leg in witness.legs:
        assert leg.end_s is not None
        assert _is_up(where, leg.site, leg.start_s, leg.end_s)
        sent[leg.transfer.terminal] += leg.sent_bits
        airtime_s[leg.transfer.terminal] += leg.transfer.airtime_s
    for i, kind in enumerate(where.devices):
        assert result.terminals[i]["bytes_up"] * 8.0 == pytest.approx(sent[i], rel=CLOSE, abs=1e-6)
        power_w = transmitter_w(dbm_to_watt(kind.tx_power_dbm), kind.amplifier_efficiency, kind.tx_circuit_w)
        expected_j = pytest.approx(power_w * airtime_s[i], rel=1e-8, abs=1e-12)
        assert where.terminal_meter.energy_j(i, "transmit") == expected_j
    assert last["bytes_uplink"] * 8.0 == pytest.approx(sum(sent.values()), rel=CLOSE, abs=1e-6)
    per_bit_j = 8.0 * where.backhaul.energy_j_per_bit
    committed = last["bytes"] - last["bytes_uplink"] - last["bytes_downlink"]
    assert last["bytes_backhaul"] * per_bit_j * (1.0 - CLOSE) <= last["energy_backhaul_j"]
    assert last["energy_backhaul_j"] <= committed * per_bit_j * (1.0 + CLOSE) + 1e-12
    for row in result.rounds:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=CLOSE, abs=1e-15)
    for site, row in enumerate(result.base_stations):
        up_s = sum(max(0.0, min(b, end_s) - a) for a, b in _ups(where, site, end_s))
        assert row["downlink_airtime_s"] <= up_s + 1e-9
    merged = Counter(row["cloud_round"] for row in result.participation if row["outcome"] == "merged")
    total, skips = 0, where.scenario.base_stations.outage.recovery == "skip"  # type: ignore[union-attr]
    for row in result.rounds:
        if row["event"] == "cloud" and not skips:  # of a site left out, what it sent last counts again
            total += merged[row["cloud_round"]]
            assert row["count"] == total
    rows = Counter((row["base_station"], row["edge_round"], row["terminal"]) for row in result.participation)
    assert set(rows.values()) <= {1}


@MANY
@given(failing_worlds(), BUSY)
def test_when_all_is_quiet_bytes_carried_are_bytes_committed(where: World, method: Counting) -> None:
    for row in run(where, method).rounds:
        if row["event"] == "cloud":
            carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
            assert row["bytes"] == pytest.approx(carried, rel=CLOSE)


@MANY
@given(failing_worlds(), BUSY)
def test_cells_follow_each_other_and_nobody_enters_one_that_is_down(where: World, method: Counting) -> None:
    result = run(where, method)
    by_terminal: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in result.handovers or []:
        by_terminal[row["terminal"]].append(row)
        now = row["time_s"]
        assert _is_up(where, int(row["to_cell"][3:]), now, now)
        if row["kind"] in ("outage", "return"):
            assert row["interruption_s"] == where.scenario.base_stations.outage.interruption_s  # type: ignore[union-attr]
        if row["kind"] == "outage":
            assert not _is_up(where, int(row["from_cell"][3:]), now - 1e-6, now + 1e-6)
        assert row["delay_s"] >= 0.0
    for rows in by_terminal.values():
        for before, after in pairwise(rows):
            assert before["to_cell"] == after["from_cell"]


@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_who_stands_still_is_always_served_by_its_own_site_or_the_strongest_that_is_up(
    consistent: bool, seed: int
) -> None:
    law = {"mean_up_s": 0.5, "mean_down_s": 0.5, "recovery": "reassociate"}
    network = {"propagation": {"spatial_consistency": consistent}, "interference": {"model": "coupled"}}
    settings = scenario(budget={"time_s": 9.0}, network=network, base_stations={"outage": law})
    where = world(settings, 4, 3, seed)
    assert where.near is not None
    start, away = where.radio.copy(), 0
    near = {(t, int(c)): g for t in range(12) for c, g in zip(where.near.cell[t], where.near.gain[t], strict=True)}

    def look() -> Any:
        nonlocal away
        while True:
            yield where.env.timeout(0.0137)
            up = [_is_up(where, site, where.env.now, where.env.now) for site in range(4)]
            for t, serving in enumerate(where.serving.tolist()):
                home = int(where.deployment.serving[t])
                best = max((site for site in range(4) if up[site]), key=lambda site: near[t, site], default=serving)
                expected = home if up[home] else best
                assert serving == expected
                assert where.radio.serving_gain[t] == pytest.approx(near[t, serving], rel=1e-12)
                assert where.interference is not None and where.interference.near.cell[t, 0] == serving
                away += serving != home

    where.env.process(look())
    run(where, Counting(bits_up=1e5))
    assert away > 100
    home = where.serving == where.deployment.serving
    np.testing.assert_allclose(where.radio.neighbour_gain[home], start.neighbour_gain[home], rtol=1e-12)


LIMITS = [{"energy_j": 40.0}, {"bytes": 2e5}, {"cost": 60.0}, {"energy_per_terminal_j": 0.05}, {"time_s": 1.2345}]


@FEW
@given(st.data(), BUSY, st.sampled_from(LIMITS))
def test_a_budget_ends_a_run_at_the_exact_instant(data: st.DataObject, method: Counting, limit: Any) -> None:
    where = data.draw(failing_worlds(budget={"time_s": 6.0} | limit))
    result, limits = run(where, method), where.scenario.budget
    assert result.totals["time_s"] <= limits.time_s * (1.0 + 1e-12)  # type: ignore[operator]
    assert result.totals["energy_j"] <= (limits.energy_j or inf) * (1.0 + CLOSE)
    assert result.totals["bytes"] <= (limits.bytes or inf) * (1.0 + CLOSE)
    if result.ended_by == "energy budget":
        assert result.totals["energy_j"] == pytest.approx(limits.energy_j, rel=CLOSE)
    if result.ended_by.startswith("energy budget of terminal"):
        most_j = max(where.terminal_meter.node_j(i) for i in range(where.terminals))
        assert most_j == pytest.approx(limits.energy_per_terminal_j, rel=CLOSE)


@FEW
@given(failing_worlds(policies=("all", "deadline")), BUSY)
def test_the_same_world_runs_the_same_way_twice(where: World, method: Counting) -> None:
    again = world(where.scenario, where.sites, where.terminals // where.sites, where.streams.seed)
    assert repr(run(where, method)) == repr(run(again, method.twin()))


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("recovery", ["wait", "skip", "reassociate"])
@pytest.mark.parametrize(("share", "together"), [("ofdma", True), ("tdma", False)])
def test_nothing_depends_on_the_order_of_events_at_an_instant(
    moves: bool, recovery: str, share: str, together: bool
) -> None:
    settings = scenario(
        budget={"time_s": 6.0},
        mobility={"speed_mps": (30.0, 60.0), "measurement_s": 0.1} if moves else None,
        base_stations={"outage": LAW | {"recovery": recovery, "interruption_s": 0.1}},
        network={
            "propagation": LANDSCAPE,
            "layout": {"environment": "UMi"},
            "uplink": {"share": share, "min_slice_hz": 50e3},
            "interference": {"model": "coupled" if together else "fixed"},
            "backhaul": {"rate_bps": 2e7, "shared": together},
        },
    )
    usual, reversed_ = world(settings, 4, 4, 1), world(settings, 4, 4, 1)
    # Of events of equal time and priority, the latest planned comes first.
    reversed_.env._eid = itertools.count(2**40, -1)
    one, other = run(usual, Counting(bits_up=4e5)), run(reversed_, Counting(bits_up=4e5))
    assert one.totals == pytest.approx(other.totals, rel=CLOSE)
    columns = ("time_s", "terminal", "to_cell", "kind")
    changes = [[[row[name] for name in columns] for row in result.handovers or []] for result in (one, other)]
    assert changes[0] == changes[1]
    assert bool(changes[0]) == (moves or recovery == "reassociate")


@pytest.mark.parametrize("seed", range(3))
def test_a_network_goes_on_without_a_site_rather_than_waiting_for_it(seed: int) -> None:
    law = {"mean_up_s": 3.0, "mean_down_s": 3.0, "interruption_s": 0.05}
    ends = {}
    for recovery in ("wait", "reassociate"):
        stations = {"outage": law | {"recovery": recovery}}
        where = world(scenario(budget={"time_s": 1e4}, base_stations=stations), 7, 3, seed)
        result = run(where, Counting(cloud_rounds=20))
        assert result.ended_by == "plan complete"
        ends[recovery] = result.totals["time_s"]
    assert ends["reassociate"] < 0.8 * ends["wait"]
