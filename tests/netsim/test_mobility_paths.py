"""Where terminals go: laws that hold at any time, closed forms of time, and draws of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstest

from netsim.mobility.area import Area, box_of_cells, squares
from netsim.mobility.gauss_markov import GaussMarkov
from netsim.mobility.manhattan import Manhattan
from netsim.mobility.paths import Paths
from netsim.mobility.traces import Traces, read_traces
from netsim.mobility.waypoint import RandomWaypoint, mean_distance_m
from scenarios.errors import ScenarioError
from scenarios.mobility import Mobility
from scenarios.streams import Streams

EAST_M, NORTH_M, BLOCK_M = 900.0, 500.0, (150.0, 100.0)
LOW_MPS, HIGH_MPS, PAUSE_S, LATE_S = 1.0, 20.0, 30.0, 700.0
LAW = Mobility(model="gauss_markov")
Maker = Callable[[np.ndarray, int], Paths]


def _area(n: int) -> Area:
    return Area(np.tile([-100.0, 50.0], (n, 1)), np.tile([EAST_M, NORTH_M], (n, 1)))


def waypoint(entity: np.ndarray, seed: int = 0) -> Paths:
    """Return random waypoint motion with pauses."""
    n = len(entity)
    return RandomWaypoint(_area(n), np.full(n, LOW_MPS), np.full(n, HIGH_MPS), PAUSE_S, entity, Streams(seed))


def gauss_markov(entity: np.ndarray, seed: int = 0) -> Paths:
    """Return motion with inertia."""
    return GaussMarkov(_area(len(entity)), np.full(len(entity), 3.0), LAW, entity, Streams(seed))


def manhattan(entity: np.ndarray, seed: int = 0) -> Paths:
    """Return motion along streets."""
    speed_mps = 2.0 + 3.0 * np.modf(0.618 * entity)[0]
    return Manhattan(_area(len(entity)), speed_mps, BLOCK_M, 0.4, entity, Streams(seed))


MODELS = pytest.mark.parametrize("make", [waypoint, gauss_markov, manhattan])


@MODELS
def test_places_and_speeds_have_the_same_law_at_the_start_and_late(make: Maker) -> None:
    paths = make(np.arange(6000), 1)
    first_m, first_mps = paths.positions(0.0), paths.speeds(0.0)
    late_m, late_mps = paths.positions(LATE_S), paths.speeds(LATE_S)
    assert np.hypot(*(late_m - first_m).T).mean() > 50.0
    for axis in (0, 1):
        assert ks_2samp(first_m[:, axis], late_m[:, axis]).pvalue > 0.01
    assert ks_2samp(first_mps, late_mps).pvalue > 0.01
    # Not only one by one: how far out a terminal is, and how fast it is there.
    out = [np.abs((xy - [350.0, 300.0]) / [EAST_M, NORTH_M]).max(axis=1) for xy in (first_m, late_m)]
    assert ks_2samp(out[0] * first_mps, out[1] * late_mps).pvalue > 0.01


@pytest.mark.parametrize("time_s", [0.0, 123.4])
def test_between_waypoints_slow_terminals_are_met_more_often(time_s: float) -> None:
    speeds = waypoint(np.arange(8000)).speeds(time_s)
    moving = speeds[speeds > 0.0]
    assert kstest(np.log(moving / LOW_MPS) / np.log(HIGH_MPS / LOW_MPS), "uniform").pvalue > 0.01
    leg_s = mean_distance_m(EAST_M, NORTH_M) * np.log(HIGH_MPS / LOW_MPS) / (HIGH_MPS - LOW_MPS)
    share = leg_s / (leg_s + PAUSE_S / 2.0)
    assert len(moving) / len(speeds) == pytest.approx(share, abs=4.0 * np.sqrt(share * (1.0 - share) / 8000))


def test_between_waypoints_the_middle_is_busier_than_the_border() -> None:
    """A known fact: nearly 9/16 (1 - x^2)(1 - y^2) while on the move, so 11/16 of the time in the middle half."""
    xy_m, speeds = waypoint(np.arange(8000)).positions(0.0), waypoint(np.arange(8000)).speeds(0.0)
    middle = np.abs((xy_m[speeds > 0.0, 0] + 100.0) / EAST_M - 0.5) < 0.25
    assert middle.mean() == pytest.approx(11.0 / 16.0, abs=0.03)


def test_two_points_of_a_unit_square_are_half_its_side_apart_and_a_bit_more() -> None:
    assert mean_distance_m(1.0, 1.0) == pytest.approx((2.0 + np.sqrt(2.0) + 5.0 * np.log(1.0 + np.sqrt(2.0))) / 15.0)
    assert mean_distance_m(1e-4, 3.0) == pytest.approx(1.0, rel=1e-3)  # a third of a line
    u = np.random.default_rng(0).random((200_000, 4)) * [2.0, 5.0, 2.0, 5.0]
    assert mean_distance_m(2.0, 5.0) == pytest.approx(np.hypot(*(u[:, :2] - u[:, 2:]).T).mean(), rel=5e-3)


@MODELS
@settings(max_examples=25, deadline=None)
@given(times=st.lists(st.floats(0.0, 300.0), min_size=1, max_size=6), seed=st.integers(0, 2**20))
def test_where_a_terminal_is_depends_on_terminal_time_and_seed_alone(
    make: Maker, times: list[float], seed: int
) -> None:
    together, alone = make(np.arange(5), seed), make(np.array([3]), seed)
    for time_s in times:  # in any order
        np.testing.assert_array_equal(together.positions(time_s)[3], alone.positions(time_s)[0])
        np.testing.assert_array_equal(together.positions(time_s), make(np.arange(5), seed).positions(time_s))


@pytest.mark.parametrize(("make", "top_mps"), [(waypoint, HIGH_MPS), (gauss_markov, 6.0), (manhattan, 5.0)])
def test_nobody_jumps_or_leaves_the_area(make: Maker, top_mps: float) -> None:
    paths, step_s = make(np.arange(40), 2), 0.25
    low_m, high_m = np.array([-100.0, 50.0]), np.array([-100.0 + EAST_M, 50.0 + NORTH_M])
    before_m = paths.positions(0.0)
    for i in range(1, 800):
        here_m = paths.positions(i * step_s)
        assert np.all(np.hypot(*(here_m - before_m).T) <= top_mps * step_s * (1.0 + 1e-9))
        assert np.all((here_m >= low_m - 1e-9) & (here_m <= high_m + 1e-9))
        before_m = here_m


def test_with_inertia_speeds_remember_by_a_factor_a_step() -> None:
    paths = gauss_markov(np.arange(20_000), 5)
    series = np.stack([paths.speeds(0.5 + step * LAW.step_s) for step in range(4)])  # 3 m/s, 0.5 about it: no sign lost
    for lag in (1, 2, 3):
        assert np.corrcoef(series[0], series[lag])[0, 1] == pytest.approx(LAW.memory**lag, abs=0.03)
    assert series.mean() == pytest.approx(3.0, abs=0.01)
    assert series[0].std() == pytest.approx(LAW.speed_deviation_mps, rel=0.03)


@pytest.mark.parametrize("time_s", [0.0, 77.0, 500.0])
def test_in_a_city_everybody_is_in_a_street_and_streets_are_used_alike(time_s: float) -> None:
    xy_m = manhattan(np.arange(20_000)).positions(time_s) - [-100.0, 50.0]
    blocks = xy_m / np.array(BLOCK_M)
    on_line = np.abs(blocks - np.rint(blocks)) < 1e-9
    assert np.all(on_line.any(axis=1))
    # East-west streets are as long as blocks are wide: that share of all streets.
    assert on_line[:, 1].mean() == pytest.approx(BLOCK_M[0] / sum(BLOCK_M), abs=0.02)
    row = np.rint(blocks[on_line[:, 1], 1])
    inner = np.bincount(row.astype(int), minlength=6)
    np.testing.assert_allclose(inner[1:5], inner[1:5].mean(), rtol=0.07)
    np.testing.assert_allclose(inner[[0, 5]], inner[1:5].mean() / 2.0, rtol=0.12)


def test_in_a_city_terminals_turn_as_often_as_they_should() -> None:
    paths = Manhattan(_area(4000), np.full(4000, 10.0), (100.0, 100.0), 0.4, np.arange(4000), Streams(3))
    before = paths.positions(29.9) - paths.positions(29.8)
    after = paths.positions(39.9) - paths.positions(39.8)  # one crossing of 100 m blocks later
    turned = np.abs((before * after).sum(axis=1)) < 1e-9
    assert turned.mean() == pytest.approx(0.4, abs=4.0 * np.sqrt(0.24 / 4000))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 400), st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.floats(0.0, 50.0), min_size=1, max_size=6),
)
def test_traces_are_straight_lines_between_points(
    ways: list[list[tuple[int, float, float]]], times: list[float]
) -> None:
    points = {}
    for i, way in enumerate(ways):
        unique = {0.1 * tenth: (0.1 * tenth, x, y) for tenth, x, y in way}
        points[i] = np.array([unique[time_s] for time_s in sorted(unique)])
    paths = Traces(points)
    for time_s in times:
        expected = [[np.interp(time_s, way[:, 0], way[:, axis]) for axis in (1, 2)] for way in points.values()]
        np.testing.assert_allclose(paths.positions(time_s), expected, atol=1e-9)
    assert paths.at_rest_from_s() == max(way[-1, 0] for way in points.values())


def test_a_trace_file_is_read_in_any_order_of_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "ways.csv"
    path.write_text("terminal,time_s,x_m,y_m\n2,1,5,6\n0,0,1,2\n2,0,3,4\n")
    points = read_traces(str(path), 3)
    assert list(points) == [0, 2]
    np.testing.assert_array_equal(points[2], [[0, 3, 4], [1, 5, 6]])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "mobility.trace_path = "),
        ("terminal,time_s,x_m\n0,0,1\n", "ways.csv: header = 'terminal,time_s,x_m': allowed: columns terminal"),
        ("terminal,time_s,x_m,y_m\n", "ways.csv: rows = 0: allowed: at least one row"),
        ("terminal,time_s,x_m,y_m\n0,0,one,2\n", "row 2: x_m = 'one': allowed: a finite number"),
        ("terminal,time_s,x_m,y_m\n0,0,,2\n", "row 2: x_m = '': allowed: a value"),
        ("terminal,time_s,x_m,y_m\n7,0,1,2\n", "row 2: terminal = '7': allowed: a whole number from 0 to 2"),
        ("terminal,time_s,x_m,y_m\n0.5,0,1,2\n", "row 2: terminal = '0.5': allowed: a whole number"),
        ("terminal,time_s,x_m,y_m\n0,0,1,2\n0,0,3,4\n", "row 3: time_s = '0': allowed: one place of a terminal"),
    ],
)
def test_a_bad_trace_file_gives_one_clear_line(tmp_path: Path, text: str | None, complaint: str) -> None:
    path = tmp_path / "ways.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_traces(str(path), 3)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_the_box_of_a_single_cell_touches_its_hexagon() -> None:
    area = box_of_cells(np.array([[10.0, 20.0]]), 500.0, 2)
    np.testing.assert_allclose(area.low_m[1], [10.0 - 250.0, 20.0 - 500.0 / np.sqrt(3.0)])
    np.testing.assert_allclose(area.size_m[0], [500.0, 1000.0 / np.sqrt(3.0)])


def test_a_fold_mirrors_as_often_as_needed() -> None:
    area = squares(np.array([[5.0, 5.0]] * 4), 5.0)
    there = np.array([[12.0, 3.0], [-2.0, 3.0], [21.0, 3.0], [29.0, -41.0]])
    np.testing.assert_allclose(area.fold(there), [[8.0, 3.0], [2.0, 3.0], [1.0, 3.0], [9.0, 1.0]])
