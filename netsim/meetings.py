"""Rounds without a centre: who waits for whom, and between whom an exchange has come about.

Two neighbours meet in a round when the messages of both have arrived. Either both count the meeting or neither does:
it falls through for both if one of them leaves, is lost in that round or is already in a later one. Nobody waits for
a meeting that has fallen through, so a node is held up by its neighbours alone and by none that is away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from simpy import Environment, Event

from netsim.port import IntArray, Mixing
from netsim.topology import Topology


class Meeting:
    """A node among its neighbours in one round.

    Args:
        env: the clock.
        work: what it has to tell them.
        waiting: those it waits for.

    Attributes:
        met: works of the neighbours it has met.
        complete: succeeds when it waits for nobody any more.
    """

    def __init__(self, env: Environment, work: Any, waiting: set[int]) -> None:
        self.work, self.waiting = work, waiting
        self.met: dict[int, Any] = {}
        self.told: set[int] = set()
        self.complete: Event = env.event()
        self._check()

    def meet(self, other: int, work: Any) -> None:
        """Count the meeting with another node."""
        self.met[other] = work
        self.lose(other)

    def lose(self, other: int) -> None:
        """Wait for another node no longer."""
        self.waiting.discard(other)
        self._check()

    def _check(self) -> None:
        if not self.waiting and not self.complete.triggered:
            self.complete.succeed()


class Meetings:
    """All nodes of a run.

    Args:
        env: the clock.
        topology: the graph.
        nodes: how many there are.

    Attributes:
        topology: the graph.
        latest: the highest round that any node has begun.
        on_round: called with a number when all nodes that are there have come through that round.
    """

    def __init__(self, env: Environment, topology: Topology, nodes: int) -> None:
        self.env, self.topology, self.latest = env, topology, 0
        self.on_round: Callable[[int], None] = lambda _: None
        self._reported = -1
        self._here = np.zeros(nodes, np.bool_)
        self._closed = np.full(nodes, -1)
        self._open: dict[tuple[int, int], Meeting] = {}

    def is_here(self, node: int) -> bool:
        """Whether others may count on a node."""
        return bool(self._here[node])

    def enter(self, node: int, round_: int) -> int:
        """Let a node begin a round, and return which: one that was away skips to the latest that anybody has begun."""
        if not self._here[node]:
            round_ = max(round_, self.latest)
            self._here[node] = True
        self._closed[node] = round_ - 1
        self.latest = max(self.latest, round_)
        return round_

    def leave(self, node: int) -> None:
        """Let a node be away: nobody waits for it."""
        self._here[node] = False
        for meeting in list(self._open.values()):
            meeting.lose(node)
        self._report()

    def begin(self, node: int, round_: int, work: Any, partners: IntArray) -> Meeting:
        """Let a node wait for those of its ``partners`` who can still come to a round."""
        coming = partners[self._here[partners] & (self._closed[partners] < round_)].tolist()
        there = {other: self._open.get((other, round_)) for other in coming}
        meeting = Meeting(self.env, work, {o for o, theirs in there.items() if not theirs or node in theirs.waiting})
        self._open[node, round_] = meeting
        return meeting

    def deliver(self, sender: int, receiver: int, round_: int) -> None:
        """Let the message of one node to another arrive."""
        mine, theirs = self._open.get((sender, round_)), self._open.get((receiver, round_))
        if mine is None or receiver not in mine.waiting:
            return
        mine.told.add(receiver)
        if theirs is not None and sender in theirs.told:
            mine.meet(receiver, theirs.work)
            theirs.meet(sender, mine.work)

    def mixing(self, node: int, round_: int, meeting: Meeting) -> Mixing:
        """Return what a node has at the end of a round."""
        graph = self.topology.at(round_)
        neighbours = graph.of[node]
        met = np.array([other in meeting.met for other in neighbours.tolist()], np.bool_)
        works = [meeting.met[other] for other in neighbours[met].tolist()]
        return Mixing(node, round_, meeting.work, neighbours, len(neighbours), graph.degrees[neighbours], met, works)

    def close(self, node: int, round_: int) -> None:
        """Let a node have done with a round: whom it has not met it will not meet."""
        self._closed[node] = round_
        self._open.pop((node, round_), None)
        for other in self.topology.at(round_).of[node].tolist():
            meeting = self._open.get((other, round_))
            if meeting is not None:
                meeting.lose(node)
        self._report()

    def _report(self) -> None:
        """Tell of a round that all who are there have come through."""
        closed = self._closed[self._here]
        through = int(closed.min()) if len(closed) else self._reported
        if through > self._reported:
            self._reported = through
            self.on_round(through)
