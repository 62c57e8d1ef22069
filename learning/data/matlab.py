"""Multi-task sets kept as MATLAB cell arrays, one cell a task: the layouts in which landmine data circulate.

Landmine detection: 29 mine fields, 9 radar features a spot (Y. Xue, X. Liao, L. Carin, B. Krishnapuram,
"Multi-task learning for classification with Dirichlet process priors", JMLR 8, 2007).
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from learning.data.records import TaskRecords, check, leave_out_thin, plain_records
from scenarios.errors import ScenarioError

LAYOUTS = (("X", "Y"), ("feature", "label"))
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, zlib.error)


def matlab_tasks(
    path: str | Path, *, minimum_per_class: int = 0, classification: bool = True, field: str = "data.path"
) -> list[TaskRecords]:
    """Return one task a cell, named ``task-01`` onwards after its place in the file.

    Args:
        path: a MATLAB 5 file with cell arrays ``X``, ``Y`` or ``feature``, ``label``; a cell of the first is
            ``(n, d)``, of the second ``n`` labels.
        minimum_per_class: tasks with fewer rows of either class are left out; 0 keeps all.
        classification: labels above 0 become +1 and the others -1; otherwise they stay as they are.
        field: what an error message points at.

    Raises:
        ScenarioError: no such file, not a MATLAB 5 file, variables missing, or a data set :func:`check`
            refuses.
    """
    features, labels = _cells(Path(path), field)
    digits = max(2, len(str(len(features))))
    tasks = []
    for index, (x, y) in enumerate(zip(features, labels, strict=True)):
        task = plain_records(f"task-{index + 1:0{digits}d}", x, y, field)
        if classification:
            signs = np.where(np.isfinite(task.labels), np.where(task.labels > 0, 1.0, -1.0), task.labels)
            task = plain_records(task.name, task.features, signs, field)
        tasks.append(task)
    if classification:
        tasks = leave_out_thin(tasks, minimum_per_class)
    check(tasks, field, classification=classification)
    return tasks


def _cells(path: Path, field: str) -> tuple[list[Any], list[Any]]:
    from scipy.io import loadmat  # here, as it loads much that no other source of data needs
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise ScenarioError(field, str(path), "an existing MATLAB file")
    try:
        content = loadmat(path, appendmat=False)
    except (*_UNREADABLE, MatReadError) as error:
        raise ScenarioError(field, str(error), "a MATLAB 5 file (save -v7 or older)", str(path)) from error
    for pair in LAYOUTS:
        if all(name in content for name in pair):
            features, labels = (np.asarray(content[name]) for name in pair)
            if features.dtype == labels.dtype == object and features.size == labels.size > 0:
                return list(features.ravel()), list(labels.ravel())
            found = f"{pair[0]} {features.dtype}{features.shape}, {pair[1]} {labels.dtype}{labels.shape}"
            raise ScenarioError(field, found, "two cell arrays with one cell a task", str(path))
    found = f"holds {sorted(name for name in content if not name.startswith('__'))}"
    wanted = "cell arrays " + ", or ".join(" and ".join(pair) for pair in LAYOUTS)
    raise ScenarioError(field, found, wanted, str(path))
