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
from typing import Protocol

import numpy as np
from scipy.special import lambertw

from channel_models.units import FloatArray

BandLaw = Callable[[FloatArray], FloatArray]
"""(terminals,) bit/s -> (terminals,) narrowest slices in hertz that carry them, infinite where none does."""

_STEPS = 200  # bisections, more than a double has bits for
_CLOSE = 1e-14
_SLOTS, _PRICES = 32, 30


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


class Links(Protocol):
    """The links of n terminals, read forwards and backwards; all arguments and results are (n,) arrays."""

    def slice_hz(self, rate_bps: FloatArray) -> FloatArray:
        """Return the narrowest slices that carry rates at full power, infinite where none does."""

    def snr(self, efficiency: FloatArray) -> FloatArray:
        """Return the least SNR y for an efficiency e, bit/s/Hz: convex and increasing."""

    def saving(self, efficiency: FloatArray) -> FloatArray:
        """Return e y'(e) - y(e): the noise energies that another hertz second for the same bits would save."""

    def efficiency(self, saving: FloatArray) -> FloatArray:
        """Return the efficiency with that saving."""


class ShannonLinks:
    """Links of Shannon's law log2(1 + y), n of them with ``snr_hz`` = p h / N0 at full power."""

    def __init__(self, snr_hz: FloatArray) -> None:
        self._snr_hz = snr_hz

    def slice_hz(self, rate_bps: FloatArray) -> FloatArray:
        """See :func:`shannon_slice_hz`."""
        return shannon_slice_hz(rate_bps, self._snr_hz)

    def snr(self, efficiency: FloatArray) -> FloatArray:
        """Return 2^e - 1."""
        return np.asarray(np.expm1(efficiency * math.log(2.0)))

    def saving(self, efficiency: FloatArray) -> FloatArray:
        """Return 2^e (e ln 2 - 1) + 1."""
        nats = efficiency * math.log(2.0)
        return np.asarray(nats * np.exp(nats) - np.expm1(nats))

    def efficiency(self, saving: FloatArray) -> FloatArray:
        """Return (1 + W_0((saving - 1) / e)) / ln 2."""
        return np.asarray((1.0 + lambertw((saving - 1.0) / math.e).real) / math.log(2.0))


