"""From channels to bit rates: link budgets of every terminal, uplink and downlink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from channel_models.fading import ErgodicSpectralEfficiency, FadingLaw
from channel_models.link_adaptation import LinkAdaptation
from channel_models.scheduling_gain import selection_gain
from channel_models.sinr import downlink_sinr
from channel_models.slow_fading import rivals, states_to_choose_from
from channel_models.units import dbm_to_watt, thermal_noise_dbm
from netsim.beams import Beams, flat_snr, make_beams
from netsim.deployment import Deployment
from netsim.link_tables import LinkTables, downlink_tables, fading_law, fading_rows, uplink_tables
from netsim.power import LEAST_POWER_W, wanted_power_w
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Radio:
    """Link budgets and rates of all terminals towards their serving sites.

    Whoever moves a terminal or changes what it hears writes the first arrays and calls :meth:`refresh`; the others
    follow from them.

    Attributes:
        network: the parameters the rates are made from.
        max_power_w: (terminals,) most that each terminal can radiate, watts.
        serving_gain: (terminals,) linear power gain of the serving link.
        neighbour_gain: (terminals,) sum of the gains from the other sites.
        uplink_noise_w: (terminals,) noise and interference over the whole uplink band at the serving site, watts.
        fading: (terminals,) which spectral-efficiency table holds for the serving link, see
            :func:`netsim.link_tables.fading_rows`.
        uplink_factor: (terminals,) what measured traces make of the uplink rate: a factor on it, 1 without traces.
        wanted_power_w: (terminals,) power that is asked of each terminal over the whole band, watts; infinity without
            power control.
        tx_power_w: (terminals,) power that each terminal radiates when it has the whole band, watts.
        uplink_snr: (terminals,) linear, over the whole uplink band, other cells' rise included.
        downlink_sinr: (terminals,) linear.
        uplink_efficiency: (terminals,) net bit/s/Hz with the whole band.
        downlink_efficiency: (terminals,) net bit/s/Hz.
        neighbour_activity: share of the time that the other sites interfere with the downlink.
        least_bit_s_hz: efficiency, before overhead, below which no link falls.
        beams: of the serving links, if they are narrow; ``serving_gain`` has their gain in the middle of the band, SNRs
            are those of flat bands that carry as much.
        on_power: called with the terminals whose transmit power may have changed, under power control.
    """

    network: Network
    max_power_w: FloatArray
    serving_gain: FloatArray
    neighbour_gain: FloatArray
    uplink_noise_w: FloatArray
    fading: IntArray
    uplink_factor: FloatArray
    wanted_power_w: FloatArray
    tx_power_w: FloatArray
    uplink_snr: FloatArray
    downlink_sinr: FloatArray
    uplink_efficiency: FloatArray
    downlink_efficiency: FloatArray
    neighbour_activity: float
    least_bit_s_hz: float
    _tables: LinkTables
    _downlink_tables: LinkTables
    beams: Beams | None = None
    on_power: list[Callable[[IntArray | slice], None]] = field(default_factory=list)

    def copy(self, **changes: Any) -> Radio:
        """Return the same links in arrays of their own, for a run in which they change."""
        arrays: dict[str, Any] = {
            key: value.copy() for key, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays | {"on_power": []} | changes)

    def refresh(self, terminals: IntArray | slice) -> None:
        """Work out anew what ``terminals`` send and receive."""
        if self.network.uplink.power_control is not None:
            self.wanted_power_w[terminals] = wanted_power_w(self.network.uplink, self.serving_gain[terminals])
            self.tx_power_w[terminals] = self.power_w(terminals, 1)
            for tell in self.on_power:
                tell(terminals)
        self.refresh_uplink(terminals)
        sinr = self._downlink_sinr(terminals, self.neighbour_gain[terminals], self.neighbour_activity)
        self.downlink_sinr[terminals] = sinr
        self.downlink_efficiency[terminals] = self._efficiency(self._downlink_tables, terminals, sinr)

    def refresh_uplink(self, terminals: IntArray | slice) -> None:
        """Work out anew what ``terminals`` send, their gains and powers being what they were."""
        snr = self.tx_power_w[terminals] * self.serving_gain[terminals] / self.uplink_noise_w[terminals]
        if self.beams is not None:
            snr = flat_snr(self._tables, self.fading[terminals], self.beams.uplink[terminals], snr)
        self.uplink_snr[terminals] = snr
        self.uplink_efficiency[terminals] = self._efficiency(self._tables, terminals, snr)

    def _downlink_sinr(self, terminals: IntArray | slice, interfering_gain: FloatArray, activity: float) -> FloatArray:
        down = self.network.downlink
        noise_w = dbm_to_watt(thermal_noise_dbm(down.bandwidth_hz, down.noise_figure_db))
        power_w = dbm_to_watt(down.tx_power_dbm)
        sinr = downlink_sinr(power_w, self.serving_gain[terminals], interfering_gain, noise_w, activity)
        if self.beams is None:
            return sinr
        return flat_snr(self._downlink_tables, self.fading[terminals], self.beams.downlink[terminals], sinr)

    def uplink_law(self, snr: FloatArray) -> FloatArray:
        """Return (terminals,) net bit/s/Hz that all terminals would send with at these linear SNRs."""
        return self._efficiency(self._tables, slice(None), snr)

    def downlink_law(self, sinr: FloatArray) -> FloatArray:
        """Return (terminals,) net bit/s/Hz that all terminals would receive with at these linear SINRs."""
        return self._efficiency(self._downlink_tables, slice(None), sinr)

    def _efficiency(self, tables: LinkTables, terminals: IntArray | slice, snr: FloatArray) -> FloatArray:
        """Net spectral efficiency of links, each with its own table."""
        gross = self._gross_efficiency(tables, terminals, snr)
        return (1.0 - self.network.link.overhead) * np.maximum(gross, self.least_bit_s_hz)

    def _gross_efficiency(self, tables: LinkTables, terminals: IntArray | slice, snr: FloatArray) -> FloatArray:
        """The same with overhead, and without a least."""
        efficiency, fading = np.empty_like(snr), self.fading[terminals]
        for row in np.flatnonzero(np.bincount(fading)).tolist():
            of_row = np.flatnonzero(fading == row)
            efficiency[of_row] = tables[row](snr[of_row])
        return efficiency

    def in_coverage(self, terminals: IntArray) -> NDArray[np.bool_]:
        """Return which of ``terminals`` are in coverage in both directions, with the interference planned for.

        Between coupled cells that is less or more than there is just now: coverage does not come and go with the load.
        """
        if self.network.interference.model != "coupled":
            return np.asarray(self.reachable[terminals])
        up, least = self.network.uplink, self.network.link.outage_bit_s_hz
        noise_w = dbm_to_watt(thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db) + up.interference_margin_db)
        snr = self.tx_power_w[terminals] * self.serving_gain[terminals] / noise_w
        up_bit_s_hz = self._gross_efficiency(self._tables, terminals, snr)
        down_bit_s_hz = self._gross_efficiency(self._downlink_tables, terminals, self.downlink_sinr[terminals])
        return np.asarray((1.0 - self.network.link.overhead) * np.minimum(up_bit_s_hz, down_bit_s_hz) >= least)

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(terminals,) whether the terminal is in coverage in both directions."""
        least = self.network.link.outage_bit_s_hz
        return (self.uplink_efficiency >= least) & (self.downlink_efficiency >= least)

    def power_w(self, terminals: IntArray | slice, n: int | IntArray) -> FloatArray:
        """Power that terminals radiate in one of ``n`` slices of the uplink band each, watts."""
        wanted_w = np.maximum(self.wanted_power_w[terminals] / n, LEAST_POWER_W)
        return np.minimum(self.max_power_w[terminals], wanted_w)

    def slice_power_w(self, terminal: int, n: int) -> float:
        """Return what :meth:`power_w` returns for one terminal, faster."""
        return min(self.max_power_w.item(terminal), max(self.wanted_power_w.item(terminal) / n, LEAST_POWER_W))

    def fading_law(self, row: int) -> FadingLaw:
        """Return the law of the small-scale fading of links with ``row`` in :attr:`fading`."""
        return fading_law(self.network, row)

    def band_shared_bps(self, terminal: int, n: int) -> float:
        """Uplink rate in one of ``n`` slices with the power for it, bit/s."""
        up, snr = self.network.uplink, self.uplink_snr.item(terminal) * n
        if up.power_control is not None:
            snr *= self.slice_power_w(terminal, n) / self.tx_power_w.item(terminal)
        efficiency = max(self._tables[self.fading.item(terminal)].scalar(snr), self.least_bit_s_hz)
        rate_bps = up.bandwidth_hz / n * efficiency * (1.0 - self.network.link.overhead) * up.duty
        return rate_bps * self.uplink_factor.item(terminal)

    def whole_band_bps(self, terminal: int) -> float:
        """Uplink rate with the whole band, bit/s."""
        up = self.network.uplink
        return up.bandwidth_hz * self.uplink_efficiency.item(terminal) * up.duty * self.uplink_factor.item(terminal)

    @property
    def slices(self) -> int:
        """Slices the uplink's band can be cut into."""
        return int(self.network.uplink.bandwidth_hz / self.network.uplink.min_slice_hz) or 1

    def shared_bps(self, terminal: int, n: int) -> float:
        """Uplink rate, as things are now, while ``n`` share the cell all the time, those in line included, bit/s."""
        if self.network.uplink.share == "proportional_fair":
            return self.proportional_fair_bps(terminal, n)
        if self.network.uplink.share != "ofdma":
            return self.whole_band_bps(terminal) / n
        at_once = min(n, self.slices)
        return self.band_shared_bps(terminal, at_once) * at_once / n

    def slice_bps(self, terminal: int, bandwidth_hz: float, power_share: float = 1.0) -> float:
        """Uplink rate in a slice, a share of the full power in it, bit/s."""
        snr = self.uplink_snr.item(terminal) * power_share * self.network.uplink.bandwidth_hz / bandwidth_hz
        efficiency = max(self._tables[self.fading.item(terminal)].scalar(snr), self.least_bit_s_hz)
        rate_bps = bandwidth_hz * efficiency * (1.0 - self.network.link.overhead) * self.network.uplink.duty
        return rate_bps * self.uplink_factor.item(terminal)

    def proportional_fair_bps(self, terminal: int, n: int) -> float:
        """Mean uplink rate with an ``n``-th of the turns, given to whose fading is best just then, bit/s."""
        among = rivals(n, self._states_to_choose_from)
        gain = selection_gain(*self.laws(terminal)).gain(among, self.uplink_snr.item(terminal))
        return self.whole_band_bps(terminal) / n * gain

    @property
    def _states_to_choose_from(self) -> float:
        """Independent states of a channel among which a proportional-fair scheduler picks; infinity in fast fading."""
        up = self.network.uplink
        if not up.slow_fading:
            return inf
        window_s = up.slots.averaging_slots * up.slots.slot_s
        return states_to_choose_from(up.slots.sub_bands, window_s, up.slots.coherence_time_s)

    def laws(self, terminal: int) -> tuple[LinkAdaptation, FadingLaw]:
        """Return the link law of an instant and the law of the fading on the serving link."""
        table = self._tables[self.fading.item(terminal)]
        return table.link, table.fading

    def broadcast_bps(
        self, terminals: list[int] | NDArray[np.int64], interfering_gain: FloatArray | None = None
    ) -> float:
        """Downlink rate that the worst of ``terminals`` (at least one) can still receive, bit/s.

        Args:
            terminals: who listens.
            interfering_gain: sum of their gains from the sites that are on the air; by default all other sites are,
                for their share of the time.
        """
        down = self.network.downlink
        if interfering_gain is None:
            return down.bandwidth_hz * float(self.downlink_efficiency[terminals].min()) * down.duty
        rows = np.asarray(terminals)
        sinr = self._downlink_sinr(rows, interfering_gain, 1.0)
        return down.bandwidth_hz * float(self._efficiency(self._downlink_tables, rows, sinr).min()) * down.duty

    def uplink_table(self, row: int) -> ErgodicSpectralEfficiency:
        """Return the gross spectral efficiency of uplinks with ``row`` in :attr:`fading`."""
        return self._tables[row]

    def tables(self) -> tuple[FloatArray, FloatArray]:
        """Copies of what a compiled kernel needs for :meth:`band_shared_bps`: two (tables, points) arrays.

        The first holds linear mean SNRs, the second gross bit/s/Hz; ``fading`` says which row holds for whom. Read
        them by linear interpolation, 0 below the first point and flat above the last; ``network.link.overhead`` is not
        yet taken off.
        """
        return self._tables.stacked(self.fading)


