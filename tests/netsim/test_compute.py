"""Local work: the slow-down laws against their closed forms, and device classes in proportion."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsim.compute import (
    as_it_acts,
    assign_classes,
    computing_w,
    duration_s,
    slowdown_factor,
    slowest_hz,
    usual_hz,
)
from scenarios.equipment import DeviceClass, Slowdown, Terminals
from scenarios.streams import Streams
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

PROBABILITY = st.floats(1e-9, 1.0 - 1e-9)


def mean(law: Slowdown) -> float:
    """Integrate the quantile function over (0, 1), finely towards 1, where the tail is."""
    edges = np.concatenate([[0.0], 1.0 - np.logspace(0.0, -15.0, 60_001)[1:]])
    middles = (edges[1:] + edges[:-1]) / 2.0
    return float(np.diff(edges) @ [slowdown_factor(law, float(u)) for u in middles])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"kind": "none"}, 1.0),
        ({"kind": "shifted_exponential", "scale": 0.5}, 1.5),
        ({"kind": "shifted_exponential", "scale": 2.0}, 3.0),
        ({"kind": "pareto", "tail_index": 2.0}, 2.0),
        ({"kind": "pareto", "tail_index": 3.0}, 1.5),
        ({"kind": "lognormal", "scale": 0.5}, np.exp(0.125)),
        ({"kind": "lognormal", "scale": 1.0}, np.exp(0.5)),
        ({"kind": "bimodal", "slow_probability": 0.1, "slow_factor": 5.0}, 1.4),
    ],
)
def test_the_mean_of_every_slowdown_law_is_its_closed_form(parameters: dict[str, Any], expected: float) -> None:
    assert mean(Slowdown(**parameters)) == pytest.approx(expected, rel=1e-3)


@given(PROBABILITY, st.floats(0.05, 3.0))
def test_slowdowns_are_the_quantiles_of_their_laws(u: float, parameter: float) -> None:
    exponential = slowdown_factor(Slowdown(kind="shifted_exponential", scale=parameter), u)
    assert exponential == pytest.approx(stats.expon(loc=1.0, scale=parameter).ppf(u), rel=1e-12)
    pareto = slowdown_factor(Slowdown(kind="pareto", tail_index=parameter), u)
    assert pareto == pytest.approx(stats.pareto(parameter).ppf(u), rel=1e-9)
    lognormal = slowdown_factor(Slowdown(kind="lognormal", scale=parameter), u)
    assert lognormal == pytest.approx(stats.lognorm(parameter).ppf(u), rel=1e-9)


@pytest.mark.parametrize("kind", ["none", "shifted_exponential", "pareto", "lognormal", "bimodal"])
@given(PROBABILITY, PROBABILITY)
def test_worse_luck_is_never_faster(kind: str, one: float, other: float) -> None:
    law = Slowdown(kind=kind)  # type: ignore[arg-type]
    low, high = sorted((one, other))
    assert slowdown_factor(law, low) <= slowdown_factor(law, high)
    assert slowdown_factor(law, low) >= (0.0 if kind == "lognormal" else 1.0)


def test_a_bimodal_terminal_is_slow_in_its_share_of_rounds() -> None:
    law = Slowdown(kind="bimodal", slow_probability=0.2, slow_factor=7.0)
    drawn = [slowdown_factor(law, float(u)) for u in Streams(0).uniform("slowdown", np.arange(20_000))]
    assert set(drawn) == {1.0, 7.0}
    assert stats.binomtest(drawn.count(7.0), len(drawn), 0.2).pvalue > 0.01


def test_visiting_rows_takes_cycles_over_clock_times_slowdown() -> None:
    device = DeviceClass(name="device", cpu_hz=2e9, cycles_per_sample=1e6)
    assert duration_s(300.0, device, 1.5) == pytest.approx(300 * 1e6 / 2e9 * 1.5)


def test_device_classes_come_in_proportion_to_their_weights() -> None:
    kinds = tuple(DeviceClass(name=name, weight=weight) for name, weight in (("a", 2.0), ("b", 1.0), ("c", 5.0)))
    names = [kind.name for kind in assign_classes(Terminals(classes=kinds), np.arange(16_000), Streams(1))]
    counts = [names.count(name) for name in "abc"]
    assert stats.chisquare(counts, np.array([2.0, 1.0, 5.0]) * 2000.0).pvalue > 1e-3


def test_a_single_class_is_everybodys() -> None:
    terminals = Terminals(classes=(DeviceClass(name="only", weight=0.3),))
    assert {kind.name for kind in assign_classes(terminals, np.arange(100), Streams(1))} == {"only"}


LEVELS = st.lists(st.floats(1e8, 4e9), min_size=1, max_size=8, unique=True)


@given(LEVELS, st.floats(1e-29, 1e-27), st.floats(0.0, 1.0))
def test_the_most_efficient_level_costs_least_a_cycle_and_lies_next_to_the_closed_form(
    levels_hz: list[float], kappa: float, static_w: float
) -> None:
    kind = DeviceClass(
        name="a",
        dvfs={"levels_hz": levels_hz, "policy": "most_efficient"},  # type: ignore[arg-type]
        switched_capacitance=kappa,
        processor_static_w=static_w,
    )
    chosen = usual_hz(kind)
    costs = {hz: kappa * hz**2 + static_w / hz for hz in levels_hz}
    assert costs[chosen] == pytest.approx(min(costs.values()), rel=1e-12)
    best_hz = (static_w / (2.0 * kappa)) ** (1.0 / 3.0)
    below = max((hz for hz in levels_hz if hz <= best_hz), default=min(levels_hz))
    above = min((hz for hz in levels_hz if hz >= best_hz), default=max(levels_hz))
    assert chosen in (below, above)


def test_with_a_fifth_of_a_watt_of_static_power_the_best_clock_is_a_gigahertz() -> None:
    levels = [0.1e9 * step for step in range(1, 31)]
    kind = DeviceClass(name="a", dvfs={"levels_hz": levels, "policy": "most_efficient"}, processor_static_w=0.2)  # type: ignore[arg-type]
    assert usual_hz(kind) == 1e9


@given(LEVELS, st.floats(1e3, 1e10), st.floats(-1.0, 10.0))
def test_the_slowest_level_that_does_is_the_slowest_that_does(
    levels_hz: list[float], cycles: float, left_s: float
) -> None:
    chosen = slowest_hz(levels_hz, cycles, left_s)
    in_time = [hz for hz in levels_hz if cycles <= left_s * hz]
    assert chosen == (min(in_time) if in_time else max(levels_hz))


@pytest.mark.parametrize("policy", ["highest", "most_efficient"])
def test_a_terminal_computes_at_its_level_and_a_cycle_costs_dynamic_and_static_power(policy: str) -> None:
    levels = [0.3e9, 0.9e9, 1.5e9]
    hardware = device(
        dvfs={"levels_hz": levels, "policy": policy}, processor_static_w=0.2, cpu_hz=1.0, cycles_per_sample=1e6
    )
    result = run(
        world(scenario(budget={"time_s": 100.0}, terminals=hardware | {"slowdown": {"kind": "none"}})),
        Counting(cloud_rounds=2),
    )
    hz = {"highest": 1.5e9, "most_efficient": 0.9e9}[policy]
    for row in result.participation:
        assert row["compute_s"] == pytest.approx(row["samples"] * 1e6 / hz, rel=1e-9)
    for row in result.terminals:
        cycles = sum(r["samples"] for r in result.participation if r["terminal"] == row["terminal"]) * 1e6
        assert row["cpu_hz"] == hz
        assert row["energy_compute_j"] == pytest.approx((1e-28 * hz**2 + 0.2 / hz) * cycles, rel=1e-9)


@pytest.mark.parametrize("share", ["tdma", "ofdma"])
def test_clocks_that_aim_at_the_deadline_meet_it_with_less_energy(share: str) -> None:
    levels = [1e8 * step for step in range(1, 21)]
    settings: dict[str, Any] = {
        "collection": {"policy": "deadline", "deadline_s": 0.3},
        "network": {"uplink": {"share": share}},
        "budget": {"time_s": 100.0},
    }
    results = {}
    for policy in ("highest", "deadline"):
        hardware = device(dvfs={"levels_hz": levels, "policy": policy}, cycles_per_sample=1e6)
        where = world(scenario(**settings, terminals=hardware | {"slowdown": {"kind": "none"}}), 2, 3)
        results[policy] = run(where, Counting(cloud_rounds=3, spread=0.37))
    assert [row["outcome"] for row in results["deadline"].participation] == ["merged"] * 36
    used = {policy: result.rounds[-1]["energy_terminal_compute_j"] for policy, result in results.items()}
    assert used["deadline"] < 0.2 * used["highest"]
    for row in results["deadline"].participation:
        hz = row["samples"] * 1e6 / row["compute_s"]
        slots = min(abs(hz - level) for level in levels)
        assert slots < 1.0 and hz < 2e9
        assert row["compute_s"] + row["upload_s"] <= 0.3


def test_aiming_at_a_deadline_needs_one() -> None:
    with pytest.raises(ValueError, match=r"collection\.policy: deadline"):
        scenario(terminals=device(dvfs={"levels_hz": [1e9], "policy": "deadline"}))


def test_energy_as_most_papers_count_it_is_what_is_radiated_and_what_switches() -> None:
    kind = as_it_acts(DeviceClass(name="a"), paper_energy=True)
    assert computing_w(kind, kind.cpu_hz) == pytest.approx(1e-28 * 1e27)
    where = world(scenario(budget={"time_s": 2.0}, terminals={"paper_energy": True}))
    result = run(where)
    last = result.rounds[-1]
    assert last["energy_terminal_receive_j"] == last["energy_terminal_idle_j"] == 0.0
    full = run(world(scenario(budget={"time_s": 2.0}))).rounds[-1]
    radiated_w = 10.0 ** (23.0 / 10.0) / 1e3
    share = radiated_w / (radiated_w / 0.35 + 0.15)
    assert last["energy_terminal_transmit_j"] == pytest.approx(share * full["energy_terminal_transmit_j"], rel=1e-9)
    assert last["energy_terminal_compute_j"] == full["energy_terminal_compute_j"]
