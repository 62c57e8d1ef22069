"""How often terminals changed cells, in which way, and what that did to their work: totals of the handovers table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.load import Experiment

KINDS: Mapping[str, str] = {
    "handover": "handover",
    "failed": "failed handover",
    "link_failure": "link failure",
    "reselection": "reselection",
    "outage": "site failed",
}
"""In which way a moving terminal changes cells, and what a reader calls it; a reselection is one of a terminal switched
off."""
ASSIGNMENTS: Mapping[str, str] = {
    "computing": "computing, goes on",
    "migrated": "upload goes on",
    "restarted": "upload sent again",
    "dropped": "work dropped",
}
"""What a change may do to work in hand; a terminal that does "nothing" has none."""
_KEYS = ["method", "seed"]


def has_movers(experiment: Experiment) -> bool:
    """Whether some terminals may change cells."""
    return "moves" in experiment.terminals and bool(experiment.terminals["moves"].eq(True).any())


def moving_minutes(experiment: Experiment) -> pd.Series:
    """Method key -> minutes that all its moving terminals together were under way, in report order."""
    terminals = experiment.terminals
    movers = terminals[terminals["moves"].eq(True)].groupby(_KEYS).size().rename("movers").reset_index()
    table = experiment.trials[[*_KEYS, "time_s"]].merge(movers, on=_KEYS)
    minutes = (table["time_s"] * table["movers"] / 60.0).groupby(table["method"]).sum()
    return minutes[minutes > 0].reindex([m.key for m in experiment.ordered_methods if minutes.get(m.key, 0.0) > 0])


def changes_of_movers(experiment: Experiment) -> pd.DataFrame:
    """Return the rows of the handovers table that are of terminals that move; others may flee from failed sites."""
    changes, terminals = experiment.handovers, experiment.terminals
    movers = terminals.loc[terminals["moves"].eq(True), [*_KEYS, "terminal"]]
    return changes.merge(movers, on=[*_KEYS, "terminal"]) if len(changes) else changes


def changes_per_minute(experiment: Experiment) -> pd.DataFrame:
    """Changes of cell per moving terminal and minute, all seeds together.

    Returns:
        Index: method key, in report order, of methods whose terminals move. Columns: `KINDS`, and ping_pong: those
        among all of them that went back to where they came from.
    """
    changes, minutes = changes_of_movers(experiment), moving_minutes(experiment)
    counts = pd.crosstab(changes["method"], changes["kind"]) if len(changes) else pd.DataFrame()
    counts = counts.reindex(index=minutes.index, columns=list(KINDS), fill_value=0)
    back = changes[changes["ping_pong"].astype(bool)].groupby("method").size()
    counts = counts.assign(ping_pong=back.reindex(minutes.index, fill_value=0))
    return counts.div(minutes, axis=0).astype(float)


def work_in_hand(experiment: Experiment) -> pd.DataFrame:
    """What became of the work of terminals that changed cells while they had some, all seeds together.

    Returns:
        Index: as `changes_per_minute`. Columns: `ASSIGNMENTS`, counts.
    """
    changes = changes_of_movers(experiment)
    counts = pd.crosstab(changes["method"], changes["assignment"]) if len(changes) else pd.DataFrame()
    return counts.reindex(index=moving_minutes(experiment).index, columns=list(ASSIGNMENTS), fill_value=0)


def costs_of_changes(experiment: Experiment) -> pd.DataFrame:
    """What changes of cell cost, all seeds together.

    Returns:
        Index: as `changes_per_minute`. Columns: changes; ping_pong_share, of all changes; interruption_s, mean;
        off_air_share, of the time of moving terminals; delay_s, mean; again_bits, sum, and again_share of all bits
        that moving terminals sent; away_share of the time of moving terminals in other cells than their own.
    """
    minutes, changes = moving_minutes(experiment), changes_of_movers(experiment)
    groups = changes.assign(ping_pong=changes["ping_pong"].astype(float)).groupby("method")
    movers = experiment.terminals[experiment.terminals["moves"].eq(True)].groupby("method")
    sums = groups[["interruption_s", "again_bits"]].sum().reindex(minutes.index, fill_value=0.0)
    means = groups[["ping_pong", "interruption_s", "delay_s"]].mean().reindex(minutes.index)
    sent_bits = 8.0 * movers["bytes_up"].sum().reindex(minutes.index)
    return pd.DataFrame(
        {
            "changes": groups.size().reindex(minutes.index, fill_value=0),
            "ping_pong_share": means["ping_pong"],
            "interruption_s": means["interruption_s"],
            "off_air_share": sums["interruption_s"] / (60.0 * minutes),
            "delay_s": means["delay_s"],
            "again_bits": sums["again_bits"],
            "again_share": sums["again_bits"] / sent_bits.where(sent_bits > 0),
            "away_share": movers["away_s"].sum().reindex(minutes.index) / (60.0 * minutes),
        }
    )
