"""Who gets which slice of a cell's band for an iteration: the base station's part in FL bandwidth allocation.

When it schedules, a base station knows all sizes, every device's clock and every link. What it does not know is luck:
it counts on compute times without slow-downs, so a straggler is late by what chance has added and disturbs nobody.
Links are read at their mean SNR through the scenario's own link law, fading averaged, so what is planned is what
happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from channel_models.allocation import Work, energy_minimal, equal_split, min_max_delay, proportional_split
from channel_models.slice_law import SliceLaw
from netsim.cell import Allotted, Slice
from netsim.compute import duration_s
from netsim.energy import transmitter_w
from netsim.port import IntArray, Sizes, update_bits
from netsim.radio import Radio
from netsim.world import World
from scenarios.equipment import DeviceClass

FloatArray = NDArray[np.float64]
_EARLY = 1e-9  # share of a deadline by which updates come before it, so that rounding makes none late


@dataclass(frozen=True, eq=False)
class Allotment:
    """What the terminals of one iteration are told.

    Attributes:
        slices_hz: (n,) bandwidth of each.
        power_share: (n,) radiated power of each, as a share of its usual one.
        cpu_hz: (n,) clock of each.
    """

    slices_hz: FloatArray
    power_share: FloatArray
    cpu_hz: FloatArray


class Allotter:
    """The part of one base station that hands out slices.

    Args:
        world: the physical world.
        site: which base station.
    """

    def __init__(self, world: World, site: int) -> None:
        self._world, self._uplink = world, world.uplinks[site]
        self._known: tuple[tuple[bytes, ...], Allotment] | None = None
        self._laws = SliceLaws(world.radio)

    def hand_out(self, terminals: IntArray, sizes: Sizes) -> dict[int, float]:
        """Give every terminal its slice and power; return the clocks that differ from the devices' own, hertz.

        Args:
            terminals: (n,) who is going to send something.
            sizes: what they compute and send.
        """
        if not isinstance(self._uplink, Allotted) or not len(terminals):
            return {}
        allotment, devices = self._allot(terminals, sizes), self._world.devices
        slices, clocks = {}, {}
        parts = (allotment.slices_hz.tolist(), allotment.power_share.tolist(), allotment.cpu_hz.tolist())
        for i, bandwidth_hz, share, cpu_hz in zip(terminals.tolist(), *parts, strict=True):
            slices[i], device = Slice(bandwidth_hz, share), devices[i]
            radiated_w = self._world.radio.tx_power_w.item(i) * share
            self._world.transmit_w[i] = transmitter_w(radiated_w, device.amplifier_efficiency, device.tx_circuit_w)
            if cpu_hz != device.cpu_hz:
                clocks[i] = cpu_hz
        self._uplink.allot(slices)
        return clocks

    def _allot(self, terminals: IntArray, sizes: Sizes) -> Allotment:
        """Work out an allotment, unless everything is as it was the last time."""
        radio, samples, bits = self._world.radio, sizes.samples[terminals], update_bits(sizes, terminals)
        facts = (terminals, samples, bits, radio.uplink_snr[terminals], radio.fading[terminals])
        key = tuple(fact.tobytes() for fact in facts)
        if self._known is None or self._known[0] != key:
            self._known = (key, allot(self._world, self._laws, terminals, samples, bits))
        return self._known[1]


class SliceLaws(dict[int, SliceLaw]):
    """The tables of a radio, read backwards, by row; made when first asked for."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio

    def __missing__(self, row: int) -> SliceLaw:
        table = self._radio.uplink_table(row)
        self[row] = law = SliceLaw(table.snr_grid, table.efficiency_grid)
        return law


