"""Terminals that learn alone: same hardware, same luck, no network, and no chunk counted that was not finished."""

from collections import Counter
from math import isnan

import pytest

from netsim.availability import Presence
from scenarios.streams import Streams
from tests.netsim.counting import Counting
from tests.netsim.worlds import change, device, run, scenario, world

STEADY = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}}


def alone(chunks: int = 10, **changes: float) -> Counting:
    return Counting(bs_iterations=chunks, protocol="isolated", **changes)  # type: ignore[arg-type]


def test_without_bad_luck_everybody_is_done_after_the_sum_of_the_chunks() -> None:
    result = run(world(scenario(budget={"time_s": 1e3}, terminals=STEADY)), alone())
    assert result.ended_by == "plan complete"
    assert result.totals["time_s"] == pytest.approx(10 * 0.1)
    assert [row["event"] for row in result.rounds] == ["start"] + ["cloud"] * 10 + ["end"]
    assert all(row["merged"] == 10 for row in result.terminals)


def test_there_is_no_radio_traffic_and_nothing_is_spent_on_it() -> None:
    last = run(world(scenario(budget={"time_s": 1e3})), alone()).rounds[-1]
    silent = ("bytes", "energy_terminal_transmit_j", "energy_terminal_receive_j", "energy_bs_transmit_j")
    assert [last[name] for name in (*silent, "energy_bs_static_j", "energy_backhaul_j")] == [0.0] * 6
    assert last["energy_terminal_compute_j"] > 0.0


def test_a_chunk_that_is_lost_is_done_again_with_new_luck() -> None:
    terminals = STEADY | {"dropout_probability": 0.3}
    result = run(world(scenario(budget={"time_s": 1e3}, terminals=terminals)), alone(30))
    assert result.ended_by == "plan complete"
    assert all(row["merged"] == 30 for row in result.terminals)
    tries = Counter((row["terminal"], row["edge_round"]) for row in result.participation)
    assert set(tries.values()) == {1}
    lost = [row for row in result.participation if row["outcome"] == "dropped"]
    assert 40 < len(lost) < 120  # 180 x 3/7 expected
    assert all(row["compute_s"] < 0.1 and isnan(row["finish_s"]) for row in lost)


@pytest.mark.parametrize(("length_s", "chunks", "per_site"), [(0.1, 40, 8), (1.0, 2, 40)])
def test_a_chunk_that_an_absence_cuts_short_does_not_count(length_s: float, chunks: int, per_site: int) -> None:
    # Long chunks begin soon after the start, when the clock rounds the instant of leaving most coarsely.
    terminals = STEADY | {"availability": {"mean_on_s": 0.3, "mean_off_s": 0.2}}
    where = world(scenario(budget={"time_s": 1e3}, terminals=terminals), 3, per_site)
    result = run(where, alone(chunks, samples=500.0 * length_s))
    assert all(row["merged"] == chunks for row in result.terminals)
    presences = [Presence(where.scenario.terminals.availability, int(e), Streams(0)) for e in where.deployment.entity]
    for row in result.participation:
        stays_s = presences[row["terminal"]].on_until_s(row["start_s"]) - row["start_s"]
        assert (row["outcome"] == "merged") == (stays_s > length_s)
        assert row["compute_s"] == pytest.approx(min(length_s, stays_s), rel=1e-6)
    assert Counter(row["outcome"] for row in result.participation)["dropped"] > 100


def test_the_same_slowdowns_are_met_as_in_the_hierarchy() -> None:
    settings = scenario(budget={"time_s": 20.0}, terminals=device(cycles_per_sample=1e6))
    lone, together = (run(world(settings), method) for method in (alone(10), Counting()))
    met = {(row["terminal"], row["edge_round"]): row["compute_s"] for row in together.participation}
    assert len(lone.participation) == 60
    for row in lone.participation:
        assert row["compute_s"] == pytest.approx(met[row["terminal"], row["edge_round"]], rel=1e-9)


def test_no_coverage_is_needed() -> None:
    settings = scenario(budget={"time_s": 1e3}, terminals=device(tx_power_dbm=-90.0))
    where = world(settings)
    assert not where.radio.reachable.any()
    assert all(row["merged"] == 10 for row in run(where, alone()).terminals)


def test_the_run_ends_when_every_battery_is_empty_and_says_so() -> None:
    settings = scenario(budget={"time_s": 1e3}, terminals=STEADY | device(battery_j=0.013, idle_power_w=0.02))
    result = run(world(settings), alone(100, samples=2.5e4))
    assert result.ended_by == "no terminal left"
    assert [row["energy_j"] for row in result.terminals] == pytest.approx([0.013] * 6, rel=1e-9)
    assert {row["outcome"] for row in result.participation} == {"dropped"}


def test_one_terminal_may_outlive_the_others() -> None:
    where = world(scenario(budget={"time_s": 1e3}, terminals=STEADY), 1, 2)
    change(where, 0, battery_j=0.05)
    result = run(where, alone())
    assert result.ended_by == "plan complete"
    assert result.terminals[0]["merged"] < 10 == result.terminals[1]["merged"]


@pytest.mark.parametrize(("limits", "reason"), [({"time_s": 0.55}, "time budget"), ({"cost": 5.0}, "cost budget")])
def test_budgets_end_lone_work_too(limits: dict[str, float], reason: str) -> None:
    result = run(world(scenario(budget=limits, terminals=STEADY)), alone())
    assert result.ended_by == reason
    assert result.totals["cost"] <= limits.get("cost", 1e9)
    assert result.totals["time_s"] <= 0.55
