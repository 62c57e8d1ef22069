"""How busy each cell was over time: how many uploads at once, and for which share of the time any at all.

Read off the participation table: an upload occupies its cell from the request for access to its last bit, waiting and
interruptions included. Where terminals move, it occupies the cell that serves its terminal just then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.load import Experiment
from analysis.network import end_s, of_trial

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
    mine = of_trial(experiment.participation, method, seed)
    over_s = end_s(experiment, method, seed)
    edges_s = np.linspace(0.0, max(over_s, 1e-12), bins + 1)
    begin, stop = upload_intervals(mine, over_s)
    uploads = pd.DataFrame(
        {"terminal": mine["terminal"], "cell": mine["base_station"], "begin_s": begin, "stop_s": stop}
    )
    changes = of_trial(experiment.handovers, method, seed)
    pieces = in_serving_cells(uploads, changes, of_trial(experiment.terminals, method, seed))
    cells = tuple(map(str, of_trial(experiment.base_stations, method, seed)["base_station"]))
    at_once, busy = np.zeros((len(cells), bins)), np.zeros((len(cells), bins))
    for place, name in enumerate(cells):
        here = pieces[pieces["cell"] == name]
        begin, stop = here["begin_s"].to_numpy(dtype=float), here["stop_s"].to_numpy(dtype=float)
        at_once[place] = _time_inside(begin, stop, edges_s)
        busy[place] = _time_inside(*merged(begin, stop), edges_s)
    width_s = edges_s[1] - edges_s[0]
    return Occupancy(edges_s, cells, at_once / width_s, busy / width_s)


def in_serving_cells(uploads: pd.DataFrame, changes: pd.DataFrame, terminals: pd.DataFrame) -> pd.DataFrame:
    """Cuts the uploads of one trial where their terminals change cells.

    Args:
        uploads: terminal, cell (of its own base station), begin_s, stop_s.
        changes: the trial's rows of the handovers table.
        terminals: the trial's rows of the terminals table; without ``served_by`` nobody moves.

    Returns:
        The same columns, with the cell that served each piece.
    """
    if "served_by" not in terminals:
        return uploads
    there, pieces = stays(changes, terminals), []
    rest = uploads.drop(columns="cell")[uploads["stop_s"] > uploads["begin_s"]]
    while len(rest):  # as often as the busiest upload's terminal changed cells under way
        ordered = rest.sort_values("begin_s", kind="stable")
        now = pd.merge_asof(ordered, there, left_on="begin_s", right_on="from_s", by="terminal")
        pieces.append(now.assign(stop_s=now[["stop_s", "until_s"]].min(axis=1))[uploads.columns])
        longer = now[now["stop_s"] > now["until_s"]]
        rest = longer.assign(begin_s=longer["until_s"])[rest.columns]
    return pd.concat([uploads.iloc[:0], *pieces], ignore_index=True)


def stays(changes: pd.DataFrame, terminals: pd.DataFrame) -> pd.DataFrame:
    """Which cell served whom when: terminal, cell, from_s, until_s, by when each stay begins.

    Of changes at the same instant the last one counts. A terminal that never changed was where it is at the end.
    """
    path = changes.sort_values("time_s", kind="stable").drop_duplicates(["terminal", "time_s"], keep="last")
    first = changes.sort_values("time_s", kind="stable").drop_duplicates("terminal").set_index("terminal")["from_cell"]
    known = terminals["terminal"].isin(first.index)
    begun = np.where(known, terminals["terminal"].map(first), terminals["served_by"])
    rows = [
        pd.DataFrame({"terminal": terminals["terminal"], "cell": begun, "from_s": 0.0}),
        pd.DataFrame({"terminal": path["terminal"], "cell": path["to_cell"], "from_s": path["time_s"].astype(float)}),
    ]
    table = pd.concat([part for part in rows if len(part)] or rows, ignore_index=True)
    table = table.sort_values("from_s", kind="stable").drop_duplicates(["terminal", "from_s"], keep="last")
    return table.assign(until_s=table.groupby("terminal")["from_s"].shift(-1).fillna(np.inf))


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
