"""Without rounds: who is sent which version, what arrives, and that nothing is lost or counted twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from netsim.engines import run as run_engine
from netsim.world import World, build_ground
from scenarios.errors import ScenarioError
from scenarios.streams import Streams
from tests.netsim.any_motion import moving_worlds
from tests.netsim.any_scenario import SHARES, faulty_settings, methods, worlds
from tests.netsim.ledger import Ledger
from tests.netsim.worlds import ENERGY_COLUMNS, device, run, scenario, world

CLOSE = 1e-9
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STEADY = {"slowdown": {"kind": "none"}}
DIGITAL = tuple(share for share in SHARES if share != "allotted")


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Return a fresh method with messages of any size."""
    common = draw(methods(bs_iterations=1))
    names = ("bits_down", "bits_up", "bits_personal", "only_personal", "samples", "local_iterations")
    told = {name: getattr(common, name) for name in names}
    oldest = draw(st.sampled_from([0, 3, 10**9]))
    return Ledger(**told, spread=0.381966, buffer=draw(st.integers(1, 5)), oldest=oldest)


@st.composite
def faulty_worlds(draw: st.DrawFn) -> World:
    """Return a world in which batteries run empty and recover, days pass, and sites sleep and fail."""
    made = draw(faulty_settings())
    made["collection"] = {"redispatch": draw(st.sampled_from(["after_all", "at_once"]))}
    clock = {"levels_hz": [0.1e9, 0.4e9], "policy": "highest"}
    made["terminals"]["classes"] = [kind | {"dvfs": clock} for kind in made["terminals"]["classes"]]
    return world(scenario(budget={"time_s": 2.0}, **made), 2, 3, draw(st.integers(0, 999)))


ANY = st.one_of(worlds(shares=DIGITAL), faulty_worlds(), moving_worlds())


@FEW
@given(ANY, ledgers())
def test_every_report_is_taken_in_once_and_its_row_says_how_old_it_was(where: World, method: Ledger) -> None:
    result = run(where, method)
    rows = [row for row in result.participation if row["outcome"] in ("merged", "late")]
    assert len(rows) == len(method.taken) == method.total + method.refused
    assert sum(row["outcome"] == "merged" for row in rows) == method.total
    assert [row["finish_s"] for row in rows] == sorted(row["finish_s"] for row in rows)
    tries: Counter[int] = Counter()
    for row in result.participation:
        assert row["edge_round"] == tries[row["terminal"]]  # no assignment is missing, and none is there twice
        tries[row["terminal"]] += 1
        assert (row["outcome"] in ("merged", "late")) == (row["finish_s"] == row["finish_s"])
    assert all((row["staleness"] <= method.oldest) == (row["outcome"] == "merged") for row in rows)
    assert sum(row["participants"] for row in result.rounds if row["event"] in ("cloud", "end")) == method.total


@FEW
@given(ANY, ledgers())
def test_joules_and_bytes_add_up(where: World, method: Ledger) -> None:
    result = run(where, method)
    meters = (where.terminal_meter, where.site_meter, where.backhaul_meter)
    total_j = pytest.approx(where.budget.energy.level, rel=CLOSE, abs=1e-15)
    assert sum(meter.component_j(part) for meter in meters for part in meter.components) == total_j
    for row in result.rounds:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=CLOSE, abs=1e-15)
        carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
        assert row["bytes"] >= carried * (1.0 - CLOSE)
    last = result.rounds[-1]
    assert last["bytes_uplink"] == pytest.approx(sum(row["bytes_up"] for row in result.terminals), rel=CLOSE)
    if where.scenario.base_stations.outage is None:  # what a failure cuts off is sent again
        received = sum(row["bytes_down"] for row in result.terminals)
        assert last["bytes_downlink"] == pytest.approx(received, rel=CLOSE)


@FEW
@given(ANY, ledgers())
def test_a_terminal_does_one_thing_at_a_time_and_the_radio_of_its_site_sends_one_thing_at_a_time(
    where: World, method: Ledger
) -> None:
    result = run(where, method)
    free_s: Counter[int] = Counter()
    for row in sorted(result.participation, key=lambda row: row["start_s"]):
        assert row["start_s"] >= free_s[row["terminal"]] - 1e-9
        free_s[row["terminal"]] = row["start_s"] + sum(row[n] for n in ("compute_s", "upload_s") if row[n] == row[n])
        if row["outcome"] == "merged":
            assert row["finish_s"] >= free_s[row["terminal"]]
    for row in result.base_stations:
        assert row["downlink_airtime_s"] <= result.totals["time_s"] * (1.0 + CLOSE)


