"""One base station on a block of the landmine sub-sample, against values computed independently.

The rows are not part of the product: without the folder that holds them next to the repository, all tests skip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from learning.primal_dual.certificate import Certificate, task_certificate
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.jobs import AscentJobs, Sampling
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import make_loss

Array = NDArray[Any]
SMALL_MAT = Path(__file__).parents[3] / "shared" / "data" / "landmine" / "small.mat"
pytestmark = pytest.mark.skipif(not SMALL_MAT.exists(), reason="the landmine sub-sample is not shipped")
COUPLING = Coupling(0.01, 0.01, 1)
EVERYONE = np.arange(5)


def terminals_of_block(b: int, name: str) -> KernelSolver:
    """Return block b's 260 training rows (of 290) on five terminals of 52."""
    cells = loadmat(SMALL_MAT)
    rows = slice(290 * b, 290 * b + 260)
    X = np.vstack(list(cells["X"].ravel()))[rows]
    y = np.vstack(list(cells["Y"].ravel())).ravel()[rows]
    return KernelSolver(X, y.astype(float), np.arange(0, 261, 52), make_loss(name))


def certificates(solver: KernelSolver, sigma_prime: float, r: Array, steps: int, rounds: int) -> list[Certificate]:
    """Add up ``rounds`` rounds of cyclic ascent and return the certificate after each."""
    lam_n = np.full(5, COUPLING.lam * 260)
    found = []
    for k in range(rounds):
        w = np.tile(COUPLING.primal_map(solver.dual_image(EVERYONE).sum(axis=0) / 260, r), (5, 1))
        factor, round_ = np.full(5, sigma_prime), np.full(5, k)
        jobs = AscentJobs(EVERYONE, w, np.full(5, steps), factor, lam_n, round_, (0, 0), Sampling.CYCLIC)
        solver.commit(solver.ascend(jobs), np.full(5, True), np.ones(5))
        u = solver.dual_image(EVERYONE).sum(axis=0) / 260
        sums = solver.sums(EVERYONE, np.tile(COUPLING.primal_map(u, r), (5, 1)))
        found.append(task_certificate(COUPLING, u, r, sums, 260))
    return found


@pytest.mark.parametrize(
    ("sigma_prime", "known"),
    [
        (5.0, {1: 0.512258, 2: 0.534403, 5: 0.552321, 10: 0.565123, 30: 0.573332}),
        (1.0, {2: -0.157132, 5: -10.963565}),
    ],
)
def test_the_dual_climbs_when_aggregation_is_safe_and_falls_when_not(
    sigma_prime: float, known: dict[int, float]
) -> None:
    found = certificates(terminals_of_block(4, "hinge"), sigma_prime, np.zeros(9), 520, 30)
    assert [found[k - 1].dual for k in known] == pytest.approx(list(known.values()), abs=2e-6)


@pytest.mark.parametrize(
    ("b", "name", "known"),
    [
        (0, "hinge", 0.8425152676),
        (4, "hinge", 0.5704782646),
        (0, "smoothed_hinge", 0.6273235174),
        (4, "smoothed_hinge", 0.4151629231),
        (0, "squared_hinge", 0.4410033524),
        (4, "squared_hinge", 0.3117299183),
        (0, "logistic", 0.6492041863),
        (4, "logistic", 0.5678046664),
        (0, "squared", 0.4410033524),
        (4, "squared", 0.4122841649),
    ],
)
def test_the_optimum_at_fixed_r_is_the_known_one_and_no_round_lowers_the_dual(b: int, name: str, known: float) -> None:
    found = certificates(terminals_of_block(b, name), 5.0, np.linspace(-0.2, 0.2, 9), 104, 4000)
    assert found[-1].primal == pytest.approx(known, abs=2e-10)
    assert 0.0 <= found[-1].gap <= 2e-10
    assert np.diff([each.dual for each in found]).min() >= -1e-12
