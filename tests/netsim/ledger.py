"""A method without rounds that keeps books: what was sent to whom, what came back, and how old it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netsim.port import BoolArray, Cohort
from netsim.port import Plan as AnyPlan
from tests.netsim.counting import Counting


@dataclass(frozen=True)
class Receipt:
    """What became of a report."""

    accepted: bool
    versions: int


@dataclass
class Ledger(Counting):
    """Counts reports at the cloud, and complains about one that comes twice or is said to be older than it is.

    Args:
        buffer: reports in a version.
        oldest: staleness beyond which a report is thrown away.
    """

    protocol: str = "asynchronous"
    buffer: int = 1
    oldest: int = 10**9
    versions: int = 0
    sent: int = 0
    refused: int = 0
    taken: set[tuple[int, int]] = field(default_factory=set)

    def train(self, cohort: Cohort, plan: AnyPlan) -> Any:
        """Give what is sent a number, and note which version it is."""
        assert len(cohort.terminals) == cohort.offsets[-1] == len(np.unique(cohort.terminals)) > 0
        self.sent += 1
        return self.sent, self.versions

    def merge(self, cohort: Cohort, work: Any, arrived: BoolArray, *, staleness: int = 0) -> Any:
        """Count one report."""
        (terminal,), (number, version) = cohort.terminals[arrived].tolist(), work
        assert (number, terminal) not in self.taken
        assert staleness == self.versions - version
        self.taken.add((number, terminal))
        if staleness > self.oldest:
            self.refused += 1
            return Receipt(False, 0)
        self.total += 1
        new = int(self.total % self.buffer == 0)
        self.versions += new
        return Receipt(True, new)
