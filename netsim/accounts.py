"""Budgets: quantities that grow while the simulation runs, and end it at the instant a limit is met.

Time and energy grow linearly between events, so the crossing instant is computed, not overshot. Bytes and abstract
cost are paid before the action they belong to; the first payment that does not fit ends the run instead.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from simpy import Environment, Event, Timeout

_MET = 1e-12  # relative distance to a limit that counts as met: the clock itself is rounded


class OutOfBudgetError(Exception):
    """A payment did not fit: the run is over, the process that wanted it stops where it stands."""


class Account:
    """A quantity with a rate, and optionally a limit whose crossing is announced at its exact instant.

    Args:
        env: the clock.
        limit: level that must not be passed, or infinity.
        on_met: called once, at the instant the level meets the limit.

    Attributes:
        rate: growth a second of what the account itself counts.
        met: whether the limit has been met.
        parts: levels kept elsewhere that count as well; only for an account without a limit: they are not waited for.
    """

    def __init__(self, env: Environment, limit: float = inf, on_met: Callable[[], None] | None = None) -> None:
        self.env, self.limit, self.on_met = env, limit, on_met
        self.rate = 0.0
        self.met = False
        self.parts: list[Callable[[], float]] = []
        self._level = 0.0
        self._since = env.now
        self._armed_for = inf

    @property
    def level(self) -> float:
        """The quantity now."""
        return self._level + self.rate * (self.env.now - self._since) + sum(part() for part in self.parts)

    @property
    def remaining(self) -> float:
        """Distance to the limit, never negative."""
        return max(0.0, self.limit - self.level)

    def set_rate(self, rate: float) -> None:
        """Let the level grow by ``rate`` per second from now on."""
        now = self.env.now
        self._level += self.rate * (now - self._since)
        self._since = now
        self.rate = rate
        if self.limit < inf and not self.met:
            self._arm()

    def _met_now(self) -> bool:
        """Within rounding of the limit: of the level, or of the clock at the present rate."""
        return self.limit - self.level <= _MET * self.limit + self.rate * self.env.now * 1e-15

    def _arm(self) -> None:
        """Wait for the crossing; an alarm that rings too early only looks again."""
        if self._met_now():
            at = self.env.now  # still through an alarm: whoever changed the rate may not be interrupted by it
        elif self.rate > 0.0:
            at = self.env.now + (self.limit - self.level) / self.rate
        else:
            return
        if at < self._armed_for:
            self._armed_for = at
            Timeout(self.env, at - self.env.now, at).callbacks.append(self._look)

    def _look(self, alarm: Event) -> None:
        if self.met or alarm.value != self._armed_for:
            return
        self._armed_for = inf
        if self._met_now():
            self.met = True
            if self.on_met is not None:
                self.on_met()
        else:
            self._arm()


class Budget:
    """The limits of a run and what has been spent of them.

    Args:
        env: the clock.
        time_s, energy_j, bytes_, cost: limits, None for unlimited.
    """

    def __init__(
        self,
        env: Environment,
        time_s: float | None = None,
        energy_j: float | None = None,
        bytes_: float | None = None,
        cost: float | None = None,
    ) -> None:
        self.env = env
        self.ended: Event = env.event()
        self.time = Account(env, _limit(time_s), lambda: self.end("time budget"))
        self.energy = Account(env, _limit(energy_j), lambda: self.end("energy budget"))
        self._limits = {"bytes": _limit(bytes_), "cost": _limit(cost)}
        self.spent = {"bytes": 0.0, "cost": 0.0}
        self.time.set_rate(1.0)

    def end(self, reason: str) -> None:
        """End the run now; the first reason given is the one recorded."""
        if not self.ended.triggered:
            self.ended.succeed(reason)

    def pay(self, resource: str, amount: float) -> bool:
        """Spend ``amount`` of ``"bytes"`` or ``"cost"``; False, and the end of the run, if it does not fit."""
        if self.ended.triggered:
            return False
        after = self.spent[resource] + amount
        if after > self._limits[resource] * (1.0 + _MET):
            self.end(f"{resource} budget")
            return False
        self.spent[resource] = after
        return True

    def refund(self, resource: str, amount: float) -> None:
        """Give back what was paid for and not used, e.g. the rest of a cancelled upload."""
        self.spent[resource] -= amount

    def remaining(self) -> dict[str, float]:
        """What is left of every limited resource."""
        left = {"time_s": self.time.remaining, "energy_j": self.energy.remaining}
        left |= {name: max(0.0, limit - self.spent[name]) for name, limit in self._limits.items()}
        return {name: value for name, value in left.items() if value < inf}

    def share_spent(self) -> float:
        """Largest share spent of any limited resource, from 0 to 1."""
        pairs = [(self.time.level, self.time.limit), (self.energy.level, self.energy.limit)]
        pairs += [(self.spent[name], limit) for name, limit in self._limits.items()]
        return min(1.0, max((spent / limit for spent, limit in pairs), default=0.0))


def _limit(value: float | None) -> float:
    return inf if value is None else value
