"""The tidy frame of a study: one row a run, with its point, totals, final scores and scores along the way."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.intervals import mean_interval
from analysis.tradeoff.load import RunView, Study

_KNOWN = ("method", "seed", "fingerprint", "budget")


def tidy_frame(study: Study, views: Sequence[RunView]) -> pd.DataFrame:
    """One row a recorded run.

    Returns:
        The index's columns (point, axes, method, seed, fingerprint), then the summary's (totals, final scores of the
        reported and of the validation split, participation), ``start`` (the measure at the start) and the measure at
        shares of budgets and at amounts that were asked for.
    """
    found = [
        {
            **{key: value for key, value in view.summary.items() if key not in _KNOWN},
            "start": view.start,
            **view.at,
        }
        for view in views
    ]
    rows = study.index.iloc[[view.place for view in views]].reset_index(drop=True)
    columns = pd.DataFrame(found)
    texts = {"scenario", "ended_by", "split"}
    columns = columns.astype({name: float for name in columns.columns if name not in texts})
    return pd.concat([rows, columns], axis=1)


def over_seeds(frame: pd.DataFrame, column: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean of a column over seeds with its 95 % interval.

    Args:
        by: columns that tell groups apart; within a group there is one row a seed, or they are averaged first.

    Returns:
        One row a group: `by`, mean, low, high, seeds.
    """
    rows = []
    for key, group in frame.groupby(list(by), sort=False, dropna=False):
        interval = mean_interval(group.groupby("seed")[column].mean().to_numpy())
        names = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        estimate = {"mean": float(interval.mean), "low": float(interval.low), "high": float(interval.high)}
        rows.append({**names, **estimate, "seeds": int(interval.count)})
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "seeds"])


def blocks_of(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """(blocks, methods) values of the measure at the ends of runs; a block that lacks a method is left out.

    A block is a seed (mean over points), so that blocks are independent; or a point (mean over seeds), where points
    are worlds of their own. A seed is averaged over the points at which every method ran with it, so methods are
    never averaged over different points.
    """
    keys = [method.key for method in study.methods]
    cells = frame.pivot_table(index=["point", "seed"], columns="method", values=study.questions.measure, dropna=False)
    cells = cells.reindex(columns=keys).dropna()
    return cells.groupby(level=study.questions.blocks).mean()
