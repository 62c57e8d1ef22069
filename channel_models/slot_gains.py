"""Fading read slot by slot: power gains of a moving terminal at equal steps in time, of any fading law.

:mod:`channel_models.jakes` gives the gain of any instant; at equal steps every sinusoid turns by the same angle, and
some slots of all links are one product of matrices.
"""

import math

import numpy as np

from channel_models.fading import FadingLaw, NoFading, Rayleigh
from channel_models.jakes import SumOfSinusoids
from channel_models.units import FloatArray

COHERENCE = math.sqrt(9.0 / (16.0 * math.pi))
"""Coherence time times largest Doppler shift, as in :func:`channel_models.jakes.coherence_time_s`."""


class EvenSteps:
    """Power gains of links at equal steps.

    Parameters
    ----------
    links
        What fades.
    doppler_hz
        Largest Doppler shift.
    """

    def __init__(self, links: SumOfSinusoids, doppler_hz: float) -> None:
        self._rates = 2.0 * math.pi * doppler_hz * np.moveaxis(links.turn, -1, 0)  # (2, links, sinusoids) rad/s
        self._phases = 2.0 * math.pi * np.moveaxis(links.phase, -1, 0)
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
