"""How many local steps each terminal does when nobody waits for the slowest: as many as it happens to have time for.

The local work is a share of the terminal's rows, so a share of 1 is one pass over them (Smith et al., "Federated
multi-task learning", NeurIPS 2017, Section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from learning.control.blind import Blind
from learning.control.observation import Observation
from learning.messages import Plan
from scenarios.streams import Streams

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Workload(Blind):
    """What all of these rules know.

    Args:
        rows: (terminals,) training rows of each terminal.
        bottom: least share of its rows that a terminal visits.
        top: the largest.
        bs_iterations: K.
        cloud_rounds: number of cloud rounds after which to stop; None goes on until the budget is met.
    """

    rows: IntArray
    bottom: float
    top: float
    bs_iterations: int = 1
    cloud_rounds: int | None = None

    def next_plan(self, observation: Observation) -> Plan:
        """Return the shares as steps."""
        each = np.maximum(np.floor(self.shares(observation) * self.rows), 1.0).astype(np.int64)
        return Plan(int(each.max()), self.bs_iterations, each)

    def shares(self, observation: Observation) -> Array:
        """Return (terminals,) the share of its rows that each will visit; here ``top`` of all."""
        return np.full(len(self.rows), self.top)


@dataclass(frozen=True, eq=False, kw_only=True)
class DrawnWork(Workload):
    """A share of the rows drawn anew for every terminal and round, evenly between ``bottom`` and ``top``.

    Args:
        streams: the run's randomness.
    """

    streams: Streams

    def shares(self, observation: Observation) -> Array:
        """Return (terminals,) shares of this round."""
        drawn = self.streams.uniform("local work", np.arange(len(self.rows)), observation.cloud_round)
        return self.bottom + (self.top - self.bottom) * drawn


@dataclass(frozen=True, eq=False, kw_only=True)
class PacedWork(Workload):
    """What fits into the time that the terminal at a quantile takes for a share ``top`` of its rows, as measured.

    Terminals nobody has heard of do ``bottom``.

    Args:
        quantile: 0 is the pace of the fastest terminal, 0.5 of the median one, 1 waits for the slowest.
    """

    heeds_pace: ClassVar[bool] = True
    quantile: float = 0.5

    def shares(self, observation: Observation) -> Array:
        """Return (terminals,) shares of this round."""
        speeds = observation.seconds_per_sample
        if speeds is None or np.isnan(speeds).all():
            return np.full(len(self.rows), self.bottom)
        all_rows_s = speeds * self.rows
        limit_s = np.nanquantile(all_rows_s, self.quantile)
        needed_s = np.fmax(all_rows_s, limit_s)
        fits = np.divide(limit_s, needed_s, out=np.ones_like(needed_s), where=needed_s > 0.0)
        return np.where(np.isnan(speeds), self.bottom, self.top * fits)
