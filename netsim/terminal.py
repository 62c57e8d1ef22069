"""A terminal: receives a model, computes for a while, uploads what it learned; may be late, lost or out of battery."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from simpy import Event, Interrupt, Process

from netsim.accounts import OutOfBudgetError
from netsim.battery import Battery
from netsim.collection import Gathering
from netsim.compute import Luck, computing_w, duration_s, slowest_hz
from netsim.participation import Participation, ParticipationLog
from netsim.port import Sizes
from netsim.relay import relay
from netsim.upload import Upload
from netsim.world import World

Steps = Generator[Event, Any, None]
ASK_AGAIN_S = 0.01
"""How long a base station lets a terminal alone that is still being sent an older model, or at work on one."""


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
        fades: factors on the uplink rates of terminals whose fading does not average out.
    """

    sizes: Sizes
    cloud_round: int
    edge_round: int
    gathering: Gathering
    asked: int
    since_s: float
    cpu_hz: Mapping[int, float] = field(default_factory=dict)
    fades: Mapping[int, float] = field(default_factory=dict)


class Terminal:
    """One device: a SimPy process that waits for assignments and works on them one at a time.

    Args:
        world: the physical world.
        index: which terminal.
        log: receives a :class:`Participation` per assignment.
        luck: slow-downs and losses, of this terminal at least.

    Attributes:
        site: its base station, where its task is at home; ``world.serving`` says which one serves it.
        expecting: whether a model is on its way to it.
        out_until_s: earliest time at which it may be in a cell where it can be scheduled.
        on_air_from_s: when its last change of cell is over.
    """

    def __init__(self, world: World, index: int, log: ParticipationLog, luck: Luck) -> None:
        self.world, self.index, self.log, self._luck = world, index, log, luck
        self.env = world.env
        self.site = int(world.deployment.serving[index])
        self.device = world.devices[index]
        self.entity = int(world.deployment.entity[index])
        self.alive = True
        self.covered = bool(world.radio.reachable[index])
        self.expecting, self.out_until_s, self.on_air_from_s = False, 0.0, 0.0
        self.bytes_up = self.bytes_down = 0.0
        self._inbox: Event = self.env.event()
        self._presence = world.presences[index]
        self._sending: Upload | None = None
        self._reconnection: Event | None = None
        self._speed = world.traces.speed(self.entity)
        self._cpu_hz = self.device.cpu_hz
        self._access_delay_s = world.scenario.network.uplink.access_delay_s
        self._cost_per_sample = world.scenario.budget.cost_per_local_iteration
        self._carries_late = world.scenario.collection.late == "carry"
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
        return not (self._working or self.expecting) and self.ready()

    def ready(self) -> bool:
        """Whether it is there, on and charged now."""
        return self.alive and self.available_from_s() <= self.env.now

    def available_from_s(self) -> float:
        """Earliest time at which it may be ready, so that it is worth asking again; infinity if never again."""
        if not self.covered:
            return inf
        now = self.env.now
        back_s = max(self._presence.back_at_s(now), self.out_until_s)
        if self.expecting:
            back_s = max(back_s, now + ASK_AGAIN_S)
        if self.battery is None:
            return back_s
        charged_s = self.battery.allows_from_s()
        if charged_s > now == back_s and self.alive and self.battery.recharges:
            charged_s = min(charged_s, self._presence.on_until_s(now))  # it charges faster while it is away
        return max(back_s, charged_s)

    @property
    def on(self) -> bool:
        """Whether it is switched on and has energy."""
        return self.alive and self._presence.back_at_s(self.env.now) <= self.env.now

    @property
    def gone(self) -> bool:
        """Whether it is switched off for good."""
        return not self.alive and not (self.battery is not None and self.battery.recharges)

    @property
    def task(self) -> str:
        """What it is doing for its base station: ``"nothing"``, ``"computing"`` or ``"uploading"``."""
        return "uploading" if self._sending is not None else "computing" if self._working else "nothing"

    def sends_bits(self, assignment: Assignment) -> float:
        """Return the size of its answer to an assignment."""
        own = assignment.sizes.own_update_bits
        return assignment.sizes.update_bits if own is None else own.item(self.index)

    @property
    def cut(self) -> bool:
        """Whether it is off the air, between two cells."""
        return self._reconnection is not None

    def cut_off(self, for_s: float) -> Upload | None:
        """Be off the air for a while; return the upload that is held up by that, if there is one."""
        if self._sending is not None:
            self._sending.pause()
        self.on_air_from_s = self.env.now + for_s
        self._reconnection = self.env.timeout(for_s)
        self._reconnection.callbacks.append(self._reconnect)
        return self._sending

    def _reconnect(self, over: Event) -> None:
        if over is not self._reconnection:  # it has been cut off again
            return
        self._reconnection = None
        if self._sending is not None:
            self._sending.resume()

    def drop(self) -> None:
        """Lose the assignment in progress."""
        self._interrupt("dropped")

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
            self._working, relayed = True, False
            row = Participation(
                self.site, assignment.cloud_round, assignment.edge_round, self.index, "dropped", self.env.now
            )
            try:
                if self.alive and self._on_since_s <= assignment.since_s:
                    relayed = yield from self._work(assignment, row)
            except Interrupt as interrupt:
                row.outcome = str(interrupt.cause)
            except OutOfBudgetError:
                return
            finally:
                self._working = False
            if not relayed:
                self._close(assignment, row)

    def _close(self, assignment: Assignment, row: Participation) -> None:
        """Write down what became of an assignment."""
        self.log.append(row)
        if row.outcome != "merged":
            assignment.gathering.lose(self.index)

    def _work(self, assignment: Assignment, row: Participation) -> Generator[Event, Any, bool]:
        """Compute and upload; return whether the update goes on from the base station that received it."""
        sizes = assignment.sizes
        self._pay_for(sizes, row)
        self._cpu_hz = self._clock_hz(assignment, row.samples)
        leaves_s, compute_s = self._fate(assignment.edge_round, row.samples)
        if not (yield from self._compute(compute_s, leaves_s, row)):
            return False
        if not (yield from self._upload(assignment, leaves_s, row)):
            return False
        return self._pass_on(assignment, row)

    def _pass_on(self, assignment: Assignment, row: Participation) -> bool:
        """Hand over an update that a base station has received, or let it go on to this terminal's own; see _work."""
        serving = self.world.serving.item(self.index)
        if serving != self.site and assignment.gathering.wanted:
            self.env.process(self._send_home(serving, assignment, row))
            return True
        self._hand_in(assignment, row)
        return False

    def _send_home(self, serving: int, assignment: Assignment, row: Participation) -> Steps:
        """Carry an update from the base station that received it to this terminal's own; the terminal is free."""
        try:
            yield from relay(self.world, serving, self.site, self.sends_bits(assignment))
        except OutOfBudgetError:
            return
        self._hand_in(assignment, row)
        self._close(assignment, row)

    def _hand_in(self, assignment: Assignment, row: Participation) -> None:
        """Let the update arrive where it is wanted."""
        gathering = assignment.gathering
        row.outcome = "merged" if gathering.wanted else "late"
        row.finish_s = self.env.now
        if self._carries_late:
            row.staleness = float(gathering.age)
        gathering.arrive(self.index)

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
        uploading_s = self.sends_bits(assignment) / self.world.radio.shared_bps(self.index, assignment.asked)
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

    def _upload(self, assignment: Assignment, leaves_s: float, row: Participation) -> Generator[Event, Any, bool]:
        """Ask for access and send the update; False if the terminal left, or its site failed, first."""
        started_s, upload, serving = self.env.now, None, self.world.serving.item(self.index)
        standing = self.world.standing  # with it, whoever has to leave a failed site is told
        if standing is None:
            leaves_s = min(leaves_s, self.world.outages[serving].on_until_s(started_s))
        try:
            yield self.env.timeout(self._access_delay_s + self.world.on_air[serving].wake_up_s())
            while self._reconnection is not None:
                yield self._reconnection
            stands = standing is None or standing.is_up(self.world.serving.item(self.index))
            if self.env.now >= leaves_s or not stands:
                return False
            bits, fade = self.sends_bits(assignment), assignment.fades.get(self.index, 1.0)
            upload = self._sending = Upload(self.world, self.index, bits, fade)
            if leaves_s < inf:
                yield upload.done | self.env.timeout(leaves_s - self.env.now)
            else:
                yield upload.done
        finally:
            row.upload_s = self.env.now - started_s
            self._sending = None
            if upload is not None:
                upload.stop()
                self.bytes_up += upload.sent_bytes
        return upload.done.triggered
