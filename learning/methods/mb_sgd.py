"""Mb-SGD: one projected subgradient step on all models per round, from a mini-batch of every terminal.

A mini-batch baseline of MOCHA (Smith et al., "Federated multi-task learning", NeurIPS 2017), with the step of the code
published with it: a shrink that fades out and a step on the losses that does not, so it comes near the optimum and
stays away from it. After Pegasos (Shalev-Shwartz et al., ICML 2007).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.methods.base import Array
from learning.primal_dual.mini_batch import RandomRows, gradient_sums
from learning.related_tasks import Batch, RelatedParameters, RelatedTasks
from learning.segments import segment_sums, within
from learning.setting import Setting
from scenarios.errors import ScenarioError


@dataclass(frozen=True, config={"extra": "forbid"})
class MbSgdParameters(RelatedParameters):
    """Parameters of Mb-SGD.

    Attributes:
        share: share of its rows that every terminal visits in a round.
        scaling: the models shrink by scaling / round x Omega; the gradients' sum counts
            scaling / (rows visited by all terminals).
    """

    share: float = Field(default=0.5, gt=0, le=1)
    scaling: float = Field(default=0.1, gt=0)


class MbSGD(RelatedTasks):
    """Mini-batch subgradient steps."""

    label = "Mb-SGD"
    Parameters: ClassVar[Any] = MbSgdParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        if np.linalg.matrix_rank(self._relation.covariance, hermitian=True) < len(self._tasks.rows):
            raise ScenarioError("learning.lambda2", setting.coupling.lambda2, "finite: Mb-SGD needs Omega")
        data = setting.federation
        self._rows = RandomRows(setting.streams, data.terminal_offsets)
        self._visited = parameters.share * len(data.y)
        self._sums = np.zeros_like(self._views.values)

    def make_controller(self) -> Any:
        """Return the same share of its rows for every terminal."""
        return self._workload(self.parameters.share)

    def _work(self, batch: Batch) -> list[Array]:
        """Sums of minus the gradients over everybody's mini-batch, in one call."""
        who, tasks, _, steps, numbers = (np.concatenate(parts) for parts in zip(*batch, strict=True))
        chosen = self._rows.draw(who, steps, numbers)
        sums = gradient_sums(self.setting.solver, self.setting.federation, self._views.values[tasks], chosen)
        return np.split(sums, np.cumsum([len(terminals) for terminals, *_ in batch])[:-1])

    def _take_in(self, batch: Batch) -> list[None]:
        for tasks, offsets, sums, arrived in batch:
            self._sums[tasks] += segment_sums(sums[arrived], within(arrived, offsets))
        return [None] * len(batch)

    def _move(self, batch: Batch) -> list[None]:
        """W <- (I - scaling / round Omega) W + scaling / visited G, each model then within 1 / sqrt(lambda)."""
        scaling, relation = self.parameters.scaling, self._relation
        for (number,) in batch:
            W = self._models.values
            W = W - scaling / number * np.linalg.solve(relation.covariance, W) + scaling / self._visited * self._sums
            norms = np.sqrt(relation.weight) * np.linalg.norm(W, axis=1, keepdims=True)
            self._views.values[:] = self._models.values[:] = W / np.maximum(1.0, norms)
            self._sums[:] = 0.0
        return [None] * len(batch)

    def _certify(self, batch: Batch) -> list[dict[str, float]]:
        """The objective; without duals there is no bound on what is left."""
        W = self._models.values
        sums = self.setting.solver.sums(np.arange(self.setting.terminals), W, self._tasks.owner)
        losses = self._tasks.means(sums)[:, 0].sum()
        return [{"primal": float(losses + self._relation.penalty_of(W))}] * len(batch)
