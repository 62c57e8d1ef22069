"""A user's own flat table, one line an example, with a column that says whose example it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords, check, leave_out_thin, plain_records
from scenarios.errors import ScenarioError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".csv", ".csv.gz", ".parquet")


def table_tasks(
    path: str | Path,
    task_column: str,
    label_column: str,
    *,
    minimum_per_class: int = 0,
    classification: bool = True,
) -> list[TaskRecords]:
    """Return one task for each value of ``task_column``, in order of first appearance.

    Every column but the two named is a feature. Lines keep their order; each is a span of its own.

    Args:
        path: a ``.csv``, ``.csv.gz`` or ``.parquet`` file with a header.
        task_column: the column whose value names the task.
        label_column: the column to predict; -1/+1, 0/1 or false/true for classification.
        minimum_per_class: tasks with fewer rows of either class are left out; 0 keeps all.
        classification: otherwise labels stay as they are.

    Raises:
        ScenarioError: no such file or column, a column that is not numeric, a missing or infinite value (row
            and column are named), labels of more than two kinds, or a data set :func:`check` refuses.
    """
    import pandas as pd  # costs a hundred megabytes, which a run without tables need not pay

    frame = _read(Path(path))
    for field, column in (("data.task_column", task_column), ("data.label_column", label_column)):
        if column not in frame.columns:
            raise ScenarioError(field, column, f"one of the columns {' '.join(map(str, frame.columns))}", str(path))
    if task_column == label_column:
        raise ScenarioError("data.label_column", label_column, "a column other than data.task_column", str(path))
    names = [str(column) for column in frame.columns if column not in (task_column, label_column)]
    if not names:
        raise ScenarioError("data.path", list(frame.columns), "at least one feature column", str(path))
    labels = _numbers(frame, label_column, path)
    if classification:
        labels = _signs(labels, label_column, path)
    features = np.column_stack([_numbers(frame, name, path) for name in names])
    _refuse_missing(frame[task_column].isna().to_numpy(dtype=bool), task_column, path)
    codes, values = pd.factorize(frame[task_column])
    tasks = [
        plain_records(str(value), features[codes == code], labels[codes == code]) for code, value in enumerate(values)
    ]
    if classification:
        tasks = leave_out_thin(tasks, minimum_per_class)
    check(tasks, "data.path", classification=classification)
    return tasks


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file() or not path.name.lower().endswith(_SUFFIXES):
        raise ScenarioError("data.path", str(path), f"an existing {' or '.join(_SUFFIXES)} file")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:  # the readers' own parse errors are ValueErrors
        raise ScenarioError("data.path", str(error), "a readable table with a header", str(path)) from error
    return frame.rename(columns=str)


def _numbers(frame: pd.DataFrame, column: str, path: str | Path) -> NDArray[np.float64]:
    """Return a column as float64, refusing text and values that are missing or infinite."""
    from pandas.api.types import is_numeric_dtype

    series = frame[column]
    if not is_numeric_dtype(series):
        raise ScenarioError("data.path", f"column {column!r} holds {series.dtype}", "numeric columns", str(path))
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse_missing(~np.isfinite(values), column, path)
    return values


def _refuse_missing(missing: NDArray[np.bool_], column: str, path: str | Path) -> None:
    rows = np.flatnonzero(missing)
    if len(rows):
        found = f"row {rows[0] + 1}, column {column!r}: missing or infinite ({len(rows)} such rows)"
        raise ScenarioError("data.path", found, "a finite value in every cell (the first data row is 1)", str(path))


def _signs(labels: NDArray[np.float64], column: str, path: str | Path) -> NDArray[np.float64]:
    kinds: set[float] = set(np.unique(labels).tolist())
    if not (kinds <= {0.0, 1.0} or kinds <= {-1.0, 1.0}):
        found = f"column {column!r} holds {sorted(kinds)[:5]}"
        allowed = "labels -1/+1, 0/1 or false/true; any number with learning.loss squared"
        raise ScenarioError("data.label_column", found, allowed, str(path))
    return np.where(labels > 0, 1.0, -1.0)
