"""What the network asks of a learning method: the only place where the clock and the maths meet.

Every call returns at once. A duration depends on sizes (samples, bits), almost never on values, so the network goes
on while values are still unknown; :meth:`Method.settle` is called when one is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Node:
    """A place in the hierarchy: tier ``"cloud"``, ``"base_station"`` or ``"terminal"``, and index in its tier."""

    tier: str
    index: int


CLOUD = Node("cloud", 0)


class Parcel(Protocol):
    """What travels. The network reads its size and nothing else."""

    @property
    def bits(self) -> float:
        """Size on the air, bits."""


class Effort(Protocol):
    """What local work costs; known when the work is submitted, whatever its result."""

    @property
    def iterations(self) -> int:
        """Local iterations, the unit of the abstract device cost C_dev."""

    @property
    def samples(self) -> float:
        """Visits of one training row, the unit of CPU cycles."""

    @property
    def fixed_samples(self) -> float:
        """Those of them that do not grow with H, such as a certificate's."""


class Plan(Protocol):
    """What a controller decides for one cloud round."""

    @property
    def local_iterations(self) -> int:
        """H, iterations per terminal and base-station iteration."""

    @property
    def bs_iterations(self) -> int:
        """K, base-station iterations in this cloud round."""


class Metrics(Protocol):
    """A pending measurement; readable after :meth:`Method.settle`."""

    @property
    def scalars(self) -> Mapping[str, float]:
        """Measured numbers of the whole event: primal, dual, gap, objective."""

    @property
    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """One row per task and split: scores."""


@dataclass(frozen=True)
class Price:
    """What one more local iteration everywhere, and one more base-station iteration everywhere, would cost."""

    local_iteration: float
    bs_iteration: float


@dataclass(frozen=True)
class Observation:
    """What a controller may know when it plans: what is left, and what things have cost so far.

    Attributes:
        cloud_round: index of the round to plan, from 0.
        terminals: number of terminals.
        base_stations: number of base stations.
        remaining: budget left by resource ("time_s", "energy_j", "bytes", "cost"); only limited ones.
        prices: price by resource; ``cost`` is exact, the others are measured on the rounds before.
    """

    cloud_round: int
    terminals: int
    base_stations: int
    remaining: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)


class Method(Protocol):
    """A learning method, as the network sees it."""

    protocol: str
    """``"hierarchical"``: cloud, base stations and terminals in synchronous rounds; ``"isolated"``: no radio."""

    def plan(self, observation: Observation) -> Plan | None:
        """Decide the next cloud round; None ends the run."""

    def broadcast(self, node: Node, audience: Sequence[int]) -> Parcel:
        """Return what ``node`` sends to the children whose indices are ``audience``."""

    def adopt(self, node: Node, parcel: Parcel) -> None:
        """Let a base station take in what the cloud sent."""

    def train(self, terminal: int, parcel: Parcel, plan: Plan) -> tuple[Parcel, Effort]:
        """Submit local work; the parcel is what the terminal will upload, its content still pending."""

    def merge(self, node: Node, parcels: Sequence[Parcel]) -> Parcel:
        """Aggregate the parcels that arrived at ``node``; return what it would send upwards."""

    def evaluate(self, node: Node) -> Metrics:
        """Submit a measurement of the models in use, at a base station or in the whole system."""

    def settle(self) -> None:
        """Compute everything that is pending."""
