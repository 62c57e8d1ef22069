"""Updates that were sent at the same time and heard as one sum, which the air has distorted.

Terminals send symbols of mean 0 and variance 1: their vectors less a common mean, over a common deviation, both of
all entries of all senders, which they agree on beforehand. The base station undoes it. What the air does is therefore
in proportion to the updates: as they fade out, so does the noise.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Distortion(Protocol):
    """What the air does to symbols on their way to a base station."""

    def received(self, symbols: Array) -> Array:
        """Return the (q,) mean of (K, q) symbols as it was heard, the same whenever it is asked."""


def distorted_sum(updates: NDArray[np.floating], distortion: Distortion) -> Array:
    """Return the (q,) sum of ``updates`` (K, q), K >= 1, as a base station heard it.

    The noise on the mean of the updates has the deviation of the updates times that of the noise on the mean of the
    symbols, and an entry that nobody's channel let through is taken to be the common mean.
    """
    values = updates.astype(np.float64, copy=False)
    mean, deviation = values.mean(), values.std()
    if deviation == 0.0:
        return values.sum(axis=0)
    symbols = (values - mean) / deviation
    return len(values) * (mean + deviation * distortion.received(symbols))
