"""How to cut a band among terminals that compute and then upload: bandwidth, power and clock allocation.

Every terminal transmits in a slice of its own for as long as it needs. :func:`equal_split` and
:func:`proportional_split` are the usual baselines. :func:`min_max_delay` lets all arrive together as early as
possible; :func:`energy_minimal` lets all arrive at a deadline at the least energy. Both follow Z. Yang et al., "Energy
efficient federated learning over wireless communication networks", IEEE Trans. Wireless Communications 20(3), 2021,
and W. Shi et al., "Joint device scheduling and resource allocation for latency constrained wireless federated
learning", ibid. 20(1), 2021.

A link is given as ``snr_hz`` = p h / N0: the bandwidth over which a terminal's received power would equal the noise
(times the gap to capacity, if there is one). In a slice of b hertz it has the SNR snr_hz / b.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import lambertw

from channel_models.units import FloatArray

BandLaw = Callable[[FloatArray], FloatArray]
"""(terminals,) bit/s -> (terminals,) narrowest slices in hertz that carry them, infinite where none does."""

_STEPS = 200  # bisections, more than a double has bits for
_CLOSE = 1e-14
_ROUNDS = 200


def equal_split(n: int, total_hz: float) -> FloatArray:
    """Return (n,) equal slices of ``total_hz``."""
    return np.full(n, total_hz / n)


def proportional_split(bits: FloatArray, efficiency: FloatArray, total_hz: float) -> FloatArray:
    """Return (n,) slices of ``total_hz`` in proportion to bits over spectral efficiency over the whole band."""
    need = bits / efficiency
    return np.asarray(total_hz * need / need.sum())


def shannon_slice_hz(rate_bps: FloatArray, snr_hz: FloatArray) -> FloatArray:
    """Return the slice b in which b log2(1 + snr_hz / b) is the rate; infinite where no slice is wide enough.

    b = -r ln 2 / (W(-G e^-G) + G) with G = r ln 2 / snr_hz and the lower branch W_-1 of Lambert's function.
    """
    g = np.asarray(rate_bps * math.log(2.0) / snr_hz)
    feasible = g < 1.0
    safe = np.where(feasible, g, 0.5)
    slice_hz = -rate_bps * math.log(2.0) / (lambertw(-safe * np.exp(-safe), -1).real + safe)
    return np.where(feasible & (slice_hz > 0.0), slice_hz, np.inf)


def min_max_delay(
    bits: FloatArray, ready_s: FloatArray, band_law: BandLaw, total_hz: float
) -> tuple[FloatArray, float]:
    """Return the slices with which the last upload ends as early as possible, and when that is.

    All end together: a slice is the narrowest that carries the terminal's bits between ``ready_s`` and the end T, and
    T is bisected until the slices fill the band.

    Parameters
    ----------
    bits
        (n,) size of each upload, > 0.
    ready_s
        (n,) when each may begin, seconds.
    band_law
        Narrowest slices for given rates, decreasing to 0 with them; for instance :func:`shannon_slice_hz`.
    total_hz
        The band.

    Raises
    ------
    ValueError
        If some terminal cannot send at all, whatever the time.
    """

    def slices(end_s: float) -> FloatArray:
        return band_law(bits / (end_s - ready_s))

    latest = float(ready_s.max())
    early, late = latest, latest + 1e-3
    while not slices(late).sum() <= total_hz:
        early, late = late, latest + 4.0 * (late - latest)
        if late - latest > 1e15:
            raise ValueError("some terminal cannot send at all in this band")
    for _ in range(_STEPS):
        middle = 0.5 * (early + late)
        if not early < middle < late or late - early <= _CLOSE * late:
            break
        if slices(middle).sum() <= total_hz:
            late = middle
        else:
            early = middle
    return slices(late), late


def transmit_energy_split(
    bits: FloatArray,
    slot_s: FloatArray,
    gain_hz_w: FloatArray,
    bounds_hz: tuple[FloatArray, FloatArray],
    total_hz: float,
) -> FloatArray:
    """Return the slices in which uploads of given lengths take the least energy, at the powers that just suffice.

    Minimises the sum of slot (b / gain) (2^(bits / (slot b)) - 1) over slices b within their bounds that fill the
    band, or are all as wide as they may be. It is convex; stationarity gives
    b = bits ln 2 / (slot [1 + W_0((price gain / slot - 1) / e)]), and the price of a hertz is bisected.

    Parameters
    ----------
    bits, slot_s
        (n,) what is sent, and for how long, seconds.
    gain_hz_w
        (n,) h / N0: ``snr_hz`` per watt; per watt drawn, if amplifiers differ.
    bounds_hz
        (n,) narrowest and (n,) widest slices.
    total_hz
        The band.

    Raises
    ------
    ValueError
        If the narrowest slices together are wider than the band.
    """
    least_hz, most_hz = bounds_hz
    if least_hz.sum() > total_hz * (1.0 + 1e-12):
        raise ValueError("the band is too narrow for the narrowest slices")
    if most_hz.sum() <= total_hz:
        return most_hz
    rate, scale = bits / slot_s, gain_hz_w / slot_s

    def slices(log_price: float) -> FloatArray:
        root = 1.0 + lambertw((np.exp(log_price) * scale - 1.0) / math.e).real
        return np.clip(rate * math.log(2.0) / np.maximum(root, 1e-12), least_hz, most_hz)

    low = high = -float(np.log(scale).mean())
    while slices(low).sum() < total_hz and high - low < 1e3:
        low -= 4.0
    while slices(high).sum() > total_hz and high - low < 1e3:
        high += 4.0
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if slices(middle).sum() > total_hz:
            low = middle
        else:
            high = middle
    return slices(high)


@dataclass(frozen=True, eq=False)
class Work:
    """What n terminals have to do in one iteration, and what it takes them.

    Attributes:
        bits: (n,) size of each upload.
        cycles: (n,) CPU cycles before it.
        fastest_hz: (n,) clock that cannot be exceeded.
        switched_capacitance: (n,) kappa: a cycle at clock f takes kappa f^2 joules.
        gain_hz_w: (n,) h / N0 per watt drawn from the supply.
        circuit_w: (n,) drawn besides while transmitting.
        least_efficiency: (n,) bit/s/Hz of the lowest SNR at which a link works well: sending more slowly than that,
            in a wider slice or for longer, saves nothing; next to 0 for Shannon's law.
    """

    bits: FloatArray
    cycles: FloatArray
    fastest_hz: FloatArray
    switched_capacitance: FloatArray
    gain_hz_w: FloatArray
    circuit_w: FloatArray
    least_efficiency: FloatArray

    def energy_j(self, slices_hz: FloatArray, slot_s: FloatArray, window_s: float) -> FloatArray:
        """Return (n,) joules with uploads of ``slot_s`` at the end of the window and clocks that just allow them."""
        clock_hz = self.cycles / (window_s - slot_s)
        transmit_w = slices_hz / self.gain_hz_w * np.expm1(self._exponent(slices_hz, slot_s))
        return np.asarray(
            self.switched_capacitance * self.cycles * clock_hz**2 + (transmit_w + self.circuit_w) * slot_s
        )

    def _exponent(self, slices_hz: FloatArray, slot_s: FloatArray) -> FloatArray:
        return np.asarray(np.minimum(self.bits * math.log(2.0) / (slot_s * slices_hz), 700.0))

    def best_slots(
        self, slices_hz: FloatArray, shortest_s: FloatArray, longest_s: FloatArray, window_s: float
    ) -> FloatArray:
        """Return (n,) lengths of uploads of least energy in given slices: convex in each, bisected on its slope."""
        low, high = shortest_s.copy(), longest_s.copy()
        for _ in range(60):
            middle = 0.5 * (low + high)
            u = self._exponent(slices_hz, middle)
            slope = slices_hz / self.gain_hz_w * (np.expm1(u) - u * np.exp(u)) + self.circuit_w
            slope += 2.0 * self.switched_capacitance * (self.cycles / (window_s - middle)) ** 3
            low, high = np.where(slope < 0.0, middle, low), np.where(slope < 0.0, high, middle)
        return np.asarray(0.5 * (low + high))


@dataclass(frozen=True, eq=False)
class EnergyMinimal:
    """Who gets what: (n,) slices in hertz, lengths of the uploads in seconds, clocks in hertz."""

    slices_hz: FloatArray
    slot_s: FloatArray
    cpu_hz: FloatArray


def energy_minimal(work: Work, window_s: float, band_law: BandLaw, total_hz: float) -> EnergyMinimal:
    """Return slices, upload lengths and clocks with which all finish in a window at the least energy.

    Every clock is the slowest that leaves time for the upload, every power the least that fits the bits into slice
    and slot (Shannon's law). Slices (:func:`transmit_energy_split`) and lengths are improved in turn until neither
    gains: each step is exact, so the energy only falls; the end is a point that no change of slices alone and no
    change of lengths alone improves.

    Parameters
    ----------
    work
        What is to be done.
    window_s
        Time for computing and uploading together.
    band_law
        Narrowest slices for given rates at full power; keeps powers within their limits.
    total_hz
        The band.

    Raises
    ------
    ValueError
        If the window is too short at full clock and power.
    """
    longest_s = window_s - work.cycles / work.fastest_hz
    if np.any(longest_s <= 0.0):
        raise ValueError("the window is too short to compute in")
    slot_s, before_j = longest_s, math.inf
    for _ in range(_ROUNDS):
        least_hz = band_law(work.bits / slot_s)
        most_hz = np.maximum(least_hz, np.minimum(total_hz, work.bits / slot_s / work.least_efficiency))
        slices_hz = transmit_energy_split(work.bits, slot_s, work.gain_hz_w, (least_hz, most_hz), total_hz)
        energy_j = float(work.energy_j(slices_hz, slot_s, window_s).sum())
        if before_j - energy_j <= 1e-12 * energy_j:
            break
        before_j = energy_j
        shortest_s = _shortest_slots(work.bits, slices_hz, slot_s, band_law)
        useful_s = np.maximum(shortest_s, work.bits / slices_hz / work.least_efficiency)
        slot_s = work.best_slots(slices_hz, shortest_s, np.minimum(longest_s, useful_s), window_s)
    return EnergyMinimal(slices_hz, slot_s, np.asarray(work.cycles / (window_s - slot_s)))


def _shortest_slots(bits: FloatArray, slices_hz: FloatArray, slot_s: FloatArray, band_law: BandLaw) -> FloatArray:
    """Return (n,) shortest uploads that full power allows in given slices; ``slot_s`` are long enough."""
    short, long = np.zeros_like(slot_s), slot_s
    for _ in range(50):
        middle = 0.5 * (short + long)
        fits = band_law(bits / middle) <= slices_hz
        short, long = np.where(fits, short, middle), np.where(fits, middle, long)
    return long
