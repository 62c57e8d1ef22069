"""From the SINR of a link to its bits per second and hertz: one table for every law of fading there is among the links.

A table holds the mean over the fading (:class:`channel_models.fading.ErgodicSpectralEfficiency`). Row 0 holds for
links without line of sight; the rows above it for those with, sorted into classes of their Rician factor if it is
drawn.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channel_models.fading import ErgodicSpectralEfficiency, FadingLaw, Nakagami, NoFading, Rayleigh, Rician
from channel_models.finite_blocklength import FiniteBlocklength
from channel_models.link_adaptation import LinkAdaptation as LinkLaw
from channel_models.link_adaptation import McsEnvelope, ShannonGap, TruncatedShannon
from channel_models.units import db_to_linear
from netsim.terrain import laws_of
from scenarios.network import LinkAdaptation, Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOWEST_K_DB, HIGHEST_K_DB = -10, 30
"""Drawn Rician factors are rounded to whole decibels between these: there the law is nearly Rayleigh, or steady."""


class LinkTables(dict[int, ErgodicSpectralEfficiency]):
    """The tables of one direction by row, made when first asked for.

    Args:
        network: its fading and its link adaptation.
        law: from instantaneous SINR to bit/s/Hz.
    """

    def __init__(self, network: Network, law: LinkLaw) -> None:
        self._network, self._law = network, law

    def __missing__(self, row: int) -> ErgodicSpectralEfficiency:
        law, fading = self._law, fading_law(self._network, row)
        self[row] = table = _table(law, fading)  # type: ignore[arg-type]  # frozen dataclasses all
        return table

    def stacked(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return SNR and efficiency grids, (tables, points) each; those of rows that are not in ``rows`` are 0."""
        there = np.unique(np.append(rows, 0)).tolist()
        shape = (there[-1] + 1, len(self[0].snr_grid))
        snr, efficiency = np.zeros(shape), np.zeros(shape)
        for row in there:
            snr[row], efficiency[row] = self[row].snr_grid, self[row].efficiency_grid
        return snr, efficiency


def fading_law(network: Network, row: int) -> FadingLaw:
    """Return the law of the power gain of links in ``row``."""
    propagation = network.propagation
    if propagation.fading == "none":
        return NoFading()
    if propagation.fading == "nakagami":
        return Nakagami(propagation.nakagami_m)
    if propagation.fading == "rayleigh" or row == 0:
        return Rayleigh()
    mean_db = laws_of(network).rician_k_db_mean
    if mean_db is None:  # lines of sight without a Rician factor are those of free space: nothing scatters
        return NoFading()
    return Rician(db_to_linear(float(LOWEST_K_DB + row - 1) if propagation.rician_k == "drawn" else mean_db))


def fading_rows(
    network: Network, streams: Streams, entity: IntArray, site: IntArray, los: NDArray[np.bool_]
) -> IntArray:
    """Return which row holds for links between terminals and sites; all arguments broadcast.

    With ``rician_k: drawn`` a link keeps its own factor whenever it has line of sight, K in dB ~ N(mean, sigma) of
    the environment (TR 38.901 Table 7.5-6).

    Args:
        network: fading and environment.
        streams: the run's randomness.
        entity: index of the terminals in the random streams.
        site: the sites at the other ends.
        los: whether there is line of sight.
    """
    environment = laws_of(network)
    mean_db, sigma_db = environment.rician_k_db_mean, environment.rician_k_db_sigma
    drawn = network.propagation.fading == "rician" and network.propagation.rician_k == "drawn"
    if not drawn or mean_db is None or sigma_db is None:
        return np.asarray(los).astype(np.int64)
    k_db = mean_db + sigma_db * streams.normal("rician factor", entity, draw=site)
    row = 1 + np.rint(np.clip(k_db, LOWEST_K_DB, HIGHEST_K_DB)).astype(np.int64) - LOWEST_K_DB
    return np.where(los, row, 0)


def uplink_tables(network: Network) -> LinkTables:
    """Return the tables of the terminals' transmissions."""
    truncated = network.link.truncated_shannon
    return LinkTables(network, _law(network.link, truncated.uplink_attenuation, truncated.uplink_max_bit_s_hz))


def downlink_tables(network: Network) -> LinkTables:
    """Return the tables of the base stations' transmissions."""
    truncated = network.link.truncated_shannon
    return LinkTables(network, _law(network.link, truncated.downlink_attenuation, truncated.downlink_max_bit_s_hz))


def _law(link: LinkAdaptation, attenuation: float, max_bit_s_hz: float) -> LinkLaw:
    """Return the law from SINR to bit/s/Hz; the last two arguments are those of a direction's truncated Shannon law."""
    if link.model == "mcs":
        return _envelope(link.mcs_table, link.implementation_margin_db)
    if link.model == "truncated_shannon":
        return TruncatedShannon(attenuation, max_bit_s_hz, link.truncated_shannon.min_sinr_db)
    if link.model == "finite_blocklength":
        return FiniteBlocklength(link.block.channel_uses, link.block.error_probability)
    return ShannonGap(link.shannon_gap_db, link.max_bit_s_hz, link.min_sinr_db)


@lru_cache(maxsize=8)
def _envelope(table: int, margin_db: float) -> McsEnvelope:
    return McsEnvelope(table, margin_db)  # type: ignore[arg-type]


@lru_cache(maxsize=128)  # a table depends on its laws alone and takes longer to make than a short run
def _table(law: LinkLaw, fading: FadingLaw) -> ErgodicSpectralEfficiency:
    return ErgodicSpectralEfficiency(law, fading)
