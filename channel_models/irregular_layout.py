"""Networks off the grid: sites of a Poisson process, and terminals around sites whose cells are no hexagons."""

import numpy as np
from numpy.typing import ArrayLike

from channel_models.layout import nearest_sites
from channel_models.units import FloatArray, FloatLike

DIRECTIONS = 256
"""Rays along which the reach of a cell is measured."""

RIVALS = 36
"""Nearest other sites that bound a cell; those further away hardly ever do."""


def poisson_sites(u: ArrayLike, inter_site_distance_m: float) -> FloatArray:
    """Return sites independent and uniform in a disc around the origin, (n, 2) metres.

    That is a Poisson process given its number of points. The disc has the area of n hexagons, so the density is that
    of a grid with the same distance.

    Parameters
    ----------
    u
        Independent uniform numbers in (0, 1), (n, 2).
    inter_site_distance_m
        Distance between neighbouring sites of the grid of the same density, metres.
    """
    uniforms = np.asarray(u, dtype=np.float64)
    area_m2 = len(uniforms) * np.sqrt(3.0) / 2.0 * inter_site_distance_m**2
    return uniform_in_ring(uniforms, 0.0, float(np.sqrt(area_m2 / np.pi)))


def uniform_in_ring(u: ArrayLike, inner_m: FloatLike, outer_m: FloatLike) -> FloatArray:
    """Map uniform numbers to offsets uniform between two circles around the origin, (n, 2) metres.

    Parameters
    ----------
    u
        Independent uniform numbers in (0, 1), (n, 2): squared radius and angle.
    inner_m, outer_m
        Radii, metres, one or (n,).

    Raises
    ------
    ValueError
        If an inner radius is negative or not below the outer one.
    """
    inner, outer = np.asarray(inner_m, dtype=np.float64), np.asarray(outer_m, dtype=np.float64)
    if not np.all((inner >= 0.0) & (inner < outer)):
        raise ValueError(f"need 0 <= inner_m < outer_m, got {np.min(inner):g} and {np.min(outer):g} m")
    uniforms = np.asarray(u, dtype=np.float64)
    radius = np.sqrt(np.square(inner) + uniforms[:, 0] * (np.square(outer) - np.square(inner)))
    angle = 2.0 * np.pi * uniforms[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def cell_reach_m(site_xy_m: FloatArray, most_m: float) -> FloatArray:
    """Return how far the ground that is nearest to each site reaches from it, (sites,) metres.

    The farthest corner of its Voronoi cell, found along rays (1 % short, at a sharp one up to 6 %) and cut at
    ``most_m``, which also ends the cells at the edge of the network. Sites at the same place share a cell.
    """
    angle = 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    rays = np.stack([np.cos(angle), np.sin(angle)])
    places, place = np.unique(site_xy_m, axis=0, return_inverse=True)
    reach_m = np.full(len(places), float(most_m))
    for index, rivals in enumerate(nearest_sites(places, RIVALS, most_m)):
        towards = places[rivals] - places[index]
        along = towards @ rays
        with np.errstate(divide="ignore"):
            # The bisector towards a rival is met where the rival is as near as the site itself.
            met_m = np.where(along > 0.0, np.square(towards).sum(axis=1)[:, None] / (2.0 * along), np.inf)
        reach_m[index] = min(most_m, float(np.min(met_m, axis=0, initial=most_m).max()))
    return reach_m[place.reshape(-1)]
