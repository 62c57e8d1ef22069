"""Any torch module as the model that terminals train: its parameters as one vector, many copies side by side."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import grad, vmap

from learning.flat_module import FlatModule, flat_values
from learning.models import one_by_one
from learning.primal_dual import reference_solver, tensor_maths
from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.losses import Loss
from learning.primal_dual.velocity import Velocity
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

Array = NDArray[np.float64]
_FIELD = "learning.model"


class TorchModel:
    """Any torch module with one output per row, trained for all terminals at once with ``torch.func.vmap``.

    Args:
        make: ``features -> torch.nn.Module``; batch normalisation and dropout are not supported.
        X, y, offsets: training rows, terminal after terminal.
        loss: of a score against a label; its derivative starts the backward pass.
        device: torch device.

    Raises:
        ScenarioError: the factory does not return a module that maps (n, d) rows to n scores and whose copies
            ``torch.func`` can train side by side.
    """

    linear = False

    def __init__(
        self,
        make: Callable[[int], Any],
        X: Array,
        y: Array,
        offsets: NDArray[np.int64],
        loss: Loss,
        device: str,
    ) -> None:
        self._make, self._loss, self._device = make, loss, device
        tensors = (torch.as_tensor(a, device=device) for a in (X, y, offsets))
        self._rows = reference_solver.Rows(*tensors)
        self._outputs = FlatModule(self._build())
        self.size = self._outputs.size
        self._try()

    def _build(self) -> torch.nn.Module:
        try:
            inspect.signature(self._make).bind(self._rows.X.shape[1])
        except TypeError as error:
            raise ScenarioError(_FIELD, str(error), "a function of one argument, the number of features") from error
        module = self._make(self._rows.X.shape[1])
        if not isinstance(module, torch.nn.Module):
            raise ScenarioError(_FIELD, type(module).__name__, "a function returning a torch.nn.Module")
        module = module.to(self._device, torch.float64)
        try:
            shape = tuple(module(self._blank(3)).shape)
        except Exception as error:  # whatever a user's module raises, or returns instead of a tensor
            raise ScenarioError(_FIELD, f"{type(error).__name__}: {error}", "a module for rows (n, d)") from error
        if shape not in ((3,), (3, 1)) or not list(module.parameters()):
            found = f"output {shape} for 3 rows"
            raise ScenarioError(_FIELD, found, "one score per row, shape (n,) or (n, 1), that depends on parameters")
        return module

    def _blank(self, *shape: int) -> torch.Tensor:
        return torch.zeros(*shape, self._rows.X.shape[1], dtype=torch.float64, device=self._device)

    def _try(self) -> None:
        """Descend from two starts at once, before a run depends on it."""
        flat = torch.zeros(2, self.size, dtype=torch.float64, device=self._device)
        rows = self._blank(2, 3)
        try:
            vmap(grad(self._weighted_score))(flat, rows, rows[:, :, 0])
        except Exception as error:
            allowed = "a module torch.func.vmap can differentiate; batch norm and dropout are not"
            raise ScenarioError(_FIELD, f"{type(error).__name__}: {error}", allowed) from error

    def initial(self, streams: Streams) -> Array:
        """Build the module anew under the run's own seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.key("initial model")[0])
            return flat_values(self._build())

    def _score(self, flat: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
        return self._outputs(flat, X).reshape(X.shape[0])

    def _weighted_score(self, flat: torch.Tensor, X: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return (self._score(flat, X) * weights).sum()

    def scores(self, parameters: Array, X: Array) -> Array:
        """See :meth:`~learning.models.Model.scores`."""
        with torch.no_grad():
            flat, rows = (torch.as_tensor(a, device=self._device) for a in (parameters, X))
            return np.asarray(self._score(flat, rows).cpu().numpy())

    def scores_each(self, parameters: Array, X: Array, offsets: NDArray[np.int64]) -> Array:
        """See :meth:`~learning.models.Model.scores_each`."""
        return one_by_one(self, parameters, X, offsets)

    def descend(self, jobs: SgdJobs) -> Array:
        """See :meth:`~learning.models.Model.descend`."""
        starts = (torch.as_tensor(a, dtype=torch.float64, device=self._device) for a in (jobs.w, jobs.anchor))
        flat, anchor = starts
        factors = (np.reshape(a, (-1, 1)) for a in (jobs.learning_rate, jobs.proximal))
        rate, proximal = (torch.as_tensor(a, dtype=torch.float64, device=self._device) for a in factors)
        velocity = Velocity(jobs, flat)
        for batch in reference_solver.minibatches(self._rows, jobs):
            X, y = self._rows.X[batch.chosen], self._rows.y[batch.chosen]
            with torch.no_grad():
                slopes = tensor_maths.derivative(self._loss, vmap(self._score)(flat, X), y) * batch.weights
            pull = jobs.ridge * flat + proximal * (flat - anchor)
            active = batch.active[:, None]
            gradient = vmap(grad(self._weighted_score))(flat, X, slopes) + pull
            flat = torch.where(active, flat - rate * velocity.direction(gradient, active), flat)
        velocity.store()
        return np.asarray(flat.detach().cpu().numpy())
