"""A learning method that learns to count: parcels carry how many pieces of local work have gone into them.

It obeys the port like any other method, so what the network does to parcels can be checked to the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netsim.port import Node, Observation
from netsim.port import Parcel as AnyParcel
from netsim.port import Plan as AnyPlan


@dataclass(frozen=True)
class Parcel:
    """A number of pieces of work, and the size it travels with."""

    count: int
    bits: float


@dataclass(frozen=True)
class Effort:
    """What one piece of work costs."""

    iterations: int
    samples: float
    fixed_samples: float = 0.0


@dataclass(frozen=True)
class Plan:
    """K base-station iterations of H local iterations each."""

    local_iterations: int
    bs_iterations: int


@dataclass(frozen=True)
class Metrics:
    """The count so far."""

    scalars: dict[str, float]
    tasks: list[dict[str, float]]


@dataclass
class Counting:
    """Counts pieces of local work: one a terminal and base-station iteration, summed up on the way to the cloud.

    Args:
        bits_down, bits_up: size of a broadcast and of an update.
        samples: rows visited per local iteration.
        fixed_samples: rows visited besides.
        local_iterations, bs_iterations: H and K of every cloud round.
        cloud_rounds: rounds planned, None without end.
        protocol: see the port.
    """

    bits_down: float = 2e4
    bits_up: float = 2e4
    samples: float = 50.0
    fixed_samples: float = 0.0
    local_iterations: int = 2
    bs_iterations: int = 2
    cloud_rounds: int | None = None
    protocol: str = "hierarchical"
    observations: list[Observation] = field(default_factory=list)
    total: int = 0
    _site_counts: dict[int, int] = field(default_factory=dict)

    def plan(self, observation: Observation) -> Plan | None:
        """Repeat the same plan; keep what was observed."""
        self.observations.append(observation)
        if self.cloud_rounds is not None and observation.cloud_round >= self.cloud_rounds:
            return None
        return Plan(self.local_iterations, self.bs_iterations)

    def broadcast(self, node: Node, audience: Sequence[int]) -> Parcel:
        """Send an empty count down."""
        return Parcel(0, self.bits_down)

    def adopt(self, node: Node, parcel: AnyParcel) -> None:
        """Begin a cloud round with nothing counted."""
        self._site_counts[node.index] = 0

    def train(self, terminal: int, parcel: AnyParcel, plan: AnyPlan) -> tuple[Parcel, Effort]:
        """Add one."""
        visits = self.samples * plan.local_iterations + self.fixed_samples
        effort = Effort(plan.local_iterations, visits, self.fixed_samples)
        return Parcel(_count(parcel) + 1, self.bits_up), effort

    def merge(self, node: Node, parcels: Sequence[AnyParcel]) -> Parcel:
        """Add up."""
        arrived = sum(_count(parcel) for parcel in parcels)
        if node.tier == "base_station":
            self._site_counts[node.index] += arrived
            return Parcel(self._site_counts[node.index], self.bits_up)
        self.total += arrived
        return Parcel(self.total, self.bits_down)

    def evaluate(self, node: Node) -> Metrics:
        """Report the cloud's total."""
        return Metrics({"count": float(self.total)}, [{"task": float(node.index), "count": float(self.total)}])

    def settle(self) -> None:
        """Nothing is ever pending."""


def _count(parcel: AnyParcel) -> int:
    assert isinstance(parcel, Parcel)  # the network hands back what it was given
    return parcel.count
