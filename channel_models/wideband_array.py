"""Channels of a large uniform linear array over a wide band, heard through few pilot beams, and found again from them.

A direction theta = sin(phi) is seen at eta theta on a subcarrier whose frequency is eta times the carrier: with phase
shifters that know one frequency only, beams split, and subcarriers do not share a support. A search that looks for the
physical direction on all of them together shares it again (beamspace support alignment: Elbir, Shi, Mishra and
Chatzinotas, "Federated multi-task learning for THz wideband channel and DoA estimation", arXiv 2207.06017, 2023).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
Dictionary = Literal["exact", "aligned", "flat"]
"""Atoms of each subcarrier: at its own directions; the nearest of one fixed grid; those of the carrier."""


def array_response(directions: FloatArray, antennas: int) -> ComplexArray:
    """Return (..., N) unit responses of elements half a wavelength apart to directions sin(phi), (...)."""
    phases = np.pi * np.multiply.outer(directions, np.arange(antennas))
    return np.asarray(np.exp(1j * phases) / np.sqrt(antennas))


def array_channels(directions: FloatArray, gains: ComplexArray, ratios: FloatArray, antennas: int) -> ComplexArray:
    """Return (S, M, N) channels sqrt(N) sum_l gain a(eta theta_l).

    Args:
        directions: (S, L) sin(phi) of the paths.
        gains: (S, L, M) amplitudes and phases, those of delays included.
        ratios: (M,) frequencies of the subcarriers by that of the carrier.
        antennas: N.
    """
    responses = array_response(directions[:, :, None] * ratios, antennas)
    return np.asarray(np.sqrt(antennas) * np.einsum("slm,slmn->smn", gains, responses))


def grid_directions(points: int) -> FloatArray:
    """Return (Q,) directions (2 q - Q - 1) / Q, q from 1 to Q."""
    return np.asarray((2.0 * np.arange(1, points + 1) - points - 1.0) / points)


def pilots_heard(channels: ComplexArray, beams: ComplexArray, noise: ComplexArray) -> ComplexArray:
    """Return (S, M, J) observations F^H h + noise of channels (S, M, N) through beams F (N, J)."""
    return np.asarray(channels @ beams.conj() + noise)


def find_paths(
    heard: ComplexArray,
    beams: ComplexArray,
    ratios: FloatArray,
    points: int,
    paths: int,
    dictionary: Dictionary = "exact",
) -> tuple[FloatArray, ComplexArray]:
    """Find directions that all subcarriers share, by orthogonal matching pursuit, and the channels they explain.

    Args:
        heard: (S, M, J) from :func:`pilots_heard`.
        beams: (N, J).
        ratios: (M,).
        points: Q of the grid that is searched.
        paths: L, how many to find.
        dictionary: what a subcarrier is explained by.

    Returns:
        (S, L) directions in the order found, and (S, M, N) channels.
    """
    grid = grid_directions(points)
    atoms = array_response(_seen(grid, ratios, points, dictionary), len(beams))  # (M, Q, N)
    projected = atoms @ beams.conj()  # (M, Q, J)
    norms = np.linalg.norm(projected, axis=2)
    rest, found = heard, np.empty((len(heard), 0), np.int64)
    each = np.arange(len(ratios))[:, None]
    for _ in range(paths):
        match = (np.abs(np.einsum("mqj,smj->smq", projected.conj(), rest)) / norms).sum(axis=1)
        np.put_along_axis(match, found, -1.0, axis=1)
        found = np.column_stack([found, match.argmax(axis=1)])
        chosen = projected[each, found[:, None, :]]  # (S, M, l, J)
        weights = np.linalg.pinv(chosen.swapaxes(2, 3)) @ heard[..., None]
        rest = heard - np.einsum("smlj,sml->smj", chosen, weights[..., 0])
    explained = np.einsum("smln,sml->smn", atoms[each, found[:, None, :]], weights[..., 0])
    return grid[found], np.asarray(explained)


def _seen(grid: FloatArray, ratios: FloatArray, points: int, dictionary: Dictionary) -> FloatArray:
    """Return (M, Q) where each subcarrier looks for each direction."""
    if dictionary == "flat":
        return np.broadcast_to(grid, (len(ratios), points))
    seen = ratios[:, None] * grid
    if dictionary == "exact":
        return np.asarray(seen)
    nearest = np.rint((seen * points + points + 1.0) / 2.0).astype(np.int64)
    return np.asarray(grid[np.clip(nearest, 1, points) - 1])


def normalised_error(found: ComplexArray, channels: ComplexArray) -> float:
    """Return the sum of |error|^2 over that of |channel|^2."""
    return float((np.abs(found - channels) ** 2).sum() / (np.abs(channels) ** 2).sum())
