"""A terminal's battery: drained by what the meter sees, charged by a harvester, and never beyond what it holds.

Between changes the charge is linear and cut at the capacity, so the instants at which it is empty, or full enough to
switch on again, are solved for. Packets of harvested energy are a compound Poisson process (exponential energies);
packet i depends on (seed, terminal, i) alone and is drawn when the clock has come near it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from math import inf, log

from simpy import Environment, Event, Timeout

from scenarios.equipment import DeviceClass, Harvest
from scenarios.streams import Streams

_MET = 1e-12  # relative distance to a level that counts as met: the clock itself is rounded


class Battery:
    """The charge of one terminal, as a net draw that may not pass what was there at the start.

    Args:
        env: the clock.
        device: capacity, start, thresholds and harvester; it has a battery.
        terminal: stream index of the terminal.
        streams: the run's randomness.
        on_empty: called at the instant the battery is empty.
        on_restart: called at the instant it has recovered from that.

    Attributes:
        rate: watts drawn now; the harvester comes on top.
        empty: whether it has run empty and has not recovered.
    """

    def __init__(
        self,
        env: Environment,
        device: DeviceClass,
        terminal: int,
        streams: Streams,
        on_empty: Callable[[], None],
        on_restart: Callable[[], None],
    ) -> None:
        assert device.battery_j is not None
        self.env, self._on_empty, self._on_restart = env, on_empty, on_restart
        self.capacity_j, self._start_j = device.battery_j, device.initial_charge * device.battery_j
        self._refused_j, self._restart_j = device.refuse_below * self.capacity_j, inf
        self.rate, self._harvest_w, self.empty = 0.0, 0.0, False
        self._drawn_j, self._since_s, self._armed_for = 0.0, env.now, inf
        self._packets: Iterator[tuple[float, float]] = iter([(inf, 0.0)])
        if device.harvest is not None:
            self._restart_j = device.harvest.restart_fraction * self.capacity_j
            self._harvest_w = device.harvest.power_w
            self._packets = packets(device.harvest, terminal, streams)
        self._packet = next(self._packets)

    @property
    def charge_j(self) -> float:
        """Joules in it now."""
        return max(0.0, self._left_j())

    def set_rate(self, rate: float) -> None:
        """Let ``rate`` watts be drawn from now on."""
        now = self.env.now
        self._unpack(now)
        self._flow(now)
        self.rate = rate
        self._arm()

    def allows_from_s(self) -> float:
        """Return from when on it has charge enough to take on work, by what is known now, or a time to ask again.

        That is now if it has; infinity if it will not by itself.
        """
        if self.empty:
            return self._rises_to_s(self._restart_j)
        if self._refused_j == 0.0:
            return self.env.now
        charge_j, net_w = self.charge_j, self._net_w()
        if charge_j >= self._refused_j - _MET * self.capacity_j:
            return self.env.now
        empty_s = self.env.now + charge_j / net_w if self.recharges and net_w > 0.0 else inf  # and then it restarts
        return min(empty_s, self._rises_to_s(self._refused_j))

    @property
    def recharges(self) -> bool:
        """Whether anything charges it."""
        return self._restart_j < inf

    def _net_w(self) -> float:
        """Watts lost; an empty battery gives nothing, whatever is asked of it at that instant."""
        return (0.0 if self.empty else self.rate) - self._harvest_w

    def _rises_to_s(self, level_j: float) -> float:
        """Return when it will hold ``level_j``, or when the next packet comes, whichever is earlier."""
        net_w, now = self._net_w(), self.env.now
        steady_s = now + max(0.0, level_j - self.charge_j) / -net_w if net_w < 0.0 and self.recharges else inf
        return min(steady_s, self._packet[0])

    def _unpack(self, to_s: float) -> None:
        """Take in the packets that have come."""
        while self._packet[0] <= to_s:
            self._flow(self._packet[0])
            self._drawn_j = self._cut(self._drawn_j - self._packet[1])
            self._packet = next(self._packets)

    def _flow(self, to_s: float) -> None:
        """Bring the charge up to a time before which no packet comes."""
        self._drawn_j, self._since_s = self._drawn_at(to_s), to_s

    def _drawn_at(self, time_s: float) -> float:
        return self._cut(self._drawn_j + self._net_w() * (time_s - self._since_s))

    def _cut(self, drawn_j: float) -> float:
        """What a full battery cannot hold is lost."""
        return max(drawn_j, self._start_j - self.capacity_j)

    def _left_j(self) -> float:
        """Charge now, or a rounding error below 0. Looking does not change the sums, whoever looks how often."""
        self._unpack(self.env.now)
        return self._start_j - self._drawn_at(self.env.now)

    def _slack_j(self) -> float:
        """What the clock cannot resolve."""
        return _MET * self.capacity_j + abs(self._net_w()) * self.env.now * 1e-15

    def _turns(self) -> bool:
        """Whether it is empty now, or has recovered now."""
        if self.empty:
            return self._left_j() >= self._restart_j - self._slack_j()
        return self._left_j() <= self._slack_j()

    def _arm(self) -> None:
        """Keep an alarm no later than the next turn; one that rings too early only looks again."""
        now, net_w = self.env.now, self._net_w()
        if self._turns():
            at = now  # still through an alarm: whoever changed the rate may not be interrupted by it
        elif self.empty:
            at = self._rises_to_s(self._restart_j)
        else:
            at = now + self._left_j() / net_w if net_w > 0.0 else inf
        if at < self._armed_for:
            self._armed_for = at
            Timeout(self.env, at - now, at).callbacks.append(self._look)

    def _look(self, alarm: Event) -> None:
        if alarm.value != self._armed_for:
            return
        self._armed_for = inf
        if self._turns():
            self._flow(self.env.now)  # up to here it was as empty, or not, as it was
            self.empty = not self.empty
            (self._on_empty if self.empty else self._on_restart)()
        self._arm()


def packets(law: Harvest, terminal: int, streams: Streams) -> Iterator[tuple[float, float]]:
    """Times (absolute, seconds) and energies (joules) of the packets that a terminal harvests."""
    time_s = 0.0
    if law.packets_per_s * law.packet_j > 0.0:
        for number in count():
            time_s += -log(streams.number("harvest", terminal, number, 0)) / law.packets_per_s
            yield time_s, -law.packet_j * log(streams.number("harvest", terminal, number, 1))
    yield inf, 0.0
