"""Which cells a moving terminal measures, and how well it receives them on average.

Its own cell and that cell's nearest neighbours: the cells that it hears in the model of the air, and no others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from channel_models.units import linear_to_db
from netsim.air import Air, Links
from netsim.mobility.area import FloatArray, IntArray

BoolArray = NDArray[np.bool_]


class Candidates:
    """The measured cells of m terminals, their own first, and their filtered levels.

    Args:
        air: large-scale channels.
        serving: (m,) the cells they are in.
        neighbours: (sites, k - 1) nearest others of every cell.
        entity: (m,) indices of the terminals in the random streams.

    Attributes:
        sites: (m, k) cells.
        links: channels to them, where the terminals were last.
        level_db: (m, k) filtered gains; not a number where nothing has been measured yet.
    """

    def __init__(self, air: Air, serving: IntArray, neighbours: IntArray, entity: IntArray) -> None:
        self._air, self._neighbours, self._entity = air, neighbours, entity
        self.sites = np.concatenate([serving[:, None], neighbours[serving]], axis=1)
        self.level_db = np.full(self.sites.shape, np.nan)
        self.links: Links

    def go_to(self, xy_m: FloatArray) -> None:
        """Work out the channels at (m, 2) new places."""
        self._xy_m = xy_m
        self.links = self._air.links(xy_m, self.sites, self._entity)

    def filter(self, weight: float, error_db: FloatArray | float) -> None:
        """Take one sample of every level with an error; the first sample of a cell counts in full."""
        sample_db = linear_to_db(self.links.gain) + error_db
        known_db = np.where(np.isnan(self.level_db), sample_db, self.level_db)
        self.level_db = known_db + weight * (sample_db - known_db)

    def forget(self, silent: BoolArray) -> None:
        """Take cells that cannot be heard, of (sites,) all, for cells that have not been measured yet."""
        self.level_db[silent[self.sites]] = np.nan

    def best(self) -> tuple[IntArray, BoolArray]:
        """Return (m,) the column of the best cell that has been measured, and whether there is any."""
        measured = ~np.isnan(self.level_db)
        return np.where(measured, self.level_db, -np.inf).argmax(axis=1), measured.any(axis=1)

    def attach(self, rows: IntArray, site: IntArray) -> None:
        """Let terminals be in other cells; what is known of cells that stay candidates is kept."""
        for row, own in zip(rows.tolist(), site.tolist(), strict=True):
            known = dict(zip(self.sites[row].tolist(), self.level_db[row].tolist(), strict=True))
            self.sites[row] = [own, *self._neighbours[own]]
            self.level_db[row] = [known.get(other, np.nan) for other in self.sites[row].tolist()]
        fresh = self._air.links(self._xy_m[rows], self.sites[rows], self._entity[rows])
        for mine, new in zip(self.links, fresh, strict=True):
            mine[rows] = new


def strongest(air: Air, neighbours: IntArray, xy_m: FloatArray, entity: IntArray, up: BoolArray) -> IntArray:
    """Return (m,) the cell received best at (m, 2) places, of those ``up`` among the nearest and its neighbours.

    If none of them is, it is the nearest.
    """
    nearest = _nearest(air, xy_m)
    sites = np.concatenate([nearest[:, None], neighbours[nearest]], axis=1)
    best = np.where(up[sites], air.links(xy_m, sites, entity).gain, 0.0).argmax(axis=1)
    return np.asarray(sites[np.arange(len(sites)), best])


def _nearest(air: Air, xy_m: FloatArray) -> IntArray:
    """(m,) cell nearest to each place, terminal by terminal: there may be thousands of cells."""
    everywhere = np.arange(len(air.sites.xy_m))[None, :]
    nearest = [int(np.hypot(*air.sites.offsets_m(place[None, :], everywhere)).argmin()) for place in xy_m]
    return np.array(nearest, np.int64)
