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
    agree,
    errors_agree,
    held_out_errors,
    needs_small,
    recorded,
    small,
    toy,
    trace,
    turning_setting,
)

Array = NDArray[Any]
MOST = 999
LOOKS = np.arange(1, MOST, 5)
CASES = [
    *(pytest.param(toy, f"toy cocoa{hundredths} {scale}") for hundredths in (10, 50) for scale in ("l1", "l2")),
    *(pytest.param(small, f"small cocoa {scale}", marks=needs_small) for scale in ("l2", "l4")),
]


def cocoa(data: Federation, name: str) -> CoCoA:
    """Return the method of a trace."""
    return CoCoA(turning_setting(data), CocoaParameters(regularisation=LAMBDAS[name.split()[-1]]))


def published_gaps(method: CoCoA, t: int) -> Array:
    """Return what the published code takes for the gap of terminal ``t``, after 1, 6, 11, ... steps of the next round.

    It weighs losses by all rows and the dual by the task's own, and squares Omega_tt and Sigma_tt: no difference of a
    primal and its dual, and not even the same unit throughout.
    """
    data, relation, who = method.setting.federation, method._relation, np.full(len(LOOKS), t)
    jobs = method._jobs(who, who, np.ones(len(LOOKS), np.int64), LOOKS, method._trained[who])
    updates = method.setting.solver.ascend(jobs)
    rows, n = slice(*data.terminal_offsets[t : t + 2]), data.task_samples[t]
    X, y, alpha = data.X[rows], data.y[rows], updates.alpha.reshape(len(LOOKS), n)
    own, weight, rho = relation.covariance[t, t], relation.weight, relation.caution
    image, w = (alpha * y) @ X, jobs.models + own / (weight * n) * updates.du
    loss = np.maximum(0.0, 1.0 - y * (w @ X.T)).sum(axis=1) / len(data.y)
    ridge = weight / (2.0 * rho * own**2) * (w**2).sum(axis=1)
    pull = (w * image).sum(axis=1) / n
    curvature = rho * own**2 / (2.0 * weight * n**2) * (image**2).sum(axis=1)
    return np.asarray(loss + ridge + pull + curvature - alpha.mean(axis=1))


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
    agree(recorded(driver)[:-1], rows[:, :2])
    errors_agree(held_out_errors(driver), name)


@pytest.mark.parametrize("terminal", range(4))
def test_a_single_step_more_leaves_the_trace(terminal: int) -> None:
    name = "toy cocoa50 l2"
    driver, _ = stopped_as_published(cocoa(toy(), name), name, 3, more=np.arange(4) == terminal)
    apart = np.abs(recorded(driver) - np.array(list(trace(name).values()))[:4, :2]).max(axis=1)
    assert apart[2] < 1e-8 < 1e-3 < apart[3]
