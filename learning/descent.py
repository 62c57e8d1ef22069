"""Local minibatch SGD of many terminals, submitted one by one and run together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.deferred import Pending
from learning.parcels import Effort
from learning.primal_dual.jobs import SgdJobs
from learning.setting import Setting


class StepRule(Protocol):
    """The parameters of a method that descends."""

    batch_size: int
    learning_rate: float
    decay: float


class Descent:
    """Runs local SGD for a method.

    Args:
        setting: rows, model, queue.
        rule: batch size, step size and its decay with the terminal's rounds.
        proximal: mu, weight of the pull towards the starting model. The pull is taken at the end of a step instead of
            its start, which is the same as a step size of eta / (1 + eta mu): stable for any mu, where the plain
            step diverges from eta mu = 2.
    """

    def __init__(self, setting: Setting, rule: StepRule, proximal: float = 0.0) -> None:
        self._setting, self._rule, self._proximal = setting, rule, proximal
        self._key = setting.streams.key("local rows")

    def submit(self, terminal: int, model: Any, steps: int, number: int) -> tuple[Pending, Effort]:
        """Submit ``steps`` steps from ``model`` in the terminal's round ``number``."""
        offsets = self._setting.federation.terminal_offsets
        visits = _visits(steps, self._rule.batch_size, int(offsets[terminal + 1] - offsets[terminal]))
        result = self._setting.queue.submit(self._run, (terminal, model, steps, number))
        return result, Effort(visits, visits)

    def _run(self, batch: list[tuple[Any, ...]]) -> Sequence[NDArray[np.float64]]:
        terminals, models, steps, numbers = (np.asarray(column) for column in zip(*batch, strict=True))
        rate = self._rule.learning_rate / (1.0 + self._rule.decay * numbers)
        jobs = SgdJobs(
            terminals=terminals,
            w=models,
            anchor=models,
            steps=steps,
            learning_rate=rate / (1.0 + rate * self._proximal),
            rounds=numbers,
            key=self._key,
            batch=self._rule.batch_size,
            ridge=self._setting.coupling.lambda1,
            proximal=self._proximal,
        )
        return list(self._setting.model.descend(jobs))


def _visits(steps: int, batch: int, rows: int) -> int:
    """Rows visited in ``steps`` steps; the last batch of every pass holds what is left."""
    passes, rest = divmod(steps, -(-rows // batch))
    return passes * rows + rest * min(batch, rows)
