"""Methods are found by name, their parameters are checked with helpful errors, and the schema describes them all."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from learning.methods import registry
from learning.methods.base import Method
from learning.methods.fedavg import FedAvg
from learning.methods.hfedmtl import HFedMTL
from learning.methods.rhfedmtl import RHFedMTL
from scenarios.errors import ScenarioError
from scenarios.loading import read_yaml
from tests.learning.driving import SCENARIO

URBAN = Path(__file__).parents[2] / "scenarios" / "urban.yaml"


class Nameless(FedAvg):
    """A user's method: a variant of one that exists."""


class Unfinished(Method):
    """A user's method that lacks nearly everything."""


def test_every_file_of_the_folder_is_a_method() -> None:
    files = {path.stem for path in Path(inspect.getfile(registry)).parent.glob("*.py")}
    assert set(registry.names()) == files - {"__init__", "base", "registry"}
    kinds = {name: registry.find(name) for name in registry.names()}
    assert kinds["hfedmtl"] is HFedMTL and kinds["rhfedmtl"] is RHFedMTL
    assert len({kind.label for kind in kinds.values()}) == len(kinds)


def test_a_method_of_ones_own_is_found_by_its_import_path() -> None:
    assert registry.find(f"{__name__}:Nameless").__name__ == "Nameless"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fedavgg", r"^methods\.x\.use = 'fedavgg': allowed: did you mean 'fedavg'\? or an import path module:Class$"),
        ("rhfedmlt", r"did you mean 'rhfedmtl'\?"),
        ("quantum", r"one of apfl, .*fedavg, .*, rhfedmtl.* or an import path"),
        ("base", r"one of .*fedavg"),
        ("os.path:join", r"a subclass of learning\.methods\.base\.Method"),
        ("no_such_module:Method", r"a module that imports"),
        (f"{__name__}:Unfinished", r"defines make_controller, merge, models, sizes, train, label, Parameters$"),
    ],
)
def test_what_is_no_method_is_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        registry.find(name, "methods.x.use")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("fedavg", {"batchsize": 3}, r"^methods\.x\.batchsize = 3: allowed: did you mean 'batch_size'\?$"),
        ("hfedmtl", {"local_iteration": 3}, r"did you mean 'local_iterations'\?"),
        ("rhfedmtl", {"local_iterations": 3}, r"one of aggregation, cloud_rounds, controller, label, .*, use$"),
        ("fedavg", {"local_iterations": 0}, r"^methods\.x\.local_iterations = 0: allowed: greater than or equal to 1$"),
        ("fedavg", {"local_iterations": 2.5}, r"a valid integer"),
        ("fedprox", {"proximal": -0.1}, r"greater than or equal to 0"),
        ("fedavg", {"learning_rate": float("inf")}, r"a finite number"),
        ("fedavg", {"learning_rate": float("nan")}, r"a finite number"),
        ("hfedmtl", {"aggregation": "summing"}, r"'adding' or 'averaging'"),
        ("hfedmtl", {"relaxation": 2}, r"less than 2"),
        ("rhfedmtl", {"controller": "magic"}, r"'closed_form', 'reference', 'convergence_bound' or 'online'"),
        ("local", {"chunks": "many"}, r"^methods\.x\.chunks = 'many': allowed: a valid integer"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as refused:
        registry.parameters(registry.find(name), given, "methods.x")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", registry.names())
def test_parameters_have_defaults_and_a_text_each(name: str) -> None:
    kind = registry.find(name)
    chosen = registry.parameters(kind, {}, "methods.x")
    fields = [field.name for field in dataclasses.fields(kind.Parameters)]
    assert registry.parameter_texts(kind) == [f"{field} = {getattr(chosen, field)}" for field in fields]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(chosen, fields[0], None)
    documented = kind.Parameters.__mro__[:-1]
    texts = " ".join(part.__doc__ or "" for part in documented)
    assert all(re.search(rf"^ +{field}: ", texts, re.MULTILINE) for field in fields)


@pytest.mark.parametrize("name", registry.names())
def test_the_summary_is_one_line_that_ends(name: str) -> None:
    text = registry.summary(registry.find(name))
    assert "\n" not in text and text.endswith(".") and 20 < len(text) < 200


# The schema ---------------------------------------------------------------------------------------------------

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def complaints(schema: dict[str, Any], value: Any, root: dict[str, Any], path: str = "") -> list[str]:
    """Return where ``value`` breaks a schema made of the keywords that ours uses."""
    if "$ref" in schema:
        *_, name = schema["$ref"].split("/")
        return complaints(root["$defs"][name], value, root, path)
    if "anyOf" in schema:
        options = [complaints(option, value, root, path) for option in schema["anyOf"]]
        return [] if any(not option for option in options) else [f"{path}: none of the alternatives"]
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind in ("integer", "number"))):
        return [f"{path}: no {kind}"]
    found = [f"{path}: not {schema['const']}"] if "const" in schema and value != schema["const"] else []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: not in {schema['enum']}")
    bounds = {"minimum": float.__lt__, "maximum": float.__gt__}
    bounds |= {"exclusiveMinimum": float.__le__, "exclusiveMaximum": float.__ge__}
    found += [f"{path}: {word}" for word, out in bounds.items() if word in schema and out(float(value), schema[word])]
    if isinstance(value, dict):
        found += [f"{path}.{key}: missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            found += _member(schema, key, item, root, f"{path}.{key}")
    if isinstance(value, list) and "items" in schema:
        found += [
            text for i, item in enumerate(value) for text in complaints(schema["items"], item, root, f"{path}.{i}")
        ]
    return found


def _member(schema: dict[str, Any], key: str, item: Any, root: dict[str, Any], path: str) -> list[str]:
    """Return complaints about one entry of an object."""
    applying = [part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    if key in schema.get("properties", {}):
        applying.append(schema["properties"][key])
    others = schema.get("additionalProperties", True)
    if not applying and others is False:
        return [f"{path}: unknown"]
    if not applying and isinstance(others, dict):
        applying = [others]
    return [text for part in applying for text in complaints(part, item, root, path)]


def walk(node: Any) -> list[dict[str, Any]]:
    """Return all schemas inside a schema."""
    if isinstance(node, list):
        return [inner for item in node for inner in walk(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(inner for item in node.values() for inner in walk(item))]


def test_the_schema_is_well_formed_json_schema() -> None:
    schema = registry.scenario_schema()
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for part in walk(schema):
        assert part.get("$ref", "#/$defs/Scenario").startswith("#/$defs/")
        assert part.get("$ref", "#/$defs/Data").removeprefix("#/$defs/") in schema["$defs"]
        assert not isinstance(part.get("type"), str) or part["type"] in TYPES
        assert all(isinstance(part.get(word, {}), dict) for word in ("properties", "patternProperties"))
        assert isinstance(part.get("required", []), list) and isinstance(part.get("enum", [0]), list)
        assert isinstance(part.get("additionalProperties", True), bool | dict)


def test_the_schema_knows_every_parameter_of_every_method() -> None:
    known = registry.scenario_schema()["properties"]["methods"]["properties"]
    for name in registry.names():
        fields = {field.name for field in dataclasses.fields(registry.find(name).Parameters)}
        assert set(known[name]["properties"]) == fields | {"use", "protocol", "label", "model", "model_arguments"}


@pytest.mark.parametrize("tree", [read_yaml(URBAN), SCENARIO], ids=["urban", "small"])
def test_the_schema_accepts_good_scenarios(tree: dict[str, Any]) -> None:
    schema = registry.scenario_schema()
    assert complaints(schema, tree, schema) == []
    assert complaints(schema, tree | {"budgets": {}}, schema) == [".budgets: unknown"]


@pytest.mark.parametrize(
    "methods",
    [
        {},
        {"fedavg": {"local_iterations": 0}},
        {"fedavg": {"local_iteration": 2}},
        {"rhfedmtl": {"controller": "magic"}},
        {"hfedmtl": {"relaxation": 2.0}},
        {"With Capitals": {}},
        {"own": {"use": 3}},
    ],
)
def test_the_schema_refuses_what_the_program_refuses(methods: dict[str, Any]) -> None:
    schema = registry.scenario_schema()
    part = schema["properties"]["methods"]
    assert complaints(part, methods, schema) or len(methods) < part["minProperties"]
    own = {"own": {"use": "fedavg", "local_iterations": 2}}
    assert complaints(part, own, schema) == []
