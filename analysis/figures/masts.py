"""Places where base stations stand: the sectors of a site share one, and a name that is short enough for a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures.cells import Points, cell_polygons

SAME_PLACE_M = 0.01


@dataclass(frozen=True)
class Mast:
    """One place.

    Attributes:
        x_m, y_m: where.
        names: base stations there, in recorded order.
        azimuths_deg: where their antennas face, counter-clockwise from east; empty if they face nowhere.
    """

    x_m: float
    y_m: float
    names: tuple[str, ...]
    azimuths_deg: tuple[float, ...]

    @property
    def label(self) -> str:
        """Its name, or the first and the number of the last: bs-00, bs-03–05."""
        if len(self.names) == 1:
            return self.names[0]
        return f"{self.names[0]}–{self.names[-1].rpartition('-')[2]}"


def masts(stations: pd.DataFrame) -> list[Mast]:
    """The places of base stations, in recorded order; takes up to 4096 stations of one trial."""
    places = (stations[["x_m", "y_m"]] / SAME_PLACE_M).round()
    directed = "azimuth_deg" in stations and bool(stations["azimuth_deg"].notna().all())
    return [
        Mast(
            x_m=float(rows["x_m"].iloc[0]),
            y_m=float(rows["y_m"].iloc[0]),
            names=tuple(map(str, rows["base_station"])),
            azimuths_deg=tuple(rows["azimuth_deg"].astype(float)) if directed else (),
        )
        for _, rows in stations.groupby([places["x_m"], places["y_m"]], sort=False)
    ]


def outlines_m(places: list[Mast], reach_m: float) -> list[Points]:
    """Outline of the ground around each place, metres; see `cell_polygons`."""
    return cell_polygons(np.array([(mast.x_m, mast.y_m) for mast in places]), reach_m)


def sector_borders_m(mast: Mast, outline: Points) -> list[Points]:
    """(2, 2) lines from a place to its outline that part its sectors, half-way between their antennas' directions."""
    azimuths = np.sort(np.unique(np.mod(mast.azimuths_deg, 360.0)))
    if len(azimuths) < 2:
        return []
    middles = np.deg2rad(azimuths + np.diff(azimuths, append=azimuths[0] + 360.0) / 2.0)
    here = np.array([mast.x_m, mast.y_m])
    return [np.stack([here, here + _way_out_m(outline - here, angle)]) for angle in middles]


def _way_out_m(corners: Points, angle: float) -> Points:
    """Where a ray from the origin, inside a convex polygon, leaves it."""
    ray = np.array([np.cos(angle), np.sin(angle)])
    sides = np.roll(corners, -1, axis=0) - corners
    across = ray[0] * sides[:, 1] - ray[1] * sides[:, 0]
    met = np.abs(across) > 1e-12 * max(1.0, float(np.abs(sides).max()))
    reach = (corners[met, 0] * sides[met, 1] - corners[met, 1] * sides[met, 0]) / across[met]
    return ray * (reach[reach > 0.0].min() if (reach > 0.0).any() else 0.0)
