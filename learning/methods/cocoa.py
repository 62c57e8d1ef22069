"""CoCoA: every terminal works until its sub-problem is solved to a fixed relative quality, however long that takes.

What MOCHA was compared with: its updates of the models with a fixed relationship between tasks, and no regard for slow
devices or hard data. Jaggi et al., "Communication-efficient distributed dual coordinate ascent", NeurIPS 2014; safe
adding as in Ma et al., ICML 2015. Terminals are granted that they know their quality, for which the simulator solves
every sub-problem; real ones would have to pay for a certificate.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.observation import Observation
from learning.messages import Plan
from learning.methods.base import IntArray
from learning.primal_dual.inexactness import SolvedSubproblems
from learning.primal_dual.jobs import Sampling
from learning.related_duals import RelatedDuals
from learning.related_tasks import RelatedParameters
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class CocoaParameters(RelatedParameters):
    """Parameters of CoCoA.

    Attributes:
        theta: relative quality that every terminal works for: 0 exact, towards 1 hardly any work.
        most_steps: coordinate steps after which a terminal stops in any case.
        sampling: order of the coordinate steps: a fresh permutation per pass, or uniform with replacement.
        reports_theta: record the mean and the largest theta of a round's local work.
    """

    theta: float = Field(default=0.5, ge=0, lt=1)
    most_steps: int = Field(default=1000, ge=1)
    sampling: Literal["permutation", "uniform"] = "permutation"
    reports_theta: bool = False


class CoCoA(RelatedDuals):
    """Primal-dual updates of equal quality."""

    label = "CoCoA"
    Parameters: ClassVar[Any] = CocoaParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._sampling = Sampling[parameters.sampling.upper()]
        self._reports_theta = parameters.reports_theta
        self._members = np.bincount(self._tasks.owner)

    def make_controller(self) -> Any:
        """Return when to stop; how much work there is depends on the sub-problems."""
        return self._workload(1.0)

    def _colleagues(self, tasks: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray]:
        """Let all terminals of a task count, so that the sub-problem is known before it is known who is asked."""
        owner = np.repeat(tasks, np.diff(offsets))
        return owner, self._members[owner]

    def plan(self, observation: Observation) -> Plan | None:
        """Plan a round in which every terminal does the steps that it needs."""
        plan = super().plan(observation)
        if plan is None:
            return None
        self.queue.flush()
        everybody, none = np.arange(self.setting.terminals), np.zeros(self.setting.terminals, np.int64)
        owner = self._tasks.owner
        jobs = self._jobs(everybody, owner, self._members[owner], none, self._trained)
        # What the search for theta leaves unsolved is small against what is asked for.
        tolerance = 1e-2 * max(self.parameters.theta, 1e-6)
        solved = SolvedSubproblems(self.setting.solver, self.setting.federation, jobs, tolerance)
        steps = solved.steps_to(self.parameters.theta, self.parameters.most_steps)
        return Plan(int(steps.max()), 1, steps)
