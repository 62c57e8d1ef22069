"""What a radio link of a given SINR carries once modulation, coding and retransmission have adapted to it.

Three laws with one method, ``spectral_efficiency``: Shannon's with a gap or with an attenuation, and the goodput
envelope of the 5G NR modulation and coding schemes with chase-combining HARQ (3GPP TS 38.214,
:mod:`channel_models.mcs_tables`).
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from channel_models.mcs_tables import MCS_TABLES, McsTable
from channel_models.units import FloatArray, FloatLike, db_to_linear

HARQ_TRANSMISSIONS = 4
"""Transmissions of one block, the first included, before it is given up (default)."""

GRID_STEP_DB = 0.1
LOWEST_USEFUL_GOODPUT_BIT_S_HZ = 1e-3


class LinkAdaptation(Protocol):
    """A law from SINR to spectral efficiency."""

    def spectral_efficiency(self, sinr_linear: FloatLike) -> FloatArray:
        """Return bit/s/Hz for linear SINR >= 0 of any shape: non-decreasing, zero where nothing decodes."""
        ...


@dataclass(frozen=True)
class ShannonGap:
    """log2(1 + SINR/gap), cut off below a lowest SINR and capped at the fastest scheme.

    Parameters
    ----------
    gap_db
        SINR lost to a real code, dB >= 0. 0 is Shannon's own law (usual in federated-learning papers); 2 dB
        lies close to the NR envelope of :class:`McsEnvelope`.
    max_bit_s_hz
        Cap: 7.4063 for 256-QAM (default), 5.5547 for 64-QAM, infinity for none.
    min_sinr_db
        Below this the link carries nothing; minus infinity for no cut-off. NR's first scheme fails near -6 dB.
    """

    gap_db: float = 2.0
    max_bit_s_hz: float = 7.4063
    min_sinr_db: float = -6.0

    def spectral_efficiency(self, sinr_linear: FloatLike) -> FloatArray:
        """Return bit/s/Hz for linear SINR >= 0 of any shape."""
        sinr = np.asarray(sinr_linear, dtype=np.float64)
        efficiency = np.minimum(np.log1p(sinr / db_to_linear(self.gap_db)) / np.log(2.0), self.max_bit_s_hz)
        return np.where(sinr >= db_to_linear(self.min_sinr_db), efficiency, 0.0)


@dataclass(frozen=True)
class TruncatedShannon:
    """attenuation log2(1 + SINR), cut off below a lowest SINR and capped: the link law of LTE coexistence studies.

    The defaults are those of a downlink; 0.4 and 2.0 stand for an uplink (defaults in the way of TR 36.942 annex A).

    Parameters
    ----------
    attenuation
        Share of the capacity that an implementation reaches, in (0, 1].
    max_bit_s_hz
        Cap, bit/s/Hz.
    min_sinr_db
        Below this the link carries nothing; minus infinity for no cut-off.

    Raises
    ------
    ValueError
        If the attenuation lies outside (0, 1].
    """

    attenuation: float = 0.6
    max_bit_s_hz: float = 4.4
    min_sinr_db: float = -10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.attenuation <= 1.0:
            raise ValueError(f"attenuation must lie in (0, 1], got {self.attenuation:g}")

    def spectral_efficiency(self, sinr_linear: FloatLike) -> FloatArray:
        """Return bit/s/Hz for linear SINR >= 0 of any shape."""
        sinr = np.asarray(sinr_linear, dtype=np.float64)
        efficiency = np.minimum(self.attenuation * np.log1p(sinr) / np.log(2.0), self.max_bit_s_hz)
        return np.where(sinr >= db_to_linear(self.min_sinr_db), efficiency, 0.0)


@dataclass(frozen=True)
class McsEnvelope:
    """The best goodput over all schemes of an NR MCS table at each SINR, retransmissions included.

    The envelope is computed once on a 0.1 dB grid and read by linear interpolation in the linear SINR. Chase
    combining lets the first scheme work to about 6 dB below its own threshold, at a quarter of its rate.

    Parameters
    ----------
    table
        1 (up to 64-QAM) or 2 (up to 256-QAM), numbered as in TS 38.214 Table 5.1.3.1-x.
    implementation_margin_db
        SINR lost to estimation and fixed-point arithmetic, dB >= 0 (0 to 3 is usual); shifts the envelope.

    Raises
    ------
    ValueError
        If the table is neither 1 nor 2.
    """

    table: Literal[1, 2] = 2
    implementation_margin_db: float = 0.0
    _sinr: FloatArray = field(init=False, repr=False, compare=False)
    _efficiency: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.table not in MCS_TABLES:
            raise ValueError(f"MCS table must be one of {sorted(MCS_TABLES)}, got {self.table}")
        schemes = MCS_TABLES[self.table]
        # The ends lie where nothing decodes any more and where the fastest scheme never fails.
        lowest_db = schemes.bler_mu_db[0] - 10.0 * np.log10(HARQ_TRANSMISSIONS) - 1.0
        grid_db = np.arange(lowest_db, max(schemes.bler_mu_db) + 3.0, GRID_STEP_DB)
        efficiency = goodput_bit_s_hz(schemes, grid_db).max(axis=0)
        efficiency[efficiency < LOWEST_USEFUL_GOODPUT_BIT_S_HZ] = 0.0
        object.__setattr__(self, "_sinr", db_to_linear(grid_db + self.implementation_margin_db))
        object.__setattr__(self, "_efficiency", efficiency)

    def spectral_efficiency(self, sinr_linear: FloatLike) -> FloatArray:
        """Return bit/s/Hz for linear SINR >= 0 of any shape."""
        return np.asarray(np.interp(sinr_linear, self._sinr, self._efficiency))


def goodput_bit_s_hz(schemes: McsTable, sinr_db: FloatArray) -> FloatArray:
    """Return what each scheme delivers under chase-combining HARQ, bit/s/Hz, (schemes, *shape of sinr_db).

    Transmission k is decoded from the sum of k equal copies, so it fails with p_k = BLER(k SINR). The mean number
    of transmissions is 1 + p_1 + p_1 p_2 + p_1 p_2 p_3, and a share p_1 p_2 p_3 p_4 of the blocks is lost.
    """
    transmissions = np.ones((len(schemes.bits_per_symbol), *sinr_db.shape))
    still_failing = schemes.block_error_rate(sinr_db)
    for copies in range(2, HARQ_TRANSMISSIONS + 1):
        transmissions += still_failing
        still_failing = still_failing * schemes.block_error_rate(sinr_db + 10.0 * np.log10(copies))
    peak = schemes.peak_bit_s_hz.reshape((-1,) + (1,) * sinr_db.ndim)
    return np.asarray(peak * (1.0 - still_failing) / transmissions)
