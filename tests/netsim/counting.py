"""A learning method that learns to count: parcels carry how many pieces of local work have gone into them.

It obeys the port like any other method, so what the network does to parcels can be checked to the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from netsim.port import BoolArray, Cohort, IntArray, Node, Observation
from netsim.port import Plan as AnyPlan

_MANY = 100_000  # more terminals than any test has


@dataclass(frozen=True, eq=False)
class Sizes:
    """Loads of one cloud round."""

    cloud_bits: float
    broadcast_bits: float
    update_bits: float
    aggregate_bits: float
    samples: NDArray[np.float64]
    fixed_samples: NDArray[np.float64]
    personal_bits: float = 0.0
    own_update_bits: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Plan:
    """K base-station iterations of H local iterations each."""

    local_iterations: int
    bs_iterations: int
    deadline_s: float | None = None


@dataclass(frozen=True)
class Metrics:
    """The count so far."""

    scalars: dict[str, float]
    tasks: list[dict[str, float]]


@dataclass
class Counting:
    """Counts pieces of local work: one a terminal and base-station iteration, summed up on the way to the cloud.

    Args:
        bits_down, bits_up: size of everything that goes down and up.
        bits_personal: size of what goes down to each terminal alone.
        bits_own: size of what goes up from each terminal, where that differs.
        only_personal: whether that goes down instead of what goes to all.
        samples: rows visited per local iteration.
        fixed_samples: rows visited besides.
        local_iterations, bs_iterations: H and K of every cloud round.
        cloud_rounds: rounds planned, None without end.
        spread: terminal j visits (1 + (spread j mod 1)) times as many rows.
        protocol: see the port.
        deadlines_s: of the cloud rounds, over and over; None is that of the scenario.
    """

    bits_down: float = 2e4
    bits_up: float = 2e4
    samples: float = 50.0
    fixed_samples: float = 0.0
    local_iterations: int = 2
    bs_iterations: int = 2
    cloud_rounds: int | None = None
    spread: float = 0.0
    protocol: str = "hierarchical"
    bits_personal: float = 0.0
    only_personal: bool = False
    deadlines_s: tuple[float | None, ...] = (None,)
    bits_own: NDArray[np.float64] | None = None
    blind: bool = False
    observations: list[Observation] = field(default_factory=list)
    total: int = 0
    _site_counts: dict[int, int] = field(default_factory=dict)

    def twin(self) -> Self:
        """Return one with the same settings that has counted nothing."""
        return replace(self, observations=[], total=0, _site_counts={})

    def plan(self, observation: Observation) -> Plan | None:
        """Repeat the same plan; keep what was observed."""
        self.observations.append(observation)
        if self.cloud_rounds is not None and observation.cloud_round >= self.cloud_rounds:
            return None
        deadline_s = self.deadlines_s[observation.cloud_round % len(self.deadlines_s)]
        return Plan(self.local_iterations, self.bs_iterations, deadline_s)

    def sizes(self, plan: AnyPlan) -> Sizes:
        """The same everywhere, except that the terminals' rows may be spread."""
        fixed = np.full(_MANY, self.fixed_samples)
        samples = self.samples * (1.0 + (self.spread * np.arange(_MANY)) % 1.0) * plan.local_iterations + fixed
        down, up = self.bits_down, self.bits_up
        broadcast, personal = (0.0 if self.bits_personal and self.only_personal else down), self.bits_personal
        return Sizes(down, broadcast, up, up, samples, fixed, personal, self.bits_own)

    def adopt(self, sites: IntArray) -> None:
        """Start to count anew."""
        for site in sites.tolist():
            self._site_counts[site] = 0

    def train(self, cohort: Cohort, plan: AnyPlan) -> IntArray:
        """One piece of work for every terminal."""
        return np.ones(len(cohort.terminals), np.int64)

    def merge(self, cohort: Cohort, work: IntArray, arrived: BoolArray) -> None:
        """Add up, at once in the whole system if nothing is ever sent there."""
        if self.protocol == "isolated":
            self.total += int(work[arrived].sum())
            return
        for site, first, last in zip(cohort.sites.tolist(), cohort.offsets, cohort.offsets[1:], strict=False):
            self._site_counts[site] += int(work[first:last][arrived[first:last]].sum())

    def combine(self) -> None:
        """Add up at the cloud."""
        self.total += sum(self._site_counts.values())

    def evaluate(self, node: Node) -> Metrics:
        """Report the cloud's total."""
        return Metrics({"count": float(self.total)}, [{"task": float(node.index), "count": float(self.total)}])

    def settle(self) -> None:
        """Nothing is ever pending."""
