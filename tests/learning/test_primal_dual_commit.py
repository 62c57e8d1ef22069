"""A commit of many ragged updates is the commit of each alone, and a full step leaves the candidate's very bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.primal_dual.jobs import AscentUpdates
from learning.primal_dual.kernel_solver import KernelSolver
from learning.primal_dual.losses import make_loss
from learning.primal_dual.torch_solver import TorchSolver


@pytest.mark.parametrize("kind", [KernelSolver, TorchSolver])
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=8),
    dtype=st.sampled_from([np.float64, np.float32]),
    seed=st.integers(0, 10**6),
)
def test_every_update_that_arrived_moves_its_own_rows_its_own_share(
    kind: Any, sizes: list[int], dtype: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    solver = kind(np.ones((offsets[-1], 2)), np.ones(offsets[-1]), offsets, make_loss("hinge"), dtype)
    # Twice each, in any order: of two updates of a terminal one at most arrives.
    terminals = rng.permutation(np.repeat(np.arange(len(sizes)), 2))
    chosen = np.unique(terminals, return_index=True)[1]
    arrived = np.isin(np.arange(len(terminals)), chosen) & (rng.random(len(terminals)) < 0.7)
    gamma = rng.choice([1.0, 0.25, 0.7], len(terminals))
    cuts = np.concatenate([[0], np.cumsum(np.diff(offsets)[terminals])]).astype(np.int64)

    for magnitude in (1.0, 1e-9):  # from large duals to tiny ones a + (candidate - a) is not the candidate
        candidate = (magnitude * rng.random(cuts[-1])).astype(dtype)
        alpha: Any = candidate if kind is KernelSolver else solver.alpha.new_tensor(candidate)
        expected = solver.duals()
        for job, terminal in enumerate(terminals):
            own, new = expected[offsets[terminal] : offsets[terminal + 1]], candidate[cuts[job] : cuts[job + 1]]
            if arrived[job]:
                own[:] = new if gamma[job] == 1.0 else own + gamma[job] * (new - own)
        nothing = np.zeros((len(terminals), 2))
        solver.commit(AscentUpdates(terminals, nothing, nothing, alpha, cuts), arrived, gamma)
        found, full = solver.duals(), np.zeros(offsets[-1], np.bool_)
        for terminal in terminals[arrived & (gamma == 1.0)]:
            full[offsets[terminal] : offsets[terminal + 1]] = True
        np.testing.assert_array_equal(found[full], expected[full])
        np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
