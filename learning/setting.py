"""What every learning method of a run is given: the data, the problem, the randomness and the queue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.data.federate import Federation
from learning.deferred import DeferredQueue
from learning.models import Model
from learning.primal_dual.coupling import Coupling
from learning.primal_dual.losses import Loss
from learning.primal_dual.solver import LocalSolver
from scenarios.streams import Streams


@dataclass(frozen=True, eq=False)
class Setting:
    """The common ground of all methods.

    Args:
        federation: who holds which rows.
        loss: of a score against a label.
        coupling: ridge on every task's model, and its pull towards the mean model.
        model: what maps parameters and rows to scores.
        solver: the terminals' rows and dual variables.
        streams: the run's randomness.
        queue: where local work and measurements are deferred to.
        device: torch device of the data, ``"cpu"`` or ``"cuda"``.
        bits_per_value: bits that carry one number.
        overhead_bits: added to every message.
        fixed_bits: size of every message, if it is stated rather than worked out.
        edge_metrics: whether scores and certificates are measured at base-station aggregations too.
        late_updates: whether base stations hand over updates of earlier iterations.
        over_the_air: whether updates reach a base station as a sum that the air has made and distorted.
        heads_only: (terminals,) who can train the heads of a model only; None where no kind of terminal is like that.
    """

    federation: Federation
    loss: Loss
    coupling: Coupling
    model: Model
    solver: LocalSolver
    streams: Streams
    queue: DeferredQueue
    device: str = "cpu"
    bits_per_value: int = 32
    overhead_bits: float = 0.0
    fixed_bits: float | None = None
    edge_metrics: bool = True
    over_the_air: bool = False
    late_updates: bool = False
    heads_only: NDArray[np.bool_] | None = None

    @property
    def tasks(self) -> int:
        """Number of tasks, one per base station."""
        return len(self.federation.task_names)

    @property
    def terminals(self) -> int:
        """Number of terminals."""
        return len(self.federation.terminal_task)

    def message_bits(self, values: int) -> float:
        """Size of a message that carries ``values`` numbers."""
        return values * self.bits_per_value + self.overhead_bits if self.fixed_bits is None else self.fixed_bits
