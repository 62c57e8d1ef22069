"""Terminals that follow measured traces: faster and slower processors, presence, and uplinks that change in flight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.traces import Followed, steps
from netsim.world import World
from scenarios.equipment import Traces
from scenarios.streams import Streams
from scenarios.traces import TraceSet
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

STEADY = device(cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}}
ON_OFF = "trace,on_s,off_s\na,0,0.7\na,1.1,2.5\nb,0.4,2.9\n"  # made up
SWINGING = "trace,time_s,factor\na,0,1\na,0.31,0.02\na,0.9,2.5\nb,0,0.1\nb,0.5,0\nb,1.4,1\n"  # made up


def traced(tmp_path: Path, sites: int = 2, per_site: int = 3, seed: int = 0, **texts: Any) -> World:
    """Return a world whose terminals follow the given files."""
    changes = texts.pop("changes", {})
    section = {key: value for key, value in texts.items() if not key.endswith("_csv")}
    for kind in texts.keys() - section.keys():
        section[kind] = str(tmp_path / f"{kind}.csv")
        Path(section[kind]).write_text(texts[kind], encoding="utf-8")
    made = scenario(**{"budget": {"time_s": 6.0}, "terminals": STEADY | {"traces": section}} | changes)
    return world(made, sites, per_site, seed)


def entities(where: World) -> list[int]:
    return [int(entity) for entity in where.deployment.entity]


def test_a_processor_of_twice_the_speed_takes_half_the_time_and_half_the_energy(tmp_path: Path) -> None:
    where = traced(tmp_path, speed_csv="speed\n1\n2\n0.5\n")
    result = run(where, Counting(cloud_rounds=2))
    speeds = [(1.0, 2.0, 0.5)[entity % 3] for entity in entities(where)]
    assert len(set(speeds)) == 3
    for row in result.participation:
        assert row["compute_s"] == pytest.approx(row["samples"] * 1e6 / 1e9 / speeds[row["terminal"]], rel=1e-12)
    used = [row["energy_compute_j"] * speeds[row["terminal"]] for row in result.terminals]
    assert used == pytest.approx([used[0]] * 6, rel=1e-9)


def test_terminals_are_dealt_the_traces_in_turn_or_at_random() -> None:
    made = TraceSet(speeds=tuple(float(speed) for speed in range(1, 6)))
    cyclic = Followed(made, Traces(speed_csv="x"), Streams(3))
    assert [cyclic.speed(entity) for entity in range(7)] == [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 2.0]
    drawn = Followed(made, Traces(speed_csv="x", assignment="random"), Streams(3))
    counts = np.bincount([int(drawn.speed(entity)) for entity in range(5000)], minlength=6)[1:]
    assert np.all(np.abs(counts - 1000) < 130)
    assert Followed(TraceSet(), None, Streams(3)).speed(4) == 1.0


def test_terminals_are_there_when_their_trace_says(tmp_path: Path) -> None:
    where = traced(tmp_path, availability_csv=ON_OFF, repeat_s=3.0)
    result = run(where)
    for row, entity in zip(result.terminals, entities(where), strict=True):
        assert row["energy_idle_j"] == pytest.approx(0.02 * 2.0 * (0.7 + 1.4, 2.5)[entity % 2], rel=1e-9)
    for row in result.participation:
        if row["outcome"] == "merged":
            intervals = (((0.0, 0.7), (1.1, 2.5)), ((0.4, 2.9),))[entities(where)[row["terminal"]] % 2]
            started_s, ended_s = row["start_s"] % 3.0, row["start_s"] % 3.0 + row["finish_s"] - row["start_s"]
            assert any(on_s <= started_s + 1e-9 and ended_s <= off_s + 1e-9 for on_s, off_s in intervals)
    assert {row["outcome"] for row in result.participation} >= {"merged", "dropped"}


def test_a_terminal_is_gone_for_good_after_its_last_interval(tmp_path: Path) -> None:
    result = run(traced(tmp_path, availability_csv="trace,on_s,off_s\na,0,1\n", changes={"budget": {"time_s": 1e3}}))
    assert result.ended_by.startswith("no terminal left")
    assert result.totals["time_s"] < 2.0


def sent_s(trace: list[tuple[float, float]], start_s: float, at_full_s: float) -> float:
    """Return when an upload is through that would take ``at_full_s`` at factor 1."""
    edges = [*(time_s for time_s, _ in trace), np.inf]
    for (since_s, factor), until_s in zip(trace, edges[1:], strict=True):
        here_s = until_s - max(start_s, since_s)
        if here_s > 0.0:
            if factor * here_s >= at_full_s:
                return max(start_s, since_s) + at_full_s / factor
            at_full_s -= factor * here_s
    raise AssertionError


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.5), st.sampled_from([0.0, 0.02, 0.3, 1.0, 2.5])), max_size=8),
    st.sampled_from(["tdma", "ofdma"]),
    st.floats(1e4, 1e6),
)
def test_an_upload_takes_as_long_as_the_integral_of_its_rate_says(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, float]], share: str, bits: float
) -> None:
    trace = [(0.0, 1.0)]
    for wait_s, factor in changes:
        trace.append((trace[-1][0] + wait_s, factor))
    trace.append((trace[-1][0] + 0.1, 0.7))
    text = "trace,time_s,factor\n" + "".join(f"a,{time_s!r},{factor!r}\n" for time_s, factor in trace)
    uplink = {"network": {"uplink": {"share": share}}, "budget": {"time_s": 1e3}}
    where = traced(tmp_path_factory.mktemp("traces"), 1, 1, bandwidth_csv=text, changes=uplink)
    rate_bps = where.radio.whole_band_bps(0)
    (row, *_) = run(where, Counting(bits_up=bits, cloud_rounds=1)).participation
    started_s = row["start_s"] + row["compute_s"] + 0.01
    assert row["finish_s"] == pytest.approx(sent_s(trace, started_s, bits / rate_bps), rel=1e-9)


@pytest.mark.parametrize("share", ["tdma", "ofdma"])
def test_rates_that_change_in_flight_lose_no_bits_and_cost_the_airtime(tmp_path: Path, share: str) -> None:
    changes = {"network": {"uplink": {"share": share}}}
    where = traced(tmp_path, bandwidth_csv=SWINGING, repeat_s=2.0, changes=changes)
    result = run(where, Counting(bits_up=2e5))
    merged = sum(row["outcome"] == "merged" for row in result.participation)
    assert merged > 20
    last = result.rounds[-1]
    assert 0.0 <= last["bytes_uplink"] - merged * 2e5 / 8.0 <= 6 * 2e5 / 8.0
    transmit_w = 10.0**-0.7 / 0.35 + 0.15
    airtime_s = sum(row["uplink_airtime_s"] for row in result.base_stations)
    if share == "tdma":
        assert last["energy_terminal_transmit_j"] == pytest.approx(transmit_w * airtime_s, rel=1e-9)
    else:
        assert last["energy_terminal_transmit_j"] >= transmit_w * airtime_s * (1.0 - 1e-9)


def test_factors_of_one_change_nothing(tmp_path: Path) -> None:
    ones = "trace,time_s,factor\na,0,1\n"
    plain = run(world(scenario(budget={"time_s": 6.0}, terminals=STEADY)))
    assert repr(run(traced(tmp_path, bandwidth_csv=ones, speed_csv="speed\n1\n")).rounds) == repr(plain.rounds)


def test_steps_repeat_or_end_with_the_last_factor() -> None:
    trace = ((0.0, 1.0), (2.0, 0.5))
    assert list(steps(trace, None)) == [(0.0, 1.0), (2.0, 0.5), (float("inf"), 0.5)]
    again = steps(trace, 5.0)
    assert [next(again) for _ in range(5)] == [(0.0, 1.0), (2.0, 0.5), (5.0, 1.0), (7.0, 0.5), (10.0, 1.0)]
