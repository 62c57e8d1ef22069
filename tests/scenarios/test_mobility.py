"""Mobility sections that make no sense are refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.errors import ScenarioError
from scenarios.loading import check

BASE: dict[str, Any] = {
    "name": "test",
    "methods": {"fedavg": {}},
    "budget": {"time_s": 1.0},
    "network": {"propagation": {"spatial_consistency": True}},
}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"speed_mps": [3.0, 2.0]}, "lowest speed that is at most the highest"),
        ({"speed_mps": [0.0, 2.0]}, "lowest speed above 0 for random_waypoint"),
        ({"model": "manhattan", "class_speed_mps": {"device": [0.0, 2.0]}}, "lowest speed above 0 for manhattan"),
        ({"class_speed_mps": {"tram": [1.0, 2.0]}}, "device classes: device"),
        ({"model": "trace"}, "a trace_path for trace"),
        ({"trace_path": "ways.csv"}, "a trace_path for trace"),
        ({"memory": 1.0}, "less than 1"),
        ({"handover": {"in_flight": "teleport"}}, "'finish', 'migrate' or 'restart'"),
        ({"hand_over": {}}, "did you mean 'handover'"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused_in_one_line(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        check(BASE | {"mobility": section})
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_who_moves_needs_a_landscape_to_move_through() -> None:
    with pytest.raises(ScenarioError, match="spatial_consistency: true with mobility"):
        check(BASE | {"network": {}, "mobility": {}})


@pytest.mark.parametrize(
    "network",
    [
        {"interference": {"model": "load"}},
        {"uplink": {"share": "allotted"}},
        {"uplink": {"share": "slots"}},
        {"uplink": {"transfer": "over_the_air"}},
    ],
)
@pytest.mark.parametrize("cause", ["mobility", "reassociate"])
def test_what_knows_only_links_at_the_start_is_refused(network: dict[str, Any], cause: str) -> None:
    outage = {"mean_up_s": 1.0, "mean_down_s": 1.0, "recovery": "reassociate"}
    section: dict[str, Any] = {"mobility": {}} if cause == "mobility" else {"base_stations": {"outage": outage}}
    with pytest.raises(ScenarioError, match=f"with .*{cause}") as caught:
        check(BASE | {"network": {"propagation": {"spatial_consistency": True}, **network}} | section)
    assert "\n" not in str(caught.value)


def test_who_moves_may_be_disturbed_share_wires_and_find_sites_down() -> None:
    network = {"propagation": {"spatial_consistency": True}, "interference": {"model": "coupled"}}
    outage = {"mean_up_s": 1.0, "mean_down_s": 1.0, "recovery": "reassociate"}
    whole = BASE | {"network": network | {"backhaul": {"shared": True}}, "base_stations": {"outage": outage}}
    assert check(whole | {"mobility": {}}).cells_change and not check(BASE).cells_change
    with pytest.raises(ScenarioError, match="membership: keep"):
        check(whole | {"mobility": {"membership": "leave"}})


def test_standing_still_is_allowed_and_nobody_moves_by_default() -> None:
    assert check(BASE).mobility is None
    still = check(BASE | {"mobility": {"speed_mps": [0.0, 0.0], "class_speed_mps": {"device": [0.0, 0.0]}}})
    assert still.mobility is not None and still.mobility.handover.in_flight == "migrate"
