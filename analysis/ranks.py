"""Which methods differ: ranks within blocks, Friedman's test, Nemenyi's critical difference, pairs after Holm.

J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006. A block holds one value of
every method, met under the same circumstances: a seed (mean over points), so that blocks are independent; or a point
(mean over seeds), where points are worlds of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.compare import paired_difference

ALPHA = 0.05


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of methods, 1 the best.

    Attributes:
        ranks: method key -> mean rank, best first.
        blocks: how many.
        p: of Friedman's test that all methods are alike; NaN with fewer than three methods or two blocks.
        critical: difference of mean ranks that Nemenyi's test calls significant; NaN likewise.
        groups: methods next to each other, none of which differ by it; groups of one are left out.
    """

    ranks: dict[str, float]
    blocks: int
    p: float
    critical: float
    groups: tuple[tuple[str, ...], ...]


def rank(blocks: pd.DataFrame) -> Ranking:
    """Rank the columns of a frame of blocks; the larger value the better, ties share their ranks."""
    count, methods = blocks.shape
    within = stats.rankdata(-blocks.to_numpy().round(12), axis=1)
    means = pd.Series(within.mean(axis=0) if count else np.nan, index=blocks.columns).sort_values(kind="stable")
    p = critical = float("nan")
    if methods >= 3 and count >= 2:
        alike = bool((within == within[:, :1]).all())
        p = 1.0 if alike else float(stats.friedmanchisquare(*within.T).pvalue)
        critical = critical_difference(methods, count)
    ranks = {str(key): float(value) for key, value in means.items()}
    return Ranking(ranks, count, p, critical, tuple(_groups(ranks, critical)))


def critical_difference(methods: int, blocks: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of mean ranks: q sqrt(k (k + 1) / (6 N)), q that of the studentised range / √2."""
    q = float(stats.studentized_range.ppf(1 - alpha, methods, np.inf)) / np.sqrt(2.0)
    return q * float(np.sqrt(methods * (methods + 1) / (6.0 * blocks)))


def _groups(ranks: dict[str, float], critical: float) -> list[tuple[str, ...]]:
    """Longest runs of neighbours within the critical difference."""
    if np.isnan(critical):
        return []
    keys, values = list(ranks), list(ranks.values())
    found: list[tuple[str, ...]] = []
    reached = 0
    for first in range(len(keys)):
        last = max(place for place in range(first, len(keys)) if values[place] - values[first] <= critical)
        if last > first and last + 1 > reached:
            found.append(tuple(keys[first : last + 1]))
            reached = last + 1
    return found


def pairs(blocks: pd.DataFrame) -> pd.DataFrame:
    """Every pair of methods: mean difference with its 95 % t interval, and Wilcoxon's signed-rank test after Holm.

    Returns:
        One row a pair: one, other, difference (one minus other), low, high, blocks, p (two-sided), p_holm.
        A p-value is never below 2^(1-blocks), so five blocks cannot tell any two methods apart at 5 %.
    """
    rows = []
    for one, other in itertools.combinations(blocks.columns, 2):
        paired = paired_difference(blocks[one], blocks[other])
        differences = (blocks[one] - blocks[other]).round(12)
        p = 1.0 if (differences == 0).all() else float(stats.wilcoxon(differences).pvalue)
        place = {"one": one, "other": other, "difference": paired.mean, "low": paired.low, "high": paired.high}
        rows.append({**place, "blocks": paired.seeds, "p": p})
    frame = pd.DataFrame(rows, columns=["one", "other", "difference", "low", "high", "blocks", "p"])
    return frame.assign(p_holm=holm(frame["p"].to_numpy()))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values adjusted for how many there are (S. Holm, Scandinavian Journal of Statistics 6, 1979)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
