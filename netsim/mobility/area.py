"""Where terminals may go: a rectangle for each of them, and the mirror at its border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Area:
    """Rectangles of n terminals.

    Attributes:
        low_m: (n, 2) south-western corners.
        size_m: (n, 2) extents, east and north.
    """

    low_m: FloatArray
    size_m: FloatArray

    def at(self, u: FloatArray, rows: IntArray | slice = slice(None)) -> FloatArray:
        """Return (m, 2) the places of ``rows`` at the shares ``u`` (m, 2) of their extents."""
        return np.asarray(self.low_m[rows] + self.size_m[rows] * u)

    def fold(self, xy_m: FloatArray) -> FloatArray:
        """Return (n, 2) where terminals are that would be at ``xy_m`` if they were not reflected at the borders."""
        period_m = 2.0 * self.size_m
        along = np.mod(xy_m - self.low_m, period_m)
        return self.low_m + np.minimum(along, period_m - along)


def box_of_cells(site_xy_m: FloatArray, spacing_m: float, terminals: int) -> Area:
    """Return the smallest rectangle around the hexagons of all sites, for every terminal the same."""
    margin_m = np.array([spacing_m / 2.0, spacing_m / np.sqrt(3.0)])
    low_m, high_m = site_xy_m.min(axis=0) - margin_m, site_xy_m.max(axis=0) + margin_m
    return Area(np.tile(low_m, (terminals, 1)), np.tile(high_m - low_m, (terminals, 1)))


def squares(centre_m: FloatArray, half_m: float) -> Area:
    """Return squares of side ``2 half_m`` around (n, 2) centres."""
    return Area(centre_m - half_m, np.full_like(centre_m, 2.0 * half_m))
