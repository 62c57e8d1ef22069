"""The smart-watch recordings: facts of the file, features against plain sums, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learning.data.smartwatch import (
    DATA_FILE,
    EXERCISES,
    PACKAGE,
    SHA256,
    load_recordings,
    locate_package_file,
    smartwatch_tasks,
    window_features,
)
from scenarios.errors import ScenarioError

POSITIVE = ("PEN", "IR", "TRAP")


def test_twenty_arms_give_twenty_tasks_with_2369_windows_of_two_seconds() -> None:
    tasks = smartwatch_tasks(POSITIVE)
    names = [f"subject-{subject:02d}-{side}" for subject in range(1, 11) for side in ("left", "right")]
    assert [task.name for task in tasks] == names
    assert sum(len(task) for task in tasks) == 2369
    assert (min(map(len, tasks)), max(map(len, tasks))) == (69, 153)
    assert {task.features.shape[1] for task in tasks} == {12}
    assert np.concatenate([task.labels for task in tasks]).mean() == pytest.approx(2 * 0.385 - 1, abs=0.001)


def test_a_person_is_both_of_their_arms() -> None:
    arms, people = smartwatch_tasks(POSITIVE), smartwatch_tasks(POSITIVE, group_by="subject")
    assert [task.name for task in people] == [f"subject-{subject:02d}" for subject in range(1, 11)]
    for index, person in enumerate(people):
        left, right = arms[2 * index], arms[2 * index + 1]
        assert len(person) == len(left) + len(right)
        assert person.features.sum() == pytest.approx(left.features.sum() + right.features.sum())
        assert set(person.recording) == set(left.recording) | set(right.recording)


def test_every_row_is_the_mean_and_deviation_of_its_own_span_and_labelled_by_its_exercise() -> None:
    recordings = load_recordings(locate_package_file(PACKAGE, DATA_FILE), SHA256)
    rng = np.random.default_rng(1)
    for task in smartwatch_tasks(POSITIVE, window_s=4.0, stride_s=1.5)[::7]:
        assert len(set(task.recording)) == len(EXERCISES)
        for row in rng.integers(len(task), size=20):
            recording = recordings[task.recording[row]]
            span = recording.signal[task.start[row] : task.stop[row]]
            assert len(span) == 200
            assert task.start[row] % 75 == 0
            np.testing.assert_allclose(task.features[row], [*span.mean(0), *span.std(0)], rtol=1e-10, atol=1e-12)
            assert task.labels[row] == (1.0 if EXERCISES[recording.exercise] in POSITIVE else -1.0)


def test_windows_cover_the_signal_as_often_as_they_fit() -> None:
    signal = np.arange(11.0)[:, None]
    features, start = window_features(signal, width=4, stride=3)
    assert start.tolist() == [0, 3, 6]
    np.testing.assert_allclose(features, [[1.5, 1.25**0.5], [4.5, 1.25**0.5], [7.5, 1.25**0.5]])


def test_reading_the_data_does_not_import_the_package() -> None:
    script = (
        "import sys; from learning.data.smartwatch import smartwatch_tasks;"
        "smartwatch_tasks(['PEN']); print('seglearn' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_package_or_file_is_told_with_what_to_install() -> None:
    with pytest.raises(ScenarioError, match=r"no-such-package.*not installed.*seglearn==1.2.5"):
        locate_package_file("no-such-package-at-all", DATA_FILE)
    with pytest.raises(ScenarioError, match=r"no file data/absent.npy"):
        locate_package_file(PACKAGE, "data/absent.npy")


def test_a_file_with_other_bytes_is_refused_before_it_is_unpickled(tmp_path: Path) -> None:
    forged = tmp_path / "watch_dataset.npy"
    forged.write_bytes(b"\x93NUMPY not even a pickle")
    with pytest.raises(ScenarioError, match="sha256"):
        load_recordings(forged, SHA256)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"positive_exercises": ["PEN", "JUMP"]}, "JUMP.*PEN ABD FEL IR ER TRAP ROW"),
        ({"positive_exercises": []}, "one to six"),
        ({"positive_exercises": EXERCISES}, "one to six"),
        ({"positive_exercises": ["IR", "IR"]}, "different names"),
        ({"positive_exercises": "PEN"}, "different names"),
        ({"positive_exercises": ["IR"], "window_s": 30.0}, "window_s = 30.0: allowed: 0.04 to 18.94 s"),
        ({"positive_exercises": ["IR"], "window_s": float("nan")}, "window_s"),
        ({"positive_exercises": ["IR"], "stride_s": 0.0}, "stride_s = 0.0: allowed: 0.02"),
        ({"positive_exercises": ["IR"], "group_by": "leg"}, "'leg': allowed: arm or subject"),
    ],
)
def test_arguments_out_of_range_are_refused_with_the_range(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        smartwatch_tasks(**arguments)  # type: ignore[arg-type]
