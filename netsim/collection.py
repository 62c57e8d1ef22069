"""How long a base station waits for its terminals: for all, for the first K, or until a deadline.

A terminal that is known to be lost is not waited for. Under a deadline at least one update is always awaited, so a
round makes progress.
"""

from __future__ import annotations

from math import ceil, inf

from simpy import Environment, Event

from netsim.analog import AirDistortion
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

    Attributes:
        arrived: terminals whose update counts.
        waiting: terminals that may still deliver.
        complete: succeeds when nothing more is waited for.
        open: whether an update that arrives now still counts.
        deadline_s: when it no longer waits (absolute), infinity without a deadline.
    """

    def __init__(self, env: Environment, policy: Collection, expected: list[int]) -> None:
        self.arrived: set[int] = set()
        self.waiting = dict.fromkeys(expected)
        self.complete: Event = env.event()
        self.open = True
        self._past_deadline = False
        self.deadline_s = inf
        self._enough = len(expected)
        if policy.policy == "first_k":
            self._enough = share_of(policy.k_fraction, len(expected))
        if policy.policy == "deadline":
            self.deadline_s = env.now + policy.deadline_s
            alarm = env.timeout(policy.deadline_s)
            alarm.callbacks.append(self._deadline)

    def distortion(self, edge_round: int) -> AirDistortion | None:
        """Return what the air did to the updates that arrived, if it added them up in iteration ``edge_round``."""
        return None

    def arrive(self, terminal: int) -> None:
        """Take in an update; later than the end of the gathering it is ignored."""
        if self.open:
            self.arrived.add(terminal)
            self._no_longer_waiting(terminal)

    def lose(self, terminal: int) -> None:
        """Stop waiting for a terminal that will not deliver."""
        if self.open:
            self._no_longer_waiting(terminal)

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
