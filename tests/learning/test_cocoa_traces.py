"""CoCoA's dual steps, safe adding and server against what the authors' code has recorded, step for step.

That code stops local work by an absolute and dimensionally inconsistent gap instead of the quality theta. Here this
rule says how many steps every terminal takes in a round; what the steps are, and what becomes of them, is the method's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.cocoa import CoCoA, CocoaParameters
from netsim.port import CLOUD
from tests.learning.driving import Driver
from tests.learning.mocha_reference import (
    LAMBDAS,
    SMALL_MAT,
    held_out_errors,
    known,
    recorded,
    small,
    toy,
    trace,
    turning_setting,
)

Array = NDArray[Any]
MOST = 999
LOOKS = np.arange(1, MOST, 5)
SMALL = pytest.mark.skipif(not SMALL_MAT.exists(), reason="the landmine sub-sample is not shipped")
CASES = [
    *(pytest.param(toy, f"toy cocoa{hundredths} {scale}") for hundredths in (10, 50) for scale in ("l1", "l2")),
    *(pytest.param(small, f"small cocoa {scale}", marks=SMALL) for scale in ("l2", "l4")),
]


def cocoa(data: Federation, name: str) -> CoCoA:
    """Return the method of a trace."""
    return CoCoA(turning_setting(data), CocoaParameters(regularisation=LAMBDAS[name.split()[-1]]))


def published_gaps(method: CoCoA, t: int) -> Array:
    """Return what the published code takes for the gap of terminal ``t``, after 1, 6, 11, ... steps of the next round.

    Its primal part weighs losses by all rows instead of the task's, and squares Omega_tt; its dual part squares
    Sigma_tt, and has the model in it besides the duals.
    """
    data, relation, who = method.setting.federation, method._relation, np.full(len(LOOKS), t)
    n, ones = data.task_samples[t], np.ones(len(LOOKS), np.int64)
    jobs = method._jobs(who, who, ones, LOOKS, method._trained[who])
    updates = method.setting.solver.ascend(jobs)
    rows = slice(*data.terminal_offsets[t : t + 2])
    X, y, alpha = data.X[rows], data.y[rows], updates.alpha.reshape(len(LOOKS), n)
    images, w, rho = (alpha * y) @ X, jobs.w + relation.own[t] / n * updates.du, relation.caution
    own, weight = relation.covariance[t, t], relation.weight
    primal = np.maximum(0.0, 1.0 - y * (w @ X.T)).sum(axis=1) / len(data.y) + weight / (2.0 * rho * own**2) * (
        w**2
    ).sum(1)
    pull = (w * images).sum(axis=1) / n + rho * own**2 / (2.0 * weight * n**2) * (images**2).sum(axis=1)
    return np.asarray(primal - alpha.mean(axis=1) + pull)


def published_steps(method: CoCoA, threshold: float) -> Array:
    """Return (terminals,) the steps of the next round; who comes after one that hit the cap no longer looks."""
    method.settle()
    steps = np.full(method.setting.terminals, MOST)
    for t in range(len(steps)):
        enough = np.flatnonzero(published_gaps(method, t) <= threshold)
        if len(enough) == 0:
            break
        steps[t] = LOOKS[enough[0]]
    return steps


def stopped_as_published(method: CoCoA, name: str, rounds: int, more: Any = 0) -> tuple[Driver, list[int]]:
    """Run rounds of a trace, with so many steps ``more`` in the third; return the driver and the most steps of each."""
    driver, largest = Driver(method), []
    driver.record(CLOUD)
    for number in range(rounds):
        steps = published_steps(method, 0.1 if "cocoa10" in name else 0.5) + more * (number == 2)
        largest.append(int(steps.max()))
        driver.cloud_round(Plan(largest[-1], 1, steps))
    return driver, largest


@pytest.mark.parametrize(("data", "name"), CASES)
def test_every_round_of_the_trace_is_met_when_work_stops_where_it_stopped_there(data: Any, name: str) -> None:
    rows = np.array(list(trace(name).values()))
    driver, largest = stopped_as_published(cocoa(data(), name), name, len(rows))
    assert [steps + 1 for steps in largest] == rows[:, 2].tolist()
    np.testing.assert_allclose(recorded(driver)[:-1], rows[:, :2], atol=1e-8, rtol=0.0)
    errors = [row[0] for row in known()["traces"][name].values()]
    np.testing.assert_allclose(held_out_errors(driver)[1:-1], errors[1:], atol=1e-12)  # W = 0 answers nothing there


@pytest.mark.parametrize("terminal", range(4))
def test_a_single_step_more_leaves_the_trace(terminal: int) -> None:
    name = "toy cocoa50 l2"
    driver, _ = stopped_as_published(cocoa(toy(), name), name, 3, more=np.arange(4) == terminal)
    apart = np.abs(recorded(driver) - np.array(list(trace(name).values()))[:4, :2]).max(axis=1)
    assert apart[2] < 1e-8 < 1e-3 < apart[3]
