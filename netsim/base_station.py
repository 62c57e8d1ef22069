"""A base station: broadcasts its task's model, gathers the terminals' updates, aggregates, K times a cloud round."""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any

from simpy import Event

from channel_models.units import dbm_to_watt
from netsim.collection import Gathering
from netsim.port import Method, Node, Parcel, Plan
from netsim.recorder import EdgeRound, Recorder
from netsim.terminal import Assignment, OutOfBudgetError, Participation, Terminal
from netsim.world import World

Steps = Generator[Event, Any, None]


class BaseStation:
    """One site with its terminals.

    Args:
        world: the physical world.
        method: the learning method.
        index: which site.
        terminals: the devices it serves.
        recorder: told every aggregation.
    """

    def __init__(self, world: World, method: Method, index: int, terminals: list[Terminal], recorder: Recorder) -> None:
        self.world, self.method, self.index, self.recorder = world, method, index, recorder
        self.env = world.env
        self.node = Node("base_station", index)
        self.terminals = terminals
        self.edge_rounds = 0
        radiated_w = float(dbm_to_watt(world.scenario.network.downlink.tx_power_dbm))
        self._radiating_w = world.site_power.transmit_w(radiated_w)

    @property
    def downlink_airtime_s(self) -> float:
        """Time it has been broadcasting so far, seconds."""
        return self.world.site_meter.energy_j(self.index, "transmit") / self._radiating_w

    def cloud_round(self, number: int, parcel: Parcel, plan: Plan) -> Generator[Event, Any, Parcel | None]:
        """Receive from the cloud, iterate K times, send to the cloud; None if the run ended on the way."""
        try:
            yield from self._backhaul(parcel)
            self.method.adopt(self.node, parcel)
            merged: Parcel | None = None
            for _ in range(plan.bs_iterations):
                merged = yield from self._iteration(number, plan)
            if merged is not None:
                yield from self._backhaul(merged)
            return merged
        except OutOfBudgetError:
            return None

    def _backhaul(self, parcel: Parcel) -> Steps:
        """Carry a parcel between cloud and base station, either way."""
        world, bits = self.world, parcel.bits
        if not world.budget.pay("bytes", bits / 8.0):
            raise OutOfBudgetError
        world.backhaul_meter.set_power(self.index, "backhaul", world.backhaul.power_w(self.index))
        yield self.env.timeout(world.backhaul.sending_s(self.index, bits))
        world.backhaul_meter.set_power(self.index, "backhaul", 0.0)
        world.traffic.backhaul += bits / 8.0
        yield self.env.timeout(world.backhaul.latency_s(self.index))

    def _iteration(self, cloud_round: int, plan: Plan) -> Generator[Event, Any, Parcel]:
        scheduled = yield from self._schedule(cloud_round)
        indices = [terminal.index for terminal in scheduled]
        parcel = self.method.broadcast(self.node, indices)
        yield from self._broadcast(parcel, scheduled)
        gathering = Gathering(self.env, self.world.scenario.collection, indices)
        for terminal in scheduled:
            terminal.assign(Assignment(parcel, plan, cloud_round, self.edge_rounds, gathering))
        yield gathering.complete
        yield from self._release(scheduled, gathering)
        if not self.world.budget.pay("cost", self.world.scenario.budget.cost_per_bs_iteration):
            raise OutOfBudgetError
        # Sorted: an aggregate must not depend on the order of arrival in its last bit.
        merged = self.method.merge(self.node, [gathering.arrived[i] for i in sorted(gathering.arrived)])
        self.recorder.edge(
            EdgeRound(self.index, cloud_round, self.edge_rounds, plan, len(scheduled), len(gathering.arrived))
        )
        self.edge_rounds += 1
        return merged

    def _release(self, scheduled: list[Terminal], gathering: Gathering) -> Steps:
        """Tell the terminals that are too late to stop, and let them do so before the next iteration."""
        late = [terminal for terminal in scheduled if terminal.index in gathering.waiting]
        for terminal in late:
            terminal.release()
        if late:
            yield self.env.timeout(0.0)

    def _schedule(self, cloud_round: int) -> Generator[Event, Any, list[Terminal]]:
        """Return the terminals that are there; wait for the first one if none is."""
        present = [terminal for terminal in self.terminals if terminal.available()]
        while not present:
            back_s = min((terminal.available_from_s() for terminal in self.terminals), default=inf)
            if back_s == inf:
                self.world.budget.end(f"no terminal left at bs-{self.index:02d}")
                raise OutOfBudgetError
            # Nudged past the instant of return, which rounding may place a hair before it.
            yield self.env.timeout(max(0.0, back_s - self.env.now) + 1e-9)
            present = [terminal for terminal in self.terminals if terminal.available()]
        here = {terminal.index for terminal in present}
        for terminal in self.terminals:
            if terminal.index not in here:
                self.recorder.participation.append(
                    Participation(
                        self.index, cloud_round, self.edge_rounds, terminal.index, "unavailable", self.env.now
                    )
                )
        return present

    def _broadcast(self, parcel: Parcel, audience: list[Terminal]) -> Steps:
        """Send to all scheduled terminals at once, at the rate the worst of them can receive."""
        world = self.world
        yield self.env.timeout(world.scenario.network.downlink.access_delay_s)
        if not world.budget.pay("bytes", parcel.bits / 8.0):
            raise OutOfBudgetError
        airtime_s = parcel.bits / world.radio.broadcast_bps([terminal.index for terminal in audience])
        world.on_air[self.index].change(+1)
        world.site_meter.set_power(self.index, "transmit", self._radiating_w)
        for terminal in audience:
            terminal.receive(True)
        yield self.env.timeout(airtime_s)
        world.site_meter.set_power(self.index, "transmit", 0.0)
        world.on_air[self.index].change(-1)
        for terminal in audience:
            terminal.receive(False)
            terminal.bytes_down += parcel.bits / 8.0
        world.traffic.downlink += parcel.bits / 8.0
