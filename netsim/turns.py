"""The broadcasts of a cell take turns: the one that came first goes first."""

from __future__ import annotations

from heapq import heappop, heappush

from simpy import Environment, Event

from netsim.alarm import AFTER_ALL, Alarm


class Turns:
    """Whose turn it is. Of those that come at the same instant the one with the lowest number goes first.

    Args:
        env: the clock.
    """

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._line: list[tuple[float, int, int, Event]] = []
        self._asked = 0
        self._taken = self._calling = False

    def ask(self, number: int) -> Event:
        """Get in line; the event succeeds when it is this one's turn."""
        turn = self.env.event()
        self._asked += 1
        heappush(self._line, (self.env.now, number, self._asked, turn))
        self._call_later()
        return turn

    def leave(self) -> None:
        """Let the next one have its turn."""
        self._taken = False
        self._call_later()

    def _call_later(self) -> None:
        """Call when everybody who comes at this instant is there."""
        if not self._calling:
            self._calling = True
            Alarm(self.env, self.env.now, self._call, AFTER_ALL)

    def _call(self) -> None:
        self._calling = False
        if self._line and not self._taken:
            self._taken = True
            heappop(self._line)[-1].succeed()
