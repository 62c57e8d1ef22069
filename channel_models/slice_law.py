"""How narrow a slice of the band may be: a tabulated link law read backwards.

A power-limited terminal with snr_hz = p h / N0 carries b se(snr_hz / b) bit/s in a slice of b hertz. Read as a
function of the SNR y = snr_hz / b in the slice this is snr_hz q(y) with q(y) = se(y) / y, which falls with y wherever
a wider slice is faster.
"""

import numpy as np

from channel_models.units import FloatArray


class SliceLaw:
    """The inverse of a link law given as a table that is read by linear interpolation.

    Exact for the table: a rate worked out from the result is the rate that was asked for, to rounding.

    Parameters
    ----------
    snr_grid
        (points,) linear SNR, increasing and > 0; nothing is received below the first.
    efficiency_grid
        (points,) bit/s/Hz, non-decreasing; flat beyond the last.
    """

    def __init__(self, snr_grid: FloatArray, efficiency_grid: FloatArray) -> None:
        self._snr, self._efficiency = snr_grid, efficiency_grid
        # Where a wider slice is slower (below a cut-off, between modulation schemes) nobody would want it.
        at_least = np.maximum.accumulate((efficiency_grid / snr_grid)[::-1])
        self._from_the_top = at_least
        corners = _upper_hull(snr_grid, efficiency_grid)
        low, high = np.append(0.0, efficiency_grid[corners]), np.append(0.0, snr_grid[corners])
        slope = np.diff(high) / np.diff(low)  # dy/de
        self._middle = 0.5 * (low[:-1] + low[1:])
        self._saving = low[1:] * slope - high[1:]  # constant between corners; 0 up to the first
        self._middle[-1] = low[-1]
        self._middle[0] = low[1]

    def slice_hz(self, rate_bps: FloatArray, snr_hz: FloatArray) -> FloatArray:
        """Return (n,) narrowest slices that carry ``rate_bps`` > 0 with ``snr_hz`` > 0; infinite where none does."""
        ratio = rate_bps / snr_hz
        points = len(self._snr)
        below_top = np.searchsorted(self._from_the_top, ratio, side="left")  # points from the top with q below ratio
        last = points - 1 - np.minimum(below_top, points - 1)  # last grid point that still is efficient enough
        upper = np.minimum(last + 1, points - 1)
        rise = self._snr[upper] - self._snr[last]
        slope = np.where(rise > 0.0, (self._efficiency[upper] - self._efficiency[last]) / np.maximum(rise, 1e-300), 0.0)
        offset = self._efficiency[last] - slope * self._snr[last]
        snr = offset / np.maximum(ratio - slope, 1e-300)  # where offset + slope snr = ratio snr
        return np.where(below_top < points, snr_hz / np.maximum(snr, self._snr[last]), np.inf)

    def snr(self, efficiency: FloatArray) -> FloatArray:
        """Return (n,) least linear SNR for ``efficiency`` > 0 bit/s/Hz; infinite where none suffices."""
        upper = np.searchsorted(self._efficiency, efficiency, side="left")  # first point that suffices
        at = np.minimum(upper, len(self._snr) - 1)
        lower = np.maximum(at - 1, 0)
        low, high = self._efficiency[lower], self._efficiency[at]
        share = np.where(high > low, (efficiency - low) / np.where(high > low, high - low, 1.0), 1.0)
        snr = self._snr[lower] + np.minimum(share, 1.0) * (self._snr[at] - self._snr[lower])
        return np.where(upper < len(self._snr), np.where(upper == 0, self._snr[0], snr), np.inf)

    def saving(self, efficiency: FloatArray) -> FloatArray:
        """Return e y'(e) - y(e) of the least concave law above this one; its ends are held beyond the table."""
        return np.interp(efficiency, self._middle, self._saving)

    def efficiency(self, saving: FloatArray) -> FloatArray:
        """Return the efficiency with that saving; with none, the one that carries most for its power."""
        return np.interp(saving, self._saving, self._middle)


def _upper_hull(snr: FloatArray, efficiency: FloatArray) -> list[int]:
    """Return the points at which the least concave function from the origin above a table has its corners."""
    corners: list[int] = []
    for point in np.flatnonzero(np.diff(efficiency, prepend=0.0) > 0.0).tolist():
        while corners:
            y0, e0 = (snr[corners[-2]], efficiency[corners[-2]]) if len(corners) > 1 else (0.0, 0.0)
            y1, e1 = snr[corners[-1]], efficiency[corners[-1]]
            if (e1 - e0) * (snr[point] - y0) > (efficiency[point] - e0) * (y1 - y0):
                break
            corners.pop()
        corners.append(point)
    return corners
