"""Rayleigh fading as it goes on in time: many scattered paths around a terminal that moves (Clarke's model).

A sum of sinusoids (Y. R. Zheng and C. Xiao, "Simulation models with correct statistical properties for Rayleigh fading
channels", IEEE Trans. Communications 51(6), 2003) is a function of time: it may be read anywhere, any number of times.
Its autocorrelation is J0(2 pi f_D tau), for a largest Doppler shift f_D.
"""

import math

import numpy as np

from channel_models.fading import FadingLaw, NoFading, Rayleigh
from channel_models.units import FloatArray

COHERENCE = 0.423
"""Coherence time times largest Doppler shift, the usual rule of thumb: sqrt(9 / (16 pi))."""


class ClarkeFading:
    """Power gains of mean 1 of several independent links.

    Parameters
    ----------
    uniforms
        (links, 1 + 2 paths) draws in (0, 1): directions and phases. 16 paths are enough for an autocorrelation within
        0.03 of J0.
    doppler_hz
        Largest Doppler shift f_D = v f_c / c.
    """

    def __init__(self, uniforms: FloatArray, doppler_hz: float) -> None:
        paths = (uniforms.shape[-1] - 1) // 2
        angle = math.pi * (2.0 * uniforms - 1.0)
        direction = (2.0 * math.pi * np.arange(1, paths + 1) - math.pi + angle[:, :1]) / (4.0 * paths)
        omega = 2.0 * math.pi * doppler_hz
        self._rates = omega * np.stack([np.cos(direction), np.sin(direction)])  # (2, links, paths) rad/s
        self._phases = np.stack([angle[:, 1 : 1 + paths], angle[:, 1 + paths :]])
        self._steps: tuple[float, int] | None = None
        self._turns = np.empty(0, np.complex128)

    def gains(self, start_s: float, step_s: float, count: int) -> FloatArray:
        """Return (count, links) power gains at ``start_s``, ``start_s`` + ``step_s``, ..."""
        if self._steps != (step_s, count):
            self._steps = (step_s, count)
            self._turns = np.exp(1j * self._rates[..., np.newaxis] * (step_s * np.arange(count)))
        first = np.exp(1j * (self._rates * start_s + self._phases))
        in_phase, quadrature = np.matmul(first[:, :, np.newaxis, :], self._turns)[:, :, 0].real
        return np.asarray((in_phase**2 + quadrature**2).T / self._rates.shape[-1])


class Reshaped:
    """Turns the power gain of Rayleigh fading into that of another law, value by value.

    Whoever has a share u of the Rayleigh law below itself gets what has a share u of the other law below itself: the
    other law holds at every instant, and what is correlated stays so.
    """

    _GRID = np.concatenate([[0.0], np.geomspace(1e-9, 35.0, 6000)])

    def __init__(self, law: FadingLaw) -> None:
        self._law = law
        self._values = np.empty(0)
        if not isinstance(law, NoFading | Rayleigh):
            self._values = law.quantile(np.clip(-np.expm1(-self._GRID), 1e-15, 1.0 - 1e-15))

    def __call__(self, rayleigh_gain: FloatArray) -> FloatArray:
        """Return gains of any shape."""
        if isinstance(self._law, Rayleigh):
            return rayleigh_gain
        if isinstance(self._law, NoFading):
            return np.ones_like(rayleigh_gain)
        return np.asarray(np.interp(rayleigh_gain, self._GRID, self._values))
