"""Draws and trajectories in compiled code: those of the streams, the slow-down laws and the on/off process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from netsim import compute
from netsim.availability import Presence
from netsim.cohort.account import Cursor, forward
from netsim.cohort.luck import slowdown_factor, uniform
from netsim.cohort.plant import make_plant, make_rules
from netsim.cohort.population import new_population
from netsim.world import Ground
from scenarios.streams import Streams
from tests.netsim.worlds import scenario, world

WORD = st.integers(0, 2**32 - 1)
ROUNDING = 4.5e-16  # two units in the last place: the C library's functions may be inlined differently
LAWS = [
    {"kind": "none"},
    {"kind": "shifted_exponential", "scale": 0.7},
    {"kind": "pareto", "tail_index": 1.3},
    {"kind": "lognormal", "scale": 0.9},
    {"kind": "bimodal", "slow_probability": 0.3, "slow_factor": 7.0},
]
COMPILED = settings(max_examples=100, deadline=None)  # the first example waits for the compiler
TIMES = st.lists(st.floats(0.0, 500.0), min_size=1, max_size=20).map(sorted)


@COMPILED
@given(st.integers(0, 2**63 - 1), st.text(max_size=10), WORD, WORD, WORD)
def test_a_compiled_draw_has_the_bits_of_the_streams_draw(
    seed: int, purpose: str, entity: int, round_: int, draw: int
) -> None:
    streams = Streams(seed)
    assert uniform(streams.key(purpose), entity, round_, draw) == streams.number(purpose, entity, round_, draw)


def test_many_compiled_draws_have_the_bits_of_the_streams_arrays() -> None:
    streams = Streams(7)
    entity, round_, draw = np.meshgrid([0, 1, 10**6, 2**32 - 1], np.arange(25), np.arange(3), indexing="ij")
    key = streams.key("slowdown")
    mine = [uniform(key, *each) for each in zip(*(a.ravel().tolist() for a in (entity, round_, draw)), strict=True)]
    np.testing.assert_array_equal(mine, streams.uniform("slowdown", entity, round_, draw).ravel())
    assert len(set(mine)) == len(mine)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: str(law["kind"]))
def test_a_slow_down_is_that_of_its_law(law: dict[str, Any]) -> None:
    where = world(scenario(terminals={"slowdown": law}), seed=11)
    rules, streams, factors = make_rules(where), where.streams, set()
    for entity in range(20):
        for round_ in range(20):
            u = streams.number("slowdown", entity, round_)
            mine = slowdown_factor(rules, entity, round_, float(ndtri(u)))
            assert mine == pytest.approx(compute.slowdown_factor(where.scenario.terminals.slowdown, u), rel=ROUNDING)
            factors.add(mine)
    assert len(factors) == {"none": 1, "bimodal": 2}.get(law["kind"], 400)


def _absent(mean_on_s: float, mean_off_s: float) -> Ground:
    """Return a ground of six terminals that come and go."""
    absences = {"availability": {"mean_on_s": mean_on_s, "mean_off_s": mean_off_s}}
    return world(scenario(terminals=absences), seed=3)


def _cursor(where: Ground) -> Cursor:
    """Return everybody's place on the trajectories at time 0."""
    return new_population(make_plant(where), make_rules(where)).presence


@COMPILED
@given(TIMES, st.floats(1.0, 50.0), st.floats(1.0, 50.0))
def test_a_cursor_walks_along_the_trajectory_of_the_presence(
    times: list[float], mean_on_s: float, mean_off_s: float
) -> None:
    where = _absent(mean_on_s, mean_off_s)
    plant, rules, cursor = make_plant(where), make_rules(where), _cursor(where)
    law, entities = where.scenario.terminals.availability, where.deployment.entity.tolist()
    presences = [Presence(law, entity, where.streams) for entity in entities]
    for time_s in times:
        for j, presence in enumerate(presences):
            forward(plant, rules, cursor, j, time_s)
            on_until_s, back_at_s = presence.on_until_s(time_s), presence.back_at_s(time_s)
            assert cursor.on[j] == (on_until_s > time_s)
            assert cursor.until_s[j] == pytest.approx(max(on_until_s, back_at_s), rel=1e-14)


def test_at_the_instant_of_a_change_the_new_period_has_begun() -> None:
    where = _absent(2.0, 1.0)
    plant, rules, cursor = make_plant(where), make_rules(where), _cursor(where)
    for _ in range(20):
        before = cursor.on.copy(), cursor.until_s.copy()
        for j in range(where.terminals):
            forward(plant, rules, cursor, j, cursor.until_s[j])
        assert (cursor.on != before[0]).all() and (cursor.until_s > before[1]).all()
    assert (cursor.period == 20).all()


def test_a_cursor_that_is_moved_rarely_comes_to_the_place_of_one_moved_often() -> None:
    where = _absent(2.0, 1.0)
    plant, rules, rarely, often = make_plant(where), make_rules(where), _cursor(where), _cursor(where)
    for j in range(where.terminals):
        forward(plant, rules, rarely, j, 300.0)
        for time_s in np.linspace(0.0, 300.0, 777).tolist():
            forward(plant, rules, often, j, time_s)
    for mine, theirs in zip(rarely, often, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert rarely.period.min() > 100


def test_without_absences_a_cursor_stays_where_it_is() -> None:
    where = world(scenario())
    cursor = _cursor(where)
    for j in range(where.terminals):
        forward(make_plant(where), make_rules(where), cursor, j, 1e12)
    assert cursor.on.all() and (cursor.until_s == np.inf).all() and (cursor.period == 0).all()
