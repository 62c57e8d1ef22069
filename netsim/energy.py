"""Where the joules go: an exact meter of piecewise constant powers, and the power models of terminals and sites.

Base stations follow the EARTH model (Auer et al., "How much energy is needed to run a wireless network?", IEEE
Wireless Communications 18(5), 2011, table 2): P_in = N_TRX (P0 + slope P_out) with P_out per transceiver, or
N_TRX P_sleep. A terminal's processor draws kappa f^3 + P_static, which makes kappa f^2 + P_static / f joules a cycle;
its transmitter P_radiated / efficiency + circuit power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from simpy import Environment

from netsim.accounts import Account

TERMINAL_COMPONENTS = ("compute", "transmit", "receive", "idle")
SITE_COMPONENTS = ("transmit", "static")
Powers = Sequence[float] | Mapping[int, float]
"""Watts of each node."""


class _Integral:
    """Energy of a power that is constant between changes."""

    __slots__ = ("energy_j", "power_w", "since_s")

    def __init__(self, now_s: float) -> None:
        self.energy_j, self.power_w, self.since_s = 0.0, 0.0, now_s

    def switch(self, power_w: float, now_s: float) -> None:
        self.energy_j += self.power_w * (now_s - self.since_s)
        self.since_s, self.power_w = now_s, power_w

    def at(self, now_s: float) -> float:
        return self.energy_j + self.power_w * (now_s - self.since_s)


class Follower(Protocol):
    """Told the power of a node, in watts, whenever it changes."""

    rate: float

    def set_rate(self, rate: float) -> None:
        """Go on at ``rate`` from now on."""


class Meter:
    """Integrates the power of every (node, component) exactly, at state changes only.

    Args:
        env: the clock.
        nodes: number of nodes.
        components: names of the components of each node.
        total: account of the sum of all energies; several meters may share it.
    """

    def __init__(self, env: Environment, nodes: int, components: tuple[str, ...], total: Account) -> None:
        self.env, self.components, self._total = env, components, total
        self._cells = {name: [_Integral(env.now) for _ in range(nodes)] for name in components}
        self._sums = {name: _Integral(env.now) for name in components}
        self._announces = total.limit < inf
        if not self._announces:  # nobody waits for the total: it need not be followed all the time
            total.parts.append(self._sum_j)
        self._followers: dict[int, list[Follower]] = {}

    def watch(self, node: int, limit_j: float, on_met: Callable[[], None]) -> Account:
        """Announce the instant at which ``node`` has used ``limit_j`` joules."""
        account = Account(self.env, limit_j, on_met)
        self.attach(node, account)
        return account

    def attach(self, node: int, follower: Follower) -> None:
        """Let ``follower`` know what ``node`` draws."""
        self._followers.setdefault(node, []).append(follower)

    def set_power(self, node: int, component: str, power_w: float) -> None:
        """Let ``component`` of ``node`` draw ``power_w`` watts from now on."""
        cell = self._cells[component][node]
        change_w = power_w - cell.power_w
        if change_w != 0.0:
            now = self.env.now
            cell.switch(power_w, now)
            self._add_up(component, change_w, now)
            if self._followers:
                self._charge(node, change_w)

    def set_shares(self, component: str, nodes: Iterable[int], full_w: Powers, share: float) -> None:
        """Let ``component`` of several nodes draw a ``share`` of each one's ``full_w[node]`` watts from now on."""
        now, cells, sum_w = self.env.now, self._cells[component], 0.0
        for node in nodes:
            cell, power_w = cells[node], full_w[node] * share
            change_w = power_w - cell.power_w
            if change_w != 0.0:
                cell.switch(power_w, now)
                sum_w += change_w
                if self._followers:
                    self._charge(node, change_w)
        self._add_up(component, sum_w, now)

    def _add_up(self, component: str, change_w: float, now_s: float) -> None:
        """Follow the sums over all nodes; one that was rounded below 0 would give energy back."""
        everywhere = self._sums[component]
        sum_w = everywhere.power_w + change_w
        everywhere.switch(sum_w if sum_w > 0.0 else 0.0, now_s)
        if self._announces:
            self._total.set_rate(max(0.0, self._total.rate + change_w))

    def _charge(self, node: int, change_w: float) -> None:
        for follower in self._followers.get(node, ()):
            follower.set_rate(follower.rate + change_w)

    def energy_j(self, node: int, component: str) -> float:
        """Joules used so far by one component of one node."""
        return self._cells[component][node].at(self.env.now)

    def node_j(self, node: int) -> float:
        """Joules used so far by one node."""
        return sum(self.energy_j(node, component) for component in self.components)

    def component_j(self, component: str) -> float:
        """Joules used so far by one component of all nodes."""
        return self._sums[component].at(self.env.now)

    def _sum_j(self) -> float:
        return sum(self.component_j(component) for component in self.components)


@dataclass(frozen=True)
class SitePower:
    """EARTH power model of one site.

    Args:
        transceivers: N_TRX.
        max_output_w: largest radiated power per transceiver.
        no_load_w: P0 per transceiver.
        slope: increase of the input power per radiated watt.
        sleep_w: P_sleep per transceiver.
    """

    transceivers: int
    max_output_w: float
    no_load_w: float
    slope: float
    sleep_w: float

    def static_w(self) -> float:
        """Power without load, watts."""
        return self.transceivers * self.no_load_w

    def sleeping_w(self) -> float:
        """Power while all transceivers sleep, watts."""
        return self.transceivers * self.sleep_w

    def transmit_w(self, radiated_w: float) -> float:
        """Extra input power while ``radiated_w`` watts leave the antennas in total."""
        return self.slope * radiated_w


SITE_POWER = {
    "macro": SitePower(6, 20.0, 130.0, 4.7, 75.0),
    "rrh": SitePower(6, 20.0, 84.0, 2.8, 56.0),
    "micro": SitePower(2, 6.3, 56.0, 2.6, 39.0),
    "pico": SitePower(2, 0.13, 6.8, 4.0, 4.3),
    "femto": SitePower(2, 0.05, 4.8, 8.0, 2.9),
}


def processor_w(switched_capacitance: float, cpu_hz: float, static_w: float = 0.0) -> float:
    """Power kappa f^3 + P_static of a processor that computes, watts."""
    return switched_capacitance * cpu_hz**3 + static_w


def transmitter_w(radiated_w: float, efficiency: float, circuit_w: float) -> float:
    """Power drawn by a terminal's transmitter while it radiates, watts."""
    return radiated_w / efficiency + circuit_w
