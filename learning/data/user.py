"""A user's own data maker, named in a scenario as ``module:function`` and called with given arguments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords, check, holds_classes, plain_records
from learning.data.targets import Kind, Target
from scenarios.errors import ScenarioError

_RETURNS = (
    "a list of TaskRecords or a dict: task name -> (X of shape (n, d), y of shape (n,)), "
    "or (X, y, kinds) with y of shape (n, kinds)"
)
_KINDS = "binary, classes, classes:C or values, or a dict from the name of each label of a row to one of these"


def import_object(path: str, field: str = "data.function") -> Callable[..., Any]:
    """Return the callable that ``"module:function"`` names; dots after the colon reach into classes.

    Args:
        path: importable module, a colon, a name in it.
        field: what an error message points at.

    Raises:
        ScenarioError: the text has no colon, the module fails to import, the name is absent or is not
            callable.
    """
    module_name, colon, attribute = path.partition(":")
    if not (colon and module_name and attribute) or module_name.startswith("."):
        raise ScenarioError(field, path, 'a text like "package.module:function"')
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's module raises while it is imported
        cause = f"import raised {type(error).__name__}: {error}"
        raise ScenarioError(field, cause, "a module that imports (is it on PYTHONPATH?)", path) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ScenarioError(field, path, f"a name that exists: {module_name} has no {attribute}")
        found = getattr(found, name)
    if not callable(found):
        raise ScenarioError(field, path, f"a callable: {attribute} is a {type(found).__name__}")
    made: Callable[..., Any] = found
    return made


def user_tasks(path: str, /, **arguments: Any) -> list[TaskRecords]:
    """Call the user's function and return the tasks it makes.

    Args:
        path: ``"module:function"``; the function returns a list of :class:`TaskRecords`, or a dict from task
            name to ``(X, y)`` whose rows then count as spans of their own. ``(X, y, kinds)`` declares what the labels
            are, for models with heads: ``"binary"`` (-1/+1), ``"classes"`` (0 to C - 1, C one more than the highest),
            ``"classes:C"`` or ``"values"``; or a dict of these by name for the columns of ``(n, L)`` labels.
        **arguments: passed on to the function.

    Returns:
        The tasks in the order returned. Labels that take at most two values must be -1/+1 (classification);
        others are regression targets.

    Raises:
        ScenarioError: the function cannot be found or called with these arguments, or returns something else.
            A ValueError with ``field``, ``value`` and ``allowed`` refuses an argument in one line; whatever else the
            function raises is passed on untouched, with the user's own traceback.
    """
    function = import_object(path)
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise ScenarioError("data.arguments", str(error), "the arguments the function takes", path) from error
    except ValueError:  # a builtin without a signature: let the call decide
        pass
    returned = _called(function, path, arguments)
    if isinstance(returned, dict):
        tasks = [_from_pair(path, str(name), pair) for name, pair in returned.items()]
    elif isinstance(returned, list | tuple) and all(isinstance(task, TaskRecords) for task in returned):
        tasks = list(returned)
    else:
        raise ScenarioError("data.function", f"{path} returned {type(returned).__name__}", _RETURNS)
    check(tasks, "data.function", classification=bool(tasks) and holds_classes(tasks))
    return tasks


def _called(function: Callable[..., Any], path: str, arguments: dict[str, Any]) -> Any:
    try:
        return function(**arguments)
    except ValueError as error:
        refused = [getattr(error, name, None) for name in ("field", "value", "allowed")]
        if refused[0] is None or refused[2] is None:
            raise
        raise ScenarioError(f"data.arguments.{refused[0]}", refused[1], str(refused[2]), path) from error


def _from_pair(path: str, name: str, pair: Any) -> TaskRecords:
    if isinstance(pair, list | tuple) and len(pair) == 3 and isinstance(pair[2], str | dict):
        return _declared(path, name, *pair)
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ScenarioError("data.function", f"{path}: task {name!r} is a {type(pair).__name__}", _RETURNS)
    return plain_records(name, pair[0], pair[1], "data.function")


def _declared(path: str, name: str, X: Any, y: Any, kinds: Any) -> TaskRecords:
    """Return a task whose labels are of declared kinds."""
    wanted: dict[str, Any] = {str(key): kind for key, kind in kinds.items()} if isinstance(kinds, dict) else {"": kinds}
    try:
        labels = np.array(y, np.float64).reshape(len(y), -1)
    except (TypeError, ValueError) as error:
        raise ScenarioError("data.function", f"{path}: task {name!r}: {error}", "labels made of numbers") from error
    if labels.shape[1] != len(wanted) or labels.size == 0:
        found = f"{path}: task {name!r}: labels of shape {labels.shape}"
        raise ScenarioError("data.function", found, f"one label of a row for each of {len(wanted)} kinds")
    targets = tuple(_target(kind, key, column) for (key, kind), column in zip(wanted.items(), labels.T, strict=True))
    task = plain_records(name, X, labels[:, 0], "data.function")
    return replace(task, targets=targets, further=labels[:, 1:])


def _target(kind: Any, name: str, labels: NDArray[np.float64]) -> Target:
    """Return the target that a text such as ``classes:7`` declares."""
    text, colon, count = str(kind).partition(":")
    if text in ("binary", "values") and not colon:
        return Target(cast(Kind, text), name)
    if text != "classes" or (colon and not (count.isdecimal() and int(count) >= 2)):
        raise ScenarioError("data.function", kind, _KINDS)
    highest = int(np.nan_to_num(labels.max(initial=0.0), posinf=0.0))
    return Target("classes", name, int(count) if colon else max(highest + 1, 2))
