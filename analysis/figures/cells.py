"""The ground each site serves: regular hexagons on a grid, nearest-site (Voronoi) cells elsewhere.

The hexagonal grid is the layout of 3GPP TR 38.901, table 7.2-1; the inter-site distance is read off the sites.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def cell_polygons(sites: Points, reach_m: float) -> list[Points]:
    """Outline of each site's cell.

    Args:
        sites: (sites, 2) distinct positions, metres.
        reach_m: how far terminals are from their site at most; sizes the cell of a single site and the frame
            of irregular ones.

    Returns:
        One (corners, 2) polygon a site, counter-clockwise: a hexagon where all sites have the same distance to
        their nearest neighbour (within 1 %), otherwise the part of a frame around everything that is nearest to it.
    """
    if len(sites) == 1:
        return [hexagon(sites[0], 2.0 * max(reach_m, 1.0), 0.0)]
    offsets = sites[None, :, :] - sites[:, None, :]
    distance = np.hypot(offsets[..., 0], offsets[..., 1])
    np.fill_diagonal(distance, np.inf)
    nearest = distance.min(axis=1)
    if np.ptp(nearest) <= 0.01 * nearest.mean():
        towards = offsets[0, int(distance[0].argmin())]
        direction = float(np.arctan2(towards[1], towards[0]))
        return [hexagon(site, float(nearest.mean()), direction) for site in sites]
    low, high = sites.min(axis=0) - reach_m, sites.max(axis=0) + reach_m
    frame = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    return [_nearest_region(place, sites, frame) for place in range(len(sites))]


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
