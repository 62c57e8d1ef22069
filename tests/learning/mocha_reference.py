"""The problems of ``tests/data/mocha_traces.json``, and the fixed order in which its rows were visited."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.mocha import MOCHA, MochaParameters
from learning.models import LinearModel
from learning.primal_dual.jobs import AscentJobs, AscentUpdates, Sampling
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.mini_batch import MiniBatches, batches
from learning.segments import rows_of
from learning.setting import Setting
from netsim.port import CLOUD
from tests.learning.driving import Driver, always, federation_of, setting_of

Array = NDArray[Any]
SMALL_MAT = Path(__file__).parents[3] / "shared" / "data" / "landmine" / "small.mat"
LAMBDAS = {"l1": 0.1, "l2": 0.01, "l4": 1e-4}


@lru_cache
def known() -> Any:
    """Return the recorded traces."""
    return json.loads((Path(__file__).parents[1] / "data" / "mocha_traces.json").read_text())


def trace(name: str) -> dict[int, list[float]]:
    """Return recorded (primal, dual) by the number of rounds done before, or (primal,)."""
    return {int(r): row[1:] for r, row in known()["traces"][name].items()}


def toy() -> Federation:
    """Return four tasks in five features, a terminal each: 12, 9, 15 and 6 rows."""
    sizes, X, y = [12, 9, 15, 6], [], []
    for t, n in enumerate(sizes, start=1):
        i, j = np.arange(1, n + 1)[:, None], np.arange(1, 6)
        rows = np.sin(1.7 * i + 0.9 * j**2 + 2.3 * t) + 0.25 * np.cos(0.5 * i * j + t)
        w = np.cos(j) + 0.5 * np.sin(3 * t + j)
        X.append(rows)
        y.append(np.where(rows @ w + 0.3 * np.sin(11 * i[:, 0] + t) >= 0, 1.0, -1.0))
    return federation_of(np.vstack(X), np.concatenate(y), sizes, 4)


def small() -> Federation:
    """Return the landmine sub-sample: 29 tasks of the first three quarters of their rows."""
    cells = loadmat(SMALL_MAT)
    X, y = list(cells["X"].ravel()), [each.ravel().astype(float) for each in cells["Y"].ravel()]
    sizes = [int(np.ceil(0.75 * len(each))) - 1 for each in y]
    rows = np.vstack([each[:n] for each, n in zip(X, sizes, strict=True)])
    labels = np.concatenate([each[:n] for each, n in zip(y, sizes, strict=True)])
    return federation_of(rows, labels, sizes, len(sizes))


def turned(offsets: Array, terminals: Array, rounds: Array, period: int) -> tuple[Array, Array, Array]:
    """Return rows of some terminals and their ranges, and for each its 0-based place in the order of visits.

    The s-th visit in round hh, both from 1, is to row (s mod n + 5 hh) mod n; rounds start again after ``period``.
    """
    rows, cuts = rows_of(offsets, terminals)
    job = np.repeat(np.arange(len(terminals)), np.diff(cuts))
    sizes, first = np.diff(cuts)[job], 1 + 5 * (np.asarray(rounds)[job] % period + 1)
    return rows, cuts, (np.arange(len(rows)) - cuts[job] - first) % sizes


class TurningSolver(KernelSolver):
    """Visits rows in the order of the reference, by the compiled cyclic ascent on rows put in that order.

    Args:
        data: the federation.
        loss: as for the kernel solver.
        period: rounds after which their count starts again.
    """

    def __init__(self, data: Federation, loss: Any, period: int) -> None:
        super().__init__(data.X, data.y, data.terminal_offsets, loss)
        self._period = period

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """Return the updates with the duals in their own order."""
        rows, cuts, visit = turned(self.offsets, jobs.terminals, jobs.rounds, self._period)
        job = np.repeat(np.arange(len(jobs.terminals)), np.diff(cuts))
        order = np.lexsort((visit, job))
        inner = KernelSolver(self.X[rows[order]], self.y[rows[order]], cuts, self.loss)
        inner.alpha[:] = self.alpha[rows[order]]
        found = inner.ascend(replace(jobs, terminals=np.arange(len(jobs.terminals)), sampling=Sampling.CYCLIC))
        alpha = np.empty_like(found.alpha)
        alpha[order] = found.alpha
        return replace(found, terminals=jobs.terminals, alpha=alpha)


class TurningRows:
    """Draws the mini-batches of the reference."""

    def __init__(self, offsets: Array) -> None:
        self._offsets = offsets

    def draw(self, terminals: Array, sizes: Array, rounds: Array) -> MiniBatches:
        """Return the rows visited in the first ``sizes`` steps."""
        rows, cuts, visit = turned(self._offsets, terminals, rounds, 2**31)
        return batches(rows, cuts, visit < np.repeat(sizes, np.diff(cuts)))


def turning_setting(data: Federation, period: int = 2**31, **options: Any) -> Setting:
    """Return a setting whose terminals visit rows in the order of the reference."""
    setting = setting_of(data, **options)
    solver = TurningSolver(data, setting.loss, period)
    return replace(setting, solver=solver, model=LinearModel(data.X.shape[1], solver))


def mocha(data: Federation, loss: str = "hinge", setting: Any = None, **parameters: Any) -> MOCHA:
    """Return a fresh method."""
    return MOCHA(setting or setting_of(data, loss), MochaParameters(**parameters))


def turning(data: Federation, scale: str = "l1", period: int = 2**31, **parameters: Any) -> MOCHA:
    """Return a fresh method whose terminals visit rows in the order of the reference."""
    chosen = {"relationship": "independent", "regularisation": LAMBDAS[scale]} | parameters
    return mocha(data, setting=turning_setting(data, period), **chosen)


def share_plan(data: Federation, shares: Any) -> Plan:
    """Return one iteration of floor(share n) steps of every terminal."""
    each = np.floor(shares * np.diff(data.terminal_offsets)).astype(np.int64)
    return Plan(int(each.max()), 1, each)


def uneven(data: Federation, number: int) -> Array:
    """Return the shares of round ``number``, from 0, when work is heterogeneous."""
    t = np.arange(1, len(data.terminal_offsets))
    return 0.1 + 0.9 * ((7 * t + 13 * (number + 1)) % 10) / 10


def missing(tenths: int) -> Callable[[int, int], bool]:
    """Return whether updates arrive if about so many of ten are lost."""
    return lambda terminal, number: (7 * (terminal + 1) + 3 * (number + 1)) % 10 >= tenths


def followed(
    method: Any, rounds: int, shares: Any = 1.0, arrives: Callable[[int, int], bool] = always
) -> tuple[Driver, Array]:
    """Run rounds and return the driver with the (rounds + 1, 2) primal and dual values recorded at the cloud.

    Args:
        method: a fresh one.
        rounds: how many.
        shares: of the rows that are visited; a function of the round's number, or the same in all.
        arrives: see :class:`Driver`.
    """
    driver = Driver(method, arrives)
    driver.record(CLOUD)
    for number in range(rounds):
        data = method.setting.federation
        driver.cloud_round(share_plan(data, shares(data, number) if callable(shares) else shares))
    found = [(scalars["primal"], scalars.get("dual", np.nan)) for scalars in driver.cloud_scalars()]
    return driver, np.array(found)
