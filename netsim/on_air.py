"""Whether a site works for the learning service right now: its power without load follows from that.

EARTH sites draw N_TRX P0 while they are awake and N_TRX P_sleep while their transceivers sleep; how much of it is
charged to learning is a matter of attribution (``base_stations.static_power``). A site that is down draws nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any

from simpy import Environment, Event, Timeout

from netsim.availability import Trajectory
from netsim.energy import Meter, SitePower
from scenarios.equipment import BaseStations


class OnAir:
    """The activity of one site: who is on the air, whether it sleeps, and whether it has failed.

    Args:
        env: the clock.
        meter: where its power is set.
        site: which site.
        power: its power model.
        settings: attribution and sleep mode.
        outages: when it is up.
    """

    def __init__(
        self, env: Environment, meter: Meter, site: int, power: SitePower, settings: BaseStations, outages: Trajectory
    ) -> None:
        self.env, self._meter, self._site = env, meter, site
        self._static_w, self._sleep_w = power.static_w(), power.sleeping_w()
        self._policy, self._sleep, self._outages = settings.static_power, settings.sleep, outages
        self._users = 0
        self._up, self._asleep = True, False
        self._awake_from_s = self._armed_for = -inf
        if self._policy == "always":
            self._set_power()
            self._rest_in(0.0)
        if self._policy == "always" and settings.outage is not None:
            env.process(self._fail_and_return())

    def change(self, difference: int) -> None:
        """Count a user more (+1) or less (-1): the broadcast, and the uplink while anybody uses it."""
        self._users += difference
        self._asleep = False
        if self._policy != "none":
            self._set_power()
        if self._users == 0:
            self._rest_in(0.0)

    def wake_up_s(self) -> float:
        """Wake the site up if it sleeps; return how long it takes until something can be on the air."""
        if self._asleep and self._sleep is not None:
            self._asleep = False
            self._awake_from_s = self.env.now + self._sleep.wake_up_s
            self._set_power()
            self._rest_in(self._sleep.wake_up_s)
        return max(0.0, self._awake_from_s - self.env.now)

    def _set_power(self) -> None:
        charged = self._up if self._policy == "always" else self._users > 0
        power_w = self._sleep_w if self._asleep else self._static_w
        self._meter.set_power(self._site, "static", power_w if charged else 0.0)

    def _rest_in(self, busy_s: float) -> None:
        """Fall asleep some time after the next ``busy_s`` seconds, if nobody is on the air until then."""
        if self._sleep is not None:
            self._armed_for = self.env.now + busy_s + self._sleep.after_s
            alarm = Timeout(self.env, busy_s + self._sleep.after_s, self._armed_for)
            alarm.callbacks.append(self._rest)

    def _rest(self, alarm: Event) -> None:
        if alarm.value == self._armed_for and self._users == 0 and self._up:
            self._asleep = True
            self._set_power()

    def _fail_and_return(self) -> Generator[Event, Any, None]:
        """Follow failures and repairs; a repaired site is awake."""
        while True:
            now = self.env.now
            up_until_s = self._outages.on_until_s(now)
            self._up = up_until_s > now
            self._asleep = False
            self._set_power()
            if self._up:
                self._rest_in(0.0)
            yield self.env.timeout(max(up_until_s, self._outages.back_at_s(now)) - now)
