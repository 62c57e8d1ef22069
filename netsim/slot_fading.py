"""The fading channel of the slot-level uplink: every terminal's rates in every slot and sub-band."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from channel_models.jakes import DEFAULT_SINUSOIDS, SumOfSinusoids
from channel_models.slot_gains import COHERENCE, EvenSteps, Reshaped
from netsim.radio import Radio
from scenarios.streams import Streams


class FadingSlots:
    """Links that fade independently in every sub-band, as a function of time that is drawn once per terminal.

    What a terminal meets at a time depends on (seed, terminal, sub-band) alone: not on who else is there, on when it
    began to send, or on the method.

    Args:
        radio: mean SNRs and laws.
        entities: stream index of every terminal.
        streams: the run's randomness.
    """

    def __init__(self, radio: Radio, entities: list[int], streams: Streams) -> None:
        self._radio, self._entities, self._streams = radio, entities, streams
        self._slots = radio.network.uplink.slots
        self._fading: dict[int, EvenSteps] = {}
        self._reshaped: dict[int, Reshaped] = {}
        self._block_bps: dict[int, tuple[int, NDArray[np.float64]]] = {}

    def mean_bps(self, terminal: int) -> float:
        """Return the mean rate over the whole band."""
        return self._radio.whole_band_bps(terminal)

    def changed(self, terminals: Collection[int]) -> None:
        """Forget the rates of these terminals."""
        for terminal in terminals:
            self._block_bps.pop(terminal, None)

    def rates_bps(self, terminal: int, first: int, slots: int) -> NDArray[np.float64]:
        """Return (slots, sub-bands) rates from slot ``first`` on, all in one burst."""
        burst = self._slots.burst_slots
        block, offset = divmod(first, burst)
        known = self._block_bps.get(terminal)
        if known is None or known[0] != block:
            known = self._block_bps[terminal] = (block, self._block(terminal, block * burst, burst))
        return known[1][offset : offset + slots]

    def _block(self, terminal: int, first: int, slots: int) -> NDArray[np.float64]:
        radio, sub_bands, slot_s = self._radio, self._slots.sub_bands, self._slots.slot_s
        link, law = radio.laws(terminal)
        kind = radio.fading.item(terminal)
        if kind not in self._reshaped:
            self._reshaped[kind] = Reshaped(law)
        gains = self._reshaped[kind](self._gains(terminal).gains(first * slot_s, slot_s, slots))
        up = radio.network.uplink
        net_hz = up.bandwidth_hz / sub_bands * (1.0 - radio.network.link.overhead) * up.duty
        net_hz *= radio.uplink_factor.item(terminal)
        return np.asarray(net_hz * link.spectral_efficiency(radio.uplink_snr.item(terminal) * gains))

    def _gains(self, terminal: int) -> EvenSteps:
        """Return the Rayleigh fading of a terminal in all sub-bands."""
        if terminal not in self._fading:
            bands, draws = np.arange(self._slots.sub_bands)[:, np.newaxis], np.arange(1 + 2 * DEFAULT_SINUSOIDS)
            uniforms = self._streams.uniform("slot fading", self._entities[terminal], bands, draws)
            self._fading[terminal] = EvenSteps(
                SumOfSinusoids.from_uniforms(uniforms), COHERENCE / self._slots.coherence_time_s
            )
        return self._fading[terminal]
