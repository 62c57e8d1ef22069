"""What the gradient steps of many jobs have built up, in plain tensors: momentum as ``torch.optim.SGD`` has it."""

from __future__ import annotations

import torch
from torch import Tensor

from learning.primal_dual.jobs import SgdJobs


class Velocity:
    """v of T jobs, v <- m v + gradient; without momentum steps go along the gradient itself.

    B. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Comput. Math. 1964.

    Args:
        jobs: m, and (T, P) velocities at the start.
        models: (T, p) whose first p numbers of the P are descended on; of their type and device it is.
    """

    def __init__(self, jobs: SgdJobs, models: Tensor) -> None:
        self._jobs, self._width = jobs, models.shape[1]
        self._now: Tensor | None = None
        if jobs.velocity is not None:
            self._now = torch.tensor(jobs.velocity[:, : self._width], dtype=models.dtype, device=models.device)

    def direction(self, gradient: Tensor, active: Tensor, part: slice = slice(None)) -> Tensor:
        """Return along what to step.

        Args:
            gradient: (T, q) by some of the numbers.
            active: whether there is a step, (T, 1) or (T, q); where there is none, nothing is built up.
            part: which q numbers.
        """
        if self._now is None:
            return gradient
        before = self._now[:, part]
        self._now[:, part] = torch.where(active, self._jobs.momentum * before + gradient, before)
        return self._now[:, part]

    def store(self) -> None:
        """Put what has been built up where the jobs have it."""
        if self._now is not None and self._jobs.velocity is not None:
            self._jobs.velocity[:, : self._width] = self._now.cpu().numpy()
