"""What the air of a cell does when its terminals send at the same time: how long, at what power, heard how.

Powers and durations follow from the link budgets, whatever is sent. What is heard follows from draws that belong to
(terminal, iteration) and (site, iteration), made when the values are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channel_models.over_the_air import (
    aligned_power_w,
    inversion_power,
    radiated_power_w,
    sum_noise_std,
    transfer_s,
    truncation_ratio,
)
from netsim.compute import Fleet
from netsim.energy import transmitter_w
from netsim.radio import Radio
from scenarios.network import OverTheAir
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Transmission:
    """One joint transmission.

    Attributes:
        duration_s: how long it takes, however many take part.
        power_w: what each sender's transmitter draws meanwhile.
        noise_std: standard deviation of the noise on the sum of symbols of unit variance.
        subcarriers: sub-carriers in use.
    """

    duration_s: float
    power_w: dict[int, float]
    noise_std: float
    subcarriers: int


class _ByRow(dict[int, float]):
    """A property of fading laws by their row in ``Radio.fading``, worked out when first asked for."""

    def __init__(self, work_out: Callable[[int], float]) -> None:
        self._work_out = work_out

    def __missing__(self, row: int) -> float:
        self[row] = value = float(self._work_out(row))
        return value

    def of(self, rows: IntArray) -> FloatArray:
        """Return the property for (n,) rows."""
        return np.array([self[row] for row in rows.tolist()])


class Air:
    """The air between a site and its terminals, for joint transmissions.

    Args:
        radio: links, as they are whenever a transmission begins.
        devices: the terminals' hardware.
        entity: (terminals,) index of each terminal in the random streams.
        streams: the run's randomness.
        site: which site.
    """

    def __init__(self, radio: Radio, devices: Fleet, entity: IntArray, streams: Streams, site: int) -> None:
        self._radio, self._devices, self._entity, self._streams, self._site = radio, devices, entity, streams, site
        band = radio.network.uplink
        self._rules, self._whole_band = band.over_the_air, band.subcarriers
        self._symbol_s = (1.0 + self._rules.cyclic_prefix) / self._rules.subcarrier_spacing_hz
        threshold = self._rules.truncation_threshold
        self._inversion = _ByRow(lambda row: inversion_power(radio.fading_law(row), threshold))
        self._truncated = _ByRow(lambda row: truncation_ratio(radio.fading_law(row), threshold))

    def transmission(self, senders: Sequence[int], values: int) -> Transmission:
        """Return how ``senders`` (at least one) send ``values`` numbers each, with the links as they are now.

        Everybody arrives as strong as the worst can; a message narrower than the band has its whole power in the
        sub-carriers it needs.

        Raises:
            ValueError: there is nothing to send.
        """
        radio, who = self._radio, np.array(senders)
        used, gain = min(values, self._whole_band), radio.serving_gain[who]
        inversion = self._inversion.of(radio.fading[who])
        duration_s = transfer_s(values, used, self._symbol_s)
        rho0_w = float(aligned_power_w(radio.tx_power_w[who], gain, inversion, used).min())
        busy = values * self._symbol_s / duration_s  # mean number of sub-carriers: the last symbol may not be full
        radiated_w = radiated_power_w(rho0_w, gain, inversion, busy)
        noise_w = float(radio.uplink_noise_w[who].max()) / self._whole_band
        return Transmission(
            duration_s=duration_s,
            power_w={i: self._drawn_w(i, radiated) for i, radiated in zip(senders, radiated_w.tolist(), strict=True)},
            noise_std=float(sum_noise_std(noise_w, rho0_w)),
            subcarriers=used,
        )

    def _drawn_w(self, terminal: int, radiated_w: float) -> float:
        device = self._devices[terminal]
        return transmitter_w(radiated_w, device.amplifier_efficiency, device.tx_circuit_w)

    def distortion(self, sent: Transmission, senders: IntArray, edge_round: int) -> AirDistortion:
        """Return what became of the symbols of those ``senders`` (K,) that sent to the end."""
        return AirDistortion(
            streams=self._streams,
            rules=self._rules,
            site=self._site,
            edge_round=edge_round,
            entity=self._entity[senders],
            truncated=self._truncated.of(self._radio.fading[senders]),
            sent=sent,
        )


@dataclass(frozen=True, eq=False)
class AirDistortion:
    """What a site hears of the symbols of K senders; light, as all draws are made when it is asked.

    Attributes:
        streams, rules: the run's randomness, and how symbols are sent.
        site, edge_round: where and when, for the draws.
        entity: (K,) the senders in the random streams.
        truncated: (K,) how likely each is silent on a sub-carrier.
        sent: the transmission.
    """

    streams: Streams
    rules: OverTheAir
    site: int
    edge_round: int
    entity: IntArray
    truncated: FloatArray
    sent: Transmission

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on the mean, over that of the values; of all senders, if some are silent."""
        return self.sent.noise_std / len(self.entity)

    def amplitude(self) -> FloatArray:
        """Return (K, sub-carriers) how strong each sender's symbols arrive, over what was agreed on."""
        streams, rules = self.streams, self.rules
        alike_hz = rules.coherence_bandwidth_hz or rules.subcarrier_spacing_hz
        block = (np.arange(self.sent.subcarriers) * rules.subcarrier_spacing_hz / alike_hz * (1.0 + 1e-12)).astype(int)
        u = streams.uniform("over-the-air fading", self.entity[:, None], self.edge_round, block)
        phase = rules.phase_error_rad * streams.normal("over-the-air phase", self.entity, self.edge_round)
        return np.asarray((u >= self.truncated[:, None]) * np.cos(phase)[:, None])

    def received(self, symbols: FloatArray) -> FloatArray:
        """Return the (q,) mean of the senders' symbols (K, q), of unit variance, as the site estimates it.

        Value j of everybody travels on sub-carrier j modulo their number.
        """
        senders, values = symbols.shape
        amplitude = self.amplitude()
        carrier = np.arange(values) % self.sent.subcarriers
        heard = np.sum(symbols * amplitude[:, carrier], axis=0)
        drawn = self.streams.normal("over-the-air noise", self.site, self.edge_round, np.arange(values))
        if self.rules.divide_by == "senders":
            return np.asarray((heard + self.sent.noise_std * drawn) / senders)
        active = np.count_nonzero(amplitude, axis=0)[carrier]
        # Where all are silent there is nothing to estimate from: the mean of the symbols, 0, is the best guess.
        return np.asarray((active > 0) * (heard + self.sent.noise_std * drawn) / np.maximum(active, 1))
