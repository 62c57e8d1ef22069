"""Where sites and terminals stand: a hexagonal grid of sites, and terminals uniform in a site's hexagon.

Sites lie on the lattice spanned by ISD (1, 0) and ISD (1/2, sqrt(3)/2), so a cell is a hexagon whose flat sides
face the six neighbours, ISD/2 away, and whose corners lie ISD/sqrt(3) away at 30, 90, ... degrees.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models.units import FloatArray

LATTICE = np.array([[1.0, 0.0], [0.5, np.sqrt(3.0) / 2.0]])
RING_STEPS = np.array([[-1, 1], [-1, 0], [0, -1], [1, -1], [1, 0], [0, 1]])
"""Lattice steps that walk once around a ring, counter-clockwise from its corner on the positive x axis."""

SITE_BLOCK = 256
"""Sites whose distances to all others are held at a time: 8 MB an array with 4096 of them."""

MAX_REDRAWS = 200
"""Even a disc that touches the sides (91 % of the area) leaves a row inside with probability 3e-9."""


def hexagonal_sites(count: int, inter_site_distance_m: float) -> FloatArray:
    """Return site positions in spiral order from the origin, (count, 2) metres.

    Ring r (r >= 1) starts at (r ISD, 0) and runs counter-clockwise; counts 1, 7, 19, 37 fill whole rings, any
    other leaves the last ring unfinished. Neighbours are one inter-site distance apart.

    Raises
    ------
    ValueError
        If the count is below 1 or the distance is not positive.
    """
    if count < 1 or inter_site_distance_m <= 0.0:
        raise ValueError(f"need count >= 1 and a distance > 0, got {count} and {inter_site_distance_m:g} m")
    rings = int(np.ceil((np.sqrt(12.0 * count - 3.0) - 3.0) / 6.0))
    indices = [np.zeros((1, 2), dtype=np.int64)]
    for ring in range(1, rings + 1):
        steps = np.repeat(RING_STEPS, ring, axis=0)
        indices.append(np.array([ring, 0]) + np.cumsum(steps, axis=0) - steps)
    return np.asarray(np.concatenate(indices)[:count] @ LATTICE * inter_site_distance_m)


def nearest_sites(site_xy_m: FloatArray, count: int, inter_site_distance_m: float) -> NDArray[np.int64]:
    """Return the nearest other sites of each site, nearest first, equally near ones in the order of their index.

    Parameters
    ----------
    site_xy_m
        Sites of :func:`hexagonal_sites`, (sites, 2) metres.
    count
        How many to return; 6, 18 and 36 are the first one, two and three rings around a site inside the grid.
    inter_site_distance_m
        Distance between neighbouring sites, metres.

    Returns
    -------
    (sites, min(count, sites - 1)) indices.

    Raises
    ------
    ValueError
        If the count is negative.
    """
    if count < 0:
        raise ValueError(f"count must be >= 0, got {count}")
    sites = len(site_xy_m)
    kept = min(count, sites - 1)
    nearest = np.empty((sites, kept), np.int64)
    for first in range(0, sites, SITE_BLOCK):
        offset = (site_xy_m[first : first + SITE_BLOCK, None] - site_xy_m) / inter_site_distance_m
        # Squared lattice distances are whole numbers, so equally near sites compare equal despite rounding.
        norm = np.rint(np.square(offset).sum(axis=2)).astype(np.int64)
        order = np.partition(norm * sites + np.arange(sites), kept, axis=1)[:, : kept + 1]
        nearest[first : first + SITE_BLOCK] = np.sort(order, axis=1)[:, 1:] % sites  # the first is the site itself
    return nearest


def uniform_in_hexagon(u: ArrayLike, inter_site_distance_m: float, min_distance_m: float = 0.0) -> FloatArray:
    """Map uniform numbers to offsets from a site, uniform over its hexagon without the disc around the site.

    The hexagon is three rhombi that meet at the site: the first number picks one, the other two are its
    coordinates. An offset that falls inside the disc is drawn again from its own angle and squared radius, which
    are uniform given that it fell there. So the law stays exact, one row in is one row out, and the result depends
    on ``u`` alone. A row still inside after 200 redraws (practically never) is pushed out radially to the edge.

    Parameters
    ----------
    u
        Independent uniform numbers in (0, 1), (n, 3).
    inter_site_distance_m
        Distance between neighbouring sites, metres.
    min_distance_m
        Radius of the excluded disc, metres, below half the inter-site distance.

    Returns
    -------
    (n, 2) offsets, metres.

    Raises
    ------
    ValueError
        If the disc does not fit into the hexagon or ``u`` is not (n, 3) numbers in [0, 1].
    """
    uniforms = np.asarray(u, dtype=np.float64)
    if uniforms.ndim != 2 or uniforms.shape[1] != 3 or not np.all((uniforms >= 0.0) & (uniforms <= 1.0)):
        raise ValueError(f"u must be (n, 3) numbers in [0, 1], got shape {uniforms.shape}")
    if not 0.0 <= min_distance_m < inter_site_distance_m / 2.0:
        raise ValueError(
            f"min_distance_m = {min_distance_m:g} must lie in [0, {inter_site_distance_m / 2.0:g}) m, "
            "half the inter-site distance"
        )
    offsets = _in_hexagon(uniforms, inter_site_distance_m)
    for _ in range(MAX_REDRAWS):
        inside = np.flatnonzero(np.hypot(offsets[:, 0], offsets[:, 1]) < min_distance_m)
        if inside.size == 0:
            return offsets
        offsets[inside] = _in_hexagon(_recycle(offsets[inside], min_distance_m), inter_site_distance_m)
    radius = np.hypot(offsets[:, 0], offsets[:, 1])
    inside = np.flatnonzero(radius < min_distance_m)
    angle = np.arctan2(offsets[inside, 1], offsets[inside, 0])
    offsets[inside] = min_distance_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return offsets


def _in_hexagon(u: FloatArray, inter_site_distance_m: float) -> FloatArray:
    """Three-rhombus map of (n, 3) uniform numbers to (n, 2) points of the whole hexagon."""
    corner_angles = np.deg2rad([30.0, 150.0, 270.0])
    corners = inter_site_distance_m / np.sqrt(3.0) * np.stack([np.cos(corner_angles), np.sin(corner_angles)], 1)
    rhombus = np.minimum((3.0 * u[:, 0]).astype(np.int64), 2)
    return np.asarray(u[:, 1:2] * corners[rhombus] + u[:, 2:3] * corners[(rhombus + 1) % 3])


def _recycle(offsets: FloatArray, disc_radius_m: float) -> FloatArray:
    """Return three fresh uniform numbers for each offset, given that the offsets are uniform in a disc.

    The squared relative radius is one. The angle gives two: the third of the circle it lies in, and where in it.
    """
    turn = np.arctan2(offsets[:, 1], offsets[:, 0]) / (2.0 * np.pi) + 0.5
    squared_radius = np.square(np.hypot(offsets[:, 0], offsets[:, 1]) / disc_radius_m)
    return np.stack([turn, 3.0 * turn % 1.0, np.minimum(squared_radius, 1.0)], axis=1)
