"""How long a base station waits for its terminals: for all, for the first K, or until a deadline.

A terminal that is known to be lost is not waited for. Under a deadline at least one update is always awaited, so a
round makes progress. What arrives afterwards is of no use, or is kept for a later iteration.
"""

from __future__ import annotations

from math import ceil, inf
from typing import Any

import numpy as np
from simpy import Environment, Event

from netsim.analog import AirDistortion
from netsim.port import Cohort, Late
from scenarios.schema import Collection


def share_of(share: float, count: int) -> int:
    """Return a share of a number of terminals: rounded up, but not by rounding errors, and at least one."""
    return max(1, ceil(share * count - 1e-9))


class Gathering:
    """The updates of one base-station iteration as they arrive.

    Args:
        env: the clock.
        policy: when to stop.
        expected: terminals that were scheduled.
        planned_s: how long to wait under the policy ``deadline``; None is as long as the policy says.

    Attributes:
        arrived: terminals whose update counts.
        waiting: terminals that may still deliver.
        complete: succeeds when nothing more is waited for.
        open: whether an update that arrives now counts in this iteration.
        late: terminals whose update has come afterwards, and is wanted.
        age: how many iterations of the base station have been merged since this one began.
        deadline_s: when it no longer waits (absolute), infinity without a deadline.
    """

    def __init__(
        self, env: Environment, policy: Collection, expected: list[int], planned_s: float | None = None
    ) -> None:
        self.arrived: set[int] = set()
        self.waiting = dict.fromkeys(expected)
        self.complete: Event = env.event()
        self.open = True
        self.late: list[int] = []
        self.age = 0
        self._carries = policy.late == "carry"
        self._past_deadline = False
        self.deadline_s = inf
        self._enough = len(expected)
        if policy.policy == "first_k":
            self._enough = share_of(policy.k_fraction, len(expected))
        if policy.policy == "deadline":
            waits_s = policy.deadline_s if planned_s is None else planned_s
            self.deadline_s = env.now + waits_s
            alarm = env.timeout(waits_s)
            alarm.callbacks.append(self._deadline)

    def distortion(self, edge_round: int) -> AirDistortion | None:
        """Return what the air did to the updates that arrived, if it added them up in iteration ``edge_round``."""
        return None

    @property
    def wanted(self) -> bool:
        """Whether an update that arrives now counts at all, in this iteration or in a later one."""
        return self.open or self._carries

    def arrive(self, terminal: int) -> None:
        """Take in an update; later than the end of the gathering it is kept apart or ignored."""
        if self.open:
            self.arrived.add(terminal)
            self._no_longer_waiting(terminal)
        elif self._carries:
            self.late.append(terminal)
            self.waiting.pop(terminal, None)

    def lose(self, terminal: int) -> None:
        """Stop waiting for a terminal that will not deliver."""
        if self.open:
            self._no_longer_waiting(terminal)
        elif self._carries:
            self.waiting.pop(terminal, None)

    def take_late(self) -> list[int]:
        """Return whose updates have come afterwards since this was asked last, ascending."""
        late, self.late = sorted(self.late), []
        return late

    def _no_longer_waiting(self, terminal: int) -> None:
        self.waiting.pop(terminal, None)
        self._check()

    def _deadline(self, _: Event) -> None:
        self._past_deadline = True
        self._check()

    def _check(self) -> None:
        enough = len(self.arrived) >= self._enough or not self.waiting or (self._past_deadline and self.arrived)
        if self.open and enough:
            self.open = False
            self.complete.succeed()


class Carried:
    """The terminals of a base station that are late, and go on; asked about by iteration, oldest first."""

    def __init__(self) -> None:
        self._kept: list[tuple[Gathering, Cohort, Any]] = []

    def keep(self, gathering: Gathering, cohort: Cohort, work: Any) -> None:
        """Remember an iteration that is being merged, though not all of its updates have arrived."""
        gathering.age += 1
        if gathering.wanted and gathering.waiting:
            self._kept.append((gathering, cohort, work))

    def holds(self, terminal: int) -> bool:
        """Whether an update of a terminal's is still to come, or to be merged, so that it cannot begin anew."""
        return any(terminal in gathering.waiting or terminal in gathering.late for gathering, _, _ in self._kept)

    def some_arrived(self) -> bool:
        """Whether there is something to merge."""
        return any(gathering.late for gathering, _, _ in self._kept)

    def arrived(self) -> list[Late]:
        """Return whose updates have arrived since this was asked last, and count an iteration more."""
        late = []
        for gathering, cohort, work in self._kept:
            who = gathering.take_late()
            if who:
                late.append(Late(cohort, work, np.isin(cohort.terminals, who), gathering.age))
            gathering.age += 1
        self._kept = [kept for kept in self._kept if kept[0].waiting]
        return late
