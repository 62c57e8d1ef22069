"""A terminal: receives a model, computes for a while, uploads what it learned; may be late, lost or out of battery."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from simpy import Event, Interrupt, Process

from netsim.battery import Battery
from netsim.cell import Transfer
from netsim.collection import Gathering
from netsim.compute import Luck, computing_w, duration_s, slowest_hz
from netsim.participation import Participation, ParticipationLog
from netsim.port import Sizes
from netsim.world import World

Steps = Generator[Event, Any, None]


@dataclass(frozen=True)
class Assignment:
    """What a base station asks of a terminal in one iteration.

    Attributes:
        sizes: how much to compute and to send.
        cloud_round, edge_round: when; ``edge_round`` counts this base station's iterations from 0.
        gathering: where the update goes.
        asked: how many terminals share this iteration.
        since_s: when it began; a terminal that was off since has not received the model.
        cpu_hz: processor clocks of terminals that are told theirs, hertz.
    """

    sizes: Sizes
    cloud_round: int
    edge_round: int
    gathering: Gathering
    asked: int
    since_s: float
    cpu_hz: Mapping[int, float] = field(default_factory=dict)


class OutOfBudgetError(Exception):
    """A payment did not fit: the run is over, the process that wanted it stops where it stands."""


class Terminal:
    """One device: a SimPy process that waits for assignments and works on them one at a time.

    Args:
        world: the physical world.
        index: which terminal.
        log: receives a :class:`Participation` per assignment.
        luck: slow-downs and losses, of this terminal at least.
    """

    def __init__(self, world: World, index: int, log: ParticipationLog, luck: Luck) -> None:
        self.world, self.index, self.log, self._luck = world, index, log, luck
        self.env = world.env
        self.site = int(world.deployment.serving[index])
        self.device = world.devices[index]
        self.entity = int(world.deployment.entity[index])
        self.alive = True
        self.covered = bool(world.radio.reachable[index])
        self.bytes_up = self.bytes_down = 0.0
        self._inbox: Event = self.env.event()
        self._uplink, self._presence = world.uplinks[self.site], world.presences[index]
        self._speed = world.traces.speed(self.entity)
        self._cpu_hz = self.device.cpu_hz
        self._access_delay_s = world.scenario.network.uplink.access_delay_s
        self._cost_per_sample = world.scenario.budget.cost_per_local_iteration
        self._steps: Steps | None = None
        self._process: Process | None = None
        self._working = False
        self._on_since_s = self.env.now
        self.battery: Battery | None = None
        if self.device.battery_j is not None:
            self.battery = Battery(self.env, self.device, self.entity, world.streams, self._die, self._restart)
            world.terminal_meter.attach(index, self.battery)
        self.env.process(self._idle())

    def start(self) -> None:
        """Begin to wait for assignments."""
        self._go(self._live())

    def _go(self, steps: Steps) -> Process:
        self._steps, self._process = steps, self.env.process(steps)
        return self._process

    def stop(self) -> None:
        """Drop everything, at the end of the run: what has been sent has been sent, the rest is refunded."""
        if self._steps is not None:
            self._steps.close()

    def _power(self, component: str, power_w: float) -> None:
        self.world.terminal_meter.set_power(self.index, component, power_w)

    def available(self) -> bool:
        """Whether it can be scheduled now."""
        return not self._working and self.ready()

    def ready(self) -> bool:
        """Whether it is there, on and charged now."""
        return self.alive and self.available_from_s() <= self.env.now

    def available_from_s(self) -> float:
        """Earliest time at which it may be ready, so that it is worth asking again; infinity if never again."""
        if not self.covered:
            return inf
        now = self.env.now
        back_s = self._presence.back_at_s(now)
        if self.battery is None:
            return back_s
        charged_s = self.battery.allows_from_s()
        if charged_s > now == back_s and self.alive and self.battery.recharges:
            charged_s = min(charged_s, self._presence.on_until_s(now))  # it charges faster while it is away
        return max(back_s, charged_s)

    def assign(self, assignment: Assignment) -> None:
        """Hand over work; it starts at this instant, unless the battery died while the model was received."""
        self._inbox.succeed(assignment)

    def release(self) -> None:
        """Stop working on an assignment whose result is no longer wanted."""
        self._interrupt("late")

    def _interrupt(self, outcome: str) -> None:
        if self._working and self._process is not None:
            self._process.interrupt(outcome)

    def _die(self) -> None:
        """The battery is empty: switch off, for good unless something charges it."""
        self.alive = False
        self._interrupt("dropped")
        for component in ("compute", "receive", "idle"):
            self._power(component, 0.0)

    def _restart(self) -> None:
        """The battery has recovered: switch on, and wait for work; what was begun before is lost."""
        self.alive, self._on_since_s = True, self.env.now
        self.env.process(self._idle())

    def _idle(self) -> Steps:
        """Draw idle power whenever the terminal is on, until its battery is empty."""
        presence, on_since_s = self._presence, self._on_since_s
        while self.alive and self._on_since_s == on_since_s:
            now = self.env.now
            on_until_s = presence.on_until_s(now)
            self._power("idle", self.device.idle_power_w if on_until_s > now else 0.0)
            changes_s = max(on_until_s, presence.back_at_s(now))
            if changes_s == inf:
                return
            yield self.env.timeout(changes_s - now)

    def _live(self) -> Steps:
        while True:
            assignment: Assignment = yield self._inbox
            self._inbox = self.env.event()
            self._working = True
            row = Participation(
                self.site, assignment.cloud_round, assignment.edge_round, self.index, "dropped", self.env.now
            )
            try:
                if self.alive and self._on_since_s <= assignment.since_s:
                    yield from self._work(assignment, row)
            except Interrupt as interrupt:
                row.outcome = str(interrupt.cause)
            except OutOfBudgetError:
                return
            finally:
                self._working = False
            self.log.append(row)
            if row.outcome != "merged":
                assignment.gathering.lose(self.index)

    def _work(self, assignment: Assignment, row: Participation) -> Steps:
        sizes = assignment.sizes
        self._pay_for(sizes, row)
        self._cpu_hz = self._clock_hz(assignment, row.samples)
        leaves_s, compute_s = self._fate(assignment.edge_round, row.samples)
        if not (yield from self._compute(compute_s, leaves_s, row)):
            return
        if not (yield from self._upload(sizes.update_bits, leaves_s, row)):
            return
        row.outcome = "merged" if assignment.gathering.open else "late"
        row.finish_s = self.env.now
        assignment.gathering.arrive(self.index)

    def _pay_for(self, sizes: Sizes, row: Participation) -> None:
        row.samples, row.fixed_samples = sizes.samples.item(self.index), sizes.fixed_samples.item(self.index)
        if not self.world.budget.pay("cost", (row.samples - row.fixed_samples) * self._cost_per_sample):
            raise OutOfBudgetError

    def _clock_hz(self, assignment: Assignment, samples: float) -> float:
        """Clock for an assignment: what it is told, its own, or the slowest that meets the deadline."""
        if self.index in assignment.cpu_hz:
            return assignment.cpu_hz[self.index]
        dvfs = self.device.dvfs
        if dvfs is None or dvfs.policy != "deadline":
            return self.device.cpu_hz
        uploading_s = assignment.sizes.update_bits / self.world.radio.shared_bps(self.index, assignment.asked)
        left_s = assignment.gathering.deadline_s - self.env.now - self._access_delay_s - uploading_s
        return slowest_hz(dvfs.levels_hz, samples * self.device.cycles_per_sample, left_s * self._speed)

    def _fate(self, edge_round: int, samples: float) -> tuple[float, float]:
        """Return when the terminal will leave (absolute) and how long it would compute."""
        now = self.env.now
        slowdown = self._luck.slowdown(self.entity, edge_round) / self._speed
        compute_s = duration_s(samples, self.device, slowdown, self._cpu_hz)
        leaves_s, lost_after = self._presence.on_until_s(now), self._luck.lost_after(self.entity, edge_round)
        if lost_after < inf:
            leaves_s = min(leaves_s, now + lost_after * compute_s)
        return leaves_s, compute_s

    def _compute(self, compute_s: float, leaves_s: float, row: Participation) -> Generator[Event, Any, bool]:
        """Compute; False if the terminal left first."""
        started_s = self.env.now
        stays_s = max(0.0, leaves_s - started_s)
        self._power("compute", computing_w(self.device, self._cpu_hz))
        try:
            yield self.env.timeout(min(compute_s, stays_s))
        finally:
            self._power("compute", 0.0)
            row.compute_s = self.env.now - started_s
        return compute_s < stays_s  # not from the clock, which may have rounded to before leaves_s

    def _upload(self, bits: float, leaves_s: float, row: Participation) -> Generator[Event, Any, bool]:
        """Ask for access and send the update; False if the terminal left, or its site failed, first."""
        started_s, transfer = self.env.now, None
        leaves_s = min(leaves_s, self.world.outages[self.site].on_until_s(started_s))
        try:
            yield self.env.timeout(self._access_delay_s + self.world.on_air[self.site].wake_up_s())
            if self.env.now >= leaves_s:
                return False
            transfer = self._transmit(bits)
            if leaves_s < inf:
                yield transfer.done | self.env.timeout(leaves_s - self.env.now)
            else:
                yield transfer.done
        finally:
            row.upload_s = self.env.now - started_s
            if transfer is not None:
                self._hang_up(transfer)
        return transfer.done.triggered

    def _transmit(self, bits: float) -> Transfer:
        """Begin to send; all bytes are paid before, what is not sent is refunded."""
        if self._uplink.prepaid and not self.world.budget.pay("bytes", bits / 8.0):
            raise OutOfBudgetError
        return self._uplink.start(self.index, bits)

    def _hang_up(self, transfer: Transfer) -> None:
        """Be off the air, and count what has been sent."""
        unsent_bits = self._uplink.cancel(transfer)
        sent_bytes = (transfer.bits - unsent_bits) / 8.0
        self.world.budget.refund("bytes", unsent_bits / 8.0)
        self.world.traffic.uplink += sent_bytes
        self.bytes_up += sent_bytes
