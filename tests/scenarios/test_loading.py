"""Scenario files: what is accepted, and the one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from learning.methods.registry import scenario_schema
from scenarios.errors import ScenarioError
from scenarios.loading import apply_overrides, check, load_scenario, read_yaml, resolved_yaml

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny.yaml"
MINIMAL = {"name": "minimal", "budget": {"cost": 1}, "methods": {"fedavg": {}}}


def complaint(tree: dict) -> str:
    with pytest.raises(ScenarioError) as caught:
        check(tree, "a.yaml")
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_every_shipped_scenario_is_valid() -> None:
    files = sorted((ROOT / "scenarios").glob("*.yaml"))
    assert [load_scenario(path).name for path in files] == [path.stem for path in files]


def test_the_resolved_scenario_loads_to_the_same_scenario() -> None:
    scenario = load_scenario(TINY)
    assert check(yaml.safe_load(resolved_yaml(scenario))) == scenario


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"learning": {"lamda1": 1}}, "a.yaml: learning.lamda1 = 1: allowed: did you mean 'lambda1'?"),
        ({"netwrok": {}}, "a.yaml: netwrok = {}: allowed: did you mean 'network'?"),
        ({"network": {"uplink": {"bandwidth": 1e6}}}, "did you mean 'bandwidth_hz'?"),
        ({"terminals": {"classes": [{"name": "a", "cpu": 1}]}}, "terminals.classes.0.cpu = 1: allowed: did you mean"),
        ({"learning": {"lambda1": 0}}, "learning.lambda1 = 0: allowed: greater than 0"),
        ({"learning": {"lambda1": float("nan")}}, "learning.lambda1 = nan: allowed: a finite number"),
        ({"network": {"layout": {"environment": "Mars"}}}, "'Mars': allowed: 'UMa', 'UMi', 'RMa', 'InH-mixed'"),
        ({"budget": {}}, "at least one of time_s, energy_j"),
        ({"methods": {}}, "methods = {}: allowed:"),
        ({"flagship": "mocha"}, "a flagship that is one of the methods: fedavg"),
        ({"data": {"split": {"train_fraction": 0.9, "test_fraction": 0.9}}}, "sum to at most 1"),
        ({"terminals": {"classes": []}}, "at least one device class"),
        ({"seeds": 0}, "seeds = 0"),
        ({"seeds": [1, 1]}, "seeds that are all different"),
        ({"schema_version": 2}, "schema_version = 2: allowed: 1"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_field_value_and_what_is_allowed(change: dict, expected: str) -> None:
    assert expected in complaint(MINIMAL | change)


def test_a_missing_section_is_named() -> None:
    text = complaint({"name": "x", "methods": {"fedavg": {}}})
    assert text.startswith("a.yaml: budget = None: allowed: a value; this field is required")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "written twice"),
        ("a: [1\n", "valid, safe YAML"),
        ("- 1\n", "a mapping of sections"),
        ("a: !!python/object/apply:os.system ['true']\n", "valid, safe YAML"),
    ],
)
def test_broken_or_unsafe_yaml_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=expected) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml"):
        read_yaml(Path("nowhere.yaml"))


def test_exponents_without_a_point_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 20e6\nb: 1e-3\nc: -2E+2\nd: e6\n")
    assert read_yaml(path) == {"a": 20e6, "b": 1e-3, "c": -200.0, "d": "e6"}


def test_overrides_change_exactly_the_field_they_name() -> None:
    tree = {"a": {"b": 1, "c": [1, {"d": 2}]}}
    changed = apply_overrides(tree, ["a.b=3", "a.c.1.d=x", "e.f=[1, 2]", "g=null"])
    assert changed == {"a": {"b": 3, "c": [1, {"d": "x"}]}, "e": {"f": [1, 2]}, "g": None}
    assert tree == {"a": {"b": 1, "c": [1, {"d": 2}]}}


@pytest.mark.parametrize("override", ["a", "=1", "a..b=1", "a.b.c=1", "a.b=[", ".=1"])
def test_impossible_overrides_are_refused_and_quoted(override: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        apply_overrides({"a": {"b": 1}}, [override])
    assert repr(override) in str(caught.value)


@given(st.text(st.characters(codec="ascii", categories=("Ll",)), min_size=3, max_size=12))
def test_no_unknown_key_passes(key: str) -> None:
    known = set(check(MINIMAL).model_dump())
    if key not in known:
        assert f"{key} = 1" in complaint(MINIMAL | {key: 1})


def test_the_json_schema_in_the_repository_is_up_to_date() -> None:
    path = ROOT / "scenarios" / "scenario.schema.json"
    assert json.loads(path.read_text()) == scenario_schema(), "run `make schema`"


def test_every_field_of_the_schema_is_documented_or_self_explaining() -> None:
    schema = scenario_schema()
    sections = {name: part for name, part in schema["$defs"].items() if "properties" in part}
    assert all("description" in part for part in sections.values())
    bare = [
        f"{name}.{field}"
        for name, part in sections.items()
        for field, about in part["properties"].items()
        if "description" not in about
        and not field.endswith(("_db", "_dbi", "_dbm", "_hz", "_w", "_m", "_s", "_fraction"))
    ]
    # Sections document themselves by their own description; a handful of plain names need no sentence.
    assert len(bare) <= 45, bare
