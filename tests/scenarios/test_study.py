"""Studies: which points their axes make, and one clear line for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.errors import ScenarioError
from scenarios.loading import changed, validated
from scenarios.records import record_path, recorded, sweep, write_record
from scenarios.study import Study, load_base, load_study, only, scenario_at

TINY = str(Path(__file__).parents[1] / "data" / "tiny.yaml")


def study(*axes: Any, **more: Any) -> Study:
    return validated(Study, {"name": "s", "scenario": TINY, "axes": list(axes), **more}, None)


def test_axes_are_crossed_and_those_in_a_list_move_together() -> None:
    price = {"field": "budget.cost", "values": [1, 2]}
    pair = [{"field": "learning.lambda1", "values": [3, 4]}, {"field": "learning.lambda2", "values": [5, 6]}]
    points = [tuple(point.values()) for point in study(price, pair).points()]
    assert points == [(1, 3, 5), (1, 4, 6), (2, 3, 5), (2, 4, 6)]


def test_a_study_without_axes_has_one_point() -> None:
    assert list(study().points()) == [{}]


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e3), st.integers(2, 30))
def test_ranges_begin_and_end_where_they_say_with_equal_steps(first: float, factor: float, count: int) -> None:
    last = first * factor
    lin = study({"field": "a", "lin": [first, last, count]}).axes[0][0].steps
    log = study({"field": "a", "log": [first, last, count]}).axes[0][0].steps
    np.testing.assert_allclose([lin[0], lin[-1], log[0], log[-1]], [first, last, first, last], rtol=1e-11)
    np.testing.assert_allclose(np.diff(lin), (last - first) / (count - 1), rtol=1e-6, atol=1e-11 * last)
    np.testing.assert_allclose(np.diff(np.log(log)), np.log(factor) / (count - 1), rtol=1e-6, atol=1e-10)


def test_ranges_of_powers_are_the_powers_and_whole_ones_are_whole() -> None:
    assert study({"field": "a", "log": [0.001, 1000, 7]}).axes[0][0].steps == (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3)
    whole = study({"field": "a", "log": [1, 32, 6], "whole": True}).axes[0][0].steps
    assert whole == (1, 2, 4, 8, 16, 32) and all(isinstance(step, int) for step in whole)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ([{"field": "a"}], "exactly one of values, lin, log"),
        ([{"field": "a", "values": [1], "lin": [0, 1, 2]}], "exactly one of values, lin, log"),
        ([{"field": "a", "values": [1, 1]}], "values that are all different"),
        ([{"field": "a", "log": [0, 1, 3]}], "a log range between positive numbers"),
        ([{"field": "a", "lin": [1, 2, 9], "whole": True}], "values that are all different"),
        ([{"field": "a..b", "values": [1]}], "axes.0.0.field"),
        ([{"field": "seeds", "values": [1, 2]}], "axes and changes of other fields than name, seeds"),
        ([{"field": "a", "values": [1]}, {"field": "a", "values": [2]}], "axes of different fields"),
        ([[{"field": "a", "values": [1]}, {"field": "b", "values": [2, 3]}]], "as many values for each of the axes"),
        ([{"field": "a", "valeus": [1]}], "did you mean 'values'"),
    ],
)
def test_impossible_axes_are_told_in_one_line(axes: list[Any], expected: str) -> None:
    with pytest.raises(ScenarioError) as error:
        study(*axes)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_point_that_is_no_scenario_is_named() -> None:
    base = load_base(study(), Path("s.yaml"))
    with pytest.raises(ScenarioError, match=r"at budget.cost -1: budget.cost = -1: allowed: greater than 0"):
        scenario_at(base, {"budget.cost": -1}, "s.yaml")
    with pytest.raises(ScenarioError, match=r"name is a value"):
        scenario_at(base, {"name.cost": 1}, "s.yaml")


def test_changes_leave_the_tree_they_are_made_to_alone() -> None:
    tree: dict[str, Any] = {"a": {"b": 1}, "c": [{"d": 2}]}
    assert changed(tree, {"a.b": 3, "c.0.d": 4, "e.f": 5}) == {"a": {"b": 3}, "c": [{"d": 4}], "e": {"f": 5}}
    assert tree == {"a": {"b": 1}, "c": [{"d": 2}]}


def test_the_studies_that_come_with_the_project_are_scenarios_at_every_point() -> None:
    paths = sorted((Path(__file__).parents[2] / "scenarios" / "studies").glob("*.yaml"))
    studies = [path for path in paths if path.stem != "published"]
    assert len(studies) >= 3
    for path in studies:
        found = load_study(path)
        base = load_base(found, path)
        for point in found.points():
            scenario = scenario_at(base, point, str(path))
            assert set(found.methods or ()) <= set(scenario.methods)


def test_what_a_run_depends_on_is_its_own_method_only() -> None:
    scenario = scenario_at(load_base(study(), Path("s.yaml")), {}, "s.yaml")
    assert set(only(scenario, "fedavg").methods) == {"fedavg"}


def test_the_same_record_is_the_same_bytes_and_half_a_record_is_none(tmp_path: Path) -> None:
    curve = pd.DataFrame({"kind": ["scores"] * 3, "time_s": [0.0, 1.0, 2.0]})
    for root in (tmp_path / "a", tmp_path / "b"):
        assert not recorded(root, "f" * 64)
        write_record(root, "f" * 64, curve, {"seed": 1, "gap": None})
        assert recorded(root, "f" * 64)
    first, second = (record_path(tmp_path / name, "f" * 64) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    first.write_bytes(second.read_bytes()[:-1])
    assert not recorded(tmp_path / "a", "f" * 64)
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_sweeping_removes_what_was_abandoned_long_ago_only(tmp_path: Path) -> None:
    import os

    (tmp_path / "ab").mkdir()
    old, new, whole = (tmp_path / "ab" / name for name in (".x.parquet.1", ".y.parquet.2", "z.parquet"))
    for path in (old, new, whole):
        path.write_bytes(b"")
    for path in (old, whole):
        os.utime(path, (1, 1))
    sweep(tmp_path)
    assert sorted(path.name for path in (tmp_path / "ab").iterdir()) == [new.name, whole.name]
