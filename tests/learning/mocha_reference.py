"""The problems of ``tests/data/mocha_traces.json``, and the fixed order in which its rows were visited."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from learning.data.federate import Evaluation, Federation
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
needs_small = pytest.mark.skipif(not SMALL_MAT.exists(), reason="the landmine sub-sample is not shipped")
LAMBDAS = {"l1": 0.1, "l2": 0.01, "l4": 1e-4}


@lru_cache
def known() -> Any:
    """Return the recorded traces."""
    return json.loads((Path(__file__).parents[1] / "data" / "mocha_traces.json").read_text())


def trace(name: str) -> dict[int, list[float]]:
    """Return recorded (primal, dual) by the number of rounds done before, (primal,), or (primal, dual, steps + 1)."""
    return {int(r): row[1:] for r, row in known()["traces"][name].items()}


def array(name: str) -> Array:
    """Return a recorded array."""
    return np.array(known()["arrays"][name])


def toy() -> Federation:
    """Return four tasks in five features, a terminal each: 12, 9, 15 and 6 rows, and five more for testing."""
    sizes, tasks = [12, 9, 15, 6], []
    for t, n in enumerate(sizes, start=1):
        i, j = np.arange(1, n + 6)[:, None], np.arange(1, 6)
        rows = np.sin(1.7 * i + 0.9 * j**2 + 2.3 * t) + 0.25 * np.cos(0.5 * i * j + t)
        w = np.cos(j) + 0.5 * np.sin(3 * t + j)
        tasks.append((rows, np.where(rows @ w + 0.3 * np.sin(11 * i[:, 0] + t) >= 0, 1.0, -1.0)))
    return first_rows(tasks, sizes)


def small() -> Federation:
    """Return the landmine sub-sample: 29 tasks of the first three quarters of their rows, the others for testing."""
    cells = loadmat(SMALL_MAT)
    tasks = [(X, y.ravel().astype(float)) for X, y in zip(cells["X"].ravel(), cells["Y"].ravel(), strict=True)]
    return first_rows(tasks, [int(np.ceil(0.75 * len(y))) - 1 for _, y in tasks])


def first_rows(tasks: list[tuple[Array, Array]], sizes: list[int]) -> Federation:
    """Return tasks of a terminal each, which trains on the first so many rows and is tested on the others."""
    parts = [(X[:n], y[:n], X[n:], y[n:]) for (X, y), n in zip(tasks, sizes, strict=True)]
    X, y, held_out, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    cuts = np.cumsum([0, *(len(part[3]) for part in parts)])
    return replace(federation_of(X, y, sizes, len(sizes)), test=Evaluation(held_out, labels, cuts))


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
    return driver, recorded(driver)


def recorded(driver: Driver) -> Array:
    """Return (records, 2) primal and dual values recorded at the cloud; the dual is NaN where there is none."""
    return np.array([(scalars["primal"], scalars.get("dual", np.nan)) for scalars in driver.cloud_scalars()])


def held_out_errors(driver: Driver) -> Array:
    """Return (records,) mean test error of the tasks recorded at the cloud."""
    driver.method.settle()
    tables = [measured.tasks for node, measured in driver.records if node == CLOUD]
    return np.array([np.mean([1.0 - row["accuracy"] for row in rows if row["split"] == "test"]) for rows in tables])


def agree(found: Any, reference: Any, within: float = 1e-10) -> None:
    """Check that no number is further from its reference than this, be it large or small."""
    np.testing.assert_allclose(found, reference, atol=within, rtol=0.0)


def follows(found: Array, name: str, within: float = 1e-10) -> None:
    """Check recorded primal and dual values against a trace, as far as both go."""
    rows = {r: row for r, row in trace(name).items() if r < len(found)}
    assert len(rows) > 3
    agree(found[list(rows)], list(rows.values()), within)


def errors_agree(errors: Array, name: str, since: int = 1) -> None:
    """Check recorded test errors against a trace, from round ``since``: a model of 0 answers nothing there."""
    rows = {int(r): row[0] for r, row in known()["traces"][name].items() if since <= int(r) < len(errors)}
    assert len(rows) > 2
    agree(errors[list(rows)], list(rows.values()), 1e-12)
