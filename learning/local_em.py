"""Local work of federated expectation-maximisation: an E-step and weighted SGD of many terminals, run together.

Marfoq et al., "Federated multi-task learning under a mixture of distributions", NeurIPS 2021, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.deferred import Pending
from learning.descent import Descent, StepRule, gathered
from learning.mixtures import Mixture, expectation, fit_shares
from learning.setting import Setting
from learning.state import State

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


def starts_apart(setting: Setting, components: int, spread: float) -> Array:
    """Return (M P,) components to start from: the model's own start, and others around it, each from its own stream.

    Args:
        setting: model and randomness.
        components: M.
        spread: standard deviation of every parameter of the others.
    """
    first, others = setting.model.initial(setting.streams), np.arange(1, components)[:, None]
    apart = setting.streams.normal("mixture component", entity=others, draw=np.arange(len(first)))
    return np.concatenate([first, (first + spread * apart).ravel()])


class LocalEM:
    """Runs local expectation-maximisation for a method.

    Every component descends on the mean over a batch of responsibility times loss. The responsibilities are not made
    to sum to the batch's size, so a component that explains little moves little. All components of a terminal visit
    the same rows in the same order, those that plain SGD would visit.

    Args:
        setting: rows, model, loss, queue.
        rule: batch size, step size and its decay.
        components: M.
    """

    def __init__(self, setting: Setting, rule: StepRule, components: int) -> None:
        self._setting, self._components = setting, components
        self._descent = Descent(setting, rule)
        self.mixture = Mixture(setting.model, setting.loss, components)

    def submit(
        self,
        terminals: IntArray,
        models: State,
        rows: IntArray,
        shares: State,
        steps: int | IntArray,
        numbers: IntArray,
        velocities: State | None = None,
    ) -> Pending:
        """Submit an E-step and ``steps`` SGD steps of each component; the value will be the (n, M P + M) mixtures.

        Args:
            terminals: (n,) whose rows.
            models: the first M P columns are components; ``rows`` (n,) says which of them each terminal starts from.
            shares: a row for every terminal, whose last M columns are its shares before.
            steps: SGD steps, of all or (n,).
            numbers: (n,) how many rounds each terminal has done before.
            velocities: (terminals, M P) that the components' momentum goes on with; those reached will stand behind
                the mixtures. None starts at rest.
        """
        arguments = (terminals, models, rows, shares, np.broadcast_to(steps, len(terminals)), numbers, velocities)
        used = [(models, rows), (shares, terminals), *([] if velocities is None else [(velocities, terminals)])]
        return self._setting.queue.submit(self._run, arguments, reads=used, weight=len(terminals) * self._components)

    def visits(self, steps: int | IntArray) -> tuple[Array, Array]:
        """Return (terminals,) visits of a row in a round, and those of them that do not grow with the steps.

        A component's visit of a row counts as one: forward and backward in SGD, and forward alone in the E-step, as it
        does in a certificate. A single component has nothing to expect.
        """
        rows = np.diff(self._setting.federation.terminal_offsets).astype(np.float64)
        fixed = rows * self._components if self._components > 1 else 0.0 * rows
        return self._descent.visits(steps) * self._components + fixed, fixed

    def _run(self, batch: list[tuple[Any, ...]]) -> Sequence[Array]:
        owners, stores, rows, states, steps, numbers, moving = zip(*batch, strict=True)
        sizes, who = [len(terminals) for terminals in owners], np.concatenate(owners)
        M, width = self._components, self._components * self._setting.model.size
        models = np.concatenate([store.values[chosen, :width] for store, chosen in zip(stores, rows, strict=True)])
        shares = np.concatenate([state.values[chosen, -M:] for state, chosen in zip(states, owners, strict=True)])
        X, y, offsets = self._rows_of(who)
        responsibilities, shares = expectation(self.mixture.losses(models, X, y, offsets), shares, offsets)
        jobs = (who, np.concatenate(steps), np.concatenate(numbers))
        reached, *velocity = self._maximise(*jobs, models, gathered(moving, owners), responsibilities)
        return np.split(np.hstack([reached, shares, *velocity]), np.cumsum(sizes)[:-1])

    def _maximise(
        self,
        who: IntArray,
        steps: IntArray,
        numbers: IntArray,
        models: Array,
        velocity: Array | None,
        responsibilities: Array,
    ) -> list[Array]:
        """Return the (n, M P) components after SGD, and their velocities if there are any.

        There is a job for each terminal and component, component after component.
        """
        M, n = self._components, len(who)
        given = [models] if velocity is None else [models, velocity]
        starts, *moving = (each.reshape(n, M, -1).swapaxes(0, 1).reshape(M * n, -1) for each in given)
        terminals, steps, numbers = (np.tile(each, M) for each in (who, steps, numbers))
        how: dict[str, Any] = {"weights": responsibilities.T.ravel(), "velocity": moving[0] if moving else None}
        reached = self._descent.run(terminals, starts, steps, numbers, **how)
        return [each.reshape(M, n, -1).swapaxes(0, 1).reshape(n, -1) for each in (reached, *moving)]

    def _rows_of(self, terminals: IntArray) -> tuple[Array, Array, IntArray]:
        """Return the training rows of some terminals laid end to end, and (n + 1,) where each one's begin."""
        data = self._setting.federation
        first, counts = data.terminal_offsets[terminals], np.diff(data.terminal_offsets)[terminals]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.repeat(first - offsets[:-1], counts) + np.arange(offsets[-1])
        return data.X[rows], data.y[rows], offsets

    def newcomers(self, batch: list[tuple[Array]]) -> list[Array]:
        """Return the (V, M P + M) mixtures that unseen terminals fit to their rows, for each (V, M P) of the batch.

        A kernel of the queue. The components stay as they came; a newcomer finds its shares alone.
        """
        unseen = self._setting.federation.unseen
        assert unseen is not None
        rows = (unseen.X, unseen.y, unseen.terminal_offsets)
        losses = (self.mixture.losses(models, *rows) for (models,) in batch)
        shares = [fit_shares(each, unseen.terminal_offsets) for each in losses]
        return [np.hstack([models, found]) for (models,), found in zip(batch, shares, strict=True)]
