"""The same seed gives the same run, and what differs between two runs meets the same world."""

from math import isnan
from typing import Any

import numpy as np
import pytest

from netsim.availability import Presence
from netsim.simulation import Result
from scenarios.streams import Streams
from tests.netsim.any_scenario import SHARES
from tests.netsim.counting import Counting
from tests.netsim.worlds import run, scenario, world

MESSY: dict[str, Any] = {
    "budget": {"time_s": 4.0},
    "terminals": {
        "classes": [
            {"name": "fast", "cpu_hz": 2e9, "cycles_per_sample": 2e5},
            {"name": "slow", "cpu_hz": 0.2e9, "cycles_per_sample": 2e5, "battery_j": 2.0},
        ],
        "slowdown": {"kind": "pareto"},
        "dropout_probability": 0.1,
        "availability": {"mean_on_s": 1.0, "mean_off_s": 0.5},
    },
    "collection": {"policy": "first_k"},
}


def messy(seed: int, method: Counting | None = None, per_site: int = 3) -> Result:
    return run(world(scenario(**MESSY), 2, per_site, seed), method)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("policy", ["all", "first_k", "deadline"])
def test_two_runs_with_one_seed_are_identical_bit_for_bit(share: str, policy: str) -> None:
    changes = MESSY | {"network": {"uplink": {"share": share}}, "collection": {"policy": policy, "deadline_s": 0.1}}
    one, other = (run(world(scenario(**changes), 3, 4, 11)) for _ in range(2))
    assert repr(one) == repr(other)
    assert len(one.participation) > 50


def test_another_seed_is_another_world() -> None:
    assert repr(messy(0)) != repr(messy(1))


def test_more_terminals_elsewhere_leave_the_others_where_and_as_they_were() -> None:
    few, many = (world(scenario(**MESSY), 3, per_site, 5) for per_site in (2, 5))
    kept = np.concatenate([many.terminals_of(site)[:2] for site in range(3)])
    for name in (
        "entity",
        "terminal_xy_m",
        "los",
        "path_loss_db",
        "shadowing_db",
        "distance_m",
        "serving_gain",
        "neighbour_gain",
    ):
        np.testing.assert_array_equal(getattr(few.deployment, name), getattr(many.deployment, name)[kept], err_msg=name)
    np.testing.assert_array_equal(few.radio.uplink_snr, many.radio.uplink_snr[kept])
    assert list(few.devices) == [many.devices[i] for i in kept]
    for mine, same in zip(few.presences, (many.presences[i] for i in kept), strict=True):
        assert [mine.on_until_s(t) for t in range(20)] == [same.on_until_s(t) for t in range(20)]


def slowdowns(result: Result, method: Counting) -> dict[tuple[int, int], float]:
    """Return the realised slow-down by (terminal, iteration), where it was worked off completely."""
    rows = [row for row in result.participation if row["outcome"] == "merged"]
    hertz = {row["terminal"]: row["cpu_hz"] for row in result.terminals}
    cycles = method.samples * method.local_iterations * 2e5
    return {(r["terminal"], r["edge_round"]): r["compute_s"] / (cycles / hertz[r["terminal"]]) for r in rows}


def test_two_methods_meet_the_same_slowdowns() -> None:
    light, heavy = Counting(bits_up=4e3, samples=10.0), Counting(bits_up=1e5, samples=40.0, local_iterations=3)
    one, other = slowdowns(messy(3, light), light), slowdowns(messy(3, heavy), heavy)
    both = one.keys() & other.keys()
    assert len(both) > 20
    for key in both:
        assert one[key] == pytest.approx(other[key], rel=1e-6)
    assert np.std([one[key] for key in both]) > 0.1


def test_more_terminals_elsewhere_leave_the_slowdowns_of_the_others() -> None:
    method = Counting(samples=40.0)
    few, many = slowdowns(messy(3, method), method), slowdowns(messy(3, method, per_site=5), method)
    same = {(3 * site + place, r): (5 * site + place, r) for site in (0, 1) for place in range(3) for r in range(20)}
    pairs = [(few[a], many[b]) for a, b in same.items() if a in few and b in many]
    assert len(pairs) > 15
    np.testing.assert_allclose([one for one, _ in pairs], [other for _, other in pairs], rtol=1e-6)


def test_two_methods_meet_the_same_absences() -> None:
    settings = scenario(**MESSY)
    for method in (Counting(bits_up=4e3), Counting(bits_up=2e5, samples=100.0)):
        where = world(settings, seed=7)
        result = run(where, method)
        entity = where.deployment.entity
        for row in result.participation:
            presence = Presence(settings.terminals.availability, int(entity[row["terminal"]]), Streams(7))
            here = presence.back_at_s(row["start_s"]) == row["start_s"]
            if not here:
                assert row["outcome"] in ("unavailable", "dropped")
            elif row["outcome"] == "unavailable":  # or its battery is empty
                assert result.terminals[row["terminal"]]["energy_j"] == pytest.approx(2.0)
            if not isnan(row["finish_s"]) and row["finish_s"] > row["start_s"]:
                assert presence.on_until_s(row["start_s"]) >= row["finish_s"]
