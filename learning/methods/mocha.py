"""MOCHA: federated multi-task learning with learned task relationships and local work of any quality.

Terminals raise the dual of their own sub-problem by as many coordinate steps as they have time for; the cloud moves all
models with the sums of their duals and the relationship Sigma, and learns Sigma from the models now and then. Smith,
Chiang, Sanjabi and Talwalkar, "Federated multi-task learning", NeurIPS 2017. After Sigma is learned the models are made
anew from the duals, so they are the exact image of the duals at all times and the duality gap is a certificate.

In the paper every device is a task (``tasks: terminal``). If all terminals of a base station hold parts of one task,
they add their updates up safely: sigma' = rho N, as in CoCoA+ (Ma et al., ICML 2015). Between two meetings at the cloud
a base station may iterate K times on its own; its view of its model then moves by rho Sigma_tt / lambda for a unit of
its dual sum, as the sub-problem supposes. An update that was late or lost is forgotten, with its duals: theta = 1.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.local_work import DrawnWork, PacedWork, Workload
from learning.primal_dual.jobs import Sampling
from learning.related_duals import RelatedDuals
from learning.related_tasks import Batch, RelatedParameters
from learning.setting import Setting
from learning.task_relation import TaskRelation, learned_covariance

_QUANTILES = {"fastest": 0.0, "median": 0.5, "slowest": 1.0}


@dataclass(frozen=True, config={"extra": "forbid"})
class MochaParameters(RelatedParameters):
    """Parameters of MOCHA.

    Attributes:
        relationship: learned, or fixed: independent, mean_regularised, clustered.
        relation_rounds: cloud rounds between two learnings of the relationship.
        work: drawn, a share of the terminal's rows drawn for every terminal and round, even between bottom and top;
            paced, as many as fit into the time that the terminal at ``pace`` needs for a share top, as measured.
        bottom: least share of its rows that a terminal visits in an iteration; paced: while its speed is not known.
        top: largest share; 1 is one pass over its rows.
        pace: paced: fastest, median or slowest terminal.
        bs_iterations: K, base-station iterations per cloud round; 1 is MOCHA.
        sampling: order of the coordinate steps: a fresh permutation per pass, or uniform with replacement.
        reports_theta: record the mean and the largest inexactness theta of a round's local work, for which every
            sub-problem is solved to the end: slow.
    """

    relationship: Literal["learned", "independent", "mean_regularised", "clustered"] = "learned"  # type: ignore[assignment]
    relation_rounds: int = Field(default=20, ge=1)
    work: Literal["drawn", "paced"] = "drawn"
    bottom: float = Field(default=0.1, gt=0)
    top: float = Field(default=1.0, gt=0)
    pace: Literal["fastest", "median", "slowest"] = "median"
    bs_iterations: int = Field(default=1, ge=1)
    sampling: Literal["permutation", "uniform"] = "permutation"
    reports_theta: bool = False


class MOCHA(RelatedDuals):
    """Primal-dual updates of any quality, and a relationship between tasks that may be learned."""

    label = "MOCHA"
    Parameters: ClassVar[Any] = MochaParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._sampling = Sampling[parameters.sampling.upper()]
        self._reports_theta = parameters.reports_theta
        self._learns = parameters.relationship == "learned"

    def make_controller(self) -> Workload:
        """Return the rule for the local work."""
        p, rows = self.parameters, np.diff(self.setting.federation.terminal_offsets)
        limits = {"rows": rows, "bottom": min(p.bottom, p.top), "top": p.top}
        rounds = {"bs_iterations": p.bs_iterations, "cloud_rounds": p.cloud_rounds}
        if p.work == "paced":
            return PacedWork(**limits, **rounds, quantile=_QUANTILES[p.pace])
        return DrawnWork(**limits, **rounds, streams=self.setting.streams)

    def _due(self, number: int) -> bool:
        """Return whether the relationship is learned at the end of round ``number``, counted from 1."""
        return self._learns and number % self.parameters.relation_rounds == 0

    def _news(self) -> int:
        """Sigma_tt and rho go down whenever they are new."""
        return 2 if self._due(self._round) else super()._news()

    def _move(self, batch: Batch) -> list[None]:
        """Learn Sigma from W when it is time, and make W anew."""
        done = super()._move(batch)
        if any(self._due(number) for (number,) in batch):
            learned = learned_covariance(self._models.values)
            self._relation = TaskRelation(learned, self._relation.weight)
            super()._move(batch)
        return done
