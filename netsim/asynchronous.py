"""No barriers: every terminal is sent the present model, works, and reports to the cloud, whenever it can.

The server is the cloud; base stations relay. A model for one terminal goes over the wire of its site and then down the
air to it alone, one terminal of a cell after the other; an update goes up the shared uplink and over the wire of the
site that received it. The cloud takes in updates as they arrive and sends the reporting terminal the model it then has.
A terminal that moves stays in its cell while a model is on its way to it.

Nobody waits for anybody, so ``collection`` plays no part but for ``redispatch``, and of the sizes only what travels
over the air: it goes through the wires as it is.

Xie et al., "Asynchronous federated optimization", arXiv 1903.03934; Nguyen et al., "Federated learning with buffered
asynchronous aggregation", AISTATS 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Any, NamedTuple, cast

import numpy as np
from simpy import AllOf, Event

from netsim.accounts import OutOfBudgetError
from netsim.alarm import Alarm
from netsim.backhaul import DOWN, UP
from netsim.collection import Gathering
from netsim.compute import Luck
from netsim.downlink import Downlink, Message
from netsim.participation import Participation, ParticipationLog
from netsim.port import AsynchronousMethod, Cohort, Method, Plan, Sizes, update_bits
from netsim.prices import PriceWatch
from netsim.recorder import Recorder, snapshot
from netsim.relay import Steps, carry, working
from netsim.slow_fading import SlowFading
from netsim.terminal import Assignment, Terminal
from netsim.world import World
from scenarios.errors import ScenarioError
from scenarios.schema import Collection, Scenario

_ALONE = Collection()
_OBSTACLES: dict[str, tuple[str, Callable[[Scenario], Any]]] = {
    "base_stations.outage.recovery": (
        "wait or skip",
        lambda scenario: scenario.base_stations.outage and scenario.base_stations.outage.recovery == "reassociate",
    ),
    "network.uplink.transfer": ("digital", lambda scenario: scenario.network.uplink.transfer != "digital"),
    "network.uplink.share": ("any but allotted", lambda scenario: scenario.network.uplink.share == "allotted"),
    "terminals.classes.dvfs.policy": (
        "highest or most_efficient",
        lambda scenario: any(kind.dvfs and kind.dvfs.policy == "deadline" for kind in scenario.terminals.classes),
    ),
}
"""Fields, what is allowed, and whether a scenario uses them for what needs rounds or one base station for good."""


def check(scenario: Scenario) -> None:
    """Refuse what the protocol cannot do.

    Raises:
        ScenarioError: a field that it does not know how to honour.
    """
    for field, (allowed, is_used) in _OBSTACLES.items():
        if is_used(scenario):
            value: Any = scenario
            for name in field.split("."):
                value = getattr(value, name, "deadline")
            raise ScenarioError(field, value, f"{allowed}, as the asynchronous protocol has no rounds")


class Report(NamedTuple):
    """An update at the cloud, and the assignment it comes from."""

    terminal: int
    assignment: Assignment
    row: Participation


class FreeTerminal(Terminal):
    """A terminal whose updates go on to the cloud; it is in a round of its own, with luck of its own.

    Args:
        world, index, log: see :class:`netsim.terminal.Terminal`.
    """

    def __init__(self, world: World, index: int, log: ParticipationLog) -> None:
        entity = int(world.deployment.entity[index])
        super().__init__(world, index, log, Luck(world.scenario.terminals, [entity], world.streams))
        self.report: Callable[[Report], None] = lambda report: None

    def _pass_on(self, assignment: Assignment, row: Participation) -> bool:
        self.env.process(self._send_to_cloud(self.world.serving.item(self.index), assignment, row))
        return True

    def _send_to_cloud(self, site: int, assignment: Assignment, row: Participation) -> Steps:
        try:
            yield from working(self.world, site)
            yield from carry(self.world, site, self.sends_bits(assignment), UP)
        except OutOfBudgetError:
            return
        self.report(Report(self.index, assignment, row))


class Sent(NamedTuple):
    """Whom the present model was sent to at one instant, what they work on, and which version it was."""

    cohort: Cohort
    work: Any
    version: int


class Cloud:
    """The server: sends models, takes in updates, counts versions.

    Args:
        world: the physical world.
        method: the learning method.
        terminals: everybody.
        recorder: told whenever as many updates have arrived as there are terminals.

    Attributes:
        version: how often the model has changed.
    """

    def __init__(self, world: World, method: Method, terminals: list[FreeTerminal], recorder: Recorder) -> None:
        self._world, self._env, self._method, self._recorder = world, world.env, method, recorder
        self._terminals = terminals
        self._at_once = world.scenario.collection.redispatch == "at_once"
        self._downlink = Downlink(world, list(terminals))
        self._fading = SlowFading(world.radio, world.deployment.entity, world.streams)
        self._prices = PriceWatch(world, snapshot(world))
        self.version = self._reports = self._rounds = 0
        self._plan: Plan | None = None
        self._sizes: Sizes | None = None
        self._due: dict[int, Event] = {}
        self._sent: dict[int, Sent] = {}
        self._arrived: list[Report] = []
        for terminal in terminals:
            terminal.report = self._arrive

    def run(self) -> Steps:
        """Keep everybody busy until there is nobody left."""
        self._plan_next()
        yield AllOf(self._env, [self._env.process(self._attend(terminal)) for terminal in self._terminals])
        self._world.budget.end("no terminal left")

    def _plan_next(self) -> None:
        observation = self._prices.observe(self._rounds, self._world.budget.remaining())
        self._plan = self._method.plan(observation)
        if self._plan is None:
            self._world.budget.end("plan complete")
        else:
            self._sizes = self._method.sizes(self._plan)

    # To the terminals ---------------------------------------------------------------------------------------

    def _attend(self, terminal: FreeTerminal) -> Steps:
        """Keep a terminal busy as long as it is ever there."""
        number = 0
        while (yield from self._until_ready(terminal)):
            terminal.expecting = True
            yield self._send(terminal)
            if self._sizes is None or self._plan is None:
                return
            sizes, since_s, cloud_round = self._sizes, self._env.now, self._rounds
            try:
                has_it = yield from self._bring(terminal, sizes)
            except OutOfBudgetError:
                return
            terminal.expecting = False
            if has_it:
                errand = Gathering(self._env, _ALONE, [terminal.index])
                # Others come and go: the upload is as long against its fading as if it were alone in its cell.
                alone = np.array([terminal.index])
                fades = self._fading.factors(alone, number, update_bits(sizes, alone))
                terminal.assign(Assignment(sizes, cloud_round, number, errand, 1, since_s, fades=fades))
                yield errand.complete
            else:
                who = (terminal.site, cloud_round, number, terminal.index)
                terminal.log.append(Participation(*who, "dropped", self._env.now))
            number += 1

    def _until_ready(self, terminal: FreeTerminal) -> Generator[Event, Any, bool]:
        """Wait for a terminal; return whether it will ever be there."""
        while not terminal.available():
            back_s = terminal.available_from_s()
            if back_s == inf:
                return False
            # Nudged past the instant of return, which rounding may place a hair before it.
            yield self._env.timeout(max(0.0, back_s - self._env.now) + 1e-9)
        return True

    def _send(self, terminal: FreeTerminal) -> Event:
        """Let the method know that a terminal is sent the present model; the event comes when it leaves."""
        leaves = self._env.event()
        if not self._due and not self._at_once:
            Alarm(self._env, self._env.now, self._send_all)
        self._due[terminal.index] = leaves
        if self._at_once:
            self._send_all()
        return leaves

    def _send_all(self) -> None:
        """Send the present model to all who are due at this instant."""
        who = np.array(sorted(self._due), np.int64)
        if self._plan is not None:
            cohort = _grouped(self._world.serving[who], who)
            sent = Sent(cohort, self._method.train(cohort, self._plan), self.version)
            self._sent |= dict.fromkeys(who.tolist(), sent)
        for index in who.tolist():
            self._due.pop(index).succeed()

    def _bring(self, terminal: FreeTerminal, sizes: Sizes) -> Generator[Event, Any, bool]:
        """Carry a model to a site and send it down to one terminal, again if the site fails; False if out of reach.

        Until then the terminal stays in its cell.
        """
        world, site = self._world, self._world.serving.item(terminal.index)
        message = Message(0.0, sizes.broadcast_bits + sizes.personal_bits)
        yield from working(world, site)
        yield from carry(world, site, message.personal_bits, DOWN)
        whole = False
        while not whole:
            yield from working(world, site)
            wake_up_s = world.on_air[site].wake_up_s()
            yield self._env.timeout(world.scenario.network.downlink.access_delay_s + wake_up_s)
            yield world.downlinks[site].ask(terminal.index)
            reached = world.scenario.mobility is None or world.radio.in_coverage(np.array([terminal.index])).item()
            whole = not reached or (yield from self._downlink.send(site, message, [terminal]))
            world.downlinks[site].leave()
        return bool(reached)

    # From the terminals -------------------------------------------------------------------------------------

    def _arrive(self, report: Report) -> None:
        """Take it in when everything else that arrives at this instant is there."""
        if not self._arrived:
            Alarm(self._env, self._env.now, self._take_in)
        self._arrived.append(report)

    def _take_in(self) -> None:
        """Take in what arrived at this instant, lower indices first: all of it, or one update and the rest later."""
        self._arrived.sort(key=lambda report: report.terminal)
        while self._arrived and self._plan is not None:
            self._take(self._arrived.pop(0))
            if self._at_once and self._arrived:
                Alarm(self._env, self._env.now, self._take_in)
                return

    def _take(self, report: Report) -> None:
        sent, row = self._sent.pop(report.terminal), report.row
        staleness, arrived = self.version - sent.version, sent.cohort.terminals == report.terminal
        method = cast(AsynchronousMethod, self._method)
        receipt = method.merge(sent.cohort, sent.work, arrived, staleness=staleness)
        self.version += receipt.versions
        row.outcome = "merged" if receipt.accepted else "late"
        row.finish_s, row.staleness = self._env.now, float(staleness)
        self._recorder.participation.append(row)
        self._reports += 1
        if self._reports % len(self._terminals) == 0:
            self._recorder.cloud(self._rounds, self._plan)
            self._rounds += 1
            self._plan_next()
        report.assignment.gathering.arrive(report.terminal)


def _grouped(sites: np.ndarray[Any, np.dtype[np.int64]], terminals: np.ndarray[Any, np.dtype[np.int64]]) -> Cohort:
    """Return terminals (n,) as a cohort, given the (n,) site of each."""
    order = np.lexsort((terminals, sites))
    there, first = np.unique(sites[order], return_index=True)
    return Cohort(there, np.append(first, len(terminals)), terminals[order])
