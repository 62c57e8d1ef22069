"""A model on its way to terminals that several cells serve: relayed to each of these cells and broadcast there.

The terminals of a cell begin to work when its broadcast ends, whether the others have the model or not. A terminal that
is out of coverage when the broadcast begins misses it; one that gets the model when its update is no longer wanted does
not begin. A broadcast that a failure of its site cuts short is sent again when that is repaired, and to those who have
left for other cells there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from simpy import Event

from netsim.accounts import OutOfBudgetError
from netsim.downlink import Message
from netsim.participation import Participation
from netsim.relay import Steps, relay
from netsim.terminal import Assignment, Terminal
from netsim.world import World


@dataclass(frozen=True)
class Mission:
    """What is delivered, and how.

    Attributes:
        home: the base station whose model it is.
        message: its size; every cell is sent the common part and the parts of its own terminals.
        send: called as (site, message, terminals), sends in a cell.
        begin: called once, when the first terminals have the model; returns what they are asked.
    """

    home: int
    message: Message
    send: Callable[[int, Message, list[Terminal]], Generator[Event, Any, bool]]
    begin: Callable[[], Assignment]


class Delivery:
    """One model, one process a cell. Until its broadcast is over a terminal expects it, and is not handed over.

    Only a site that fails or is repaired makes it change cells before.

    Args:
        world: the physical world.
        mission: what is delivered.
        audience: who is to have it.

    Attributes:
        begun: succeeds with the assignment when the first terminals have the model.
    """

    def __init__(self, world: World, mission: Mission, audience: list[Terminal]) -> None:
        self.world, self._mission = world, mission
        self.begun: Event = world.env.event()
        self._assignment: Assignment | None = None
        for terminal in audience:
            terminal.expecting = True
        self._send_to_cells_of(audience)

    def _reach(self, site: int, group: list[Terminal]) -> Steps:
        """Bring the model to the terminals of one cell; again to those that have not got it because a site failed."""
        world, mission, turns = self.world, self._mission, self.world.downlinks[site]
        covered: list[Terminal] = []
        try:
            group, whole = (yield from self._settled(site, group)), False
            if group and site != mission.home:
                yield from relay(world, mission.home, site, mission.message.bits(len(group)))
            while not whole:
                group = yield from self._settled(site, group)
                if not group:
                    return
                wake_up_s = world.on_air[site].wake_up_s()
                yield world.env.timeout(world.scenario.network.downlink.access_delay_s + wake_up_s)
                yield turns.ask(mission.home)
                group, whole = self._still_there(site, group), True
                covered = self._covered(group)
                if covered:
                    whole = yield from mission.send(site, mission.message, covered)
                turns.leave()
                group = self._still_there(site, group)
        except OutOfBudgetError:
            return
        if group:
            self._hand_out(group, covered)

    def _covered(self, group: list[Terminal]) -> list[Terminal]:
        """Return those who are in coverage."""
        reached = self.world.radio.in_coverage(np.array([terminal.index for terminal in group], np.int64))
        return [terminal for terminal, heard in zip(group, reached.tolist(), strict=True) if heard]

    def _settled(self, site: int, group: list[Terminal]) -> Generator[Event, Any, list[Terminal]]:
        """Wait until a site is up and all of the group in its cell are on the air; return who that is."""
        standing, env = self.world.standing, self.world.env
        while group and standing is not None:
            cut_until_s = max(terminal.on_air_from_s for terminal in group)
            if not standing.is_up(site):
                yield standing.changed
            elif cut_until_s > env.now:
                yield env.timeout(cut_until_s - env.now)
            else:
                break
            group = self._still_there(site, group)
        return group

    def _still_there(self, site: int, group: list[Terminal]) -> list[Terminal]:
        """Return who is in the cell, and look for the others where they have gone."""
        left = [terminal for terminal in group if self.world.serving.item(terminal.index) != site]
        if not left:
            return group
        self._send_to_cells_of(left)
        return [terminal for terminal in group if terminal not in left]

    def _send_to_cells_of(self, terminals: list[Terminal]) -> None:
        groups: defaultdict[int, list[Terminal]] = defaultdict(list)
        for terminal in terminals:
            groups[self.world.serving.item(terminal.index)].append(terminal)
        for site, group in sorted(groups.items()):
            self.world.env.process(self._reach(site, group))

    def _hand_out(self, group: list[Terminal], covered: list[Terminal]) -> None:
        """Let those who have the model begin."""
        if self._assignment is None:
            self._assignment = self._mission.begin()
            self.begun.succeed(self._assignment)
        assignment = self._assignment
        for terminal in group:
            terminal.expecting = False
            if terminal not in covered:
                self._write_down(terminal, assignment, "dropped")
                assignment.gathering.lose(terminal.index)
            elif assignment.gathering.open:
                terminal.assign(assignment)
            else:
                self._write_down(terminal, assignment, "late")
                assignment.gathering.lose(terminal.index)

    def _write_down(self, terminal: Terminal, assignment: Assignment, outcome: str) -> None:
        who, when = (self._mission.home, assignment.cloud_round, assignment.edge_round), self.world.env.now
        terminal.log.append(Participation(*who, terminal.index, outcome, when))
