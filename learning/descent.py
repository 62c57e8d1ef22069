"""Local minibatch SGD of many terminals, submitted a cohort at a time and run together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.deferred import Pending
from learning.primal_dual.jobs import SgdJobs
from learning.setting import Setting
from learning.state import State

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


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

    def submit(self, terminals: IntArray, models: State, rows: IntArray, steps: int, numbers: IntArray) -> Pending:
        """Submit ``steps`` steps of each terminal; the value will be the (n, P) models reached.

        Args:
            terminals: (n,) whose rows.
            models: where the models to start from are.
            rows: (n,) which of them each terminal starts from.
            steps: SGD steps.
            numbers: (n,) how many rounds each terminal has done before.
        """
        arguments = (terminals, models, rows, steps, numbers)
        return self._setting.queue.submit(self._run, arguments, reads=[(models, rows)], weight=len(terminals))

    def visits(self, steps: int) -> Array:
        """Return (terminals,) rows visited in ``steps`` steps; a pass's last batch holds what is left."""
        rows = np.diff(self._setting.federation.terminal_offsets)
        batch = self._rule.batch_size
        passes, rest = np.divmod(steps, np.maximum(1, -(-rows // batch)))
        return np.asarray(passes * rows + rest * np.minimum(batch, rows), np.float64)

    def _run(self, batch: list[tuple[Any, ...]]) -> Sequence[Array]:
        owners, stores, rows, steps, numbers = zip(*batch, strict=True)
        sizes = [len(terminals) for terminals in owners]
        models = np.concatenate([store.values[chosen] for store, chosen in zip(stores, rows, strict=True)])
        rounds = np.concatenate(numbers)
        rate = self._rule.learning_rate / (1.0 + self._rule.decay * rounds)
        jobs = SgdJobs(
            terminals=np.concatenate(owners),
            w=models,
            anchor=models,
            steps=np.repeat(steps, sizes),
            learning_rate=rate / (1.0 + rate * self._proximal),
            rounds=rounds,
            key=self._key,
            batch=self._rule.batch_size,
            ridge=self._setting.coupling.lambda1,
            proximal=self._proximal,
        )
        return np.split(self._setting.model.descend(jobs), np.cumsum(sizes)[:-1])
