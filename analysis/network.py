"""The network of one trial, for the pictures and tables about it: which trial, who stands where, who serves whom."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.load import Experiment


def first_trial(experiment: Experiment) -> tuple[str, int]:
    """Method and seed of the first trial that recorded base stations, the flagship's where it did."""
    order = {method.key: rank for rank, method in enumerate(experiment.ordered_methods)}
    trials = experiment.base_stations[["method", "seed"]].drop_duplicates()
    rank = trials["method"].map(order)
    method, seed = trials.assign(rank=rank).sort_values(["rank", "seed"])[["method", "seed"]].iloc[0]
    return str(method), int(seed)


def of_trial(table: pd.DataFrame, method: str, seed: int) -> pd.DataFrame:
    """The rows of one trial."""
    return table[(table["method"] == method) & (table["seed"] == seed)]


def one_network(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Terminals and base stations of the first trial."""
    if experiment.base_stations.empty:
        return experiment.terminals.iloc[:0], experiment.base_stations
    trial = first_trial(experiment)
    return of_trial(experiment.terminals, *trial), of_trial(experiment.base_stations, *trial)


def end_s(experiment: Experiment, method: str, seed: int) -> float:
    """Simulated time that a trial took, seconds."""
    return float(of_trial(experiment.trials, method, seed)["time_s"].iloc[0])


def is_away(terminals: pd.DataFrame) -> pd.Series:
    """Whether each terminal is served, at the end, by another cell than that of its own base station."""
    if "served_by" not in terminals:
        return pd.Series(np.zeros(len(terminals), dtype=bool), index=terminals.index)
    return terminals["served_by"].notna() & (terminals["served_by"] != terminals["base_station"])
