"""Fading of a moving terminal as a function of time: Clarke's spectrum by a sum of sinusoids.

The gain at any instant comes from that instant and a handful of random angles, so a simulation can jump from event to
event without walking through the time between. Model of Zheng and Xiao (2003): with M sinusoids a quadrature,
alpha_n = (2 pi n - pi + theta) / (4 M) and random theta, phi_n, psi_n,
h(t) = M^(-1/2) sum of cos(w t cos alpha_n + phi_n) + j cos(w t sin alpha_n + psi_n),
whose autocorrelation over the draws is exactly J0(w tau).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models.cosines import cosine_of_turns
from channel_models.path_loss_generic import LIGHT_SPEED_M_S
from channel_models.units import FloatArray, FloatLike

DEFAULT_SINUSOIDS = 16
"""Sinusoids a quadrature: power gains below 0.1 then have probability 0.093, Rayleigh's 0.095."""

BLOCK = 16_384
"""Cosines held at a time: their angles of 128 KiB stay in a core's cache."""


def doppler_hz(speed_m_s: FloatLike, fc_hz: FloatLike) -> FloatArray:
    """Return the largest Doppler shift v f_c / c in hertz."""
    return np.asarray(np.asarray(speed_m_s) * fc_hz / LIGHT_SPEED_M_S)


def coherence_time_s(speed_m_s: FloatLike, fc_hz: FloatLike) -> FloatArray:
    """Return 0.423 / f_D in seconds, the time over which a gain is taken as constant; infinite at rest.

    The usual compromise sqrt(9 / (16 pi)) / f_D between 9 / (16 pi f_D) and 1 / f_D.
    """
    shift_hz = doppler_hz(speed_m_s, fc_hz)
    never = np.full(shift_hz.shape, np.inf)
    return np.asarray(np.divide(np.sqrt(9.0 / (16.0 * np.pi)), shift_hz, out=never, where=shift_hz > 0.0))


@dataclass(frozen=True)
class SumOfSinusoids:
    """Independent Rayleigh-fading links of one or several terminals.

    Attributes
    ----------
    turn
        cos alpha_n and sin alpha_n, (links, sinusoids, 2).
    phase
        phi_n and psi_n, (links, sinusoids, 2) turns.
    """

    turn: FloatArray
    phase: FloatArray

    @classmethod
    def from_uniforms(cls, u: ArrayLike) -> SumOfSinusoids:
        """Return the links that uniform numbers stand for.

        Parameters
        ----------
        u
            Independent uniform numbers in (0, 1), (links, 2 M + 1): theta, M times phi and M times psi.

        Raises
        ------
        ValueError
            If ``u`` is not two-dimensional with an odd number of at least 3 columns.
        """
        draws = np.asarray(u, dtype=np.float64)
        if draws.ndim != 2 or draws.shape[1] < 3 or draws.shape[1] % 2 == 0:
            raise ValueError(f"u must be (links, 2 M + 1) with M >= 1, got shape {draws.shape}")
        sinusoids = draws.shape[1] // 2
        # 2 pi n - pi + theta with theta uniform in (-pi, pi).
        alpha = 2.0 * np.pi * (np.arange(sinusoids) + draws[:, :1]) / (4.0 * sinusoids)
        turn = np.stack([np.cos(alpha), np.sin(alpha)], axis=-1)
        return cls(turn, np.stack([draws[:, 1 : sinusoids + 1], draws[:, sinusoids + 1 :]], axis=-1))

    def amplitude(self, time_s: FloatLike, doppler_hz: FloatLike) -> NDArray[np.complex128]:
        """Return the complex gain h of every link at its own time, (links,) with E|h|^2 = 1.

        Parameters
        ----------
        time_s
            Time since any common origin, seconds; one number or (links,). Whoever moves at changing speed passes
            the distance covered in place of the time, and 1 / wavelength in place of the Doppler shift.
        doppler_hz
            Largest Doppler shift, hertz; one number or (links,).
        """
        links, sinusoids, _ = self.turn.shape
        turns = np.broadcast_to(np.asarray(time_s, dtype=np.float64) * doppler_hz, links)
        parts = np.empty((links, 2))
        rows = max(1, BLOCK // (2 * sinusoids))
        for first in range(0, links, rows):
            block = slice(first, first + rows)
            cosines = cosine_of_turns(turns[block, None, None] * self.turn[block] + self.phase[block])
            parts[block] = cosines.sum(axis=1)
        return np.asarray((parts[:, 0] + 1j * parts[:, 1]) / np.sqrt(sinusoids))

    def power_gain(self, time_s: FloatLike, doppler_hz: FloatLike) -> FloatArray:
        """Return |h|^2 of every link, (links,), of mean 1 and nearly exponential."""
        amplitude = self.amplitude(time_s, doppler_hz)
        return np.asarray(amplitude.real**2 + amplitude.imag**2)


def with_line_of_sight(
    scattered: NDArray[np.complex128], k_linear: FloatLike, time_s: FloatLike, doppler_hz: FloatLike, u: ArrayLike
) -> FloatArray:
    """Return the power gain of Rician links: scatter beside one path of K times its power.

    Parameters
    ----------
    scattered
        Complex gains of :class:`SumOfSinusoids`, (links,).
    k_linear
        Rician factor K >= 0; 0 leaves the scatter alone.
    time_s, doppler_hz
        As for the scatter.
    u
        Independent uniform numbers in (0, 1), (links, 2): the phase of the path and the angle it arrives at.
    """
    draws = np.asarray(u, dtype=np.float64)
    k = np.asarray(k_linear, dtype=np.float64)
    shift = np.asarray(time_s) * doppler_hz * np.cos(2.0 * np.pi * draws[:, 1])
    direct = np.exp(2j * np.pi * (draws[:, 0] + shift))
    return np.asarray(np.abs(np.sqrt(k / (k + 1.0)) * direct + scattered / np.sqrt(k + 1.0)) ** 2)
