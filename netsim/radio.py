"""From channels to bit rates: link budgets of every terminal, uplink and downlink."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from channel_models.fading import ErgodicSpectralEfficiency, FadingLaw, NoFading, Rayleigh, Rician
from channel_models.link_adaptation import McsEnvelope, ShannonGap
from channel_models.path_loss import ENVIRONMENTS
from channel_models.sinr import downlink_sinr
from channel_models.units import db_to_linear, dbm_to_watt, thermal_noise_dbm
from netsim.deployment import Deployment
from scenarios.network import LinkAdaptation, Network

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Radio:
    """Link budgets and rates of all terminals towards their serving sites.

    Whoever moves a terminal or changes what it hears writes the first arrays and calls :meth:`refresh`; the others
    follow from them.

    Attributes:
        network: the parameters the rates are made from.
        tx_power_w: (terminals,) radiated power of each terminal, watts.
        serving_gain: (terminals,) linear power gain of the serving link.
        neighbour_gain: (terminals,) sum of the gains from the other sites.
        uplink_noise_w: (terminals,) noise and interference over the whole uplink band at the serving site, watts.
        fading: (terminals,) which spectral-efficiency table holds for the serving link.
        uplink_snr: (terminals,) linear, over the whole uplink band at full power, other cells' rise included.
        downlink_sinr: (terminals,) linear.
        uplink_efficiency: (terminals,) net bit/s/Hz with the whole band.
        downlink_efficiency: (terminals,) net bit/s/Hz.
    """

    network: Network
    tx_power_w: FloatArray
    serving_gain: FloatArray
    neighbour_gain: FloatArray
    uplink_noise_w: FloatArray
    fading: IntArray
    uplink_snr: FloatArray
    downlink_sinr: FloatArray
    uplink_efficiency: FloatArray
    downlink_efficiency: FloatArray
    _tables: tuple[ErgodicSpectralEfficiency, ...]

    def copy(self) -> Radio:
        """Return the same links in arrays of their own, for a run in which they change."""
        arrays: dict[str, Any] = {
            key: value.copy() for key, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)

    def refresh(self, terminals: IntArray | slice) -> None:
        """Work out anew what ``terminals`` send and receive."""
        down = self.network.downlink
        snr = self.tx_power_w[terminals] * self.serving_gain[terminals] / self.uplink_noise_w[terminals]
        sinr = downlink_sinr(
            dbm_to_watt(down.tx_power_dbm),
            self.serving_gain[terminals],
            self.neighbour_gain[terminals],
            dbm_to_watt(thermal_noise_dbm(down.bandwidth_hz, down.noise_figure_db)),
            down.neighbour_activity,
        )
        net, fading = 1.0 - self.network.link.overhead, self.fading[terminals]
        self.uplink_snr[terminals], self.downlink_sinr[terminals] = snr, sinr
        self.uplink_efficiency[terminals] = net * self._efficiency(fading, snr)
        self.downlink_efficiency[terminals] = net * self._efficiency(fading, sinr)

    def _efficiency(self, fading: IntArray, snr: FloatArray) -> FloatArray:
        """Gross spectral efficiency of links, each with its own table."""
        efficiency = np.empty_like(snr)
        for kind in np.unique(fading).tolist():
            of_kind = fading == kind
            efficiency[of_kind] = self._tables[kind](snr[of_kind])
        return efficiency

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(terminals,) whether the terminal is in coverage in both directions."""
        least = self.network.link.outage_bit_s_hz
        return (self.uplink_efficiency >= least) & (self.downlink_efficiency >= least)

    @property
    def fading_laws(self) -> tuple[FadingLaw, ...]:
        """Laws of the small-scale fading; ``fading`` says which one holds for whom."""
        return tuple(table.fading for table in self._tables)

    def band_shared_bps(self, terminal: int, n: int) -> float:
        """Uplink rate in one of ``n`` slices, full power in the slice, bit/s."""
        efficiency = self._tables[self.fading.item(terminal)].scalar(self.uplink_snr.item(terminal) * n)
        return self.network.uplink.bandwidth_hz / n * efficiency * (1.0 - self.network.link.overhead)

    def whole_band_bps(self, terminal: int) -> float:
        """Uplink rate with the whole band, bit/s."""
        return self.network.uplink.bandwidth_hz * self.uplink_efficiency.item(terminal)

    def broadcast_bps(self, terminals: list[int] | NDArray[np.int64]) -> float:
        """Downlink rate that the worst of ``terminals`` (at least one) can still receive, bit/s."""
        return self.network.downlink.bandwidth_hz * float(self.downlink_efficiency[terminals].min())

    def tables(self) -> tuple[FloatArray, FloatArray]:
        """Copies of what a compiled kernel needs for :meth:`band_shared_bps`: two (tables, points) arrays.

        The first holds linear mean SNRs, the second gross bit/s/Hz; ``fading`` says which row holds for whom. Read
        them by linear interpolation, 0 below the first point and flat above the last; ``network.link.overhead`` is not
        yet taken off.
        """
        return np.stack([t.snr_grid for t in self._tables]), np.stack([t.efficiency_grid for t in self._tables])


def link_budget(network: Network, deployment: Deployment, tx_power_dbm: FloatArray) -> Radio:
    """Return the rates of a deployment.

    Args:
        network: bands, powers, link adaptation.
        deployment: channels.
        tx_power_dbm: (terminals,) radiated power of each terminal.
    """
    up, n = network.uplink, len(deployment.serving)
    noise_dbm = thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db) + up.interference_margin_db
    radio = Radio(
        network=network,
        tx_power_w=dbm_to_watt(tx_power_dbm),
        serving_gain=deployment.serving_gain,
        neighbour_gain=deployment.neighbour_gain,
        uplink_noise_w=np.full(n, dbm_to_watt(noise_dbm)),
        fading=deployment.dominant_path.astype(np.int64),
        uplink_snr=np.empty(n),
        downlink_sinr=np.empty(n),
        uplink_efficiency=np.empty(n),
        downlink_efficiency=np.empty(n),
        _tables=_tables(network),
    )
    radio.refresh(slice(None))
    return radio


def _tables(network: Network) -> tuple[ErgodicSpectralEfficiency, ErgodicSpectralEfficiency]:
    """Ergodic spectral efficiency without and with line of sight."""
    fading = network.propagation.fading
    if fading == "none":
        table = _table(network.link, None)
        return table, table
    obstructed = _table(network.link, 0.0)
    if fading == "rayleigh":
        return obstructed, obstructed
    k_db = ENVIRONMENTS[network.layout.environment].rician_k_db_mean
    # A law of lines of sight without a Rician factor is that of free space: nothing scatters.
    return obstructed, _table(network.link, None if k_db is None else db_to_linear(k_db))


@lru_cache(maxsize=64)  # a table depends on its parameters alone and takes longer to make than a short run
def _table(link: LinkAdaptation, rician_k: float | None) -> ErgodicSpectralEfficiency:
    """Table for a Rician factor K: 0 is Rayleigh fading, None no fading."""
    law = NoFading() if rician_k is None else Rayleigh() if rician_k == 0.0 else Rician(rician_k)
    return ErgodicSpectralEfficiency(_link(link), law)


def _link(link: LinkAdaptation) -> McsEnvelope | ShannonGap:
    if link.model == "mcs":
        return McsEnvelope(link.mcs_table, link.implementation_margin_db)
    return ShannonGap(link.shannon_gap_db, link.max_bit_s_hz, link.min_sinr_db)
