"""A terminal of a decentralised method: it computes, exchanges models with its neighbours in a graph, and mixes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Event, Interrupt

from netsim.accounts import OutOfBudgetError
from netsim.lone_terminal import LoneTerminal
from netsim.meetings import Meeting, Meetings
from netsim.participation import Participation, ParticipationLog
from netsim.port import Contacts, DecentralisedMethod, Plan, Sizes
from netsim.terminal import Steps
from netsim.world import World, transmitting_w

Reached = Generator[Event, Any, bool]


class Company:
    """What the peers of a run share: the graph, the rounds and the air between them.

    Args:
        world: the physical world.
        meetings: who waits for whom.
        bps: (terminals, terminals) rate from one to another, bit/s.

    Attributes:
        transmit_w: (terminals,) what each transmitter draws at full power, watts.
        peers: all of them, by index.
    """

    def __init__(self, world: World, meetings: Meetings, bps: NDArray[np.float64]) -> None:
        self.world, self.meetings, self.bps = world, meetings, bps
        self.link = world.scenario.network.device_to_device
        self.transmit_w: list[float] = world.devices.each(transmitting_w).tolist()
        self.peers: list[Peer] = []
        self._heard = [0] * world.terminals

    def hear(self, receivers: Iterable[int], change: int) -> None:
        """Count a transmission more (+1) or less (-1) that peers receive: those that are there draw power for it."""
        for receiver in receivers:
            self._heard[receiver] += change
            listens = self._heard[receiver] > 0 and self.peers[receiver].alive and self.meetings.is_here(receiver)
            power_w = self.world.devices[receiver].rx_power_w if listens else 0.0
            self.world.terminal_meter.set_power(receiver, "receive", power_w)


class Peer(LoneTerminal):
    """One terminal: a round after the other, each as soon as its neighbours allow.

    A round in which its work is lost, or in which it leaves, ends there; what it has exchanged until then counts. It
    goes on with the next round, or, when it has been away, with the latest that any peer has begun.
    """

    method: DecentralisedMethod

    def __init__(
        self, world: World, method: DecentralisedMethod, index: int, log: ParticipationLog, company: Company
    ) -> None:
        super().__init__(world, method, index, log)
        self._company, self._meetings = company, company.meetings

    def take_part(self, plan: Plan) -> Event:
        """Start ``plan.bs_iterations`` rounds; return the event of their end."""
        return self._go(self._rounds(plan, self.method.sizes(plan)))

    def _rounds(self, plan: Plan, sizes: Sizes) -> Steps:
        number = 0
        try:
            while number < plan.bs_iterations:
                if not self.ready():
                    self._leave()
                    yield from self._wait_until_ready()
                number = self._enter(number)
                yield from self._round(number, plan, sizes)
                number += 1
        except OutOfBudgetError:
            return
        self._leave()

    def _enter(self, wanted: int) -> int:
        """Begin a round; write down those it has missed."""
        number = self._meetings.enter(self.index, wanted)
        for missed in range(wanted, number):
            self.log.append(Participation(self.site, missed, missed, self.index, "unavailable", self.env.now))
        return number

    def _leave(self) -> None:
        """Be away: hear nothing, and let nobody wait."""
        self._meetings.leave(self.index)
        self._company.hear([self.index], 0)

    def _round(self, number: int, plan: Plan, sizes: Sizes) -> Steps:
        row = Participation(self.site, number, number, self.index, "dropped", self.env.now)
        work, meeting = self.method.train(self._alone, plan), None
        self._pay_for(sizes, row)
        leaves_s, compute_s = self._fate(number, row.samples)
        self._working = True
        try:
            if (yield from self._compute(compute_s, leaves_s, row)):
                contacts = self.method.contacts(self.index, number, self._meetings.topology.at(number).of[self.index])
                meeting = self._meetings.begin(self.index, number, work, contacts.nodes)
                if (yield from self._exchange(number, meeting, contacts, leaves_s, row)):
                    row.outcome, row.finish_s = "merged", self.env.now
        except Interrupt:  # the battery is empty
            pass
        finally:
            self._working = False
        self.log.append(row)
        if meeting is not None:
            self.method.mix(self._meetings.mixing(self.index, number, meeting))
        self._meetings.close(self.index, number)

    def _exchange(
        self, number: int, meeting: Meeting, contacts: Contacts, leaves_s: float, row: Participation
    ) -> Reached:
        """Send to the neighbours and wait for theirs; False if the terminal left first."""
        started_s = self.env.now
        try:
            if meeting.waiting and not (yield from self._pass(self._company.link.access_delay_s, leaves_s)):
                return False
            if not (yield from self._send_all(number, meeting, contacts, leaves_s)):
                return False
            if leaves_s < inf:
                yield meeting.complete | self.env.timeout(max(0.0, leaves_s - self.env.now))
            else:
                yield meeting.complete
        finally:
            row.upload_s = self.env.now - started_s
        return meeting.complete.triggered

    def _send_all(self, number: int, meeting: Meeting, contacts: Contacts, leaves_s: float) -> Reached:
        """Send to all neighbours that may still be met; False if the terminal left first."""
        try:
            for receivers, bits in self._messages(contacts):
                wanted = [receiver for receiver in receivers if receiver in meeting.waiting]
                if wanted and not (yield from self._send(number, wanted, bits, leaves_s)):
                    return False
        finally:
            self._power("transmit", 0.0)
        return True

    def _messages(self, contacts: Contacts) -> list[tuple[list[int], float]]:
        """Return the transmissions of a round: to whom, and how many bits."""
        nodes, bits = contacts.nodes.tolist(), contacts.bits.tolist()
        if self._company.link.sending == "broadcast":
            return [(nodes, max(bits, default=0.0))]
        return [([node], size) for node, size in zip(nodes, bits, strict=True)]

    def _pass(self, wait_s: float, leaves_s: float) -> Reached:
        """Let time pass; False if the terminal left first."""
        stays_s = max(0.0, leaves_s - self.env.now)
        yield self.env.timeout(min(wait_s, stays_s))
        return wait_s < stays_s

    def _send(self, number: int, receivers: list[int], bits: float, leaves_s: float) -> Reached:
        """Send a message to some neighbours at once, at the rate of the worst link; False if the terminal left first.

        All its bytes are paid for when it starts; those that are not sent are refunded.
        """
        company, started_s, whole = self._company, self.env.now, False
        if not self.world.budget.pay("bytes", bits / 8.0):
            raise OutOfBudgetError
        airtime_s = bits / min(company.bps.item(self.index, receiver) for receiver in receivers)
        self._power("transmit", company.transmit_w[self.index])
        company.hear(receivers, +1)
        try:
            whole = yield from self._pass(airtime_s, leaves_s)
        finally:
            company.hear(receivers, -1)
            share = 1.0 if whole else min(1.0, (self.env.now - started_s) / airtime_s)
            self.world.budget.refund("bytes", (1.0 - share) * bits / 8.0)
            self.world.traffic.uplink += share * bits / 8.0
            self.bytes_up += share * bits / 8.0
        if whole:
            self._deliver(number, receivers, bits)
        return whole

    def _deliver(self, number: int, receivers: list[int], bits: float) -> None:
        for receiver in receivers:
            if self._meetings.is_here(receiver):
                self._company.peers[receiver].bytes_down += bits / 8.0
                self._meetings.deliver(self.index, receiver, number)
