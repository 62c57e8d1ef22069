"""Updates that are late and carried over to a later iteration of their base station."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.port import BoolArray, Cohort, Late
from netsim.port import Plan as AnyPlan
from netsim.world import World
from scenarios.errors import ScenarioError
from scenarios.loading import check
from tests.netsim.any_motion import moving_worlds
from tests.netsim.any_scenario import faulty_settings, worlds
from tests.netsim.counting import Counting
from tests.netsim.worlds import ENERGY_COLUMNS, change, run, scenario, world

CLOSE = 1e-9
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Patient(Counting):
    """Counts what it is asked to merge, and complains about what comes twice or is said to be older than it is.

    Attributes:
        merged: (cohort, terminal) of everything merged, and how late it was.
    """

    sent: int = 0
    merges: Counter[int] = field(default_factory=Counter)
    merged: dict[tuple[int, int], int] = field(default_factory=dict)

    def train(self, cohort: Cohort, plan: AnyPlan) -> Any:
        """Give an iteration a number."""
        self.sent += 1
        return self.sent, self.merges[int(cohort.sites[0])]

    def merge(self, cohort: Cohort, work: Any, arrived: BoolArray, *, late: Sequence[Late] = ()) -> None:
        """Note everything."""
        site = int(cohort.sites[0])
        for part in (Late(cohort, work, arrived, 0), *late):
            assert part.cohort.sites.tolist() == [site]
            number, iteration = part.work
            assert part.staleness == self.merges[site] - iteration
            for terminal in part.cohort.terminals[part.arrived].tolist():
                assert (number, terminal) not in self.merged
                self.merged[number, terminal] = part.staleness
            self.total += int(part.arrived.sum())
        assert not late or any(part.arrived.any() for part in late)
        self.merges[site] += 1

    def combine(self) -> None:
        """Everything is counted already."""

    def adopt(self, sites: Any) -> None:
        """Nothing begins anew."""


@st.composite
def carrying(draw: st.DrawFn) -> World:
    """Return a world whose base stations do not wait for all, and throw nothing away."""
    policy = {"policy": draw(st.sampled_from(["first_k", "deadline"])), "k_fraction": 0.3, "late": "carry"}
    policy["deadline_s"] = draw(st.floats(0.01, 0.3))
    if draw(st.booleans()):
        return draw(worlds(collection=policy))
    made = draw(faulty_settings())
    for kind in made["terminals"]["classes"]:
        kind.get("dvfs", {})["policy"] = "highest"
    made["collection"] = policy
    return world(scenario(budget={"time_s": 2.0}, **made), 2, 3, draw(st.integers(0, 999)))


def patients() -> st.SearchStrategy[Patient]:
    sizes = st.sampled_from([4e3, 5e4, 2e5])
    samples = st.sampled_from([1.0, 20.0, 200.0])
    return st.builds(Patient, bits_down=sizes, bits_up=sizes, samples=samples, spread=st.just(0.381966))


@FEW
@given(carrying(), patients())
def test_every_update_is_merged_once_as_late_as_its_row_says(where: World, method: Patient) -> None:
    result = run(where, method)
    last_s: defaultdict[str, float] = defaultdict(lambda: -1.0)
    for row in result.rounds:
        if row["event"] == "edge":
            last_s[row["node"]] = row["time_s"]
    rows = [row for row in result.participation if row["outcome"] == "merged"]
    counted = Counter(row.get("staleness") for row in rows if row["finish_s"] < last_s[row["base_station"]])
    at_the_end = Counter(row.get("staleness") for row in rows if row["finish_s"] <= last_s[row["base_station"]])
    merged = Counter(float(age) for age in method.merged.values())
    assert all(counted[age] <= merged[age] <= at_the_end[age] for age in counted | merged)
    assert sum(row["participants"] for row in result.rounds if row["event"] == "edge") == method.total
    keys = [(row["base_station"], row["edge_round"], row["terminal"]) for row in result.participation]
    assert len(keys) == len(set(keys))
    assert all(row["outcome"] != "late" for row in result.participation)


@FEW
@given(carrying(), patients())
def test_joules_and_bytes_add_up_and_a_terminal_does_one_thing_at_a_time(where: World, method: Patient) -> None:
    result = run(where, method)
    for row in result.rounds:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=CLOSE, abs=1e-15)
        carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
        assert row["bytes"] >= carried * (1.0 - CLOSE)
    sent = sum(row["bytes_up"] for row in result.terminals)
    assert result.rounds[-1]["bytes_uplink"] == pytest.approx(sent, rel=CLOSE)
    free_s: Counter[int] = Counter()
    for row in sorted(result.participation, key=lambda row: row["start_s"]):
        assert row["start_s"] >= free_s[row["terminal"]] - 1e-9
        free_s[row["terminal"]] = row["start_s"] + sum(row[n] for n in ("compute_s", "upload_s") if row[n] == row[n])


@settings(FEW, max_examples=10)
@given(moving_worlds(), patients())
def test_updates_of_terminals_that_have_moved_find_their_way(where: World, method: Patient) -> None:
    policy = {"policy": "first_k", "k_fraction": 0.3, "late": "carry"}
    made = where.scenario.model_copy(update={"collection": where.scenario.collection.model_copy(update=policy)})
    result = run(world(made, where.sites, where.terminals // where.sites, where.streams.seed), method)
    assert sum(row["participants"] for row in result.rounds if row["event"] == "edge") == method.total


def test_a_slow_terminal_is_merged_when_it_comes_and_is_not_asked_meanwhile() -> None:
    made = {"policy": "first_k", "k_fraction": 0.5, "late": "carry"}
    where = world(scenario(collection=made, terminals={"slowdown": {"kind": "none"}}), 1, 4)
    change(where, 3, cpu_hz=where.devices[3].cpu_hz / 20.0)
    result = run(where, Patient(samples=500.0, cloud_rounds=15, bits_down=1e3, bits_up=1e3))
    slow = [row for row in result.participation if row["terminal"] == 3]
    assert len(slow) == 1 or slow[1]["start_s"] > slow[0]["finish_s"]
    assert slow[0]["outcome"] == "merged"
    assert slow[0]["staleness"] > 3.0
    merged_in = slow[0]["edge_round"] + int(slow[0]["staleness"])
    edges = [row for row in result.rounds if row["event"] == "edge"]
    assert edges[merged_in - 1]["time_s"] < slow[0]["finish_s"] <= edges[merged_in]["time_s"]
    dropped = run(world(scenario(collection=made | {"late": "drop"}), 1, 4), Counting(cloud_rounds=15))
    assert "staleness" not in dropped.participation[0]


def test_a_sum_made_by_the_air_has_no_room_for_late_updates() -> None:
    tree: dict[str, Any] = {"name": "x", "methods": {"fedavg": {}}, "budget": {"time_s": 1.0}}
    tree |= {"collection": {"late": "carry"}, "network": {"uplink": {"transfer": "over_the_air"}}}
    with pytest.raises(ScenarioError, match=r"digital with collection\.late carry"):
        check(tree)
