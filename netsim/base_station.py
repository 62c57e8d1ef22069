"""A base station: broadcasts its task's model, gathers the terminals' updates, aggregates, K times a cloud round."""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any, cast

import numpy as np
from simpy import Event

from netsim.accounts import OutOfBudgetError
from netsim.allotment import Allotter
from netsim.backhaul import DOWN, UP
from netsim.collection import Carried, Gathering, share_of
from netsim.delivery import Delivery, Mission
from netsim.downlink import Downlink, Message
from netsim.joint import JointGathering, JointUplink
from netsim.participation import Participation
from netsim.port import Cohort, Late, Method, PatientMethod, Plan, Sizes, update_bits
from netsim.recorder import EdgeRound, Recorder
from netsim.relay import carry, working
from netsim.slow_fading import SlowFading
from netsim.terminal import ASK_AGAIN_S, Assignment, Terminal
from netsim.world import World

Steps = Generator[Event, Any, None]


class BaseStation:
    """One site with its terminals.

    Args:
        world: the physical world.
        method: the learning method.
        index: which site.
        terminals: the devices that hold its task's data; it serves those that have not moved into other cells.
        recorder: told every aggregation.
    """

    def __init__(self, world: World, method: Method, index: int, terminals: list[Terminal], recorder: Recorder) -> None:
        self.world, self.method, self.index, self.recorder = world, method, index, recorder
        self.env = world.env
        self.terminals = terminals
        self.edge_rounds = 0
        self._allotter = Allotter(world, index)
        self._fading = SlowFading(world.radio, world.deployment.entity, world.streams)
        self._downlink = Downlink(world, terminals)
        self._outages, outage = world.outages[index], world.scenario.base_stations.outage
        self._carries, self._carried = world.scenario.collection.late == "carry", Carried()
        self._skips = outage is not None and outage.recovery == "skip"

    def takes_part_from_s(self) -> float:
        """Return when the cloud may count on this site for a round: now, unless it skips rounds while it is down."""
        return self._outages.back_at_s(self.env.now) if self._skips else self.env.now

    def _repaired(self) -> Steps:
        """Wait until the site works."""
        yield from working(self.world, self.index)

    def cloud_round(self, number: int, plan: Plan, sizes: Sizes) -> Steps:
        """Receive from the cloud, iterate K times, send to the cloud; stops where it stands if the run ends."""
        try:
            yield from self._repaired()
            up_until_s = self._outages.on_until_s(self.env.now) if self._skips else inf
            yield from carry(self.world, self.index, sizes.cloud_bits, DOWN)
            self.method.adopt(np.array([self.index]))
            for _ in range(plan.bs_iterations):
                yield from self._iteration(number, plan, sizes)
                if self.env.now >= up_until_s:
                    break
            yield from carry(self.world, self.index, sizes.aggregate_bits, UP)
        except OutOfBudgetError:
            return

    def _iteration(self, cloud_round: int, plan: Plan, sizes: Sizes) -> Steps:
        scheduled = yield from self._schedule(cloud_round)
        since_s = self.env.now
        indices = np.array([terminal.index for terminal in scheduled], np.int64)
        cohort = Cohort(np.array([self.index]), np.array([0, len(indices)]), indices)
        work = self.method.train(cohort, plan)
        if scheduled:
            gathering = yield from self._hand_out(cloud_round, plan, sizes, scheduled, since_s)
            yield gathering.complete
        else:  # there is something late to merge, and nobody else
            gathering = self._gather([], plan, sizes)
        yield from self._repaired()
        if not self._carries:
            yield from self._release(scheduled, gathering)
        if not self.world.budget.pay("cost", self.world.scenario.budget.cost_per_bs_iteration):
            raise OutOfBudgetError
        merged, noise = self._merge(cohort, work, gathering)
        self.recorder.edge(EdgeRound(self.index, cloud_round, self.edge_rounds, plan, len(scheduled), merged, noise))
        self.edge_rounds += 1

    def _merge(self, cohort: Cohort, work: Any, gathering: Gathering) -> tuple[int, float | None]:
        """Let the method aggregate what has arrived; return how many updates, and the deviation of the air's noise."""
        came = gathering.arrived.union(gathering.take_late())
        arrived = np.array([terminal in came for terminal in cohort.terminals.tolist()], np.bool_)
        air = gathering.distortion(self.edge_rounds)
        if air is not None:
            self.method.merge(cohort, work, arrived, air)
            return int(arrived.sum()), air.noise_std
        late: list[Late] = []
        if self._carries:
            late = self._carried.arrived()
            self._carried.keep(gathering, cohort, work)
        if late:
            cast(PatientMethod, self.method).merge(cohort, work, arrived, late=late)
        else:
            self.method.merge(cohort, work, arrived)
        return int(arrived.sum()) + sum(int(part.arrived.sum()) for part in late), None

    def _gather(self, expected: list[int], plan: Plan, sizes: Sizes) -> Gathering:
        """Return where the updates of an iteration go: one after the other, or all at once."""
        policy, uplink = self.world.scenario.collection, self.world.uplinks[self.index]
        if isinstance(uplink, JointUplink):
            return JointGathering(self.env, policy, expected, uplink, sizes, plan.deadline_s)
        return Gathering(self.env, policy, expected, plan.deadline_s)

    def _hand_out(
        self, cloud_round: int, plan: Plan, sizes: Sizes, scheduled: list[Terminal], since_s: float
    ) -> Generator[Event, Any, Gathering]:
        """Bring the model to those scheduled at ``since_s`` and let them begin; return where their updates go."""

        def begin() -> Assignment:
            indices = np.array([terminal.index for terminal in scheduled])
            gathering = self._gather(indices.tolist(), plan, sizes)
            asked, bits = len(scheduled), update_bits(sizes, indices)
            sends = bits > 0.0
            clocks = self._allotter.hand_out(indices[sends], sizes)
            fades = self._fading.factors(indices[sends], self.edge_rounds, bits[sends])
            return Assignment(sizes, cloud_round, self.edge_rounds, gathering, asked, since_s, clocks, fades)

        message = Message(sizes.broadcast_bits, sizes.personal_bits)
        if self.world.scenario.cells_change:
            mission = Mission(self.index, message, self._downlink.send, begin)
            assignment: Assignment = yield Delivery(self.world, mission, scheduled).begun
            return assignment.gathering
        while not (yield from self._broadcast(message, scheduled)):
            yield from self._repaired()
        assignment = begin()
        for terminal in scheduled:
            terminal.assign(assignment)
        return assignment.gathering

    def _release(self, scheduled: list[Terminal], gathering: Gathering) -> Steps:
        """Tell the terminals that are too late to stop, and let them do so before the next iteration."""
        late = [terminal for terminal in scheduled if terminal.index in gathering.waiting]
        for terminal in late:
            terminal.release()
        if late:
            yield self.env.timeout(0.0)

    def _schedule(self, cloud_round: int) -> Generator[Event, Any, list[Terminal]]:
        """Return the terminals to ask, ascending; wait for the first, unless something late is to be merged."""
        present = self._free()
        while not (present or self._carried.some_arrived()):
            back_s = min((self._worth_asking_from_s(terminal) for terminal in self.terminals), default=inf)
            if back_s == inf:
                self.world.budget.end(f"no terminal left at bs-{self.index:02d}")
                raise OutOfBudgetError
            # Nudged past the instant of return, which rounding may place a hair before it.
            yield self.env.timeout(max(0.0, back_s - self.env.now) + 1e-9)
            present = self._free()
        self._pass_over(present, cloud_round)
        share = self.world.scenario.collection.scheduled_fraction
        return present if share == 1.0 or not present else self._draw(present, share)

    def _free(self) -> list[Terminal]:
        """Return who can be asked now; who has been late with something that is not merged yet cannot."""
        return [i for i in self.terminals if i.available() and not self._carried.holds(i.index)]

    def _worth_asking_from_s(self, terminal: Terminal) -> float:
        """Return the earliest time at which a terminal may be there and free."""
        late = self._carried.holds(terminal.index)
        return max(terminal.available_from_s(), self.env.now + ASK_AGAIN_S if late else 0.0)

    def _pass_over(self, present: list[Terminal], cloud_round: int) -> None:
        """Write down who is not there."""
        if len(present) == len(self.terminals):
            return
        here = {terminal.index for terminal in present}
        for terminal in self.terminals:
            if terminal.index not in here and not self._carried.holds(terminal.index):
                row = (self.index, cloud_round, self.edge_rounds, terminal.index, "unavailable", self.env.now)
                self.recorder.participation.append(Participation(*row))

    def _draw(self, present: list[Terminal], share: float) -> list[Terminal]:
        """Return a random ``share`` of them, at least one: those with the smallest of their own draws."""
        entities = np.array([terminal.entity for terminal in present])
        draws = self.world.streams.uniform("schedule", entities, self.edge_rounds)
        chosen = np.sort(np.argsort(draws)[: share_of(share, len(present))])
        return [present[i] for i in chosen]

    def _broadcast(self, message: Message, audience: list[Terminal]) -> Generator[Event, Any, bool]:
        """Send to all scheduled terminals of the own cell; False if the site failed first."""
        world = self.world
        yield self.env.timeout(world.scenario.network.downlink.access_delay_s + world.on_air[self.index].wake_up_s())
        return (yield from self._downlink.send(self.index, message, audience))
