"""Which cell serves whom, how every terminal came there, and what it took along."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.mobility.handover_log import CellChange
from netsim.terminal import Terminal
from netsim.world import World
from scenarios.equipment import Outage


class Cause(NamedTuple):
    """Why a terminal changes cells, and by which rules.

    Attributes:
        kind: one of :data:`netsim.mobility.handover_log.KINDS`.
        interruption_s: how long it is off the air.
        in_flight: what becomes of an upload: migrate, restart or lost; what is to be finished is not cut off at all.
        due_s: since when it was to leave.
        level_difference_db: how much better the new cell is.
    """

    kind: str
    interruption_s: float
    in_flight: str
    due_s: float
    level_difference_db: float


def in_flight_after(outage: Outage) -> str:
    """Return what becomes of an upload at a site that fails."""
    return outage.in_flight if outage.recovery == "reassociate" else "lost"


class Whereabouts:
    """The cells of all terminals in the course of a run.

    Args:
        world: the physical world.

    Attributes:
        moves: (terminals,) whether each of them can move.
        changes: every change of cell so far.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.moves = np.zeros(world.terminals, np.bool_)
        self.changes: list[CellChange] = []
        self._away_s = np.zeros(world.terminals)
        self._entered_s = np.zeros(world.terminals)
        self._came_from: list[tuple[int, float]] = [(-1, -inf)] * world.terminals

    def change(self, terminal: Terminal, new: int, cause: Cause, forgets_s: float = 0.0) -> None:
        """Let another cell serve a terminal; a return within ``forgets_s`` is a ping-pong. Links are not seen to."""
        now, index = self.world.env.now, terminal.index
        old = self.world.serving.item(index)
        self.world.serving[index] = new
        assignment, left_bits, again_bits = self._take_along(terminal, cause)
        came_from, entered_s = self._came_from[index]
        if old != terminal.site:
            self._away_s[index] += now - self._entered_s[index]
        x_m, y_m = self.world.deployment.terminal_xy_m[index].tolist()
        self.changes.append(
            CellChange(
                *(now, index, x_m, y_m, old, new, cause.kind),
                ping_pong=new != old and new == came_from and now - entered_s <= forgets_s + 1e-9,
                delay_s=now - cause.due_s,
                interruption_s=cause.interruption_s,
                assignment=assignment,
                left_bits=left_bits,
                again_bits=again_bits,
                level_difference_db=cause.level_difference_db,
            )
        )
        self._came_from[index], self._entered_s[index] = (old, now), now

    def _take_along(self, terminal: Terminal, cause: Cause) -> tuple[str, float, float]:
        """Cut a terminal off; return what becomes of its assignment, bits left and bits to be sent again."""
        task, law = terminal.task, self.world.scenario.mobility
        upload = terminal.cut_off(cause.interruption_s)
        left_bits = upload.left_bits if upload is not None else 0.0
        away = self.world.serving.item(terminal.index) != terminal.site
        if (law is not None and law.membership == "leave" and away) or (upload and cause.in_flight == "lost"):
            terminal.drop()
            return "nothing" if task == "nothing" else "dropped", left_bits, 0.0
        if upload is None:
            return task, 0.0, 0.0
        if cause.in_flight != "restart":
            return "migrated", left_bits, 0.0
        again_bits = upload.start_over()
        return "restarted", upload.left_bits, again_bits

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return (terminals,) columns for the table of terminals: serving cell, changes of cell, time away."""
        world, n = self.world, self.world.terminals
        names = np.array([f"bs-{site:02d}" for site in range(world.sites)], object)
        is_away = world.serving != world.deployment.serving
        changed = [change.terminal for change in self.changes]
        return {
            "served_by": names[world.serving],
            "moves": self.moves,
            "cell_changes": np.bincount(np.array(changed, np.int64), minlength=n),
            "away_s": self._away_s + np.where(is_away, world.env.now - self._entered_s, 0.0),
        }
