"""What a site draws without load: while it is awake, asleep, or down, as its activity says."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.availability import Trajectory, exponential, outages_of
from netsim.on_air import OnAir
from netsim.result import Result
from netsim.world import World
from scenarios.streams import Streams
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

Uses = list[tuple[float, int]]
SLOW = device(cycles_per_sample=4e6) | {"slowdown": {"kind": "none"}}


def sleepy(after_s: float | None, wake_up_s: float = 0.0, end_s: float = 8.0, share: str = "ofdma") -> World:
    sleep = None if after_s is None else {"after_s": after_s, "wake_up_s": wake_up_s}
    base_stations = {"static_power": "always", "sleep": sleep}
    network = {"uplink": {"share": share, "access_delay_s": 0.0}, "downlink": {"access_delay_s": 0.0}}
    return world(scenario(budget={"time_s": end_s}, base_stations=base_stations, terminals=SLOW, network=network))


def spied(monkeypatch: pytest.MonkeyPatch, where: World) -> tuple[Result, dict[int, Uses]]:
    """Run and write down all changes of activity."""
    uses: dict[int, Uses] = {site: [] for site in range(where.sites)}
    change = OnAir.change

    def spy(self: OnAir, difference: int) -> None:
        uses[self._site].append((self.env.now, difference))
        change(self, difference)

    monkeypatch.setattr(OnAir, "change", spy)
    for uplink, on_air in zip(where.uplinks, where.on_air, strict=True):
        uplink._busy = on_air.change
    return run(where), uses


def busy_intervals(uses: Uses, end_s: float) -> list[tuple[float, float]]:
    """Return when anybody was on the air."""
    intervals, users, since_s = [], 0, 0.0
    for at_s, difference in [*uses, (end_s, 0)]:
        if users == 0:
            since_s = at_s
        elif users + difference == 0 or at_s == end_s:
            intervals.append((since_s, at_s))
        users += difference
    return intervals


@pytest.mark.parametrize("share", ["tdma", "ofdma"])
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2, 1e3])
def test_a_site_sleeps_once_nothing_has_been_on_the_air_for_long_enough(
    monkeypatch: pytest.MonkeyPatch, after_s: float, share: str
) -> None:
    where = sleepy(after_s, share=share)
    result, uses = spied(monkeypatch, where)
    for site in range(where.sites):
        intervals = busy_intervals(uses[site], 8.0)
        assert len(intervals) > 10
        edges = [0.0, *(edge for interval in intervals for edge in interval), 8.0]
        asleep_s = sum(max(0.0, b - a - after_s) for a, b in zip(edges[::2], edges[1::2], strict=True))
        expected_j = 780.0 * (8.0 - asleep_s) + 450.0 * asleep_s
        assert result.base_stations[site]["energy_static_j"] == pytest.approx(expected_j, rel=1e-9)
        assert (asleep_s > 0.0) == (after_s < 1e3)


def test_what_waits_for_a_sleeping_site_waits_for_it_to_wake_up() -> None:
    runs = {wake_s: run(sleepy(0.05, wake_s), Counting(cloud_rounds=1)) for wake_s in (0.0, 0.03)}
    # The backhaul takes 10 ms and computing 0.4 s: the site sleeps before the first upload, not before the broadcast.
    for at_once, later in zip(runs[0.0].participation, runs[0.03].participation, strict=True):
        if at_once["edge_round"] == 0:
            assert later["start_s"] == at_once["start_s"]
            assert later["upload_s"] == pytest.approx(at_once["upload_s"] + 0.03, rel=1e-9)
    for at_once, later in zip(runs[0.0].base_stations, runs[0.03].base_stations, strict=True):
        waking_j = later["energy_static_j"] - at_once["energy_static_j"]
        assert waking_j == pytest.approx(2 * 0.03 * 780.0, rel=1e-9)


def test_a_site_that_never_gets_to_sleep_costs_what_one_that_cannot_costs() -> None:
    assert repr(run(sleepy(1e3)).rounds) == repr(run(sleepy(None)).rounds)


def test_sleep_is_for_sites_that_are_paid_for_all_the_time() -> None:
    with pytest.raises(ValueError, match="static_power: always"):
        scenario(base_stations={"sleep": {}})


FAILING = {"mean_up_s": 0.5, "mean_down_s": 0.3}


def failing(recovery: str, seed: int = 0, end_s: float = 20.0, static: str = "airtime", **changes: object) -> World:
    base_stations = {"static_power": static, "outage": FAILING | {"recovery": recovery}}
    return world(scenario(budget={"time_s": end_s}, base_stations=base_stations, **changes), 3, 3, seed)


def ups(where: World, site: int, end_s: float) -> list[tuple[float, float]]:
    """Return when a site is up, from a trajectory of its own."""
    law = where.scenario.base_stations.outage
    assert law is not None
    walk = Trajectory(exponential(law.mean_up_s, law.mean_down_s, "outage", site, where.streams))
    intervals, now = [], 0.0
    while now < end_s:
        now = walk.back_at_s(now)
        intervals.append((now, walk.on_until_s(now)))
        now = intervals[-1][1]
    return [(a, min(b, end_s)) for a, b in intervals if a < end_s]


@pytest.mark.parametrize("share", ["tdma", "ofdma"])
@pytest.mark.parametrize("recovery", ["wait", "skip"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_on_the_air_at_a_site_that_is_down(
    monkeypatch: pytest.MonkeyPatch, recovery: str, share: str, seed: int
) -> None:
    where = failing(recovery, seed, network={"uplink": {"share": share}})
    result, uses = spied(monkeypatch, where)
    for site in range(where.sites):
        here = ups(where, site, 20.0)
        for since_s, until_s in busy_intervals(uses[site], 20.0):
            assert any(a - 1e-9 <= since_s and until_s <= b + 1e-9 for a, b in here)
        row = result.base_stations[site]
        assert row["down_s"] == pytest.approx(20.0 - sum(b - a for a, b in here), rel=1e-9)
        gaps = [b for (_, a), (b, _) in zip([(0.0, 0.0), *here], here, strict=False) if b > a]
        assert row["outages"] == len(gaps) + (here[-1][1] < 20.0) > 5


@pytest.mark.parametrize("recovery", ["wait", "skip"])
@pytest.mark.parametrize("sleep", [None, {"after_s": 0.02, "wake_up_s": 0.01}])
def test_a_site_that_is_down_draws_nothing(recovery: str, sleep: dict[str, float] | None) -> None:
    where = failing(recovery, static="always")
    result = run(where)
    asleep = world(
        scenario(
            budget={"time_s": 20.0},
            base_stations={"static_power": "always", "sleep": sleep, "outage": FAILING | {"recovery": recovery}},
        ),
        3,
        3,
    )
    less = run(asleep)
    for site in range(where.sites):
        up_s = sum(b - a for a, b in ups(where, site, 20.0))
        assert result.base_stations[site]["energy_static_j"] == pytest.approx(780.0 * up_s, rel=1e-9)
        assert 450.0 * up_s < less.base_stations[site]["energy_static_j"] <= 780.0 * up_s * (1.0 + 1e-9)


def test_uploads_that_are_in_flight_when_a_site_fails_are_dropped_and_computing_goes_on() -> None:
    where = failing("wait", terminals=device(cycles_per_sample=1e6))
    result = run(where)
    outcomes = {row["outcome"] for row in result.participation}
    assert outcomes == {"merged", "dropped"}
    for row in result.participation:
        computed_s = row["start_s"] + row["compute_s"]
        here = ups(where, int(row["base_station"][3:]), 20.0)
        until_s = max((b for a, b in here if a <= computed_s < b), default=computed_s)
        if row["outcome"] == "merged":
            assert row["finish_s"] < until_s
        else:  # whoever finds the site down gives up when the grant does not come, after 10 ms
            assert row["upload_s"] == pytest.approx(max(0.01, until_s - computed_s), abs=1e-9)


@pytest.mark.parametrize("recovery", ["wait", "skip"])
@pytest.mark.parametrize("seed", range(4))
def test_bytes_carried_are_bytes_committed_whatever_was_cut_short(recovery: str, seed: int) -> None:
    result = run(failing(recovery, seed))
    quiet = [row for row in result.rounds if row["event"] == "cloud"]
    assert len(quiet) > 5
    for row in quiet:
        carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
        assert row["bytes"] == pytest.approx(carried, rel=1e-9)


def test_a_cloud_round_waits_for_the_repair_of_every_site_or_goes_on_without_those_that_are_down() -> None:
    plan = Counting(cloud_rounds=12, bs_iterations=2)
    waiting = run(failing("wait", end_s=1e3), plan)
    assert waiting.ended_by == "plan complete"
    assert [row["edge_rounds"] for row in waiting.base_stations] == [24] * 3
    where = failing("skip", end_s=1e3)
    skipping = run(where, Counting(cloud_rounds=12, bs_iterations=2))
    assert skipping.ended_by == "plan complete"
    assert skipping.totals["time_s"] < waiting.totals["time_s"]
    assert sum(row["edge_rounds"] for row in skipping.base_stations) < 72
    cloud_s = [0.0, *(row["time_s"] for row in skipping.rounds if row["event"] == "cloud")]
    took_part = {(row["node"], row["cloud_round"]) for row in skipping.rounds if row["event"] == "edge"}
    law = where.scenario.base_stations.outage
    first_up_s = min(outages_of(law, site, where.streams).back_at_s(0.0) for site in range(3))
    for number, began_s in enumerate(cloud_s[:-1]):
        for site in range(3):
            up = any(a <= max(began_s, first_up_s) < b for a, b in ups(where, site, 1e3))
            assert ((f"bs-{site:02d}", number) in took_part) == up


def test_a_cloud_without_any_site_waits_for_the_first_repair() -> None:
    for seed in range(200):
        back_s = [Trajectory(exponential(0.5, 0.3, "outage", site, Streams(seed))).back_at_s(0.0) for site in range(3)]
        if min(back_s) > 0.0:
            break
    result = run(failing("skip", seed), Counting(cloud_rounds=1, bs_iterations=1))
    first = back_s.index(min(back_s))
    assert {row["base_station"] for row in result.participation} == {f"bs-{first:02d}"}
    assert min(row["start_s"] for row in result.participation) > back_s[first]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 5.0), st.floats(0.1, 2.0), st.integers(0, 1000))
def test_a_site_is_up_its_share_of_the_time(up_s: float, down_s: float, seed: int) -> None:
    walk = Trajectory(exponential(up_s, down_s, "outage", 0, Streams(seed)))
    now, lengths = 0.0, []
    for _ in range(400):
        now = walk.back_at_s(now)
        end = walk.on_until_s(now)
        assert now < end < inf
        lengths.append(end - now)
        now = end
    mean = sum(lengths[1:]) / (len(lengths) - 1)
    assert abs(mean - up_s) < 5.0 * up_s / 20.0
