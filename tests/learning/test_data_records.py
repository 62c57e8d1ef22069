"""What a data set may look like, and what the refusal says when it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from learning.data.records import TaskRecords, check, holds_classes, leave_out_thin, plain_records
from scenarios.errors import ScenarioError


def task(name: str = "a", labels: tuple[float, ...] = (-1.0, 1.0, 1.0), columns: int = 2) -> TaskRecords:
    return plain_records(name, np.arange(len(labels) * columns).reshape(-1, columns), labels)


def test_a_plain_table_is_one_recording_whose_rows_are_spans_of_one_sample() -> None:
    records = plain_records("a", [[1, 2], [3, 4], [5, 6]], [[1], [-1], [1]])
    assert records.features.dtype == records.labels.dtype == np.float64
    assert records.labels.tolist() == [1.0, -1.0, 1.0]
    assert records.recording.tolist() == [0, 0, 0]
    assert (records.stop - records.start).tolist() == [1, 1, 1]
    assert records.start.tolist() == [0, 1, 2]
    assert len(records) == 3


def test_sound_tasks_pass_the_check() -> None:
    check([task("a"), task("b")], "data")
    check([task("a", (0.2, 1.7, 1.7))], "data", classification=False)


def _with_feature(value: float) -> TaskRecords:
    broken = task()
    broken.features[2, 1] = value
    return broken


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([], ["no tasks"]),
        ([task("a"), task("a")], ["'a'", "2 times"]),
        ([task("a", ())], ["'a'", "no rows"]),
        ([task("a"), task("b", columns=3)], ["'b'", "3 features", "'a'", "2"]),
        ([_with_feature(np.nan)], ["'a'", "row 2", "column 1", "nan", "finite"]),
        ([_with_feature(-np.inf)], ["'a'", "row 2", "column 1", "-inf", "finite"]),
        ([task("a", (1.0, np.nan, -1.0))], ["'a'", "row 1", "nan", "finite"]),
        ([task("a", (1.0, 0.0, 1.0))], ["'a'", "row 1", "label 0", "-1 and +1"]),
        ([task("a"), task("b", (1.0, 1.0))], ["'b'", "all 2 labels are +1", "both classes"]),
        ([replace(task(), stop=np.zeros(3, dtype=np.int64))], ["'a'", "start < stop"]),
        ([replace(task(), recording=np.zeros(2, dtype=np.int64))], ["'a'", "shape (n,)"]),
        ([replace(task(), features=np.zeros((2, 2)))], ["'a'", "(2, 2)", "3 labels"]),
    ],
)
def test_a_refusal_is_one_line_that_names_task_value_and_what_is_allowed(
    tasks: list[TaskRecords], said: list[str]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        check(tasks, "data.path")
    text = str(caught.value)
    assert text.startswith("data.path = ")
    assert "\n" not in text
    for part in said:
        assert part in text


def test_features_that_are_not_numbers_or_do_not_fit_the_labels_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"'a'.*made of numbers"):
        plain_records("a", [["x"]], [1.0])
    with pytest.raises(ScenarioError, match=r"'a'.*one label a row"):
        plain_records("a", [[1.0], [2.0]], [1.0])


def test_labels_of_two_values_over_all_tasks_count_as_classes_and_of_three_as_measurements() -> None:
    assert holds_classes([task("a", (1.0, 1.0)), task("b", (-1.0, -1.0))])
    assert not holds_classes([task("a", (1.0, 2.0)), task("b", (3.0, 3.0))])


def test_thin_tasks_are_left_out_by_the_smaller_of_their_classes() -> None:
    tasks = [task("one", (1.0, -1.0, -1.0)), task("two", (1.0, 1.0, -1.0, -1.0)), task("none", (-1.0, -1.0))]
    kept = {minimum: [t.name for t in leave_out_thin(tasks, minimum)] for minimum in (0, 1, 2, 3)}
    assert kept == {0: ["one", "two", "none"], 1: ["one", "two"], 2: ["two"], 3: []}
