"""Mb-SDCA: mini-batch dual ascent, whose steps all see the model of the round's beginning and are then scaled down.

A mini-batch baseline of MOCHA (Smith et al., "Federated multi-task learning", NeurIPS 2017): communication as often, no
local progress. Takac et al., "Mini-batch primal and dual methods for SVMs", ICML 2013.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.primal_dual.jobs import AscentJobs, AscentUpdates
from learning.primal_dual.mini_batch import RandomRows, frozen_ascent
from learning.related_duals import RelatedDuals
from learning.related_tasks import RelatedParameters
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class MbSdcaParameters(RelatedParameters):
    """Parameters of Mb-SDCA.

    Attributes:
        share: share of its rows that every terminal visits in a round.
        scaling: of all changes, scaling / (rows visited by all terminals) is kept, at most all.
    """

    share: float = Field(default=0.5, gt=0, le=1)
    scaling: float = Field(default=10.0, gt=0)


class MbSDCA(RelatedDuals):
    """Mini-batch updates of the duals."""

    label = "Mb-SDCA"
    Parameters: ClassVar[Any] = MbSdcaParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        data = setting.federation
        self._rows = RandomRows(setting.streams, data.terminal_offsets)
        self._share = min(1.0, parameters.scaling / (parameters.share * len(data.y)))

    def make_controller(self) -> Any:
        """Return the same share of its rows for every terminal."""
        return self._workload(self.parameters.share)

    def _ascend(self, jobs: AscentJobs) -> AscentUpdates:
        """Dual steps at the model of the round's beginning."""
        steps = np.asarray(jobs.steps)
        chosen = self._rows.draw(jobs.terminals, steps, jobs.rounds)
        return frozen_ascent(self.setting.solver, self.setting.federation, jobs, chosen)
