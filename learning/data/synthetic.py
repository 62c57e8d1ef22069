"""Planted linear tasks around a common mean: the population mean-regularised multi-task learning assumes.

Each task's true weights are the common vector plus a deviation of its own, as in T. Evgeniou and M. Pontil,
"Regularized multi-task learning", KDD 2004.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords, check, plain_records
from scenarios.errors import ScenarioError
from scenarios.streams import Streams


def planted_weights(tasks: int, features: int, relatedness: float, streams: Streams) -> NDArray[np.float64]:
    """Return ``(tasks, features)`` true weights, ``sqrt(rho) common + sqrt(1 - rho) own``.

    Entries are normal with variance ``1 / features``; two tasks' entries have correlation ``rho =
    relatedness``.
    """
    columns = np.arange(features)
    common = streams.normal("synthetic-common", draw=columns)
    own = streams.normal("synthetic-own", entity=np.arange(tasks)[:, None], draw=columns)
    weights: NDArray[np.float64] = math.sqrt(relatedness) * common + math.sqrt(1.0 - relatedness) * own
    return weights / math.sqrt(features)


def synthetic_tasks(
    tasks: int,
    samples_per_task: int,
    features: int,
    relatedness: float,
    noise: float,
    streams: Streams,
) -> list[TaskRecords]:
    """Return tasks ``task-01`` onwards with labels ``sign(x . w_task + noise * z)``, x and z standard normal.

    Args:
        tasks: how many tasks.
        samples_per_task: rows of each task.
        features: entries of a row; no bias among them.
        relatedness: correlation of two tasks' true weights: 0 gives unrelated tasks, 1 the same task many
            times.
        noise: standard deviation added to the margin, whose own variance is about 1; 0 gives separable tasks.
        streams: randomness of the run; a task's rows do not depend on how many tasks there are.

    Raises:
        ScenarioError: an argument out of range, or a task so small that it came out with one class only.
    """
    for field, count, least in (
        ("tasks", tasks, 1),
        ("samples_per_task", samples_per_task, 2),
        ("features", features, 1),
    ):
        if count < least:
            raise ScenarioError(f"data.{field}", count, f"a whole number, at least {least}")
    if not 0.0 <= relatedness <= 1.0:
        raise ScenarioError("data.relatedness", relatedness, "0 to 1")
    if not 0.0 <= noise < math.inf:
        raise ScenarioError("data.noise", noise, "a finite number, at least 0")
    weights = planted_weights(tasks, features, relatedness, streams)
    rows, columns = np.arange(samples_per_task), np.arange(features)
    digits = max(2, len(str(tasks)))
    made = []
    for task in range(tasks):
        x = streams.normal("synthetic-features", entity=task, round_=rows[:, None], draw=columns)
        margin = x @ weights[task] + noise * streams.normal("synthetic-noise", entity=task, round_=rows)
        made.append(plain_records(f"task-{task + 1:0{digits}d}", x, np.where(margin > 0, 1.0, -1.0)))
    check(made, "data.samples_per_task")
    return made
