"""From channels to bit rates: link budgets of every terminal, uplink and downlink."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channel_models.fading import ErgodicSpectralEfficiency, NoFading, Rayleigh, Rician
from channel_models.link_adaptation import McsEnvelope, ShannonGap
from channel_models.path_loss import ENVIRONMENTS
from channel_models.rates import ofdma_rate, tdma_rate
from channel_models.sinr import downlink_sinr
from channel_models.units import db_to_linear, dbm_to_watt, thermal_noise_dbm
from netsim.deployment import Deployment
from scenarios.schema import LinkAdaptation, Network

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Radio:
    """Link budgets and rates of all terminals towards their serving sites.

    Attributes:
        network: the parameters the rates were made from.
        uplink_snr: (terminals,) linear, over the whole uplink band at full power, other cells' rise included.
        downlink_sinr: (terminals,) linear.
        uplink_efficiency: (terminals,) net bit/s/Hz with the whole band.
        downlink_efficiency: (terminals,) net bit/s/Hz.
    """

    network: Network
    los: NDArray[np.bool_]
    uplink_snr: FloatArray
    downlink_sinr: FloatArray
    uplink_efficiency: FloatArray
    downlink_efficiency: FloatArray
    _tables: tuple[ErgodicSpectralEfficiency, ErgodicSpectralEfficiency]

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(terminals,) whether the terminal is in coverage in both directions."""
        least = self.network.link.outage_bit_s_hz
        return (self.uplink_efficiency >= least) & (self.downlink_efficiency >= least)

    def band_shared_bps(self, terminal: int, n: int) -> float:
        """Uplink rate in one of ``n`` slices, full power in the slice, bit/s."""
        table = self._tables[int(self.los[terminal])]
        overhead = self.network.link.overhead
        snr = np.asarray([self.uplink_snr[terminal]])
        rate = ofdma_rate(self.network.uplink.bandwidth_hz, snr, n, table)
        return float(rate[0]) * (1.0 - overhead)

    def whole_band_bps(self, terminal: int) -> float:
        """Uplink rate with the whole band, bit/s."""
        return float(tdma_rate(self.network.uplink.bandwidth_hz, self.uplink_efficiency[terminal], 1))

    def broadcast_bps(self, terminals: list[int] | NDArray[np.int64]) -> float:
        """Downlink rate that the worst of ``terminals`` (at least one) can still receive, bit/s."""
        return self.network.downlink.bandwidth_hz * float(self.downlink_efficiency[terminals].min())

    def tables(self) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Copies of what a compiled kernel needs for :meth:`band_shared_bps`: (snr_grid, efficiency_grid) twice.

        The first pair is for obstructed links, the second for links with line of sight: (points,) linear mean SNR
        and gross bit/s/Hz. Read them by linear interpolation, 0 below the first point and flat above the last;
        ``network.link.overhead`` is not yet taken off.
        """
        obstructed, sight = self._tables
        return (obstructed.snr_grid, obstructed.efficiency_grid), (sight.snr_grid, sight.efficiency_grid)


def link_budget(network: Network, deployment: Deployment, tx_power_dbm: FloatArray) -> Radio:
    """Return the rates of a deployment.

    Args:
        network: bands, powers, link adaptation.
        deployment: channels.
        tx_power_dbm: (terminals,) radiated power of each terminal.
    """
    up, down = network.uplink, network.downlink
    noise_up_dbm = thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db) + up.interference_margin_db
    uplink_snr = dbm_to_watt(tx_power_dbm) * deployment.serving_gain / dbm_to_watt(noise_up_dbm)
    noise_down_w = dbm_to_watt(thermal_noise_dbm(down.bandwidth_hz, down.noise_figure_db))
    sinr = downlink_sinr(
        dbm_to_watt(down.tx_power_dbm),
        deployment.serving_gain,
        deployment.neighbour_gain,
        noise_down_w,
        down.neighbour_activity,
    )
    tables = _tables(network)
    net = 1.0 - network.link.overhead
    return Radio(
        network=network,
        los=deployment.los,
        uplink_snr=uplink_snr,
        downlink_sinr=sinr,
        uplink_efficiency=net * _by_sight(tables, deployment.los, uplink_snr),
        downlink_efficiency=net * _by_sight(tables, deployment.los, sinr),
        _tables=tables,
    )


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
    assert k_db is not None  # every urban environment has lines of sight
    return obstructed, _table(network.link, db_to_linear(k_db))


@lru_cache(maxsize=64)  # a table depends on its parameters alone and takes longer to make than a short run
def _table(link: LinkAdaptation, rician_k: float | None) -> ErgodicSpectralEfficiency:
    """Table for a Rician factor K: 0 is Rayleigh fading, None no fading."""
    law = NoFading() if rician_k is None else Rayleigh() if rician_k == 0.0 else Rician(rician_k)
    return ErgodicSpectralEfficiency(_link(link), law)


def _link(link: LinkAdaptation) -> McsEnvelope | ShannonGap:
    if link.model == "mcs":
        return McsEnvelope(link.mcs_table, link.implementation_margin_db)
    return ShannonGap(link.shannon_gap_db, link.max_bit_s_hz, link.min_sinr_db)


def _by_sight(
    tables: tuple[ErgodicSpectralEfficiency, ErgodicSpectralEfficiency],
    los: NDArray[np.bool_],
    snr: FloatArray,
) -> FloatArray:
    return np.where(los, tables[1](snr), tables[0](snr))
