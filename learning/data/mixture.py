"""Planted mixtures: every task draws each of its rows' labels from one of a few linear rules, in shares of its own.

The population that federated learning under a mixture of distributions assumes, made as its authors describe theirs
(O. Marfoq, G. Neglia, A. Bellet, L. Kameni, R. Vidal, "Federated multi-task learning under a mixture of
distributions", NeurIPS 2021): rules and features uniform in [-1, 1]^d, shares from a Dirichlet law, and numbers of rows
with a long tail.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from learning.data.records import TaskRecords, check, plain_records
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

_LOG_MEAN, _LOG_DEVIATION = 4.0, 2.0

Array = NDArray[np.float64]


def planted_components(components: int, features: int, streams: Streams) -> Array:
    """Return the ``(components, features)`` weights of the rules, uniform in [-1, 1]."""
    rules = np.arange(components)[:, None]
    return 2.0 * streams.uniform("mixture-components", entity=rules, draw=np.arange(features)) - 1.0


def planted_shares(task: int, components: int, concentration: float, streams: Streams) -> Array:
    """Return the ``(components,)`` shares of the rules in a task's rows."""
    return streams.generator("mixture-shares", entity=task).dirichlet(np.full(components, concentration))


def mixture_rows(
    task: int, rows: int, weights: Array, shares: Array, noise: float, streams: Streams
) -> tuple[Array, Array]:
    """Return ``(rows, features)`` features of a task and their ``(rows,)`` labels, ``sign(x . w_c + noise z)``.

    Args:
        task: index; with the index of a row it says which draws are made.
        rows: how many; more of them have the same beginning.
        weights: ``(components, features)`` of the rules.
        shares: ``(components,)`` chances of the rule c of a row.
        noise: standard deviation added to the margin.
        streams: the run's randomness.
    """
    row, columns = np.arange(rows), np.arange(weights.shape[1])
    x = 2.0 * streams.uniform("mixture-features", entity=task, round_=row[:, None], draw=columns) - 1.0
    drawn = streams.uniform("mixture-rules", entity=task, round_=row)
    rule = np.minimum(np.searchsorted(np.cumsum(shares), drawn), len(shares) - 1)
    margin = np.einsum("nd,nd->n", x, weights[rule])
    margin += noise * streams.normal("mixture-noise", entity=task, round_=row)
    return x, np.where(margin > 0.0, 1.0, -1.0)


def mixture_tasks(
    tasks: int,
    features: int,
    components: int,
    concentration: float,
    noise: float,
    least_rows: int,
    most_rows: int,
    streams: Streams,
) -> list[TaskRecords]:
    """Return tasks ``task-01`` onwards.

    Args:
        tasks: how many tasks.
        features: entries of a row; no bias among them.
        components: rules that all tasks share.
        concentration: of the Dirichlet law of a task's shares: small gives tasks of one rule each, large the same
            mixture everywhere.
        noise: standard deviation added to the margin, whose own is about a third of the root of ``features``.
        least_rows, most_rows: a task has ``least_rows + LogNormal(4, 2)`` rows, and at most ``most_rows``.
        streams: randomness of the run; a task's rows do not depend on how many tasks there are.

    Raises:
        ScenarioError: an argument out of range, or a task so small that it came out with one class only.
    """
    _refuse_impossible(tasks, features, components, concentration, noise, least_rows, most_rows)
    weights = planted_components(components, features, streams)
    digits = max(2, len(str(tasks)))
    made = []
    for task in range(tasks):
        tail = math.exp(_LOG_MEAN + _LOG_DEVIATION * float(streams.normal("mixture-sizes", entity=task)))
        shares = planted_shares(task, components, concentration, streams)
        rows = min(least_rows + int(tail), most_rows)
        x, y = mixture_rows(task, rows, weights, shares, noise, streams)
        made.append(plain_records(f"task-{task + 1:0{digits}d}", x, y))
    check(made, "data.arguments.least_rows")
    return made


def _refuse_impossible(
    tasks: int, features: int, components: int, concentration: float, noise: float, least_rows: int, most_rows: int
) -> None:
    for field, count, least in (
        ("tasks", tasks, 1),
        ("features", features, 1),
        ("components", components, 1),
        ("least_rows", least_rows, 2),
        ("most_rows", most_rows, least_rows),
    ):
        if count < least:
            raise ScenarioError(f"data.arguments.{field}", count, f"a whole number, at least {least}")
    if not 0.0 < concentration < math.inf:
        raise ScenarioError("data.arguments.concentration", concentration, "a finite number above 0")
    if not 0.0 <= noise < math.inf:
        raise ScenarioError("data.arguments.noise", noise, "a finite number, at least 0")
