"""The terminals' side of a federation: every terminal's rows and dual variables, and what they can be asked to do.

The solvers themselves are imported when one is made: a run on the CPU never pays for loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from learning.primal_dual.jobs import AscentJobs, AscentUpdates, SgdJobs
from learning.primal_dual.losses import Loss

Array = NDArray[Any]


class LocalSolver(Protocol):
    """M terminals with their rows (sorted by terminal) and duals; base stations hold only models.

    ``ascend`` changes nothing: an update that arrives is ``commit``-ted, one that is lost is dropped.
    """

    loss: Loss
    offsets: Array

    def ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """Return the updates of independent rounds of local dual ascent, all from the committed duals."""

    def commit(self, updates: AscentUpdates, arrived: ArrayLike, gamma: ArrayLike) -> None:
        """Set a <- a + gamma (candidate - a) for the rows of each job whose update arrived.

        Args:
            updates: of T jobs.
            arrived: (T,) booleans.
            gamma: (T,) share of the way that each job's duals go.

        Raises:
            ValueError: a terminal's update arrived twice, or lengths disagree.
        """

    def add_up(self, updates: AscentUpdates, arrived: ArrayLike, offsets: ArrayLike) -> Array:
        """Return (S, d) float64 sums of the du of jobs ``offsets[s]`` to ``offsets[s + 1] - 1`` that arrived.

        It is all that leaves the device of an iteration: base stations keep sums.

        Raises:
            ValueError: lengths disagree.
        """

    def sums(self, terminals: ArrayLike, w: Array, sent: Array | None = None) -> Array:
        """Return (T, 3) float64 sums over each terminal's rows: loss, conjugate, Fenchel-Young.

        Args:
            terminals: whose rows.
            w: (S, d) models.
            sent: (T,) which of them the loss is taken at; None: a model each.
        """

    def dual_image(self, terminals: ArrayLike) -> Array:
        """Return (T, d) float64 sums over each terminal's rows of beta x at the committed duals."""

    def sgd(self, jobs: SgdJobs) -> Array:
        """Return the (T, d) models reached by local minibatch SGD; duals play no part."""

    def duals(self) -> Array:
        """Return a host copy of the committed duals, (n,)."""


def make_solver(
    device: str,
    X: ArrayLike,
    y: ArrayLike,
    offsets: ArrayLike,
    loss: Loss,
    dtype: DTypeLike = np.float64,
    start: float | None = None,
) -> LocalSolver:
    """Return the fastest solver of a device.

    Compiled kernels on ``"cpu"``; on ``"cuda"`` compiled ones as well where Triton is installed; batched tensors
    anywhere else. Arguments are those of :class:`~.kernel_solver.KernelSolver`.
    """
    if device == "cpu":
        from learning.primal_dual.kernel_solver import KernelSolver

        return KernelSolver(X, y, offsets, loss, dtype, start)
    if device.startswith("cuda") and _has_triton():
        from learning.primal_dual.triton_solver import TritonSolver

        return TritonSolver(X, y, offsets, loss, dtype, device, start)
    from learning.primal_dual.torch_solver import TorchSolver

    return TorchSolver(X, y, offsets, loss, dtype, device, start)


def _has_triton() -> bool:
    """Return whether Triton imports; torch comes without it on some platforms."""
    try:
        import_module("triton")
    except ImportError:
        return False
    return True
