"""Terminals that stand still while sites fail: another cell serves them until their own is back.

At any time that is their own cell or, while its site is down, the strongest of the others that are up, among the
nearest; if none of them is, they wait where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from channel_models.units import linear_to_db
from netsim.air import Air
from netsim.mobility.area import FloatArray, IntArray
from netsim.mobility.own_links import take_links
from netsim.mobility.whereabouts import Cause, Whereabouts, in_flight_after
from netsim.standing import Standing
from netsim.terminal import Terminal
from netsim.world import World
from scenarios.equipment import Outage


class Refuge:
    """Finds other cells for the terminals that do not move.

    Args:
        world: the physical world.
        terminals: all of them.
        whereabouts: told every change of cell; says who moves.
        standing: which sites are up.
        law: the scenario's section.
    """

    def __init__(
        self, world: World, terminals: Sequence[Terminal], whereabouts: Whereabouts, standing: Standing, law: Outage
    ) -> None:
        self.world, self._terminals, self._law = world, terminals, law
        self._whereabouts, self._standing = whereabouts, standing
        network = world.scenario.network
        self._air = Air.of(network, world.sites, world.streams)
        self._neighbours = self._air.sites.neighbours(network.layout.neighbour_sites)
        self._still = np.flatnonzero(~whereabouts.moves)
        who, cell, _ = self._wanted()
        world.serving[who] = cell
        self._tell_terminals()

    def settle(self) -> None:
        """Let everybody go where they belong now that a site has failed or has been repaired."""
        who, cell, better_db = self._wanted()
        for index, new, difference_db in zip(who.tolist(), cell.tolist(), better_db.tolist(), strict=True):
            self._change(self._terminals[index], new, difference_db)
        for site in np.unique(cell).tolist():
            self.world.uplinks[site].retune(set(who[cell == site].tolist()))
        self._tell_terminals()

    def _change(self, terminal: Terminal, new: int, difference_db: float) -> None:
        law, now = self._law, self.world.env.now
        lost = not self._standing.up[self.world.serving.item(terminal.index)]
        kind, in_flight = ("outage", in_flight_after(law)) if lost else ("return", "migrate")
        interruption_s = law.interruption_s
        if not terminal.on:
            kind, interruption_s = "reselection", 0.0
        self._whereabouts.change(terminal, new, Cause(kind, interruption_s, in_flight, now, difference_db))

    def _wanted(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return (n,) who has to change cells, into which, and how much better it is; their links are there already."""
        world, up = self.world, self._standing.up
        home, serving = world.deployment.serving[self._still], world.serving[self._still]
        unsettled = self._still[(serving != home) | ~up[home]]
        unsettled = unsettled[[not self._terminals[index].gone for index in unsettled.tolist()]]
        who, cell, better_db = [], [], []
        for attempt in np.unique(world.deployment.attempt[unsettled]).tolist():
            group = unsettled[world.deployment.attempt[unsettled] == attempt]
            wanted, difference_db = self._best(group, attempt)
            goes = wanted != world.serving[group]
            self._take_links(group, wanted, attempt)
            who.append(group[goes])
            cell.append(wanted[goes])
            better_db.append(difference_db[goes])
        if not who:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        order = np.argsort(np.concatenate(who))
        return np.concatenate(who)[order], np.concatenate(cell)[order], np.concatenate(better_db)[order]

    def _best(self, group: IntArray, attempt: int) -> tuple[IntArray, FloatArray]:
        """Return (n,) the cells terminals belong to now, and how much better they are than those they are in, dB."""
        where, up, serving = self.world.deployment, self._standing.up, self.world.serving[group]
        home = where.serving[group]
        sites = np.concatenate([home[:, None], self._neighbours[home]], axis=1)
        gain = self._air.links(where.terminal_xy_m[group], sites, where.entity[group], attempt).gain
        heard = np.where(up[sites], gain, 0.0)
        column = np.where(up[home], 0, heard.argmax(axis=1))
        rows = np.arange(len(group))
        wanted = np.where(heard.any(axis=1), sites[rows, column], serving)
        present = gain[rows, (sites == serving[:, None]).argmax(axis=1)]
        return wanted, linear_to_db(gain[rows, column]) - linear_to_db(present)

    def _take_links(self, group: IntArray, cell: IntArray, attempt: int) -> None:
        where = self.world.deployment
        sites = np.concatenate([cell[:, None], self._neighbours[cell]], axis=1)
        links = self._air.links(where.terminal_xy_m[group], sites, where.entity[group], attempt)
        # At home all neighbours disturb as planned; elsewhere the failed own site would drown everything, if it did.
        disturbs = self._standing.up[sites] | (cell == where.serving[group])[:, None]
        take_links(self.world, group, sites, links, disturbs)

    def _tell_terminals(self) -> None:
        """Say until when each of them is out of reach: coverage changes only when a site fails or is repaired."""
        world = self.world
        reached = world.radio.in_coverage(self._still) & self._standing.up[world.serving[self._still]]
        for index, here in zip(self._still.tolist(), reached.tolist(), strict=True):
            terminal = self._terminals[index]
            terminal.out_until_s = terminal.on_air_from_s if here else self._standing.next_change_s
