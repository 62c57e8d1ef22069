"""A torch model whose trunk all terminals share and whose heads differ: in number, outputs and losses.

R. Caruana, "Multitask learning", Machine Learning 28, 1997. Terminals with the same targets are trained side by side.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from learning.data.federate import Federation
from learning.data.targets import plain_targets
from learning.flat_module import FlatModule, flat_values
from learning.heads import Heads
from learning.primal_dual import reference_solver
from learning.primal_dual.jobs import SgdJobs
from learning.primal_dual.losses import Loss
from learning.primal_dual.velocity import Velocity
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
_FIELD = "learning.model"
_CONTRACT = "a function of (features, outputs) returning a torch.nn.Module with children trunk and head"


def is_factory(make: Callable[..., Any]) -> bool:
    """Return whether ``make`` asks for the number of outputs, besides that of features."""
    try:
        asked = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # a builtin does not say
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is inspect.Parameter.empty for p in asked) >= 2


class SharedTrunkModel:
    """One trunk and one head a target; the parameters of a terminal are (P,): trunk, heads, zeros that nothing reads.

    Args:
        make: see :mod:`learning.trunks`.
        arguments: its further arguments.
        federation: terminals' rows and labels, and what the labels of each task are.
        loss: of binary targets.
        device: torch device.
        heads_only: (terminals,) whose trunk no step moves; nobody's by default.

    Raises:
        ScenarioError: the factory does not return what it should, or ``torch.func`` cannot train copies of it.
    """

    linear = False

    def __init__(
        self,
        make: Callable[..., Any],
        arguments: Mapping[str, Any],
        federation: Federation,
        loss: Loss,
        device: str,
        heads_only: NDArray[np.bool_] | None = None,
    ) -> None:
        if federation.unseen is not None:
            newcomers = len(federation.unseen.task_names)
            raise ScenarioError("data.unseen_tasks", newcomers, "0 with a model with heads: newcomers have fitted none")
        self._make, self._arguments, self._device = make, dict(arguments), device
        self.targets = federation.targets or (plain_targets(loss.name),) * len(federation.task_names)
        held = (federation.X, federation.y, federation.terminal_offsets)
        self._rows = reference_solver.Rows(*(torch.as_tensor(a, device=device) for a in held))
        self._labels = torch.as_tensor(federation.labels, device=device)
        modules = {t.outputs: self._build(t.outputs) for each in self.targets for t in each}
        trunks = [FlatModule(module.get_submodule("trunk")) for module in modules.values()]
        heads = {outputs: FlatModule(module.get_submodule("head")) for outputs, module in modules.items()}
        self.trunk_size = trunks[0].size
        if any(trunk.size != self.trunk_size for trunk in trunks):
            found = f"trunks of {' and '.join(str(trunk.size) for trunk in trunks)} parameters"
            raise ScenarioError(_FIELD, found, "the same trunk for any number of outputs")
        kinds = tuple(dict.fromkeys(self.targets))
        self._kinds = [Heads(each, trunks[0], [heads[t.outputs] for t in each], loss) for each in kinds]
        self._kind_of_task = np.array([kinds.index(each) for each in self.targets])
        self._kind_of_terminal = self._kind_of_task[federation.terminal_task]
        self._heads_only = np.zeros(len(federation.terminal_task), np.bool_) if heads_only is None else heads_only
        self.size = max(kind.size for kind in self._kinds)
        self._try()

    # Building ---------------------------------------------------------------------------------------------------

    def _build(self, outputs: int) -> torch.nn.Module:
        features = self._rows.X.shape[1]
        try:
            inspect.signature(self._make).bind(features, outputs, **self._arguments)
        except TypeError as error:
            raise ScenarioError("learning.model_arguments", str(error), "the arguments the function takes") from error
        try:
            module = self._make(features, outputs, **self._arguments)
            parts = {name for name, _ in module.named_children()}
            if not {"trunk", "head"} <= parts:
                raise ScenarioError(_FIELD, f"children {', '.join(sorted(parts)) or 'none'}", _CONTRACT)
            module = module.to(self._device, torch.float64)
            shape = tuple(module.head(module.trunk(self._blank(3))).shape)
        except ScenarioError:
            raise
        except Exception as error:  # whatever a user's module raises, or returns instead of a tensor
            raise ScenarioError(_FIELD, f"{type(error).__name__}: {error}", _CONTRACT) from error
        parameters = [{id(p) for p in part.parameters()} for part in (module.trunk, module.head)]
        if not all(parameters) or {id(p) for p in module.parameters()} != set.union(*parameters):
            raise ScenarioError(_FIELD, "parameters elsewhere", "parameters in trunk and in head, and nowhere else")
        if shape != (3, outputs) and (shape, outputs) != ((3,), 1):
            raise ScenarioError(_FIELD, f"output {shape} for 3 rows and {outputs} outputs", "one score per output")
        made: torch.nn.Module = module
        return made

    def _blank(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, self._rows.X.shape[1], dtype=torch.float64, device=self._device)

    def _try(self) -> None:
        """Descend from two starts at once, before a run depends on it."""
        for kind in self._kinds:
            flat = torch.zeros(2, kind.size, dtype=torch.float64, device=self._device)
            X = self._blank(2, 3)
            labels = X[:, :, :1].expand(2, 3, len(kind.targets))
            try:
                self._gradients(kind, flat, slice(0, kind.size), X, labels, X[:, :, 0])
            except Exception as error:
                allowed = "a module torch.func.vmap can differentiate; batch norm and dropout are not"
                raise ScenarioError(_FIELD, f"{type(error).__name__}: {error}", allowed) from error

    def starts(self, streams: Streams, tasks: IntArray) -> Array:
        """Return the (n, P) parameters from which terminals of some (n,) tasks start.

        The trunk is the same for all, and so is the head of targets with equally many outputs.
        """
        modules = {}
        for outputs in sorted({t.outputs for each in self.targets for t in each}):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.key("initial model")[0])
                modules[outputs] = self._build(outputs)
        first = modules[self.targets[0][0].outputs]
        by_kind = np.zeros((len(self._kinds), self.size))
        for row, kind in zip(by_kind, self._kinds, strict=True):
            parts = [first.get_submodule("trunk"), *(modules[t.outputs].get_submodule("head") for t in kind.targets)]
            row[: kind.size] = np.concatenate([flat_values(part) for part in parts])
        return by_kind[self._kind_of_task[tasks]]

    def initial(self, streams: Streams) -> Array:
        """Return the (P,) parameters of the first task; they are those of all where all targets are alike."""
        return self.starts(streams, np.zeros(1, np.int64))[0]

    # Computing --------------------------------------------------------------------------------------------------

    def scores(self, parameters: Array, X: Array) -> Array:
        """Return (n,) scores, where every task has a single head with a single output."""
        return self.scores_each(parameters[None], X, np.array([0, len(X)]))

    def scores_each(self, parameters: Array, X: Array, offsets: IntArray) -> Array:
        """See :meth:`~learning.models.Model.scores_each`; where every task has a single head with a single output.

        Raises:
            ScenarioError: some task has more.
        """
        if any(len(each) != 1 or each[0].outputs != 1 for each in self.targets):
            raise ScenarioError("data", "classes, or several labels of a row", "one score a row for this method")
        runs = np.arange(len(parameters))
        return self.outputs_each(parameters, np.zeros_like(runs), runs, X, offsets)[:, 0]

    @torch.no_grad()
    def outputs_each(self, parameters: Array, tasks: IntArray, runs: IntArray, X: Array, offsets: IntArray) -> Array:
        """See :meth:`~learning.head_evaluation.HeadedModel.outputs_each`."""
        kind = self._kinds[self._kind_of_task[tasks[0]]]
        held = (torch.as_tensor(a, device=self._device) for a in (X, X[:, 0], offsets))
        rows = reference_solver.Rows(*held)
        table, mask = rows.table(torch.as_tensor(runs, device=self._device))
        flat = torch.as_tensor(parameters[:, : kind.size], device=self._device)
        scores = rows.per_job(table, lambda x, jobs: vmap(kind)(flat[jobs], x))[mask]
        return np.asarray(scores.cpu().numpy())

    def descend(self, jobs: SgdJobs) -> Array:
        """See :meth:`~learning.models.Model.descend`: every step moves trunk and heads, or heads only."""
        return self._descend(jobs, None)

    def descend_in_turn(self, jobs: SgdJobs, head_steps: IntArray) -> Array:
        """Return what :meth:`descend` does if the first (T,) steps move only heads, and the others only the trunk."""
        return self._descend(jobs, head_steps)

    def _descend(self, jobs: SgdJobs, head_steps: IntArray | None) -> Array:
        reached, kinds = np.array(jobs.w, np.float64), self._kind_of_terminal[jobs.terminals]
        for number, confined in product(np.unique(kinds).tolist(), (False, True)):
            chosen = np.flatnonzero((kinds == number) & (self._heads_only[jobs.terminals] == confined))
            if len(chosen) == 0:
                continue
            kind, mine = self._kinds[number], _part(jobs, chosen)
            own = mine.steps + jobs.before if confined else None if head_steps is None else head_steps[chosen]
            heads = None if own is None else torch.as_tensor(own, device=self._device)
            reached[chosen, : kind.size] = self._side_by_side(kind, mine, heads)
            if jobs.velocity is not None:
                jobs.velocity[chosen] = mine.velocity
        return reached

    def _side_by_side(self, kind: Heads, jobs: SgdJobs, head_steps: Tensor | None) -> Array:
        tensors = (torch.as_tensor(a[:, : kind.size], device=self._device) for a in (jobs.w, jobs.anchor))
        flat, anchor = (tensor.to(torch.float64) for tensor in tensors)
        flat = flat.clone()
        factors = (np.reshape(a, (-1, 1)) for a in (jobs.learning_rate, jobs.proximal))
        rate, proximal = (torch.as_tensor(a, dtype=torch.float64, device=self._device) for a in factors)
        velocity = Velocity(jobs, flat)
        for step, batch in enumerate(reference_solver.minibatches(self._rows, jobs), start=jobs.before):
            X, labels = self._rows.X[batch.chosen], self._labels[batch.chosen, : len(kind.targets)]
            part, turn = self._turn(kind, None if head_steps is None else step < head_steps)
            slope = self._gradients(kind, flat, part, X, labels, batch.weights)
            slope = slope + jobs.ridge * flat[:, part] + proximal * (flat[:, part] - anchor[:, part])
            moves = batch.active[:, None] & turn
            moved = flat[:, part] - rate * velocity.direction(slope, moves, part)
            flat[:, part] = torch.where(moves, moved, flat[:, part])
        velocity.store()
        return np.asarray(flat.cpu().numpy())

    def _turn(self, kind: Heads, on_heads: Tensor | None) -> tuple[slice, Tensor]:
        """Return which part to differentiate in, and (T, part) or a scalar: whose turn it is."""
        if on_heads is None or bool(on_heads.all()) or not bool(on_heads.any()):
            first = self.trunk_size if on_heads is not None and bool(on_heads.all()) else 0
            last = self.trunk_size if on_heads is not None and first == 0 else kind.size
            return slice(first, last), torch.ones((), dtype=torch.bool, device=self._device)
        in_heads = torch.arange(kind.size, device=self._device) >= self.trunk_size
        return slice(0, kind.size), in_heads == on_heads[:, None]

    def _gradients(self, kind: Heads, flat: Tensor, part: slice, X: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        def gradient(w: Tensor, x: Tensor, y: Tensor, share: Tensor) -> Tensor:
            return kind.gradient(w, part, x, y, share)

        slopes: Tensor = vmap(gradient)(flat, X, labels, weights)
        return slopes


def _part(jobs: SgdJobs, chosen: IntArray) -> SgdJobs:
    """Return some of the jobs."""
    return replace(
        jobs,
        terminals=jobs.terminals[chosen],
        w=jobs.w[chosen],
        anchor=jobs.anchor[chosen],
        steps=jobs.steps[chosen],
        learning_rate=jobs.learning_rate[chosen],
        rounds=jobs.rounds[chosen],
        proximal=np.broadcast_to(jobs.proximal, len(jobs.terminals))[chosen],
        velocity=None if jobs.velocity is None else jobs.velocity[chosen],
    )
