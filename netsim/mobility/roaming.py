"""Terminals on the move: at every measurement their links are worked out anew, and some change cells.

One alarm for all of them, before everything else that happens at its instant, so that nothing depends on the order of
events. Between measurements links stay as they are, which keeps rates and energies exact integrals.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from channel_models.units import db_to_linear
from netsim.air import Air
from netsim.alarm import BEFORE_ALL, Alarm, nothing_else_planned
from netsim.mobility.area import FloatArray, IntArray
from netsim.mobility.build import build_paths
from netsim.mobility.candidates import Candidates, strongest
from netsim.mobility.event_a3 import EventA3, filter_weight
from netsim.mobility.own_links import take_links
from netsim.mobility.whereabouts import Cause, Whereabouts, in_flight_after
from netsim.terminal import Terminal
from netsim.world import World
from scenarios.mobility import Mobility

_SETTLING_S = 10.0  # how long after the last movement measurements go on


class Roaming:
    """Moves the terminals of a running world.

    Args:
        world: the physical world.
        terminals: all of them.
        law: the scenario's section.
        whereabouts: told every change of cell.

    Attributes:
        movers: (m,) which terminals move, ascending.
    """

    def __init__(self, world: World, terminals: Sequence[Terminal], law: Mobility, whereabouts: Whereabouts) -> None:
        self.world, self.law, self.env = world, law, world.env
        where, streams = world.deployment, world.streams
        network = world.scenario.network
        self._air = Air.of(network, world.sites, streams)
        sites = self._air.sites
        home_xy_m = where.site_xy_m[where.serving]
        self.movers, self._paths = build_paths(
            law, where.entity, world.devices, home_xy_m, where.site_xy_m, sites.spacing_m, streams
        )
        self._entity = where.entity[self.movers]
        self._moving = [terminals[index] for index in self.movers.tolist()]
        self._whereabouts = whereabouts
        whereabouts.moves[self.movers] = True
        self._out_since_s = np.full(len(self.movers), inf)
        self._due_s = np.full(len(self.movers), inf)
        qout_db = law.handover.failure_sinr_db
        self._least_sinr = 0.0 if qout_db is None else float(db_to_linear(qout_db))
        self._ticks = 0
        if len(self.movers):
            self._start(sites.neighbours(network.layout.neighbour_sites))

    def _start(self, neighbours: IntArray) -> None:
        """Put everybody where they begin, in the strongest cell."""
        xy_m = self._paths.positions(self.env.now)
        serving = strongest(self._air, neighbours, xy_m, self._entity, self._up())
        self.world.serving[self.movers] = serving
        self._candidates = Candidates(self._air, serving, neighbours, self._entity)
        self._event = EventA3(self.law.handover, *self._candidates.sites.shape)
        for terminal in self._moving:
            terminal.covered = True  # from now on out_until_s says when it can be reached
        self._look(xy_m)
        self._retune()
        self._tell_terminals()
        self._arm()

    # The measurement ------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        Alarm(self.env, (self._ticks + 1) * self.law.measurement_s, self._tick, BEFORE_ALL)

    def _tick(self) -> None:
        self._ticks += 1
        self._look(self._paths.positions(self.env.now))
        self._change_cells()
        self._retune()
        if self._goes_on():
            self._arm()
        elif nothing_else_planned(self.env):
            self.world.budget.end("no link left")
        self._tell_terminals()

    def _look(self, xy_m: FloatArray) -> None:
        """Measure all candidates, and let the links to the own cells follow."""
        handover, heard = self.law.handover, self._candidates
        heard.go_to(xy_m)
        error_db: FloatArray | float = 0.0
        if handover.measurement_error_db > 0.0:
            normal = self.world.streams.normal(
                "measurement error", self._entity[:, None], self._ticks, draw=heard.sites
            )
            error_db = handover.measurement_error_db * normal
        heard.filter(filter_weight(handover.filter_coefficient, self.law.measurement_s), error_db)
        heard.forget(~self._up())
        self.world.deployment.terminal_xy_m[self.movers] = xy_m
        self._write(np.arange(len(self.movers)))

    def _write(self, rows: IntArray) -> None:
        """Let the links of some movers to their own cells be as they are heard now."""
        sites = self._candidates.sites[rows]
        take_links(self.world, self.movers[rows], sites, self._candidates.links.of(rows), self._up()[sites])

    def _retune(self) -> None:
        """Let uploads go on at their new rates. Rates of those that do not upload may be remembered as well."""
        serving = self.world.serving[self.movers]
        for site in np.unique(serving).tolist():
            self.world.uplinks[site].retune(set(self.movers[serving == site].tolist()))

    def _up(self) -> NDArray[np.bool_]:
        """(sites,) whether each can be heard."""
        standing = self.world.standing
        return np.ones(self.world.sites, np.bool_) if standing is None else standing.up

    def _goes_on(self) -> bool:
        """Whether another measurement can change anything."""
        if self._at_rest() and not np.isfinite(self._due_s).any():
            return False
        waiting = any(terminal.task == "uploading" for terminal in self._moving)
        return waiting or not nothing_else_planned(self.env)

    def _at_rest(self) -> bool:
        fails = self.world.standing is not None  # and cells change without any movement
        return not fails and self.env.now >= self._paths.at_rest_from_s() + _SETTLING_S

    def _tell_terminals(self) -> None:
        """Say until when each of them is out of reach for its base station."""
        world = self.world
        next_s = inf if self._at_rest() else (self._ticks + 1) * self.law.measurement_s
        reached = world.radio.in_coverage(self.movers) & self._up()[world.serving[self.movers]]
        if self.law.membership == "leave":
            reached &= world.serving[self.movers] == world.deployment.serving[self.movers]
        for terminal, here in zip(self._moving, reached.tolist(), strict=True):
            terminal.out_until_s = terminal.on_air_from_s if here else next_s

    # Changing cells -------------------------------------------------------------------------------------------

    def _change_cells(self) -> None:
        """Find out who has to leave its cell, and let go who may."""
        now, law, heard = self.env.now, self.law.handover, self._candidates
        target = self._event.measure(now, heard.level_db)
        out = self.world.radio.downlink_sinr[self.movers] < self._least_sinr
        self._out_since_s = np.where(out, np.minimum(self._out_since_s, now), inf)
        best, any_best = heard.best()
        stranded = ~self._up()[heard.sites[:, 0]] & any_best
        failed = (now - self._out_since_s >= law.failure_timer_s - 1e-9) & any_best & ~stranded
        target = np.where(failed | stranded, best, target)
        self._due_s = np.where(target >= 0, np.minimum(self._due_s, now), inf)
        for row in np.flatnonzero(target >= 0).tolist():
            terminal = self._moving[row]
            finishing = law.in_flight == "finish" and terminal.task == "uploading" and not failed[row]
            held = terminal.cut or terminal.expecting or finishing
            if terminal.alive and (stranded[row] or not held):
                self._change(row, int(target[row]), bool(failed[row]), bool(out[row]))
        if self.world.standing is not None and stranded.any():
            self.world.standing.tell()

    def evacuate(self, site: int) -> None:
        """Let those in a cell that has just failed go into the best of the others that they have measured."""
        if len(self.movers) == 0:
            return
        heard = self._candidates
        heard.forget(~self._up())
        best, any_best = heard.best()
        for row in np.flatnonzero((heard.sites[:, 0] == site) & any_best).tolist():
            if self._moving[row].alive:
                self._due_s[row] = self.env.now
                self._change(row, int(best[row]), False, False)
        self._retune()
        self._tell_terminals()

    def _change(self, row: int, column: int, failed: bool, out: bool) -> None:
        """Let one terminal go into the cell of one of its candidates."""
        world, law, heard = self.world, self.law.handover, self._candidates
        terminal, index = self._moving[row], int(self.movers[row])
        old, new = world.serving.item(index), int(heard.sites[row, column])
        difference_db = float(heard.level_db[row, column] - heard.level_db[row, 0])
        rows = np.array([row])
        heard.attach(rows, np.array([new]))
        self._event.forget(row)
        self._write(rows)
        lost = out or world.radio.downlink_sinr.item(index) < self._least_sinr
        kind = "link_failure" if failed else "failed" if lost else "handover"
        interruption_s = law.interruption_s if kind == "handover" else law.reestablishment_s
        in_flight: str = law.in_flight
        outage = world.scenario.base_stations.outage
        if outage is not None and not self._up()[old]:
            kind, interruption_s, in_flight = "outage", outage.interruption_s, in_flight_after(outage)
        if not terminal.on:
            kind, interruption_s = "reselection", 0.0
        cause = Cause(kind, interruption_s, in_flight, float(self._due_s[row]), difference_db)
        self._whereabouts.change(terminal, new, cause, law.ping_pong_s)
        self._out_since_s[row] = self._due_s[row] = inf
