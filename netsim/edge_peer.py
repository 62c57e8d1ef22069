"""A base station without a cloud: it iterates with its terminals, exchanges models with its neighbours, and mixes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Any

from simpy import Event, Process

from netsim.accounts import OutOfBudgetError
from netsim.backhaul import UP
from netsim.base_station import BaseStation, Steps
from netsim.meetings import Meetings
from netsim.port import DecentralisedMethod, Plan
from netsim.recorder import Recorder
from netsim.relay import carry
from netsim.terminal import Terminal
from netsim.world import World


class EdgePeer(BaseStation):
    """One site with its terminals: a round after the other, each as soon as its neighbours allow.

    Args:
        world, method, index, terminals, recorder: see :class:`BaseStation`.
        meetings: who waits for whom.
        plan: of a round, by its number; None after the last.
    """

    method: DecentralisedMethod

    def __init__(
        self,
        world: World,
        method: DecentralisedMethod,
        index: int,
        terminals: list[Terminal],
        recorder: Recorder,
        meetings: Meetings,
        plan: Callable[[int], Plan | None],
    ) -> None:
        super().__init__(world, method, index, terminals, recorder)
        self._meetings, self._plan = meetings, plan

    def take_part(self) -> Process:
        """Start; return the event of the end of the last round."""
        return self.env.process(self._rounds())

    def _rounds(self) -> Steps:
        number = 0
        try:
            while True:
                yield from self._present()
                number = self._meetings.enter(self.index, number)
                plan = self._plan(number)
                if plan is None:
                    break
                yield from self._round(number, plan)
                number += 1
        except OutOfBudgetError:
            return
        self._meetings.leave(self.index)

    def _present(self) -> Steps:
        """Be away while the site is down, if it skips rounds then."""
        while (from_s := self.takes_part_from_s()) > self.env.now:
            self._meetings.leave(self.index)
            yield self.env.timeout(from_s - self.env.now)

    def _round(self, number: int, plan: Plan) -> Steps:
        yield from self._repaired()
        up_until_s = self._outages.on_until_s(self.env.now) if self._skips else inf
        sizes = self.method.sizes(plan)
        for _ in range(plan.bs_iterations):
            yield from self._iteration(number, plan, sizes)
            if self.env.now >= up_until_s:
                break
        yield from self._repaired()
        neighbours = self._meetings.topology.at(number).of[self.index]
        contacts = self.method.contacts(self.index, number, neighbours)
        meeting = self._meetings.begin(self.index, number, self.method.offer(self.index), contacts.nodes)
        for other, bits in zip(contacts.nodes.tolist(), contacts.bits.tolist(), strict=True):
            if other in meeting.waiting:
                self.env.process(self._tell(number, other, bits))
        yield meeting.complete
        self.method.mix(self._meetings.mixing(self.index, number, meeting))
        self._meetings.close(self.index, number)

    def _tell(self, number: int, other: int, bits: float) -> Generator[Event, Any, None]:
        """Send to a neighbour over the wire to it."""
        try:
            yield from carry(self.world, self.index, bits, UP)
        except OutOfBudgetError:
            return
        self._meetings.deliver(self.index, other, number)
