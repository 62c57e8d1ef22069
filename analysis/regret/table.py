"""How far controllers stay behind the best fixed H and K in hindsight.

Runs are rows: one a budget, method and seed. The rival at a budget is the entry
of the grid with the least geometric mean of the certified gap over seeds. Regret is the factor by which a controller's
gap is larger, paired by seed, since equal seeds meet the same world; its interval is Student's, of the logarithm.
The rival was chosen with these very seeds, which favours it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.intervals import mean_interval

LEAST_GAP = 1e-12
"""Gaps below this are rounding, and count as this."""
_ROUNDING = 1e-9
COLUMNS = (
    *("level", "method", "rival", "seeds", "gap", "rival_gap", "ratio", "ratio_low", "ratio_high", "worst_ratio"),
    *("accuracy", "accuracy_difference", "difference_low", "difference_high", "most_accurate_difference", "overshoot"),
)


def regret(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a budget level and controller, with :data:`COLUMNS`.

    Args:
        runs: level (share of the budget), method, seed, grid (whether it is of the grid), gap, score
            (balanced accuracy, or R² of values), share_spent (largest share spent of any limit).

    Returns:
        ``ratio``: geometric mean over seeds of gap / rival's gap, with its interval; ``worst_ratio`` of any seed;
        ``accuracy_difference`` to the same rival in score, with its interval, and
        ``most_accurate_difference`` to the entry of the grid with the best mean; ``overshoot`` beyond a limit.
    """
    rows = []
    for level, here in runs.groupby("level"):
        gaps = _by_seed(here, "gap").clip(lower=LEAST_GAP).apply(np.log)
        accuracy = _by_seed(here, "score")
        grid = list(dict.fromkeys(here.loc[here["grid"], "method"]))
        rival, accurate = str(gaps[grid].mean().idxmin()), str(accuracy[grid].mean().idxmax())
        for method in dict.fromkeys(here.loc[~here["grid"], "method"]):
            spent = here.loc[here["method"] == method, "share_spent"]
            behind = mean_interval(_paired(gaps, method, rival))
            better = mean_interval(_paired(accuracy, method, rival))
            values = (
                *(level, method, rival, int(behind.count)),
                *(np.exp(gaps[method].mean()), np.exp(gaps[rival].mean())),
                *(float(np.exp(v)) for v in (behind.mean, behind.low, behind.high)),
                float(np.exp(_paired(gaps, method, rival).max())),
                *(accuracy[method].mean(), float(better.mean), float(better.low), float(better.high)),
                *(np.mean(_paired(accuracy, method, accurate)), _beyond(float(spent.max()))),
            )
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _beyond(share_spent: float) -> float:
    """What was spent beyond a limit, over the limit; rounding is not spending."""
    return share_spent - 1.0 if share_spent > 1.0 + _ROUNDING else 0.0


def _by_seed(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    return runs.pivot(index="seed", columns="method", values=column)


def _paired(values: pd.DataFrame, method: str, rival: str) -> NDArray[np.float64]:
    """Differences of the seeds that both have."""
    return (values[method] - values[rival]).dropna().to_numpy(float)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a controller: means and worst values over the rows of :func:`regret`, of one or more scenarios."""
    groups = table.groupby("method", sort=False)
    return pd.DataFrame(
        {
            "mean_ratio": groups["ratio"].mean(),
            "geometric_mean_ratio": groups["ratio"].agg(lambda ratios: float(np.exp(np.log(ratios).mean()))),
            "worst_level_ratio": groups["ratio"].max(),
            "mean_accuracy_difference": groups["accuracy_difference"].mean(),
            "worst_accuracy_difference": groups["accuracy_difference"].min(),
            "overshoot": groups["overshoot"].max(),
        }
    ).reset_index()


def text(table: pd.DataFrame) -> str:
    """Return the table of :func:`regret` in Markdown, with a line a controller at the end."""
    lines = [
        "| budget | controller | best fixed | its gap | gap ratio (95 %) | worst seed | accuracy, points (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in _records(table):
        points = [100.0 * row[name] for name in ("accuracy_difference", "difference_low", "difference_high")]
        lines.append(
            f"| {row['level']:.0%} | {row['method']} | {row['rival']} | {row['rival_gap']:.3g} "
            f"| {row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f}) | {row['worst_ratio']:.2f} "
            f"| {points[0]:+.2f} ({points[1]:+.2f} to {points[2]:+.2f}) |"
        )
    lines += ["", "| controller | mean ratio | worst budget | accuracy, points | overshoot |", "|---|---|---|---|---|"]
    for row in _records(summary(table)):
        lines.append(
            f"| {row['method']} | {row['mean_ratio']:.2f} | {row['worst_level_ratio']:.2f} "
            f"| {100.0 * row['mean_accuracy_difference']:+.2f} | {row['overshoot']:.1g} |"
        )
    return "\n".join(lines) + "\n"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
