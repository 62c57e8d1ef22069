"""Shoulder physiotherapy seen by a smart watch: ten people, both arms, seven exercises, 6 channels at 50 Hz.

The recordings are those of D. Burns et al., "Shoulder physiotherapy exercise recognition: machine learning
the inertial signals from a smartwatch", Physiological Measurement 39 (2018), arXiv 1802.01489, as shipped
(BSD-3) inside the package seglearn 1.2.5. Only its data file is read; the package is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords, check
from learning.data.targets import Target
from scenarios.errors import ScenarioError

EXERCISES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
SAMPLE_RATE_HZ = 50.0
PACKAGE, DATA_FILE = "seglearn", "data/watch_dataset.npy"
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
_SIDES = ("left", "right")
TARGETS = {
    "positive": Target("binary", "positive"),
    "exercise": Target("classes", "exercise", len(EXERCISES)),
    "side": Target("binary", "side"),
}
"""What can be asked of a window: whether it shows a positive exercise, which of the seven, and whose arm it is."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One uninterrupted set of one exercise.

    Args:
        signal: ``(samples, 6)`` float64, accelerations ax ay az then angular rates wx wy wz, 50 Hz.
        exercise: index into :data:`EXERCISES`.
        subject: 1 to 10.
        side: 0 left, 1 right.
    """

    signal: NDArray[np.float64]
    exercise: int
    subject: int
    side: int


def smartwatch_tasks(
    positive_exercises: Sequence[str],
    window_s: float = 2.0,
    stride_s: float = 2.0,
    group_by: Literal["arm", "subject"] = "arm",
    targets: Sequence[str] = (),
) -> list[TaskRecords]:
    """Return one task an arm (20) or a person (10): does this window show one of the positive exercises?

    Args:
        positive_exercises: names among :data:`EXERCISES` that are labelled +1; the others are -1.
        window_s: length of a window, seconds.
        stride_s: from the start of one window to the next, seconds; shorter than ``window_s`` means overlap.
        group_by: ``"arm"`` gives tasks like ``subject-03-left``, ``"subject"`` gives ``subject-03``.
        targets: what to ask of a window instead, the tasks taking these in turn: names of :data:`TARGETS`, or several
            of them joined by ``+``.

    Returns:
        Tasks in order of subject and side, with 12 features: mean, then standard deviation, of the six
        channels in the window. ``recording`` is the recording's place in the file, spans are in samples.

    Raises:
        ScenarioError: an argument is out of range, the package is missing, or its file is not the expected
            one.
    """
    positive, asked = _exercise_indices(positive_exercises), [_targets(text, group_by) for text in targets]
    if group_by not in ("arm", "subject"):
        raise ScenarioError("data.group_by", group_by, "arm or subject")
    recordings = load_recordings(locate_package_file(PACKAGE, DATA_FILE), SHA256)
    longest_s = min(len(recording.signal) for recording in recordings) / SAMPLE_RATE_HZ
    if not 2.0 / SAMPLE_RATE_HZ <= window_s <= longest_s:
        raise ScenarioError("data.window_s", window_s, f"{2.0 / SAMPLE_RATE_HZ:g} to {longest_s:g} s")
    if not 1.0 / SAMPLE_RATE_HZ <= stride_s <= longest_s:
        raise ScenarioError("data.stride_s", stride_s, f"{1.0 / SAMPLE_RATE_HZ:g} to {longest_s:g} s")
    width, stride = round(window_s * SAMPLE_RATE_HZ), round(stride_s * SAMPLE_RATE_HZ)
    members: dict[tuple[int, int], list[int]] = {}
    for index, recording in enumerate(recordings):
        side = recording.side if group_by == "arm" else -1
        members.setdefault((recording.subject, side), []).append(index)
    tasks: list[TaskRecords] = []
    for (subject, side), indices in sorted(members.items()):
        name = f"subject-{subject:02d}" + (f"-{_SIDES[side]}" if group_by == "arm" else "")
        task = _task(name, recordings, indices, positive, (width, stride))
        tasks.append(_labelled(task, recordings, asked[len(tasks) % len(asked)]) if asked else task)
    check(tasks, "data.targets" if asked else "data.positive_exercises")
    return tasks


def window_features(
    signal: NDArray[np.float64], width: int, stride: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return mean and standard deviation of every channel in every whole window.

    Args:
        signal: ``(samples, channels)``.
        width: samples in a window.
        stride: samples from one window's start to the next.

    Returns:
        ``(windows, 2 * channels)`` features, means first, and ``(windows,)`` first samples.
    """
    windows = np.lib.stride_tricks.sliding_window_view(signal, width, axis=0)[::stride]  # (windows, channels, width)
    starts = np.arange(len(windows), dtype=np.int64) * stride
    return np.concatenate([windows.mean(axis=2), windows.std(axis=2)], axis=1), starts


