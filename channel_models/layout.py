"""Where sites and terminals stand: a hexagonal grid of sites, and terminals uniform in a site's hexagon.

Wrapped around, a network of 7, 19 or 37 sites has no edge: copies of it tile the plane.

Sites lie on the lattice spanned by ISD (1, 0) and ISD (1/2, sqrt(3)/2), so a cell is a hexagon whose flat sides
face the six neighbours, ISD/2 away, and whose corners lie ISD/sqrt(3) away at 30, 90, ... degrees.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models.units import FloatArray

LATTICE = np.array([[1.0, 0.0], [0.5, np.sqrt(3.0) / 2.0]])
RING_STEPS = np.array([[-1, 1], [-1, 0], [0, -1], [1, -1], [1, 0], [0, 1]])
"""Lattice steps that walk once around a ring, counter-clockwise from its corner on the positive x axis."""

WRAPPED = {7: 1, 19: 2, 37: 3}
"""Sites of the networks that can be wrapped around, and their rings."""

STEPS_PER_DISTANCE = 1e6
"""Squared distances that differ by less than this part of a squared inter-site distance count as equal."""

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


def wrap_around_images_m(sites: int, inter_site_distance_m: float) -> FloatArray:
    """Return by how much the copies of a hexagonal network are displaced, (7, 2) metres; the first is the network.

    With r rings, the six copies around it are (r + 1, r) lattice steps away, turned by multiples of 60 degrees. They
    touch without gap or overlap: every site has six neighbours one inter-site distance away.

    Raises
    ------
    ValueError
        If the number of sites is not 7, 19 or 37.
    """
    if sites not in WRAPPED:
        raise ValueError(f"only 7, 19 or 37 sites can be wrapped around, got {sites}")
    rings = WRAPPED[sites]
    east, north = np.array([rings + 1, rings]) @ LATTICE * inter_site_distance_m
    turn = np.pi / 3.0 * np.arange(6)
    around = np.stack([east * np.cos(turn) - north * np.sin(turn), east * np.sin(turn) + north * np.cos(turn)], axis=1)
    return np.concatenate([np.zeros((1, 2)), around])


def nearest_sites(
    site_xy_m: FloatArray, count: int, inter_site_distance_m: float, images_m: FloatArray | None = None
) -> NDArray[np.int64]:
    """Return the nearest other sites of each site, nearest first, equally near ones in the order of their index.

    Parameters
    ----------
    site_xy_m
        Sites, (sites, 2) metres; several may stand at the same place.
    count
        How many to return; 6, 18 and 36 are the first one, two and three rings around a site inside a grid.
    inter_site_distance_m
        Usual distance between neighbouring sites, metres: squared distances are told apart to 1e-6 of its square.
    images_m
        Displacements of the copies of a network wrapped around, (copies, 2) metres; the nearest copy counts.

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
    images = np.zeros((1, 2)) if images_m is None else images_m
    for first in range(0, sites, SITE_BLOCK):
        block = np.arange(first, min(first + SITE_BLOCK, sites))
        offset = (site_xy_m[block, None] - site_xy_m) / inter_site_distance_m
        squared = [np.square(offset + image / inter_site_distance_m).sum(axis=2) for image in images]
        # In steps, so that equally near sites of a grid compare equal despite rounding.
        steps = np.rint(STEPS_PER_DISTANCE * np.minimum.reduce(squared)).astype(np.int64)
        steps[np.arange(len(block)), block] = -1  # the first is the site itself, whoever shares its place
        order = np.partition(steps * sites + np.arange(sites), kept, axis=1)[:, : kept + 1]
        nearest[block] = np.sort(order, axis=1)[:, 1:] % sites
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
