"""How busy the air of each cell was over time: how many uploads at once, and for which share of the time any at all.

Read off the participation table: an upload occupies its cell from the request for access to its last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.load import Experiment

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Occupancy:
    """What the cells of one trial were doing.

    Attributes:
        edges_s: (bins + 1,) limits of the time bins, seconds.
        cells: (cells,) names of the base stations.
        uploads: (cells, bins) mean number of simultaneous uploads.
        busy: (cells, bins) share of the time with at least one.
    """

    edges_s: FloatArray
    cells: tuple[str, ...]
    uploads: FloatArray
    busy: FloatArray


def occupancy(experiment: Experiment, method: str, seed: int, bins: int) -> Occupancy:
    """Cuts one trial into ``bins`` equal times and says how busy each cell was in each."""
    table = experiment.participation
    mine = table[(table["method"] == method) & (table["seed"] == seed)]
    stations = experiment.base_stations
    names = stations.loc[(stations["method"] == method) & (stations["seed"] == seed), "base_station"]
    trials = experiment.trials
    end_s = float(trials.loc[(trials["method"] == method) & (trials["seed"] == seed), "time_s"].iloc[0])
    edges_s = np.linspace(0.0, max(end_s, 1e-12), bins + 1)
    begin, stop = upload_intervals(mine, end_s)
    cells = tuple(map(str, names))
    places = mine["base_station"].map({name: place for place, name in enumerate(cells)}).to_numpy()
    uploads, busy = np.zeros((len(cells), bins)), np.zeros((len(cells), bins))
    for place in range(len(cells)):
        here = places == place
        uploads[place] = _time_inside(begin[here], stop[here], edges_s)
        busy[place] = _time_inside(*merged(begin[here], stop[here]), edges_s)
    width_s = edges_s[1] - edges_s[0]
    return Occupancy(edges_s, cells, uploads / width_s, busy / width_s)


def upload_intervals(assignments: pd.DataFrame, end_s: float) -> tuple[FloatArray, FloatArray]:
    """(n,) seconds at which each assignment's upload began and stopped, equal if there was none; none lasts
    beyond the end of the run."""
    started = assignments["start_s"].to_numpy(dtype=float) + assignments["compute_s"].to_numpy(dtype=float)
    stopped = started + assignments["upload_s"].to_numpy(dtype=float)
    begin = np.nan_to_num(started, nan=0.0)
    stop = np.nan_to_num(stopped, nan=0.0)
    return np.minimum(begin, end_s), np.minimum(np.maximum(stop, begin), end_s)


def merged(begin: FloatArray, stop: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Disjoint intervals that cover what the given ones cover, by when they begin."""
    if not len(begin):
        return begin, stop
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(stop[order])
    fresh = np.concatenate([[True], begin[1:] > reach[:-1]])
    last = np.concatenate([np.flatnonzero(fresh)[1:] - 1, [len(begin) - 1]])
    return begin[fresh], reach[last]


def _time_inside(begin: FloatArray, stop: FloatArray, edges_s: FloatArray) -> FloatArray:
    """Total time that intervals spend in each bin, seconds."""
    return np.diff(_elapsed_since(begin, edges_s) - _elapsed_since(stop, edges_s))


def _elapsed_since(instants: FloatArray, times: FloatArray) -> FloatArray:
    """Sum over all instants of max(0, time - instant), for each time."""
    ascending = np.sort(instants)
    sums = np.concatenate([[0.0], np.cumsum(ascending)])
    passed = np.searchsorted(ascending, times)
    return np.asarray(passed * times - sums[passed])