def transmit_energy_split(
    bits: FloatArray,
    slot_s: FloatArray,
    gain_hz_w: FloatArray,
    links: Links,
    total_hz: float,
    least_hz: FloatArray | float = 0.0,
) -> FloatArray:
    """Return the slices in which uploads of given lengths take the least energy, at the powers that just suffice.

    Minimises the sum of slot (b / gain) y(bits / (slot b)) over slices b that fill the band, or are all so wide that
    more saves nothing. It is convex; where no bound holds, another hertz saves everybody the same:
    slot / gain saving(e) is the price of a hertz, which is bisected. For Shannon's law this is
    b = bits ln 2 / (slot [1 + W_0((price gain / slot - 1) / e)]).

    Parameters
    ----------
    bits, slot_s
        (n,) what is sent, and for how long, seconds.
    gain_hz_w
        (n,) h / N0: ``snr_hz`` per watt; per watt drawn, if amplifiers differ.
    links
        The law.
    total_hz
        The band.
    least_hz
        (n,) narrowest slice of each.

    Raises
    ------
    ValueError
        If the narrowest slices together are wider than the band.
    """
    if np.sum(least_hz) > total_hz * (1.0 + 1e-12):
        raise ValueError("the band is too narrow for the narrowest slices")
    rate, scale = bits / slot_s, gain_hz_w / slot_s

    def slices(price: float) -> FloatArray:
        efficiency = np.maximum(links.efficiency(price * scale), 1e-9)
        return np.clip(rate / efficiency, least_hz, total_hz)

    widest_hz = slices(0.0)
    if widest_hz.sum() <= total_hz:
        return widest_hz
    low = high = -float(np.log(scale).mean())
    while slices(math.exp(low)).sum() < total_hz:
        low -= 4.0
    while slices(math.exp(high)).sum() > total_hz and high - low < 500.0:
        high += 4.0
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if slices(math.exp(middle)).sum() > total_hz:
            low = middle
        else:
            high = middle
    return slices(math.exp(high))


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
        links: the law between SNR and efficiency.
    """

    bits: FloatArray
    cycles: FloatArray
    fastest_hz: FloatArray
    switched_capacitance: FloatArray
    gain_hz_w: FloatArray
    circuit_w: FloatArray
    links: Links

    def energy_j(self, slices_hz: FloatArray, slot_s: FloatArray, window_s: float) -> FloatArray:
        """Return (n,) joules with uploads of ``slot_s`` at the end of the window and clocks that just allow them."""
        clock_hz = self.cycles / (window_s - slot_s)
        transmit_w = slices_hz / self.gain_hz_w * self.links.snr(self.bits / slot_s / slices_hz)
        return np.asarray(
            self.switched_capacitance * self.cycles * clock_hz**2 + (transmit_w + self.circuit_w) * slot_s
        )

    def at_price(
        self, price: float, longest_s: FloatArray, window_s: float, total_hz: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return (n,) slices and lengths of uploads of least energy when a hertz costs ``price`` joules.

        Each terminal is on its own then. The best slice for a length is known; the slope of the energy over the
        length, with the slice that goes with it, rises, and is bisected.
        """
        low, high = np.zeros_like(longest_s), longest_s
        for _ in range(_SLOTS):
            slot_s = 0.5 * (low + high)
            falls = self._slope(price, slot_s, window_s, total_hz) < 0.0
            low, high = np.where(falls, slot_s, low), np.where(falls, high, slot_s)
        return self._slices(price, high, total_hz)[0], high

    def _slices(self, price: float, slot_s: FloatArray, total_hz: float) -> tuple[FloatArray, FloatArray]:
        """Return the best slices for given lengths, and the narrowest."""
        least_hz = np.minimum(self.links.slice_hz(self.bits / slot_s), total_hz)
        efficiency = np.maximum(self.links.efficiency(price * self.gain_hz_w / slot_s), 1e-9)
        return np.clip(self.bits / slot_s / efficiency, least_hz, total_hz), least_hz

    def _slope(self, price: float, slot_s: FloatArray, window_s: float, total_hz: float) -> FloatArray:
        slices_hz, least_hz = self._slices(price, slot_s, total_hz)
        saved_w = slices_hz / self.gain_hz_w * self.links.saving(self.bits / slot_s / slices_hz)
        slope = 2.0 * self.switched_capacitance * (self.cycles / (window_s - slot_s)) ** 3 + self.circuit_w - saved_w
        # Where the slice is not free (at full power, at the top of the law) a longer upload makes it narrower.
        wider, narrower = (self._slices(price, slot_s * (1.0 + step), total_hz)[0] for step in (-1e-6, 1e-6))
        slope += (price - saved_w * slot_s / slices_hz) * (narrower - wider) / (2e-6 * slot_s)
        return np.where(least_hz < total_hz, slope, -np.inf)  # no slice is wide enough for less time


@dataclass(frozen=True, eq=False)
class EnergyMinimal:
    """Who gets what: (n,) slices in hertz, lengths of the uploads in seconds, clocks in hertz."""

    slices_hz: FloatArray
    slot_s: FloatArray
    cpu_hz: FloatArray


def energy_minimal(work: Work, window_s: float, total_hz: float) -> EnergyMinimal:
    """Return slices, upload lengths and clocks with which all finish in a window at the least energy.

    Every clock is the slowest that leaves time for the upload, every power the least that fits the bits into slice
    and slot. Terminals meet only in the band: with the right price of a hertz each does what is best for itself and
    all slices fit, and then nothing else takes less energy. The price is bisected.

    Parameters
    ----------
    work
        What is to be done.
    window_s
        Time for computing and uploading together.
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
    if work.links.slice_hz(work.bits / longest_s).sum() > total_hz:
        raise ValueError("the window is too short to send in")

    def spare_hz(log_price: float) -> float:
        slices_hz, _ = work.at_price(math.exp(log_price), longest_s, window_s, total_hz)
        return float(total_hz - slices_hz.sum())

    low = high = -float(np.log(work.gain_hz_w / longest_s).mean())
    for _ in range(20):
        if spare_hz(low) < 0.0:
            break
        low -= 5.0
    for _ in range(100):
        if spare_hz(high) >= 0.0:
            break
        high += 5.0
    for _ in range(_PRICES):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if spare_hz(middle) < 0.0 else (low, middle)
    _, slot_s = work.at_price(math.exp(high), longest_s, window_s, total_hz)
    least_hz = work.links.slice_hz(work.bits / slot_s)
    slices_hz = transmit_energy_split(work.bits, slot_s, work.gain_hz_w, work.links, total_hz, least_hz)
    return EnergyMinimal(slices_hz, slot_s, np.asarray(work.cycles / (window_s - slot_s)))
