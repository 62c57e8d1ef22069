"""Finds learning methods by name: every file of this folder that defines one, or an import path of your own."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any

from pydantic import TypeAdapter, ValidationError

from learning import methods
from learning.data.user import import_object
from learning.methods.base import Method
from scenarios.errors import ScenarioError
from scenarios.schema import Scenario

_NOT_METHODS = {"base", "registry"}
_OF_ALL = ("use", "protocol", "label", "model", "model_arguments")  # what every entry of a scenario's methods may state


def names() -> list[str]:
    """Return the names of all methods that come with the project."""
    return list(_files())


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(methods.__path__) if m.name not in _NOT_METHODS))


def find(name: str, field: str = "use") -> type[Method]:
    """Return a method's class.

    Args:
        name: a file of ``learning/methods`` or an import path ``module:Class``.
        field: where the name was given, for the error.

    Raises:
        ScenarioError: there is no such method.
    """
    if ":" in name:
        found = import_object(name, field)
        if not (inspect.isclass(found) and issubclass(found, Method)):
            raise ScenarioError(field, name, "a subclass of learning.methods.base.Method")
        missing = sorted(found.__abstractmethods__) + [n for n in ("label", "Parameters") if not hasattr(found, n)]
        if missing:
            raise ScenarioError(field, name, "a class that defines " + ", ".join(missing))
        return found
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(names())
        raise ScenarioError(field, name, hint + " or an import path module:Class")
    return _in_file(name)


@cache
def _in_file(name: str) -> type[Method]:
    """Return the method that a file of this folder defines."""
    module = importlib.import_module(f"learning.methods.{name}")
    own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    return next(c for c in own if issubclass(c, Method))


@cache
def _adapter(parameters: Any) -> TypeAdapter[Any]:
    """Return what checks a class of parameters; making it takes longer than a hundred checks."""
    return TypeAdapter(parameters)


@cache
def _known(parameters: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(parameters).parameters)


def parameters(method: type[Method], given: Mapping[str, Any], field: str) -> Any:
    """Return a method's checked parameters.

    Raises:
        ScenarioError: an unknown parameter (naming the nearest) or an impossible value.
    """
    known = _known(method.Parameters)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            allowed = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(sorted([*known, *_OF_ALL]))
            raise ScenarioError(f"{field}.{key}", given[key], allowed)
        if isinstance(given[key], float) and not isfinite(given[key]):
            raise ScenarioError(f"{field}.{key}", given[key], "a finite number")
    try:
        return _adapter(method.Parameters).validate_python(dict(given))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join([field, *map(str, problem["loc"])])
        raise ScenarioError(name, problem["input"], _allowed(problem["msg"])) from None


def _allowed(message: str) -> str:
    """Return what would have been accepted, from what pydantic says."""
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def summary(method: type[Method]) -> str:
    """Return the first sentence of the method's file: what it is."""
    text = inspect.getdoc(inspect.getmodule(method)) or ""
    return " ".join(text.split("\n\n")[0].split())


def parameter_texts(method: type[Method]) -> list[str]:
    """Return ``name = default`` of every parameter."""
    defaults = _adapter(method.Parameters).dump_python(method.Parameters())
    return [f"{name} = {value}" for name, value in defaults.items()]


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files; an entry of ``methods`` knows the parameters of its method."""
    schema = Scenario.model_json_schema()
    entry = schema["$defs"]["Method"]
    own: dict[str, Any] = {}
    for name in names():
        described = _adapter(find(name).Parameters).json_schema()
        own[name] = {"properties": entry["properties"] | described["properties"], "additionalProperties": False}
    schema["properties"]["methods"] |= {"properties": own, "additionalProperties": False}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
