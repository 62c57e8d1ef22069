"""Local work: the slow-down laws against their closed forms, and device classes in proportion."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsim.compute import assign_classes, duration_s, slowdown_factor
from scenarios.equipment import DeviceClass, Slowdown, Terminals
from scenarios.streams import Streams

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