def link_budget(network: Network, deployment: Deployment, tx_power_dbm: FloatArray, streams: Streams) -> Radio:
    """Return the rates of a deployment.

    Args:
        network: bands, powers, link adaptation.
        deployment: channels.
        tx_power_dbm: (terminals,) most that each terminal can radiate.
        streams: the run's randomness.
    """
    up, n, power_w = network.uplink, len(deployment.serving), dbm_to_watt(tx_power_dbm)
    noise_dbm = thermal_noise_dbm(up.bandwidth_hz, up.noise_figure_db) + up.interference_margin_db
    beams = make_beams(network, deployment, streams)
    serving_gain = deployment.serving_gain if beams is None else deployment.serving_gain * beams.gain
    radio = Radio(
        network=network,
        max_power_w=power_w,
        serving_gain=serving_gain,
        neighbour_gain=deployment.neighbour_gain,
        uplink_noise_w=np.full(n, dbm_to_watt(noise_dbm)),
        fading=fading_rows(network, streams, deployment.entity, deployment.serving, deployment.dominant_path),
        uplink_factor=np.ones(n),
        wanted_power_w=wanted_power_w(up, serving_gain),
        tx_power_w=power_w.copy(),
        uplink_snr=np.empty(n),
        downlink_sinr=np.empty(n),
        uplink_efficiency=np.empty(n),
        downlink_efficiency=np.empty(n),
        neighbour_activity=network.downlink.neighbour_activity,
        least_bit_s_hz=0.0,
        _tables=uplink_tables(network),
        _downlink_tables=downlink_tables(network),
        beams=beams,
    )
    radio.refresh(slice(None))
    return radio
