"""Local minibatch SGD of many terminals, submitted a cohort at a time and run together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.deferred import Pending
from learning.momentum import momentum_of
from learning.primal_dual.jobs import SgdJobs
from learning.setting import Setting
from learning.state import State

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
Descend = Callable[[SgdJobs], Array]
"""Returns the (T, P) parameters reached."""
Pull = Literal["implicit", "explicit"]
"""Where in a step the pull towards another model is taken, see :class:`Descent`."""


class StepRule(Protocol):
    """The parameters of a method that descends."""

    batch_size: int
    learning_rate: float
    decay: float


class Descent:
    """Runs local SGD for a method.

    Args:
        setting: rows, model, queue.
        rule: batch size, step size and its decay with the terminal's rounds; momentum and weight decay if it is a
            :class:`~learning.momentum.HeavyParameters` too.
        proximal: mu, weight of the pull towards an anchor, the starting model as a rule; of all terminals, or
            (terminals,).
        pull: ``"implicit"`` takes it at the end of a step instead of its start, which is the same as a step size of
            eta / (1 + eta mu): stable for any mu, where the plain step diverges from eta mu = 2. ``"explicit"`` is the
            plain step. What they come to rest at is the same.
        purpose: name of the stream that rows are drawn from.
        descend: what takes the steps; by default the model does, on all its parameters.
    """

    def __init__(
        self,
        setting: Setting,
        rule: StepRule,
        proximal: float | Array = 0.0,
        pull: Pull = "implicit",
        purpose: str = "local rows",
        descend: Descend | None = None,
    ) -> None:
        self._setting, self._rule, self._pull = setting, rule, pull
        self._proximal = np.broadcast_to(np.asarray(proximal, np.float64), setting.terminals)
        self._key = setting.streams.key(purpose)
        self._descend = setting.model.descend if descend is None else descend
        heavy = momentum_of(rule)
        self._momentum, self._ridge = heavy.momentum, setting.coupling.lambda1 + heavy.weight_decay

    def submit(
        self,
        terminals: IntArray,
        models: State,
        rows: IntArray,
        steps: int | IntArray,
        numbers: IntArray,
        velocities: State | None = None,
    ) -> Pending:
        """Submit ``steps`` steps of each terminal; the value will be the (n, P) models reached.

        Args:
            terminals: (n,) whose rows.
            models: where the models to start from are.
            rows: (n,) which of them each terminal starts from.
            steps: SGD steps, of all or (n,).
            numbers: (n,) how many rounds each terminal has done before.
            velocities: (terminals, P) that momentum goes on with; then the value will be (n, 2 P), the velocities
                reached behind the models. None starts at rest.
        """
        arguments = (terminals, models, rows, np.broadcast_to(steps, len(terminals)), numbers, velocities)
        reads = [(models, rows), *([] if velocities is None else [(velocities, terminals)])]
        return self._setting.queue.submit(self._run, arguments, reads=reads, weight=len(terminals))

    def run(
        self,
        terminals: IntArray,
        start: Array,
        steps: IntArray,
        numbers: IntArray,
        anchor: Array | None = None,
        before: int = 0,
        rate: Array | None = None,
        weights: Array | None = None,
        velocity: Array | None = None,
    ) -> Array:
        """Return the (n, P) models that steps from ``start`` reach, at once: for operations of the queue.

        Args:
            terminals, steps, numbers: see :meth:`submit`; a terminal may come up several times.
            start: (n, P) models.
            anchor: (n, P) what they are pulled towards; the start by default.
            before: steps of these rounds that have been done; one may go on where another descent has stopped.
            rate: (n,) step sizes; those of :meth:`rates` by default.
            weights: of the rows, see :class:`~learning.primal_dual.jobs.SgdJobs`.
            velocity: (n, P) that momentum goes on with, changed in place; at rest by default.
        """
        if velocity is None and self._momentum > 0.0:
            velocity = np.zeros_like(start)
        proximal = self._proximal[terminals]
        plain = self.rates(numbers) if rate is None else rate
        jobs = SgdJobs(
            terminals=terminals,
            w=start,
            anchor=start if anchor is None else anchor,
            steps=steps,
            learning_rate=plain / (1.0 + plain * proximal) if self._pull == "implicit" else plain,
            rounds=numbers,
            key=self._key,
            batch=self._rule.batch_size,
            ridge=self._ridge,
            proximal=proximal,
            before=before,
            weights=weights,
            momentum=self._momentum,
            velocity=velocity,
        )
        return self._descend(jobs)

    def rates(self, numbers: IntArray) -> Array:
        """Return (n,) the step sizes of terminals that have done so many rounds before."""
        return np.asarray(self._rule.learning_rate / (1.0 + self._rule.decay * numbers), np.float64)

    def visits(self, steps: int | IntArray) -> Array:
        """Return (terminals,) rows visited in ``steps`` steps; a pass's last batch holds what is left."""
        rows = np.diff(self._setting.federation.terminal_offsets)
        batch = self._rule.batch_size
        passes, rest = np.divmod(steps, np.maximum(1, -(-rows // batch)))
        return np.asarray(passes * rows + rest * np.minimum(batch, rows), np.float64)

    def _run(self, batch: list[tuple[Any, ...]]) -> Sequence[Array]:
        owners, stores, rows, steps, numbers, states = (list(column) for column in zip(*batch, strict=True))
        start = np.concatenate([store.values[chosen] for store, chosen in zip(stores, rows, strict=True)])
        velocity, jobs = gathered(states, owners), (np.concatenate(steps), np.concatenate(numbers))
        reached = self.run(np.concatenate(owners), start, *jobs, velocity=velocity)
        if velocity is not None:
            reached = np.hstack([reached, velocity])
        return np.split(reached, np.cumsum([len(terminals) for terminals in owners])[:-1])


def gathered(states: Sequence[State | None], rows: Sequence[IntArray]) -> Array | None:
    """Return (n, ...) a copy of some rows of each state, one after the other; None if there are no states."""
    found = [state.values[chosen] for state, chosen in zip(states, rows, strict=True) if state is not None]
    return np.concatenate(found) if found else None
