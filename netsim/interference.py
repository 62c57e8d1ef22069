"""Interference between cells that follows who is on the air: uplinks disturb uplinks, broadcasts disturb broadcasts.

Nothing ticks. When somebody in some cell goes on or off the air, the interference of all cells is worked out anew at
the next multiple of the refresh interval, after everything else that happens at that instant; so neither the order
of simultaneous events nor rounding that piles up plays a part. Synchronised cells are assumed: what is an uplink (or
a broadcast) in one is not the other in another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from channel_models.load_coupling import StrongestCells
from channel_models.units import dbm_to_watt, thermal_noise_dbm
from netsim.alarm import AFTER_TURNS, BEFORE_ALL, Alarm
from netsim.cell import Uplink
from netsim.neighbours import strongest_first
from netsim.radio import Radio
from netsim.transmitters import Transmitters
from scenarios.network import Interference

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class _Served(Collection[int]):
    """The terminals of a site, listed only if somebody asks for a list."""

    def __init__(self, serving: IntArray, site: int, count: int) -> None:
        self._serving, self._site, self._count = serving, site, count

    def __contains__(self, terminal: Any) -> bool:
        return bool(self._serving[terminal] == self._site)

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._serving == self._site).tolist())

    def __len__(self) -> int:
        return self._count


class CoupledInterference:
    """What every site's uplink and every broadcast suffers from the other cells right now.

    Whoever moves a terminal says so with :meth:`moved`.

    Args:
        env: the clock.
        radio: links of the run; the noise at the sites is written there.
        near: links of every terminal to its site and to others.
        rule: how often and how finely the interference is followed.
    """

    def __init__(self, env: Environment, radio: Radio, near: StrongestCells, rule: Interference) -> None:
        self.near = near
        self._env, self._radio, self._rule = env, radio, rule
        self._uplinks: list[Uplink] = []
        self._transmitters: list[Transmitters] = []
        self._broadcasts = np.zeros(near.cells, np.int64)
        self._pending = True
        up = radio.network.uplink
        self._thermal_w = float(dbm_to_watt(thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db)))
        self.noise_w = np.full(near.cells, np.nan)
        self.refreshes = 0
        Alarm(env, env.now, self._refresh, BEFORE_ALL)

    def add_cell(self, uplink: Uplink, transmitters: Transmitters) -> None:
        """Let the uplink of the next site take part."""
        self._uplinks.append(uplink)
        self._transmitters.append(transmitters)

    def changed(self) -> None:
        """Somebody went on or off the air: look at the next multiple of the refresh interval."""
        if self._pending:
            return
        self._pending = True
        now, every_s = self._env.now, self._rule.refresh_s
        next_s = (floor(now / every_s) + 1) * every_s
        Alarm(self._env, next_s, self._refresh)

    def moved(self, terminals: IntArray, cell: IntArray, gain: FloatArray) -> None:
        """Let the links of ``terminals`` (n,) to (n, k) cells be others from now on; the first cell serves them.

        They meet the noise there at once, and everybody else meets theirs at the next look. Whoever moves them lets
        the uplinks know.
        """
        kept = self.near.cell.shape[1] - 1
        own = cell[:, 0]
        self.near.cell[terminals, 0], self.near.gain[terminals, 0] = own, gain[:, 0]
        self.near.cell[terminals, 1:], self.near.gain[terminals, 1:] = strongest_first(cell[:, 1:], gain[:, 1:], kept)
        known = ~np.isnan(self.noise_w[own])  # nobody has looked before time 0
        self._radio.uplink_noise_w[terminals[known]] = self.noise_w[own[known]]
        if any(transmitters.on_air() for transmitters in self._transmitters):
            self.changed()

    def _refresh(self) -> None:
        """Work out the noise at all sites, and let those uplinks change their rates whose noise has moved."""
        self._pending = False
        self.refreshes += 1
        noise_w = self._thermal_w + self._received_w()
        moved = ~(np.abs(noise_w - self.noise_w) <= self._rule.threshold * self.noise_w)  # at first, all
        if not moved.any():
            return
        self.noise_w[moved] = noise_w[moved]
        serving = self.near.cell[:, 0].astype(np.int64)
        affected = np.flatnonzero(moved[serving])
        self._radio.uplink_noise_w[affected] = self.noise_w[serving[affected]]
        self._radio.refresh_uplink(affected)
        served = np.bincount(serving, minlength=len(moved)).tolist()
        for site in np.flatnonzero(moved).tolist():
            self._uplinks[site].retune(_Served(serving, site, served[site]))

    def _received_w(self) -> FloatArray:
        """Return (sites,) what sites receive from other cells now, watts: powers in shares of time, summed in order."""
        on_air = [entry for transmitters in self._transmitters for entry in transmitters.on_air()]
        terminals, share, slices = zip(*on_air, strict=True) if on_air else ((), (), ())
        who = np.array(terminals, np.int64)
        power_w = np.array(share, np.float64) * self._radio.power_w(who, np.array(slices, np.int64))
        return self.near.uplink_interference_w(power_w, who)

    def begin_broadcast(self, site: int) -> Event:
        """Let ``site`` be on the air; the event comes when all that happens at this instant has happened."""
        self._broadcasts[site] += 1
        return Alarm(self._env, self._env.now, priority=AFTER_TURNS)

    def end_broadcast(self, site: int) -> None:
        """Let ``site`` be off the air."""
        self._broadcasts[site] -= 1

    def interfering_gain(self, terminals: IntArray) -> FloatArray:
        """Return (n,) the sum of the gains to ``terminals`` from the sites that broadcast now, except their own."""
        heard = StrongestCells(self.near.cell[terminals], self.near.gain[terminals], self.near.cells)
        return heard.downlink_interference_w(self._broadcasts > 0)  # of 1 W each
