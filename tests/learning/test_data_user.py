"""A user's own function: found by name, called with its arguments, its mistakes told plainly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from learning.data.user import import_object, user_tasks
from scenarios.errors import ScenarioError

MODULE = """
import numpy as np
from learning.data.records import plain_records

SETTING = 3

class Maker:
    @staticmethod
    def build():
        return as_dict(2)

def as_dict(rows, scale=1.0):
    X = np.arange(2.0 * rows).reshape(rows, 2) * scale
    return {name: (X, np.where(np.arange(rows) % 2, 1, -1)) for name in ("a", "b")}

def as_records():
    return [plain_records("a", np.eye(2), [1, -1])]

def as_regression():
    return {"a": (np.eye(3), [0.1, 0.2, 0.7])}

def zero_one():
    return {"a": (np.eye(2), [0, 1])}

def as_number():
    return 5

def as_triple():
    return {"a": (1, 2, 3)}

def no_tasks():
    return {}

def fails():
    raise KeyError("the user's own fault")
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_tasks_for_test.py").write_text(MODULE)
    (tmp_path / "broken_tasks_for_test.py").write_text("import a_package_that_is_not_there\n")
    (tmp_path / "unparsed_tasks_for_test.py").write_text("def (:\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_name_is_imported_even_inside_a_class() -> None:
    assert import_object("math:hypot") is math.hypot
    assert list(import_object("own_tasks_for_test:Maker.build")()) == ["a", "b"]


def test_a_dict_of_pairs_becomes_tasks_and_arguments_are_passed_on() -> None:
    tasks = user_tasks("own_tasks_for_test:as_dict", rows=4, scale=10.0)
    assert [task.name for task in tasks] == ["a", "b"]
    assert tasks[0].features[3].tolist() == [60.0, 70.0]
    assert tasks[1].labels.tolist() == [-1.0, 1.0, -1.0, 1.0]


def test_records_and_measured_targets_are_taken_as_they_are() -> None:
    assert user_tasks("own_tasks_for_test:as_records")[0].features.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert user_tasks("own_tasks_for_test:as_regression")[0].labels.tolist() == [0.1, 0.2, 0.7]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("own_tasks_for_test", "package.module:function"),
        (":as_dict", "package.module:function"),
        ("own_tasks_for_test:", "package.module:function"),
        (".relative:as_dict", "package.module:function"),
        ("no_such_module_here:f", 'no_such_module_here:f: learning.method = "import raised ModuleNotFoundError'),
        ("broken_tasks_for_test:f", "No module named 'a_package_that_is_not_there'"),
        ("unparsed_tasks_for_test:f", "SyntaxError"),
        ("own_tasks_for_test:absent", "has no absent"),
        ("own_tasks_for_test:Maker.absent", "has no Maker.absent"),
        ("own_tasks_for_test:SETTING", "SETTING is a int"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_the_reason(path: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        import_object(path, "learning.method")
    text = str(caught.value)
    assert "learning.method = " in text
    assert path in text
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("as_dict", {}, "missing a required argument: 'rows'"),
        ("as_dict", {"rows": 2, "colour": 1}, "unexpected keyword argument 'colour'"),
        ("as_number", {}, "returned int.*list of TaskRecords or a dict"),
        ("as_triple", {}, "task 'a' is a tuple.*list of TaskRecords or a dict"),
        ("no_tasks", {}, "no tasks"),
        ("zero_one", {}, "label 0.*-1 and \\+1"),
    ],
)
def test_a_wrong_call_or_result_is_refused(name: str, arguments: dict[str, int], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        user_tasks(f"own_tasks_for_test:{name}", **arguments)


def test_what_the_function_raises_reaches_the_user_untouched() -> None:
    with pytest.raises(KeyError, match="own fault"):
        user_tasks("own_tasks_for_test:fails")
