"""Terminals on the move: at every measurement their links are worked out anew, and some change cells.

One alarm for all of them, before everything else that happens at its instant, so that nothing depends on the order of
events. Between measurements links stay as they are, which keeps rates and energies exact integrals.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from channel_models.units import db_to_linear
from netsim.air import Air
from netsim.alarm import BEFORE_ALL, Alarm, nothing_else_planned
from netsim.mobility.area import FloatArray, IntArray
from netsim.mobility.build import build_paths
from netsim.mobility.candidates import Candidates, strongest
from netsim.mobility.event_a3 import EventA3, filter_weight
from netsim.mobility.handover_log import CellChange
from netsim.mobility.own_links import take_links
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

    Attributes:
        movers: (m,) which terminals move, ascending.
        changes: every change of cell so far.
        away_s: (m,) time so far in which another cell than its home served each of them, up to its last change.
    """

    def __init__(self, world: World, terminals: Sequence[Terminal], law: Mobility) -> None:
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
        self.changes: list[CellChange] = []
        self.away_s = np.zeros(len(self.movers))
        self._entered_s = np.zeros(len(self.movers))
        self._came_from: list[tuple[int, float]] = [(-1, -inf)] * len(self.movers)
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
        serving = strongest(self._air, neighbours, xy_m, self._entity)
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
        self.world.deployment.terminal_xy_m[self.movers] = xy_m
        self._write(np.arange(len(self.movers)))

    def _write(self, rows: IntArray) -> None:
        """Let the links of some movers to their own cells be as they are heard now."""
        heard = self._candidates
        take_links(self.world, self.movers[rows], heard.sites[rows], heard.links.of(rows))

    def _retune(self) -> None:
        """Let uploads go on at their new rates. Rates of those that do not upload may be remembered as well."""
        serving = self.world.serving[self.movers]
        for site in np.unique(serving).tolist():
            self.world.uplinks[site].retune(set(self.movers[serving == site].tolist()))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return (terminals,) columns for the table of terminals: serving cell, changes of cell, time away."""
        world, n = self.world, self.world.terminals
        names = np.array([f"bs-{site:02d}" for site in range(world.sites)], object)
        away_s = np.zeros(n)
        is_away = world.serving[self.movers] != world.deployment.serving[self.movers]
        away_s[self.movers] = self.away_s + np.where(is_away, self.env.now - self._entered_s, 0.0)
        changed = [change.terminal for change in self.changes]
        return {
            "served_by": names[world.serving],
            "moves": np.isin(np.arange(n), self.movers),
            "cell_changes": np.bincount(np.array(changed, np.int64), minlength=n),
            "away_s": away_s,
        }

    def _goes_on(self) -> bool:
        """Whether another measurement can change anything."""
        if self._at_rest() and not np.isfinite(self._due_s).any():
            return False
        waiting = any(terminal.task == "uploading" for terminal in self._moving)
        return waiting or not nothing_else_planned(self.env)

    def _at_rest(self) -> bool:
        return self.env.now >= self._paths.at_rest_from_s() + _SETTLING_S

    def _tell_terminals(self) -> None:
        """Say until when each of them is out of reach for its base station."""
        world = self.world
        next_s = inf if self._at_rest() else (self._ticks + 1) * self.law.measurement_s
        reached = world.radio.in_coverage(self.movers)
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
        failed = now - self._out_since_s >= law.failure_timer_s - 1e-9
        target = np.where(failed, heard.level_db.argmax(axis=1), target)
        self._due_s = np.where(target >= 0, np.minimum(self._due_s, now), inf)
        for row in np.flatnonzero(target >= 0).tolist():
            terminal = self._moving[row]
            finishing = law.in_flight == "finish" and terminal.task == "uploading" and not failed[row]
            if terminal.alive and not (terminal.cut or terminal.expecting or finishing):
                self._change(row, int(target[row]), bool(failed[row]), bool(out[row]))

    def _change(self, row: int, column: int, failed: bool, out: bool) -> None:
        """Let one terminal go into the cell of one of its candidates."""
        world, law, now, heard = self.world, self.law.handover, self.env.now, self._candidates
        terminal, index = self._moving[row], int(self.movers[row])
        old, new = world.serving.item(index), int(heard.sites[row, column])
        difference_db = float(heard.level_db[row, column] - heard.level_db[row, 0])
        rows = np.array([row])
        heard.attach(rows, np.array([new]))
        self._event.forget(row)
        self._write(rows)
        lost = out or world.radio.downlink_sinr.item(index) < self._least_sinr
        kind = "link_failure" if failed else "failed" if lost else "handover"
        kind = kind if terminal.on else "reselection"
        interruption_s = {"handover": law.interruption_s, "reselection": 0.0}.get(kind, law.reestablishment_s)
        world.serving[index] = new
        assignment, left_bits, again_bits = self._take_along(terminal, interruption_s)
        came_from, entered_s = self._came_from[row]
        if old != terminal.site:
            self.away_s[row] += now - self._entered_s[row]
        self.changes.append(
            CellChange(
                *(now, index, *self._place(row), old, new, kind),
                ping_pong=new != old and new == came_from and now - entered_s <= law.ping_pong_s + 1e-9,
                delay_s=now - float(self._due_s[row]),
                interruption_s=interruption_s,
                assignment=assignment,
                left_bits=left_bits,
                again_bits=again_bits,
                level_difference_db=difference_db,
            )
        )
        self._came_from[row], self._entered_s[row] = (old, now), now
        self._out_since_s[row] = self._due_s[row] = inf

    def _place(self, row: int) -> tuple[float, float]:
        x_m, y_m = self.world.deployment.terminal_xy_m[self.movers[row]].tolist()
        return x_m, y_m

    def _take_along(self, terminal: Terminal, interruption_s: float) -> tuple[str, float, float]:
        """Cut a terminal off; return what becomes of its assignment, bits left and bits to be sent again."""
        task = terminal.task
        upload = terminal.cut_off(interruption_s)
        if self.law.membership == "leave" and self.world.serving.item(terminal.index) != terminal.site:
            terminal.drop()
            left_bits = upload.left_bits if upload is not None else 0.0
            return "nothing" if task == "nothing" else "dropped", left_bits, 0.0
        if upload is None:
            return task, 0.0, 0.0
        if self.law.handover.in_flight != "restart":
            return "migrated", upload.left_bits, 0.0
        again_bits = upload.start_over()
        return "restarted", upload.left_bits, again_bits
