"""The modulation and coding schemes of 5G NR (3GPP TS 38.214 Tables 5.1.3.1-1 and -2) and when they decode.

Modulation orders and code rates are the standard's. The error rate of one code block on an AWGN channel is taken as
Q((SINR_dB - mu)/sigma); mu and sigma are probit fits to simulated NR LDPC code blocks of 3840 bits (layered
min-sum, 25 iterations, 150 blocks a point, good to about 0.1 dB), not values of the standard. Nor are the EESM
factors beta, which public link simulators share without a record of their calibration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from channel_models.units import FloatArray, FloatLike, linear_to_db


@dataclass(frozen=True)
class McsTable:
    """One MCS table; every tuple has one entry per scheme, from the most robust to the fastest.

    Attributes
    ----------
    name
        Number of the table in TS 38.214.
    bits_per_symbol
        Modulation order Qm: 2 (QPSK) to 8 (256-QAM).
    code_rate_x1024
        Target code rate R times 1024.
    bler_mu_db, bler_sigma_db
        SINR of 50 % block errors and width of the error curve, dB.
    eesm_beta
        Factor of :func:`effective_sinr`, linear.
    """

    name: str
    bits_per_symbol: tuple[int, ...]
    code_rate_x1024: tuple[float, ...]
    bler_mu_db: tuple[float, ...]
    bler_sigma_db: tuple[float, ...]
    eesm_beta: tuple[float, ...]

    @property
    def peak_bit_s_hz(self) -> FloatArray:
        """Error-free spectral efficiency Qm R of each scheme, (schemes,), bit/s/Hz."""
        return np.asarray(self.bits_per_symbol) * np.asarray(self.code_rate_x1024) / 1024.0

    def block_error_rate(self, sinr_db: FloatLike) -> FloatArray:
        """Return the probability that a first transmission fails, shape (schemes, *shape of sinr_db)."""
        sinr = np.asarray(sinr_db, dtype=np.float64)
        column = (-1,) + (1,) * sinr.ndim
        mu = np.reshape(self.bler_mu_db, column)
        sigma = np.reshape(self.bler_sigma_db, column)
        return np.asarray(ndtr((mu - sinr) / sigma))

    def selective_block_error_rate(self, sinr_linear: ArrayLike) -> FloatArray:
        """Return :meth:`block_error_rate` of a block that lies across unequal SINRs.

        Each scheme sees its own :func:`effective_sinr`. ``sinr_linear`` is (..., resource blocks), the result
        (schemes, ...).
        """
        sinr = np.asarray(sinr_linear, dtype=np.float64)
        column = (-1,) + (1,) * (sinr.ndim - 1)
        effective_db = linear_to_db(effective_sinr(sinr, np.reshape(self.eesm_beta, column)))
        mu, sigma = np.reshape(self.bler_mu_db, column), np.reshape(self.bler_sigma_db, column)
        return np.asarray(ndtr((mu - effective_db) / sigma))


def effective_sinr(sinr_linear: ArrayLike, beta: FloatLike) -> FloatArray:
    """Return the one SINR that a block across unequal SINRs decodes like: -beta ln(mean of exp(-SINR / beta)).

    Exponential effective SINR mapping (EESM): between the weakest SINR (small beta) and their mean (large beta).

    Parameters
    ----------
    sinr_linear
        Linear SINR of each resource block, (..., resource blocks).
    beta
        Factor of the scheme, > 0; broadcasts to (...).
    """
    sinr = np.asarray(sinr_linear, dtype=np.float64)
    factor = np.asarray(beta, dtype=np.float64)
    weakest = sinr.min(axis=-1)
    # Counted from the weakest SINR nothing underflows: one term of the mean is exactly 1.
    excess = np.exp(-(sinr - weakest[..., None]) / factor[..., None]).mean(axis=-1)
    return np.asarray(weakest - factor * np.log(excess))


# fmt: off
_TABLE_1 = McsTable(
    name="5.1.3.1-1",
    bits_per_symbol=(2,) * 10 + (4,) * 7 + (6,) * 12,
    code_rate_x1024=(
        120, 157, 193, 251, 308, 379, 449, 526, 602, 679,
        340, 378, 434, 490, 553, 616, 658,
        438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948,
    ),
    bler_mu_db=(
        -6.09, -5.17, -4.04, -2.80, -1.65, -0.59, 0.35, 1.16, 2.00, 2.91,
        3.17, 3.85, 4.81, 5.68, 6.65, 7.63, 8.23,
        8.76, 9.36, 10.33, 11.23, 12.18, 13.09, 14.09, 15.18, 16.04, 17.06, 17.92, 18.97,
    ),
    bler_sigma_db=(
        0.136, 0.129, 0.133, 0.143, 0.123, 0.139, 0.101, 0.154, 0.154, 0.131,
        0.172, 0.145, 0.142, 0.139, 0.134, 0.132, 0.175,
        0.183, 0.188, 0.181, 0.188, 0.179, 0.167, 0.187, 0.114, 0.191, 0.194, 0.174, 0.262,
    ),
    eesm_beta=(
        1.6, 1.61, 1.63, 1.65, 1.67, 1.7, 1.73, 1.76, 1.79, 1.82,
        3.97, 4.27, 4.71, 5.16, 5.66, 6.16, 6.5,
        9.95, 10.97, 12.92, 14.96, 17.06, 19.33, 21.85, 24.51, 27.14, 29.94, 32.05, 34.28,
    ),
)

_TABLE_2 = McsTable(
    name="5.1.3.1-2",
    bits_per_symbol=(2,) * 5 + (4,) * 6 + (6,) * 9 + (8,) * 8,
    code_rate_x1024=(
        120, 193, 308, 449, 602,
        378, 434, 490, 553, 616, 658,
        466, 517, 567, 616, 666, 719, 772, 822, 873,
        682.5, 711, 754, 797, 841, 885, 916.5, 948,
    ),
    bler_mu_db=(
        -6.09, -4.04, -1.65, 0.35, 2.00,
        3.85, 4.81, 5.68, 6.65, 7.63, 8.23,
        9.36, 10.33, 11.23, 12.18, 13.09, 14.09, 15.18, 16.04, 17.06,
        17.94, 18.65, 19.63, 20.59, 21.63, 22.66, 23.57, 24.60,
    ),
    bler_sigma_db=(
        0.136, 0.133, 0.123, 0.101, 0.154,
        0.145, 0.142, 0.139, 0.134, 0.132, 0.175,
        0.188, 0.181, 0.188, 0.179, 0.167, 0.187, 0.114, 0.191, 0.194,
        0.188, 0.202, 0.177, 0.258, 0.199, 0.247, 0.199, 0.245,
    ),
    eesm_beta=(
        1.6, 1.63, 1.67, 1.73, 1.79,
        4.27, 4.71, 5.16, 5.66, 6.16, 6.5,
        10.97, 12.92, 14.96, 17.06, 19.33, 21.85, 24.51, 27.14, 29.94,
        56.48, 65.0, 78.58, 92.48, 106.27, 118.74, 126.36, 132.54,
    ),
)
# fmt: on

MCS_TABLES: Mapping[int, McsTable] = MappingProxyType({1: _TABLE_1, 2: _TABLE_2})
"""Table 1 ends at 64-QAM (5.55 bit/s/Hz), table 2 at 256-QAM (7.41 bit/s/Hz)."""