@settings(FEW, max_examples=15)
@given(faulty_worlds(), ledgers())
def test_the_same_world_runs_the_same_way_twice(where: World, method: Ledger) -> None:
    again = world(where.scenario, where.sites, where.terminals // where.sites, where.streams.seed)
    twin = replace(method)
    twin.taken = set()
    assert repr(run(where, method)) == repr(run(again, twin))


@settings(FEW, max_examples=15)
@given(faulty_worlds(), ledgers(), st.sampled_from(["energy_j", "bytes", "cost"]), st.floats(0.1, 0.9))
def test_a_limit_ends_the_run_and_is_not_passed(where: World, method: Ledger, limit: str, share: float) -> None:
    free = world(where.scenario, where.sites, 3, where.streams.seed)
    twin = replace(method)
    twin.taken = set()
    most = share * run(free, twin).totals[limit]
    assume(most > 1e-6)
    limited = where.scenario.model_copy(update={"budget": where.scenario.budget.model_copy(update={limit: most})})
    result = run(world(limited, where.sites, 3, where.streams.seed), method)
    assert result.totals[limit] <= most * (1.0 + CLOSE)
    assert result.ended_by == f"{limit.removesuffix('_j')} budget"


def test_a_lone_terminal_goes_through_wire_air_work_air_and_wire() -> None:
    where = world(scenario(budget={"time_s": 20.0}, terminals=STEADY), 1, 1)
    method = Ledger(bits_down=3e5, bits_up=2e5, cloud_rounds=5)
    result = run(where, method)
    network, radio, kind = where.scenario.network, where.radio, where.devices[0]
    wires_s = (3e5 + 2e5) / where.backhaul.rate_bps(0) + 2.0 * where.backhaul.latency_s(0)
    air_s = 3e5 / radio.broadcast_bps([0]) + 2e5 / radio.whole_band_bps(0)
    access_s = network.downlink.access_delay_s + network.uplink.access_delay_s
    trip_s = wires_s + air_s + access_s + 100.0 * kind.cycles_per_sample / kind.cpu_hz
    finish_s = [row["finish_s"] for row in result.participation]
    assert finish_s == pytest.approx([trip_s * (i + 1) for i in range(5)], rel=CLOSE)
    assert [row["staleness"] for row in result.participation] == [0.0] * 5
    assert result.ended_by == "plan complete"
    last = result.rounds[-1]
    assert last["bytes_downlink"] == 5 * 3e5 / 8.0
    assert last["bytes_uplink"] == pytest.approx(5 * 2e5 / 8.0)
    assert last["bytes_backhaul"] == 5 * 5e5 / 8.0


@pytest.mark.parametrize(
    ("redispatch", "staleness"), [("after_all", [0, 1, 0, 1, 0, 1]), ("at_once", [0, 1, 1, 1, 1, 1])]
)
def test_who_report_together_are_sent_the_model_of_both_or_each_its_own(redispatch: str, staleness: list[int]) -> None:
    where = world(scenario(collection={"redispatch": redispatch}, terminals=STEADY), 2, 1)
    result = run(where, Ledger(cloud_rounds=3))
    rows = result.participation
    assert [row["terminal"] for row in rows] == [0, 1] * 3
    assert rows[0]["finish_s"] == rows[1]["finish_s"]
    assert [row["staleness"] for row in rows] == staleness


def test_slow_terminals_report_less_often_and_on_older_models() -> None:
    kinds = [{"name": "fast", "cpu_hz": 2e9}, {"name": "slow", "cpu_hz": 2e7}]
    where = world(scenario(budget={"time_s": 30.0}, terminals={"classes": kinds}), 2, 4)
    result = run(where, Ledger(samples=500.0))
    names = [kind.name for kind in where.devices]
    assert set(names) == {"fast", "slow"}
    reports, age = Counter[str](), Counter[str]()
    for row in result.participation:
        reports[names[row["terminal"]]] += 1
        age[names[row["terminal"]]] += int(row["staleness"])
    assert reports["fast"] / names.count("fast") > 5.0 * reports["slow"] / names.count("slow")
    assert age["slow"] / reports["slow"] > 5.0 * age["fast"] / reports["fast"]


def test_the_run_is_over_when_the_last_battery_is_empty() -> None:
    where = world(scenario(terminals=device(battery_j=1.0), budget={"time_s": 1e6}), 2, 2)
    method = Ledger()
    result = run(where, method)
    assert result.ended_by == "no terminal left"
    assert all(row["state_of_charge"] == 0.0 for row in result.terminals)
    assert method.total > 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"network": {"uplink": {"share": "allotted"}}}, "network.uplink.share"),
        ({"network": {"uplink": {"transfer": "over_the_air"}}}, "network.uplink.transfer"),
        (
            {"base_stations": {"outage": {"recovery": "reassociate", "mean_up_s": 1.0, "mean_down_s": 1.0}}},
            "base_stations.outage.recovery",
        ),
        ({"engine": "cohort"}, "engine"),
    ],
)
def test_what_needs_rounds_is_refused(changes: dict[str, Any], field: str) -> None:
    made = scenario(**changes)
    ground = build_ground(made, world(scenario(), 2, 1).deployment.serving, 2, Streams(0))
    with pytest.raises(ScenarioError) as refusal:
        run_engine(ground, Ledger(), ["a", "b"])
    assert refusal.value.field == field
    assert "asynchronous" in str(refusal.value)
