"""Support vector machines of single tasks, and of all rows at once, against what the authors' code of MOCHA made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.primal_dual.jobs import AscentJobs, Sampling
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import make_loss
from tests.learning.mocha_reference import LAMBDAS, agree, array, needs_small, small, toy

Array = NDArray[Any]
CASES = [
    *(pytest.param(toy, f"toy {{}} {scale}") for scale in ("l1", "l2")),
    *(pytest.param(small, f"small {{}} {scale}", marks=needs_small) for scale in ("l2", "l4")),
]


def vector_machine(X: Array, y: Array, weight: float) -> Array:
    """Return (d,) weights after cyclic passes over the rows, until one changes the primal by less than 1e-5."""
    n, one = len(y), np.ones(1)
    solver, w, before = KernelSolver(X, y, [0, n], make_loss("hinge")), np.zeros(X.shape[1]), 0.0
    for _ in range(500):
        number, key = np.zeros(1, np.int64), (0, 0)
        jobs = AscentJobs(number, w[None], np.array([n]), one, one * weight * n, number, key, Sampling.CYCLIC, False)
        solver.commit(solver.ascend(jobs), [True], one)
        w = solver.dual_image([0])[0] / (weight * n)
        primal = np.maximum(0.0, 1.0 - y * (X @ w)).mean() + 0.5 * weight * w @ w
        if abs(primal - before) < 1e-5:
            break
        before = primal
    return w


def error(data: Federation, models: list[Array]) -> float:
    """Return the mean test error of the tasks."""
    cuts, test = data.test.task_offsets, data.test
    wrong = [
        np.mean(np.sign(test.X[a:b] @ w) != test.y[a:b]) for w, a, b in zip(models, cuts[:-1], cuts[1:], strict=True)
    ]
    return float(np.mean(wrong))


@pytest.mark.parametrize(("make", "name"), CASES)
def test_machines_of_every_task_and_of_all_rows_err_as_recorded(make: Callable[[], Federation], name: str) -> None:
    data, weight = make(), LAMBDAS[name.split()[-1]]
    ends = zip(data.terminal_offsets[:-1], data.terminal_offsets[1:], strict=True)
    own = [vector_machine(data.X[a:b], data.y[a:b], weight) for a, b in ends]
    everybody = [vector_machine(data.X, data.y, weight)] * len(own)
    assert error(data, own) == pytest.approx(array(name.format("err_local")).item(), abs=1e-12)
    assert error(data, everybody) == pytest.approx(array(name.format("err_global")).item(), abs=1e-12)
    if make is toy:
        agree(own[0], array(name.format("svm_task1"))[:, 0])
