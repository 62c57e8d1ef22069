"""What every terminal's signal is worth at the sites that do not serve it, and theirs at the terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from channel_models.load_coupling import StrongestCells
from netsim.air import Air
from netsim.deployment import Deployment
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_BATCH = 4096  # terminals at a time: arrays of all their links are about 1 MB each


def strongest_cells(network: Network, deployment: Deployment, streams: Streams) -> StrongestCells:
    """Return every terminal's links to its own site and to those it hears best of the others, strongest first.

    They are the very links it was placed with. Links beyond the ``network.interference.strongest_links`` best are
    taken as 0.

    Args:
        network: layout, propagation, and how many links count.
        deployment: where everybody stands.
        streams: the run's randomness.
    """
    sites, terminals = len(deployment.site_xy_m), len(deployment.serving)
    air = Air.of(network, sites, streams)
    neighbours = air.sites.neighbours(network.layout.neighbour_sites)
    kept = min(network.interference.strongest_links, neighbours.shape[1])
    cell, gain = np.empty((terminals, 1 + kept), np.int64), np.empty((terminals, 1 + kept))
    cell[:, 0], gain[:, 0] = deployment.serving, deployment.serving_gain
    for attempt in np.unique(deployment.attempt).tolist() if kept else ():
        together = np.flatnonzero(deployment.attempt == attempt)
        for rows in np.split(together, np.arange(_BATCH, len(together), _BATCH)):
            near = neighbours[deployment.serving[rows]]
            heard = air.links(deployment.terminal_xy_m[rows], near, deployment.entity[rows], attempt).gain
            cell[rows, 1:], gain[rows, 1:] = strongest_first(near, heard, kept)
    return StrongestCells(cell, gain, sites)


def strongest_first(cell: IntArray, gain: FloatArray, kept: int) -> tuple[IntArray, FloatArray]:
    """Return the ``kept`` best of (n, k) cells by their gains, and these gains, strongest first."""
    order = np.argsort(-gain, axis=1, kind="stable")[:, :kept]
    return np.take_along_axis(cell, order, axis=1), np.take_along_axis(gain, order, axis=1)
