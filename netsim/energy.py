"""Where the joules go: an exact meter of piecewise constant powers, and the power models of terminals and sites.

Base stations follow the EARTH model (Auer et al., "How much energy is needed to run a wireless network?", IEEE
Wireless Communications 18(5), 2011, table 2): P_in = N_TRX (P0 + slope P_out). A terminal's processor draws
kappa f^3, which makes kappa f^2 joules a cycle; its transmitter P_radiated / efficiency + circuit power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simpy import Environment

from netsim.accounts import Account

TERMINAL_COMPONENTS = ("compute", "transmit", "receive", "idle")
SITE_COMPONENTS = ("transmit", "static")


class _Integral:
    """Energy of a power that is constant between changes."""

    __slots__ = ("energy_j", "power_w", "since_s")

    def __init__(self, now_s: float) -> None:
        self.energy_j, self.power_w, self.since_s = 0.0, 0.0, now_s

    def switch(self, power_w: float, now_s: float) -> None:
        self.energy_j += self.power_w * (now_s - self.since_s)
        self.since_s = now_s
        self.power_w = power_w if power_w > 0.0 else 0.0  # a sum rounded below 0 would give energy back

    def at(self, now_s: float) -> float:
        return self.energy_j + self.power_w * (now_s - self.since_s)


class Meter:
    """Integrates the power of every (node, component) exactly, at state changes only.

    Args:
        env: the clock.
        nodes: number of nodes.
        components: names of the components of each node.
        total: account that follows the sum of all powers; several meters may share it.
    """

    def __init__(self, env: Environment, nodes: int, components: tuple[str, ...], total: Account) -> None:
        self.env, self.components, self.total = env, components, total
        self._cells = [{name: _Integral(env.now) for name in components} for _ in range(nodes)]
        self._sums = {name: _Integral(env.now) for name in components}
        self._accounts: dict[int, list[Account]] = {}

    def watch(self, node: int, limit_j: float, on_met: Callable[[], None]) -> Account:
        """Announce the instant at which ``node`` has used ``limit_j`` joules."""
        account = Account(self.env, limit_j, on_met)
        self._accounts.setdefault(node, []).append(account)
        return account

    def set_power(self, node: int, component: str, power_w: float) -> None:
        """Let ``component`` of ``node`` draw ``power_w`` watts from now on."""
        cell = self._cells[node][component]
        difference_w = power_w - cell.power_w
        if difference_w == 0.0:
            return
        now, everywhere, total = self.env.now, self._sums[component], self.total
        cell.switch(power_w, now)
        everywhere.switch(everywhere.power_w + difference_w, now)
        rate = total.rate + difference_w
        total.set_rate(rate if rate > 0.0 else 0.0)
        if self._accounts:
            for account in self._accounts.get(node, ()):
                account.set_rate(account.rate + difference_w)

    def energy_j(self, node: int, component: str) -> float:
        """Joules used so far by one component of one node."""
        return self._cells[node][component].at(self.env.now)

    def node_j(self, node: int) -> float:
        """Joules used so far by one node."""
        return sum(self.energy_j(node, component) for component in self.components)

    def component_j(self, component: str) -> float:
        """Joules used so far by one component of all nodes."""
        return self._sums[component].at(self.env.now)


@dataclass(frozen=True)
class SitePower:
    """EARTH power model of one site.

    Args:
        transceivers: N_TRX.
        max_output_w: largest radiated power per transceiver.
        no_load_w: P0 per transceiver.
        slope: increase of the input power per radiated watt.
    """

    transceivers: int
    max_output_w: float
    no_load_w: float
    slope: float

    def static_w(self) -> float:
        """Power without load, watts."""
        return self.transceivers * self.no_load_w

    def transmit_w(self, radiated_w: float) -> float:
        """Extra input power while ``radiated_w`` watts leave the antennas in total."""
        return self.slope * radiated_w


SITE_POWER = {
    "macro": SitePower(6, 20.0, 130.0, 4.7),
    "rrh": SitePower(6, 20.0, 84.0, 2.8),
    "micro": SitePower(2, 6.3, 56.0, 2.6),
    "pico": SitePower(2, 0.13, 6.8, 4.0),
    "femto": SitePower(2, 0.05, 4.8, 8.0),
}


def processor_w(switched_capacitance: float, cpu_hz: float) -> float:
    """Dynamic power kappa f^3 of a processor, watts."""
    return switched_capacitance * cpu_hz**3


def transmitter_w(radiated_w: float, efficiency: float, circuit_w: float) -> float:
    """Power drawn by a terminal's transmitter while it radiates, watts."""
    return radiated_w / efficiency + circuit_w
