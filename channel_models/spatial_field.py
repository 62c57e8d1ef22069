"""A random landscape that a terminal walks through: a Gaussian field over the plane with correlation exp(-d/d_cor).

Shadowing of TR 38.901 Table 7.5-6 decorrelates so with displacement, and so does the state of sight of its
spatially consistent procedure (clause 7.6.3). A field is a sum of plane waves, sqrt(2/M) sum cos(k_m . x + phi_m),
with the spectrum of that correlation; it has no grid and no edge, costs M cosines a point and depends on the
position alone, so whoever returns to a place finds it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from channel_models.cosines import cosine_of_turns
from channel_models.units import FloatArray, FloatLike

DEFAULT_WAVES = 64
"""Waves a field: the law at a point then has an excess kurtosis of -1.5/64, its variance is exact."""

BLOCK = 16_384
"""Cosines held at a time: their phases of 128 KiB stay in a core's cache."""


@dataclass(frozen=True)
class PlaneWaves:
    """One or several independent unit Gaussian fields over the plane.

    Attributes
    ----------
    wave_per_m
        Wave vectors in turns per metre, (fields, waves, 2).
    phase
        Phases in turns, (fields, waves).
    """

    wave_per_m: FloatArray
    phase: FloatArray

    @classmethod
    def from_uniforms(cls, u: ArrayLike, correlation_m: ArrayLike) -> PlaneWaves:
        """Return the fields that uniform numbers stand for.

        The wave numbers k of exp(-d/d_cor) in the plane have the distribution function
        1 - (1 + (k d_cor)^2)^(-1/2). Over the draws the correlation is exact; that of a single draw of M waves, as
        seen over the whole plane, keeps an error of about 0.7/sqrt(M).

        Parameters
        ----------
        u
            Independent uniform numbers in (0, 1), (..., waves, 3): wave number, direction and phase. All leading
            axes together count the fields, in C order.
        correlation_m
            Correlation distance d_cor > 0, metres; broadcasts against the leading axes.

        Raises
        ------
        ValueError
            If ``u`` has another shape or leaves [0, 1), or a correlation distance is not positive and finite.
        """
        uniforms, distance = np.asarray(u, dtype=np.float64), np.asarray(correlation_m, dtype=np.float64)
        if uniforms.ndim < 2 or uniforms.shape[-1] != 3 or not np.all((uniforms >= 0.0) & (uniforms < 1.0)):
            raise ValueError(f"u must be (..., waves, 3) numbers in [0, 1), got shape {uniforms.shape}")
        if not np.all((distance > 0.0) & (distance < np.inf)):
            raise ValueError(f"correlation_m must be positive and finite, got {np.min(distance):g}")
        waves = uniforms.shape[-2]
        tail = 1.0 - uniforms[..., 0]
        turns_per_m = np.sqrt((1.0 - tail) * (1.0 + tail)) / (tail * 2.0 * np.pi * distance[..., None])
        angle = 2.0 * np.pi * uniforms[..., 1]
        wave_per_m = np.stack([turns_per_m * np.cos(angle), turns_per_m * np.sin(angle)], axis=-1)
        return cls(wave_per_m.reshape(-1, waves, 2), uniforms[..., 2].reshape(-1, waves))

    @property
    def fields(self) -> int:
        """Number of fields."""
        return len(self.phase)

    def __call__(self, xy_m: ArrayLike, field: ArrayLike | None = None) -> FloatArray:
        """Return the values of fields at positions; the same place has the same value to the last bit.

        Parameters
        ----------
        xy_m
            Positions, (n, 2) metres.
        field
            Indices of the fields to read at each position, (n, k) or (n,); (1, k) reads the same ones everywhere.
            All fields when absent.

        Returns
        -------
        (n, k) values, (n, fields) without ``field``, (n,) for (n,) indices: each of mean 0 and variance 1.
        """
        xy = np.asarray(xy_m, dtype=np.float64)
        index = np.arange(self.fields)[None] if field is None else np.asarray(field)
        columns = index[:, None] if index.ndim == 1 else index
        values = np.empty((len(xy), columns.shape[1]))
        rows = max(1, BLOCK // max(1, columns.shape[1] * self.phase.shape[1]))
        for first in range(0, len(xy), rows):
            block = slice(first, first + rows)
            values[block] = self._sum(xy[block], columns if len(columns) == 1 else columns[block])
        return values[:, 0] if index.ndim == 1 else values

    def _sum(self, xy: FloatArray, index: NDArray[np.integer]) -> FloatArray:
        """Values of (b, 2) positions in (b, k) or (1, k) fields, all cosines at once."""
        wave = self.wave_per_m[index]
        turns = xy[:, 0, None, None] * wave[..., 0] + xy[:, 1, None, None] * wave[..., 1] + self.phase[index]
        return cosine_of_turns(turns).sum(axis=-1) * np.sqrt(2.0 / turns.shape[-1])


def consistent_line_of_sight(field: ArrayLike, probability: FloatLike) -> NDArray[np.bool_]:
    """Return where Phi(field) < probability: line of sight that neighbours in space share (TR 38.901 7.6.3.3).

    Parameters
    ----------
    field
        Unit Gaussian values at the terminals, of :class:`PlaneWaves` with the environment's
        ``correlation_los_state_m``, one field a site; any shape.
    probability
        Probability of line of sight there, in [0, 1]; broadcasts. Certain and impossible sight stay so.
    """
    return np.asarray(np.asarray(field) < ndtri(probability))
