"""What a method tells the network: a plan for a cloud round, and what it will make everybody send and compute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """One cloud round: K base-station iterations of H local iterations each.

    Attributes:
        local_iterations: H; the most of any terminal, where they differ.
        bs_iterations: K.
        each: (terminals,) H of every terminal, if they differ.
        deadline_s: how long base stations wait for updates where they have a deadline; None: as the scenario says.
    """

    local_iterations: int
    bs_iterations: int
    each: IntArray | None = field(default=None, compare=False)
    deadline_s: float | None = None

    @property
    def everybodys(self) -> int | IntArray:
        """H, of all alike or (terminals,)."""
        return self.local_iterations if self.each is None else self.each

    def steps(self, terminals: IntArray) -> IntArray:
        """Return (n,) H of some terminals."""
        return np.full(len(terminals), self.local_iterations) if self.each is None else self.each[terminals]


@dataclass(frozen=True, eq=False)
class Sizes:
    """Loads of one cloud round; none depends on a result.

    Attributes:
        cloud_bits: what the cloud sends to each base station.
        broadcast_bits: what a base station sends to its terminals in every iteration.
        personal_bits: what it sends to each of its terminals alone, one after the other, besides the broadcast.
        update_bits: what a terminal sends back.
        own_update_bits: (terminals,) what each of them does, if that differs; 0 for an answer without a message.
        aggregate_bits: what a base station sends to the cloud.
        samples: (terminals,) visits of a training row per update, certificates included; time and energy follow.
        fixed_samples: (terminals,) those of them that do not grow with H; C_dev is charged for the rest.
        update_values: numbers of the update that a base station sums up, which the air can do for it; 0 if it does
            anything else with them.
    """

    cloud_bits: float
    broadcast_bits: float
    update_bits: float
    aggregate_bits: float
    samples: NDArray[np.float64]
    fixed_samples: NDArray[np.float64]
    update_values: int = 0
    personal_bits: float = 0.0
    own_update_bits: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Contacts:
    """Whom a node of a graph exchanges messages with in a round.

    Attributes:
        nodes: (k,) neighbours, ascending.
        bits: (k,) what it sends to each of them.
    """

    nodes: IntArray
    bits: NDArray[np.float64]


@dataclass(frozen=True)
class Receipt:
    """What an asynchronous server did with a report.

    Attributes:
        accepted: whether it counts; it may have been too old.
        versions: new versions of the model it brought about.
    """

    accepted: bool
    versions: int


class Cohort(Protocol):
    """Terminals that were sent a model together, grouped by base station."""

    @property
    def sites(self) -> IntArray:
        """(S,) base stations; base station b serves task b."""

    @property
    def offsets(self) -> IntArray:
        """(S + 1,) ranges of ``terminals``, one per site."""

    @property
    def terminals(self) -> IntArray:
        """(n,) indices, site after site and ascending within a site."""


class Late(Protocol):
    """Updates of an earlier iteration of the same base station that have arrived by now."""

    @property
    def cohort(self) -> Cohort:
        """As it was trained, of one site."""

    @property
    def work(self) -> Any:
        """What ``train`` returned."""

    @property
    def arrived(self) -> NDArray[np.bool_]:
        """(n,) whose updates they are."""

    @property
    def staleness(self) -> int:
        """How many iterations of the base station have been merged since."""


def counts(cohort: Cohort) -> IntArray:
    """Return (S,) how many terminals each site sent its model to."""
    return cohort.offsets[1:] - cohort.offsets[:-1]


def owners(cohort: Cohort) -> IntArray:
    """Return (n,) the site of each of the cohort's terminals."""
    return np.repeat(cohort.sites, counts(cohort))
