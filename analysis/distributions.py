"""How a quantity is spread over terminals: rates of links and of uploads, charge of batteries."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.load import Experiment
from analysis.network import one_network

LEVELS = (0.05, 0.5, 0.95)
"""Shares of the terminals that get no more than a tabulated rate: the cell edge, the middle, the best."""


def link_rates_bps(experiment: Experiment) -> dict[str, NDArray[np.float64]]:
    """What the links of the first trial would carry, each alone in its cell: downlink, and uplink unless terminals
    send over the air at once."""
    terminals, _ = one_network(experiment)
    columns = {"downlink": "downlink_bps"} | ({} if sends_together(experiment) else {"uplink": "uplink_bps"})
    return {name: terminals[column].dropna().to_numpy(dtype=float) for name, column in columns.items()}


def sends_together(experiment: Experiment) -> bool:
    """Whether updates are added up by the air, so that no terminal has a rate of its own."""
    rounds = experiment.rounds
    return "air_noise" in rounds and bool(rounds["air_noise"].notna().any())


def achieved_bps(experiment: Experiment) -> pd.DataFrame:
    """Mean uplink rate of every terminal that sent anything: its bits over the time from its requests for access to
    its last bits. Columns: method, seed, terminal, rate_bps."""
    keys = ["method", "seed", "terminal"]
    spent_s = experiment.participation.groupby(keys, observed=True)["upload_s"].sum().rename("upload_s")
    table = experiment.terminals[[*keys, "bytes_up"]].merge(spent_s.reset_index(), on=keys)
    table = table[(table["bytes_up"] > 0) & (table["upload_s"] > 0)]
    return table.assign(rate_bps=8.0 * table["bytes_up"] / table["upload_s"])[[*keys, "rate_bps"]]


def upload_rates_bps(experiment: Experiment) -> dict[str, NDArray[np.float64]]:
    """Method key -> achieved rates of its terminals, all seeds; nobody where the air adds updates up."""
    if sends_together(experiment):
        return {}
    table = achieved_bps(experiment)
    groups = {str(key): rows["rate_bps"].to_numpy(dtype=float) for key, rows in table.groupby("method", observed=True)}
    return {method.key: groups[method.key] for method in experiment.ordered_methods if method.key in groups}


def final_charge(experiment: Experiment) -> dict[str, NDArray[np.float64]]:
    """Method key -> states of charge at the end, 0 to 1, of the terminals with a battery, all seeds."""
    if "state_of_charge" not in experiment.terminals:
        return {}
    table = experiment.terminals.assign(charge=pd.to_numeric(experiment.terminals["state_of_charge"]))
    table = table[table["charge"].notna()]
    groups = {str(key): rows["charge"].to_numpy(dtype=float) for key, rows in table.groupby("method", observed=True)}
    return {method.key: groups[method.key] for method in experiment.ordered_methods if method.key in groups}


def share_with_no_more(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The empirical distribution function: values in ascending order, and the share that is at most each."""
    ascending = np.sort(values[np.isfinite(values)])
    return ascending, np.arange(1, len(ascending) + 1) / max(len(ascending), 1)
