"""Uploads that are short against the fading of their channel: the luck that is left in their rates.

At flow level an upload runs at its mean over fading. That is right for one that lasts many coherence times or covers
many independent sub-bands; others get a factor from here (:mod:`channel_models.slow_fading`), from one normal number
per (seed, terminal, iteration): all methods and all ways to share the band meet the same luck, which schedulers do not
know of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from channel_models.slow_fading import efficiency_spread, finish_times, rate_factor
from netsim.radio import Radio
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class SlowFading:
    """The factors on the rates of the uploads of a cell's iterations.

    Args:
        radio: links of the run, as they are when an iteration begins.
        entity: (all terminals,) stream index of each.
        streams: the run's randomness.
    """

    def __init__(self, radio: Radio, entity: IntArray, streams: Streams) -> None:
        self._radio, self._entity, self._streams = radio, entity, streams

    def factors(self, terminals: IntArray, iteration: int, bits: float | FloatArray) -> dict[int, float]:
        """Return the factor on the rate of each of those scheduled together, nothing if fading averages out.

        Args:
            terminals: (n,) who is going to send.
            iteration: count of their base station's iterations.
            bits: what each sends, (n,) where they differ.
        """
        up = self._radio.network.uplink
        if not up.slow_fading or not len(terminals):
            return {}
        lengths_s = self._lengths_s(terminals, bits)
        slices = min(len(terminals), self._radio.slices) if up.share in ("ofdma", "allotted") else 1
        sub_bands = max(1.0, up.slots.sub_bands / slices)
        normal = self._streams.normal("slow fading", self._entity[terminals], iteration)
        density = slices * self._radio.power_w(terminals, slices) / self._radio.tx_power_w[terminals]
        spread = self._spread(terminals, self._radio.uplink_snr[terminals] * density)
        drawn = rate_factor(spread, lengths_s / up.slots.coherence_time_s, sub_bands, normal)
        return dict(zip(terminals.tolist(), drawn.tolist(), strict=True))

    def _lengths_s(self, terminals: IntArray, bits: float | FloatArray) -> FloatArray:
        """Return about how long each upload is going to last: as if all began together and nobody had luck."""
        n = len(terminals)
        alone_bps = n * np.array([self._radio.shared_bps(terminal, n) for terminal in terminals.tolist()])
        alone_s = np.divide(bits, alone_bps, out=np.full(n, np.inf), where=alone_bps > 0.0)
        return alone_s if self._radio.network.uplink.share == "sequential" else finish_times(alone_s)

    def _spread(self, terminals: IntArray, snr: FloatArray) -> FloatArray:
        """Return how much the spectral efficiency of each varies from one state of its channel to another."""
        spread, fading = np.empty_like(snr), self._radio.fading[terminals]
        for row in np.unique(fading).tolist():
            of_row = np.flatnonzero(fading == row)
            table = self._radio.uplink_table(row)
            spread[of_row] = efficiency_spread(table.link, table.fading)(snr[of_row])
        return spread
