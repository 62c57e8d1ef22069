"""MATLAB cell arrays in both landmine layouts, written here and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from learning.data.matlab import matlab_tasks
from scenarios.errors import ScenarioError


def cells(arrays: list[np.ndarray]) -> np.ndarray:
    row = np.empty((1, len(arrays)), dtype=object)
    row[0] = arrays
    return row


X = [np.arange(12.0).reshape(4, 3), np.arange(15.0).reshape(5, 3) - 4.0]
Y = [np.array([1, -1, -1, 1], dtype=np.int16), np.array([-1, -1, 1, -1, -1], dtype=np.int16)]


@pytest.mark.parametrize(
    ("variables", "to_label"),
    [(("X", "Y"), lambda y: y[:, None]), (("feature", "label"), lambda y: (y[None, :] > 0).astype(np.uint8))],
)
def test_both_landmine_layouts_give_the_same_tasks(tmp_path: Path, variables: tuple[str, str], to_label) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mines.mat"
    savemat(path, {variables[0]: cells(X), variables[1]: cells([to_label(y) for y in Y])})
    tasks = matlab_tasks(path)
    assert [task.name for task in tasks] == ["task-01", "task-02"]
    for task, x, y in zip(tasks, X, Y, strict=True):
        np.testing.assert_array_equal(task.features, x)
        np.testing.assert_array_equal(task.labels, y)


def test_tasks_too_thin_are_left_out_when_asked_and_keep_their_place_in_the_names(tmp_path: Path) -> None:
    path = tmp_path / "mines.mat"
    savemat(path, {"X": cells([*X, X[0]]), "Y": cells([np.full(4, -1), Y[1], Y[0]])})
    with pytest.raises(ScenarioError, match=r"'task-01'.*both classes"):
        matlab_tasks(path)
    assert [task.name for task in matlab_tasks(path, minimum_per_class=1)] == ["task-02", "task-03"]
    assert [task.name for task in matlab_tasks(path, minimum_per_class=2)] == ["task-03"]
    with pytest.raises(ScenarioError, match="no tasks"):
        matlab_tasks(path, minimum_per_class=3)


def test_measured_targets_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "exam.mat"
    savemat(path, {"X": cells(X), "Y": cells([np.array([17, 5, 16, 12]), np.array([7, 9, 11, 30, 2])])})
    assert matlab_tasks(path, classification=False)[0].labels.tolist() == [17.0, 5.0, 16.0, 12.0]


def test_a_label_that_is_not_a_number_is_refused_and_not_taken_for_a_negative(tmp_path: Path) -> None:
    path = tmp_path / "mines.mat"
    savemat(path, {"X": cells(X), "Y": cells([np.array([1.0, -1.0, np.nan, -1.0]), Y[1]])})
    with pytest.raises(ScenarioError, match="'task-01', row 2: label nan"):
        matlab_tasks(path)


def test_wrong_paths_files_and_variables_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"absent\.mat.*existing MATLAB file"):
        matlab_tasks(tmp_path / "absent.mat")
    (tmp_path / "text.mat").write_text("this is no MATLAB file " * 20)
    with pytest.raises(ScenarioError, match=r"text\.mat.*a MATLAB 5 file"):
        matlab_tasks(tmp_path / "text.mat")
    (tmp_path / "empty.mat").write_bytes(b"")
    with pytest.raises(ScenarioError, match=r"empty\.mat.*a MATLAB 5 file"):
        matlab_tasks(tmp_path / "empty.mat")
    savemat(tmp_path / "other.mat", {"data": np.eye(2)})
    with pytest.raises(ScenarioError, match=r"holds \['data'\].*X and Y, or feature and label"):
        matlab_tasks(tmp_path / "other.mat")
    savemat(tmp_path / "plain.mat", {"X": np.eye(2), "Y": np.ones(2)})
    with pytest.raises(ScenarioError, match="one cell a task"):
        matlab_tasks(tmp_path / "plain.mat")


def test_a_file_cut_short_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mines.mat"
    savemat(path, {"X": cells(X * 20), "Y": cells(Y * 20)}, do_compression=True)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ScenarioError) as caught:
        matlab_tasks(path)
    assert "\n" not in str(caught.value)
