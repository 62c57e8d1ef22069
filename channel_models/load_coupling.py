"""How busy cells disturb each other: interference from the cells near a terminal, and the loads that settle.

Of all cells a terminal hears only the K strongest count; they lie in two (terminals, K) arrays, the serving cell
first. A refresh of all terminals then costs O(terminals K), however many cells there are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models.units import FloatArray

BLOCK = 8192
"""Terminals handled at a time: their K = 8 products of 0.5 MB stay in a core's cache."""


@dataclass(frozen=True)
class StrongestCells:
    """The gains between terminals and the few cells that matter to each.

    Attributes
    ----------
    cell
        Indices of cells, (terminals, K); column 0 serves the terminal, the others are different cells.
    gain
        Linear power gains to them, (terminals, K), single or double precision; 0 where a row has fewer cells.
    cells
        Number of cells there are.
    """

    cell: NDArray[np.integer]
    gain: NDArray[np.floating]
    cells: int

    def __post_init__(self) -> None:
        if self.cell.ndim != 2 or self.cell.shape != self.gain.shape or self.cell.shape[1] < 1:
            raise ValueError(f"cell and gain must both be (terminals, K), got {self.cell.shape} and {self.gain.shape}")
        if self.cell.size and not 0 <= self.cell.min() <= self.cell.max() < self.cells:
            raise ValueError(f"cells are numbered 0 to {self.cells - 1}, got {self.cell.min()} to {self.cell.max()}")

    def downlink_interference_w(self, cell_power_w: ArrayLike) -> FloatArray:
        """Return what terminals receive from the cells that do not serve them, (terminals,) watts.

        Parameters
        ----------
        cell_power_w
            Mean power of each cell, its activity times its transmit power, (cells,) watts.
        """
        power_w = np.asarray(cell_power_w, dtype=np.float64)
        received_w = np.empty(len(self.cell))
        for first in range(0, len(received_w), BLOCK):
            block = slice(first, first + BLOCK)
            heard_w = power_w[self.cell[block, 1:]]
            heard_w *= self.gain[block, 1:]
            received_w[block] = heard_w.sum(axis=1)
        return received_w

    def uplink_interference_w(
        self, terminal_power_w: ArrayLike, terminals: NDArray[np.integer] | None = None
    ) -> FloatArray:
        """Return what each cell receives from terminals of other cells, (cells,) watts.

        Parameters
        ----------
        terminal_power_w
            Mean power of each active terminal, the share of time (or of the band) it sends in times its transmit
            power, watts, (terminals,).
        terminals
            Indices of the active terminals, in the order of their powers; all of them when absent.
        """
        power_w = np.asarray(terminal_power_w, dtype=np.float64)
        received_w = np.zeros(self.cells)
        for first in range(0, len(power_w), BLOCK):
            block = slice(first, first + BLOCK)
            rows = block if terminals is None else terminals[block]
            heard_w = self.gain[rows, 1:] * power_w[block, None]
            received_w += np.bincount(self.cell[rows, 1:].ravel(), heard_w.ravel(), self.cells)
        return received_w


@dataclass(frozen=True)
class SettledLoads:
    """Cells whose activities and interference agree.

    Attributes
    ----------
    activity
        Share of time and band in which each cell transmits, (cells,) in [0, 1].
    asked
        Share it would need to carry its demand, (cells,); above 1 the cell is overloaded.
    sweeps
        Sweeps over all terminals this took.
    """

    activity: FloatArray
    asked: FloatArray
    sweeps: int


def settle_loads(
    near: StrongestCells,
    demand_bit_s: ArrayLike,
    tx_power_w: float,
    noise_w: ArrayLike,
    bandwidth_hz: float,
    spectral_efficiency: Callable[[FloatArray], FloatArray],
    start: float = 0.0,
    tolerance: float = 1e-9,
    max_sweeps: int = 1000,
) -> SettledLoads:
    """Return the fixed point a_c = min(1, sum over terminals of c of D_i / (B SE_i(a))) of the downlink.

    SE_i is the link law at the SINR P g / (N + sum of a_c P g_c). For a continuous increasing law such as Shannon's,
    capped or not, the map is a standard interference function: its fixed point is unique, and grows with the
    demand. A law that drops to zero below some SINR may have several; from 0 the sweeps then reach the least, from
    1 the greatest.

    Parameters
    ----------
    near
        Gains between terminals and cells.
    demand_bit_s
        Demand D of each terminal, (terminals,) bit/s, >= 0.
    tx_power_w
        Transmit power P of every cell over the whole band, watts.
    noise_w
        Noise power N of each terminal over the whole band, watts, > 0.
    bandwidth_hz
        Band B of every cell, hertz.
    spectral_efficiency
        Link law from linear SINR to bit/s/Hz.
    start
        Activity of all cells before the first sweep.
    tolerance
        Largest change of an activity in the last sweep.
    max_sweeps
        Sweeps after which to give up. 19 cells take 10 to 40, most of them where a third of the network is busy.

    Raises
    ------
    ValueError
        If a demand is negative.
    RuntimeError
        If the activities still move after ``max_sweeps``.
    """
    demand = np.asarray(demand_bit_s, dtype=np.float64)
    if not np.all(demand >= 0.0):
        raise ValueError(f"demands must be >= 0 bit/s, got {np.min(demand):g}")
    noise = np.asarray(noise_w, dtype=np.float64)
    serving, wanted_w = near.cell[:, 0], np.asarray(near.gain[:, 0] * tx_power_w, dtype=np.float64)
    activity = np.full(near.cells, float(start))
    for sweep in range(1, max_sweeps + 1):
        sinr = wanted_w / (noise + near.downlink_interference_w(activity * tx_power_w))
        rate_bit_s = bandwidth_hz * spectral_efficiency(sinr)
        unserved = np.where(demand > 0.0, np.inf, 0.0)
        share = np.divide(demand, rate_bit_s, out=unserved, where=rate_bit_s > 0.0)
        asked = np.bincount(serving, share, near.cells).astype(np.float64, copy=False)
        settled = np.minimum(asked, 1.0)
        moved = float(np.max(np.abs(settled - activity), initial=0.0))
        activity = settled
        if moved <= tolerance:
            return SettledLoads(activity, asked, sweep)
    raise RuntimeError(f"activities still move by {moved:g} after {max_sweeps} sweeps")