def locate_package_file(package: str, ending: str) -> Path:
    """Return where an installed package keeps a file, without importing the package.

    Raises:
        ScenarioError: the package, or the file in it, is not installed.
    """
    install = f"the package installed (pip install {PACKAGE}==1.2.5)"
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ScenarioError("data.source", f"package {package!r} is not installed", install) from error
    for file in files:
        path = Path(str(file.locate()))
        if file.as_posix().endswith(ending) and path.is_file():
            return path
    raise ScenarioError("data.source", f"package {package!r} has no file {ending}", install)


def load_recordings(path: Path, sha256: str) -> list[Recording]:
    """Read the recordings; the file holds a pickle, so its bytes are checked against ``sha256`` first.

    Raises:
        ScenarioError: the bytes are not those expected.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ScenarioError("data.source", f"sha256 {found}", f"the file of {PACKAGE} 1.2.5, {sha256}", str(path))
    data = np.load(io.BytesIO(content), allow_pickle=True).item()
    columns = zip(data["X"], data["y"], data["subject"], data["side"], strict=True)
    return [
        Recording(np.asarray(signal, np.float64), int(exercise), int(subject), int(side))
        for signal, exercise, subject, side in columns
    ]


def _exercise_indices(names: Sequence[str]) -> frozenset[int]:
    allowed = f"one to six different names among {' '.join(EXERCISES)}"
    known = [name for name in names if name in EXERCISES]
    if isinstance(names, str) or len(known) != len(names) or len(set(known)) != len(known):
        raise ScenarioError("data.positive_exercises", names, allowed)
    if not 1 <= len(known) < len(EXERCISES):
        raise ScenarioError("data.positive_exercises", names, allowed)
    return frozenset(EXERCISES.index(name) for name in known)


def _targets(text: str, group_by: str) -> tuple[Target, ...]:
    """Return the targets that a text like ``exercise+side`` names."""
    names = text.split("+")
    known = [name for name in names if name in TARGETS and not (name == "side" and group_by == "arm")]
    if known != names or len(set(names)) < len(names):
        allowed = f"different names among {', '.join(TARGETS)} joined by +; side needs data.group_by subject"
        raise ScenarioError("data.targets", text, allowed)
    return tuple(TARGETS[name] for name in names)


def _labelled(task: TaskRecords, recordings: Sequence[Recording], targets: tuple[Target, ...]) -> TaskRecords:
    """Return a task whose windows bear the labels of some targets."""
    exercise = np.array([recording.exercise for recording in recordings], np.float64)[task.recording]
    side = np.array([2.0 * recording.side - 1.0 for recording in recordings])[task.recording]
    of = {"positive": task.labels, "exercise": exercise, "side": side}
    columns = [of[target.name] for target in targets]
    further = np.column_stack([np.empty((len(task), 0)), *columns[1:]])
    return replace(task, labels=columns[0], targets=targets, further=further)


def _task(
    name: str,
    recordings: Sequence[Recording],
    indices: Sequence[int],
    positive: frozenset[int],
    window: tuple[int, int],
) -> TaskRecords:
    width, stride = window
    parts = [window_features(recordings[index].signal, width, stride) for index in indices]
    sizes = [len(starts) for _, starts in parts]
    signs = [1.0 if recordings[index].exercise in positive else -1.0 for index in indices]
    start = np.concatenate([starts for _, starts in parts])
    return TaskRecords(
        name=name,
        features=np.concatenate([features for features, _ in parts]),
        labels=np.repeat(signs, sizes),
        recording=np.repeat(np.asarray(indices, np.int64), sizes),
        start=start,
        stop=start + width,
    )
