"""Which sites are up right now, for those who have to know at the very instant when that changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from simpy import Environment, Event

from netsim.alarm import BEFORE_ALL, Alarm
from netsim.availability import Trajectory


class Standing:
    """Follows all sites; one alarm a site, before everything else that happens when it fails or is repaired.

    Args:
        env: the clock.
        outages: up/down trajectory of each site.

    Attributes:
        up: (sites,) whether each is up, as of the last alarm.
        on_change: called with a site that has just failed or been repaired.
        changed: succeeds, and is replaced by another, when these have been called, or by :meth:`tell`.
    """

    def __init__(self, env: Environment, outages: Sequence[Trajectory]) -> None:
        self._env, self._outages = env, outages
        self.up = np.array([outage.on_until_s(env.now) > env.now for outage in outages])
        self.on_change: list[Callable[[int], None]] = []
        self.changed: Event = env.event()
        self._next_s = [0.0] * len(outages)
        for site in range(len(outages)):
            self._arm(site)

    @property
    def next_change_s(self) -> float:
        """When the next site fails or is repaired."""
        return min(self._next_s)

    def is_up(self, site: int) -> bool:
        """Return whether a site is up, and is not about to be found down at this very instant."""
        return bool(self.up[site]) and self._outages[site].on_until_s(self._env.now) > self._env.now

    def tell(self) -> None:
        """Wake those up who wait for a change of any kind."""
        told, self.changed = self.changed, self._env.event()
        told.succeed()

    def _arm(self, site: int) -> None:
        now, outage = self._env.now, self._outages[site]
        self._next_s[site] = max(outage.on_until_s(now), outage.back_at_s(now))
        Alarm(self._env, self._next_s[site], partial(self._look, site), BEFORE_ALL)

    def _look(self, site: int) -> None:
        """Take notice of a change; an alarm that rounding lets ring too early only looks again."""
        up = self._outages[site].on_until_s(self._env.now) > self._env.now
        known, self.up[site] = bool(self.up[site]), up
        self._arm(site)
        if up != known:
            for tell in self.on_change:
                tell(site)
            self.tell()
