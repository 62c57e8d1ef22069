"""Something that happens at a set time, before or after everything else that happens then."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from simpy import Environment, Event
from simpy.core import EventPriority
from simpy.events import NORMAL, URGENT

BEFORE_ALL, AFTER_ALL, AFTER_TURNS = URGENT, EventPriority(NORMAL + 1), EventPriority(NORMAL + 2)
"""Among the events of one instant; cells give turns to broadcast with AFTER_ALL, see :mod:`netsim.turns`."""


def _nothing() -> None:
    """Whoever waits for the alarm does what there is to do."""


class Alarm(Event):
    """Calls back once.

    Args:
        env: the clock.
        at_s: when; not in the past.
        what: what to do.
        priority: :data:`BEFORE_ALL`, before all that was planned for that instant, or one of those after it.
    """

    def __init__(
        self, env: Environment, at_s: float, what: Callable[[], None] = _nothing, priority: EventPriority = AFTER_ALL
    ) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        self.callbacks.append(lambda _: what())
        env.schedule(self, priority, max(0.0, at_s - env.now))


def nothing_else_planned(env: Environment) -> bool:
    """Whether nothing is going to happen any more."""
    return bool(env.peek() == inf)
