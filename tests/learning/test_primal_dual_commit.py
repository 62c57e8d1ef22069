"""A commit of many ragged updates is the commit of each alone, and a full step leaves the candidate's very bits.

What arrived of a cell adds up to the same last bit, whatever else arrived.
"""

from __future__ import annotations

from itertools import pairwise
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


@pytest.mark.parametrize("kind", [KernelSolver, TorchSolver])
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    dtype=st.sampled_from([np.float64, np.float32]),
    seed=st.integers(0, 10**6),
)
def test_changes_that_arrived_add_up_by_cell(kind: Any, sizes: list[int], dtype: Any, seed: int) -> None:
    rng, T = np.random.default_rng(seed), sum(sizes)
    solver = kind(np.ones((1, 3)), np.ones(1), [0, 1], make_loss("hinge"), dtype)
    offsets, arrived = np.concatenate([[0], np.cumsum(sizes)]), rng.random(T) < 0.6
    sent = rng.normal(size=(T, 3)).astype(dtype)
    du: Any = sent if kind is KernelSolver else solver.alpha.new_tensor(sent)
    none = np.zeros(T, np.int64)
    updates = AscentUpdates(none, du, np.zeros((T, 2)), du[:0, 0], np.zeros(T + 1, np.int64))

    total = solver.add_up(updates, arrived, offsets)
    assert total.dtype == np.float64
    for s, (first, last) in enumerate(pairwise(offsets.tolist())):
        heard = sent[first:last][arrived[first:last]].astype(np.float64)
        np.testing.assert_allclose(total[s], heard.sum(axis=0), atol=1e-14)
        alone = AscentUpdates(none[first:last], du[first:last], np.zeros((last - first, 2)), du[:0, 0], offsets)
        np.testing.assert_array_equal(solver.add_up(alone, arrived[first:last], [0, last - first])[0], total[s])
    for wrong in ([0, T + 1], [1, T], [], [0, T, T - 1, T] if T else [0, 1, 0]):
        with pytest.raises(ValueError, match="a rising sequence"):
            solver.add_up(updates, arrived, np.array(wrong, int))
    with pytest.raises(ValueError, match="a truth for each"):
        solver.add_up(updates, np.append(arrived, True), offsets)