def allot(world: World, laws: SliceLaws, terminals: IntArray, samples: FloatArray, bits: FloatArray) -> Allotment:
    """Return what ``terminals`` are told in an iteration.

    Args:
        world: the physical world.
        laws: the tables of ``world.radio``, read backwards.
        terminals: (n,) who is scheduled.
        samples: (n,) rows that each of them visits.
        bits: (n,) size of the update of each, > 0.
    """
    uplink, n = world.scenario.network.uplink, len(terminals)
    devices = [world.devices[i] for i in terminals.tolist()]
    plain = Allotment(equal_split(n, uplink.bandwidth_hz), np.ones(n), np.array([d.cpu_hz for d in devices]))
    if uplink.allocation == "equal_split":
        return plain
    if uplink.allocation == "proportional":
        efficiency = world.radio.uplink_efficiency[terminals]
        return replace(plain, slices_hz=proportional_split(bits, efficiency, uplink.bandwidth_hz))
    compute_s = np.array([duration_s(visits, device, 1.0) for visits, device in zip(samples, devices, strict=True)])
    links = _Links(world.radio, laws, terminals)
    slices_hz, end_s = min_max_delay(bits, compute_s + uplink.access_delay_s, links.slice_hz, uplink.bandwidth_hz)
    window_s = uplink.deadline_s * (1.0 - _EARLY)
    if uplink.allocation == "min_max_delay" or window_s <= end_s * (1.0 + _EARLY):
        return replace(plain, slices_hz=slices_hz)
    return _at_least_energy(links, bits, samples, devices, window_s - uplink.access_delay_s)


def _at_least_energy(
    links: _Links, bits: FloatArray, samples: FloatArray, devices: list[DeviceClass], window_s: float
) -> Allotment:
    """Return the allotment of least energy with which all compute and upload in ``window_s`` seconds."""
    work = Work(
        bits=bits,
        cycles=samples * np.array([device.cycles_per_sample for device in devices]),
        fastest_hz=np.array([device.cpu_hz for device in devices]),
        switched_capacitance=np.array([device.switched_capacitance for device in devices]),
        gain_hz_w=links.gain_hz_w * np.array([device.amplifier_efficiency for device in devices]) / links.duty,
        circuit_w=np.array([device.tx_circuit_w for device in devices]) * links.duty,
        links=links,
    )
    least = energy_minimal(work, window_s, links.total_hz)
    snr = links.snr(bits / least.slot_s / least.slices_hz)
    share = np.minimum(1.0, snr * least.slices_hz / links.snr_hz)
    return Allotment(least.slices_hz, share, least.cpu_hz)


class _Links:
    """The links of some terminals in the scenario's own law, after overhead; see :class:`~.allocation.Links`."""

    def __init__(self, radio: Radio, laws: SliceLaws, terminals: IntArray) -> None:
        up = radio.network.uplink
        self._net, self.total_hz, self.duty = (1.0 - radio.network.link.overhead) * up.duty, up.bandwidth_hz, up.duty
        self.snr_hz = radio.uplink_snr[terminals] * self.total_hz
        self.gain_hz_w = self.snr_hz / radio.tx_power_w[terminals]
        kinds = radio.fading[terminals]
        self._groups = [(laws[kind], np.flatnonzero(kinds == kind)) for kind in np.unique(kinds).tolist()]

    def _each(self, read: Callable[[SliceLaw, NDArray[np.intp]], FloatArray]) -> FloatArray:
        """Ask every link's own law."""
        result = np.empty(len(self.snr_hz))
        for law, who in self._groups:
            result[who] = read(law, who)
        return result

    def slice_hz(self, rate_bps: FloatArray) -> FloatArray:
        """Return the narrowest slices that carry rates at full power."""
        return self._each(lambda law, who: law.slice_hz(rate_bps[who] / self._net, self.snr_hz[who]))

    def snr(self, efficiency: FloatArray) -> FloatArray:
        """Return the least SNR for net bit/s/Hz."""
        return self._each(lambda law, who: law.snr(efficiency[who] / self._net))

    def saving(self, efficiency: FloatArray) -> FloatArray:
        """Return what another hertz second saves at net bit/s/Hz: e y'(e) - y(e) is the same with overhead."""
        return self._each(lambda law, who: law.saving(efficiency[who] / self._net))

    def efficiency(self, saving: FloatArray) -> FloatArray:
        """Return the net bit/s/Hz with that saving."""
        return self._net * self._each(lambda law, who: law.efficiency(saving[who]))
