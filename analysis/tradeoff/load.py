"""Reads the folder of a study, and its runs one by one: what is kept of each is small, however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from analysis.curves import TrialCurve
from analysis.load import Method
from analysis.quantities import RESOURCES
from analysis.scales import CLASSES, VALUES, suitable
from analysis.tradeoff.curve import CERTIFIED, MEASURES, SCORES

SUMMARY = b"run"
"""Key of a record's metadata that hold its summary, as JSON."""


class NotAStudyError(Exception):
    """The folder does not hold a readable study; the text is the one line a user sees."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: not a study: {' '.join(reason.split())}")


@dataclass(frozen=True)
class AxisEntry:
    """One field that takes several values: its column in the index, what readers call it, its scale."""

    field: str
    label: str
    log: bool


@dataclass(frozen=True)
class Questions:
    """What the analysis looks at; scenarios/study.py says what each means."""

    measure: str
    resources: tuple[str, ...]
    targets: tuple[float, ...]
    gap_targets: tuple[float, ...]
    at: Mapping[str, tuple[float, ...]]
    front: str
    blocks: str
    plans: bool = False

    @property
    def label(self) -> str:
        """What readers call the measure."""
        return MEASURES[self.measure].name

    @property
    def words(self) -> str:
        """The same within a sentence."""
        return MEASURES[self.measure].words


@dataclass(frozen=True)
class Study:
    """What a study asked and which runs it has.

    Attributes:
        folder: where it was read from.
        axes: all fields that take several values; `together` are their names, grouped by moving together.
        methods: the flagship first.
        index: one row a run: point, a column for every axis, method, seed, fingerprint.
        records: folder of the records.
        failed: runs that failed, with why.
    """

    folder: Path
    name: str
    title: str
    question: str
    axes: tuple[AxisEntry, ...]
    together: tuple[tuple[str, ...], ...]
    methods: tuple[Method, ...]
    flagship: str
    questions: Questions
    index: pd.DataFrame
    records: Path
    failed: Mapping[str, str]

    def label(self, key: str) -> str:
        """Reader's name of a method."""
        return {method.key: method.label for method in self.methods}[key]

    @property
    def axis_fields(self) -> list[str]:
        """Columns of the index that tell points apart."""
        return [axis.field for axis in self.axes]


@dataclass(frozen=True)
class RunView:
    """What the analysis keeps of a run.

    Attributes:
        place: its row in the index.
        summary: totals and final scores, as recorded.
        start: the measure before anything was spent.
        climb: see :func:`climb`, of the measure; `descent` is that of minus the gap, None if nothing certifies it.
        at: the measure at amounts that were asked for, by column name.
    """

    place: int
    summary: Mapping[str, Any]
    start: float
    climb: TrialCurve
    descent: TrialCurve | None
    at: Mapping[str, float]


def load_study(folder: str | Path) -> Study:
    """Read what a study is.

    Raises:
        NotAStudyError: a file or a field is missing or unreadable.
    """
    root = Path(folder)
    try:
        told = json.loads((root / "study.json").read_text(encoding="utf-8"))
        asked, index, records = told["questions"], pd.read_parquet(root / "index.parquet"), root / told["records"]
        lists = {name: tuple(asked[name]) for name in ("resources", "targets", "gap_targets")}
        at = {name: tuple(amounts) for name, amounts in asked["at"].items()}
        methods = [Method(entry["key"], entry["label"]) for entry in told["methods"]]
        return Study(
            folder=root,
            name=told["study"],
            title=told["title"],
            question=told["question"],
            axes=tuple(AxisEntry(**axis) for axis in told["axes"]),
            together=tuple(tuple(group) for group in told["together"]),
            methods=tuple(sorted(methods, key=lambda method: method.key != told["flagship"])),
            flagship=told["flagship"],
            questions=Questions(
                asked["measure"] or _usual_measure(_record_of(records, name) for name in index["fingerprint"]),
                **lists,
                at=at,
                front=asked["front"],
                blocks=asked["blocks"],
                plans=asked["plans"],
            ),
            index=index,
            records=records,
            failed=_failures(root),
        )
    except KeyError as error:
        raise NotAStudyError(root, f"study.json lacks {error}") from error
    except (OSError, ValueError, TypeError) as error:
        raise NotAStudyError(root, str(error)) from error


def _record_of(records: Path, fingerprint: str) -> Path:
    return records / fingerprint[:2] / f"{fingerprint}.parquet"


def _usual_measure(records: Iterable[Path]) -> str:
    """What suits the labels of the first run there is."""
    first = next((path for path in records if path.is_file()), None)
    summary = {} if first is None else json.loads(pq.read_schema(first).metadata[SUMMARY])
    return suitable(*(summary.get(scale.main.metric) is not None for scale in (CLASSES, VALUES))).main.metric


def _failures(root: Path) -> dict[str, str]:
    paths = sorted((root / "failed").glob("*.json"))
    return {path.stem: str(json.loads(path.read_text(encoding="utf-8"))["problem"]) for path in paths}


def run_views(study: Study) -> Iterator[RunView]:
    """Yield what is kept of every recorded run, in the order of the index; runs without a record are left out."""
    measure = study.questions.measure
    for place, (name, method, seed) in enumerate(
        study.index[["fingerprint", "method", "seed"]].itertuples(index=False)
    ):
        path = _record_of(study.records, name)
        if not path.is_file():
            continue
        table = pq.read_table(path)
        summary = json.loads(table.schema.metadata[SUMMARY])
        curve = table.to_pandas()
        scores = step_curve(curve, SCORES, measure, method, seed)
        gaps = curve[curve["gap"].notna()]
        descent = (
            climb(step_curve(gaps.assign(gap=-gaps["gap"]), CERTIFIED, "gap", method, seed)) if len(gaps) else None
        )
        yield RunView(place, summary, float(scores.value[0]), climb(scores), descent, _readings(study, scores, summary))


def step_curve(curve: pd.DataFrame, kind: str, column: str, method: str, seed: int) -> TrialCurve:
    """One column of a recorded curve as a step function."""
    rows = curve[curve["kind"] == kind]
    spent = {entry.key: rows[entry.key].to_numpy(dtype=float) for entry in RESOURCES}
    return TrialCurve(method, seed, spent, rows[column].to_numpy(dtype=float))


def climb(curve: TrialCurve) -> TrialCurve:
    """The events at which the value rose above all before, and the last one, which holds the highest.

    Says when a target was first reached, and what had been reached when, as exactly as the whole curve does.
    """
    value = np.where(np.isnan(curve.value), -np.inf, curve.value)
    highest = np.maximum.accumulate(value)
    keep = np.append(True, highest[1:] > highest[:-1])
    keep[-1] = True
    return TrialCurve(curve.method, curve.seed, {k: v[keep] for k, v in curve.spent.items()}, highest[keep])


def _readings(study: Study, curve: TrialCurve, summary: Mapping[str, Any]) -> dict[str, float]:
    """The measure at shares of every budget that was set, and at amounts that were asked for."""
    found = {}
    for entry in RESOURCES:
        limit = summary["budget"].get(entry.key)
        for percent in (25, 50, 100) if limit is not None else ():
            # A budget ends a run at the crossing, which rounds to either side of the limit.
            name = f"{study.questions.measure}_at_{percent}_percent_of_{entry.key}"
            found[name] = float(curve.at(entry.key, limit * percent / 100 * (1 + 1e-9)))
        for amount in study.questions.at.get(entry.key, ()):
            found[f"{study.questions.measure}_at_{entry.key}_{amount:g}"] = float(curve.at(entry.key, amount))
    return found
