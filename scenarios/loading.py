"""From a YAML file and command-line overrides to a checked Scenario; every mistake becomes one clear line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from scenarios.errors import ScenarioError
from scenarios.presets import with_presets
from scenarios.schema import Scenario

M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Safe YAML that also reads 20e6 as a number and refuses a key written twice."""


def _mapping_without_duplicates(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} written twice", mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ScenarioError: the file is missing, unreadable, not YAML or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ScenarioError("scenario file", str(path), f"a readable YAML file ({reason.lower()})") from None
    try:
        tree = yaml.load(text, Loader=_Loader)  # a SafeLoader: plain data only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else "document"
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ScenarioError(line, problem, "valid, safe YAML", str(path)) from None
    if not isinstance(tree, dict):
        raise ScenarioError("document", tree, "a mapping of sections", str(path))
    return tree


def apply_overrides(tree: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return ``tree`` with ``key.path=value`` texts applied; values are read as YAML.

    Raises:
        ScenarioError: an override has no ``=``, no key, or walks through something that is no mapping.
    """
    result = _copy(tree)
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ScenarioError("--set", override, "key.path=value")
        try:
            value = yaml.load(text, Loader=_Loader)
        except yaml.YAMLError:
            raise ScenarioError("--set", override, "a value that is valid YAML") from None
        _assign(result, keys, value, ("--set", override))
    return result


def changed(tree: Mapping[str, Any], changes: Mapping[str, Any], source: str | None = None) -> dict[str, Any]:
    """Return ``tree`` with the values of dotted fields replaced, as ``--set`` does.

    Raises:
        ScenarioError: a field walks through something that is no mapping.
    """
    result: dict[str, Any] = _copy(tree)
    for path, value in changes.items():
        _assign(result, path.split("."), _copy(value), (path, value), source)
    return result


def _assign(tree: Any, keys: list[str], value: Any, told: tuple[str, Any], source: str | None = None) -> None:
    node = tree
    for position, key in enumerate(keys):
        index: Any = int(key) if isinstance(node, list) and key.isdigit() else key
        known = isinstance(node, dict) or (isinstance(node, list) and isinstance(index, int) and index < len(node))
        if not known:
            raise ScenarioError(*told, f"a path of sections; {'.'.join(keys[:position])} is a value", source)
        if position == len(keys) - 1:
            node[index] = value
        else:
            if isinstance(node, dict) and node.get(index) is None:
                node[index] = {}
            node = node[index]


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree


def load_scenario(path: Path, overrides: Iterable[str] = ()) -> Scenario:
    """Read a scenario, put its presets beneath it, override and check it.

    Args:
        path: YAML file.
        overrides: texts ``key.path=value``, applied in order.

    Raises:
        ScenarioError: anything is wrong; one line that names file, field, value and what is allowed.
    """
    return check(apply_overrides(with_presets(read_yaml(path), read_yaml, str(path)), overrides), str(path))


def check(tree: Mapping[str, Any], source: str | None = None) -> Scenario:
    """Return the scenario that a plain mapping describes, or raise ScenarioError."""
    return validated(Scenario, tree, source)


def validated(model: type[M], tree: Mapping[str, Any], source: str | None, prefix: str = "") -> M:
    """Validate ``tree`` as ``model``, turning the first problem into one line."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # An unknown key explains a missing one, so it is told first.
        problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        location = [str(part) for part in problem["loc"] if not str(part).startswith(("function-", "constrained-"))]
        field = ".".join(filter(None, [prefix, *location])) or "scenario"
        if problem["type"] == "missing":
            raise ScenarioError(field, None, "a value; this field is required", source) from None
        if problem["type"] == "extra_forbidden":
            raise ScenarioError(field, problem["input"], _nearest(model, problem["loc"]), source) from None
        value = problem["input"] if location else tree.get("name")  # a rule between sections is the whole scenario's
        raise ScenarioError(field, value, _allowed(problem), source) from None


def _allowed(problem: Any) -> str:
    message = str(problem["msg"])
    for noise in ("Input should be ", "Value error, ", "String should match "):
        message = message.removeprefix(noise)
    return message


def _nearest(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Say which known key an unknown one may have meant."""
    names = _fields_at(model, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(sorted(names))


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = getattr(current, "model_fields", {}).get(part)
        current = _model_in(field.annotation) if field is not None else current
    return list(current.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [_model_in(a) for a in getattr(annotation, "__args__", ())]
    return next((m for m in inner if m is not None), None)


def resolved_yaml(scenario: Scenario) -> str:
    """Return the scenario with every default spelled out, as YAML text."""
    return yaml.safe_dump(scenario.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
