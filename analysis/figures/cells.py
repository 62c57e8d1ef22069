"""The ground each site serves: regular hexagons on a grid, nearest-site (Voronoi) cells elsewhere.

Nothing in the records says how sites were laid out, so the grid and its inter-site distance are read off them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

TOLERANCE = 0.01
"""How far sites of a hexagonal grid may be off: this share of a distance, and of a 60 degree turn."""


def cell_polygons(sites: Points, reach_m: float) -> list[Points]:
    """Outline of each site's cell.

    Args:
        sites: (sites, 2) distinct positions, metres.
        reach_m: how far terminals are from their site at most; sizes the cell of a single site and the frame
            of irregular ones.

    Returns:
        One (corners, 2) polygon a site, counter-clockwise: a hexagon where the sites are those of a
        hexagonal grid, otherwise the part of a frame around everything that is nearest to it.
    """
    if len(sites) == 1:
        return [hexagon(sites[0], 2.0 * max(reach_m, 1.0), 0.0)]
    lattice = _hexagonal_lattice(sites)
    if lattice is not None:
        spacing, direction = lattice
        return [hexagon(site, spacing, direction) for site in sites]
    low, high = sites.min(axis=0) - reach_m, sites.max(axis=0) + reach_m
    frame = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    return [_nearest_region(place, sites, frame) for place in range(len(sites))]


def _hexagonal_lattice(sites: Points) -> tuple[float, float] | None:
    """Inter-site distance and the direction of one neighbour; None unless every neighbour lies 60 degrees on."""
    offsets = sites[None, :, :] - sites[:, None, :]
    distance = np.hypot(offsets[..., 0], offsets[..., 1])
    np.fill_diagonal(distance, np.inf)
    nearest = distance.min(axis=1)
    if np.ptp(nearest) > TOLERANCE * nearest.mean():
        return None
    angles = np.arctan2(offsets[..., 1], offsets[..., 0])[distance <= (1 + TOLERANCE) * nearest.mean()]
    turns = (angles - angles[0]) / (np.pi / 3)
    if np.abs(turns - turns.round()).max() > TOLERANCE:
        return None
    return float(nearest.mean()), float(angles[0])


def hexagon(centre: Points, across_m: float, direction: float) -> Points:
    """(6, 2) corners of a regular hexagon `across_m` from flat to flat, one flat facing `direction` (radians)."""
    angles = direction + np.pi / 6 + np.arange(6) * np.pi / 3
    return np.asarray(centre) + across_m / np.sqrt(3.0) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _nearest_region(place: int, sites: Points, frame: Points) -> Points:
    """The frame cut by the perpendicular bisectors to every other site (Sutherland and Hodgman, 1974)."""
    polygon, here = frame, sites[place]
    for other in np.delete(sites, place, axis=0):
        if len(polygon) == 0:
            break
        depth = (polygon - (here + other) / 2) @ (other - here)
        corners: list[Points] = []
        for index in range(len(polygon)):
            start, end = polygon[index], polygon[(index + 1) % len(polygon)]
            a, b = depth[index], depth[(index + 1) % len(polygon)]
            if a <= 0:
                corners.append(start)
            if (a < 0 < b) or (b < 0 < a):
                corners.append(start + a / (a - b) * (end - start))
        polygon = np.array(corners).reshape(-1, 2)
    return polygon
