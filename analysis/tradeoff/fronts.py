"""What can be had for how much: outcomes that no other beats in every respect, and how sure that is over seeds.

The attainment surface of a set of runs is the best score that had been reached by each amount; over seeds, a fraction
of the surfaces attains a score at an amount (V. Grunert da Fonseca, C. M. Fonseca, A. O. Hall, "Inferential
performance assessment of stochastic optimisers and the attainment function", EMO 2001). Of one resource and one
score, the surface that a share of seeds attains is the share's order statistic at each amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.curves import TrialCurve
from analysis.tradeoff.load import RunView, Study

Floats = NDArray[np.float64]
SHARES = (0.25, 0.5, 0.75)
"""Shares of seeds whose attainment surfaces are drawn."""

POINTS = 201


def nondominated(costs: ArrayLike) -> NDArray[np.bool_]:
    """Rows that no other row beats: none is at most as large everywhere and smaller somewhere.

    Args:
        costs: (rows, criteria), each the better the smaller; a row with a NaN is dominated.
    """
    rows = np.asarray(costs, dtype=float)
    kept = ~np.isnan(rows).any(axis=1)
    for place in np.flatnonzero(kept):
        others = rows[kept]
        better = (others <= rows[place]).all(axis=1) & (others < rows[place]).any(axis=1)
        kept[place] = not better.any()  # whoever is beaten by a beaten row is beaten by who beats that
    return kept


def configurations(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """Every point with every method: mean spending and score over seeds, and whether anything beats it.

    Criteria are energy, time and score, at the ends of runs.

    Returns:
        One row a (point, method): point, axes, method, seeds, energy_j, time_s, the measure, `front` (nothing beats
        the means) and `share` (of seeds within which nothing beats it).
    """
    measure, by = study.questions.measure, ["point", *study.axis_fields, "method"]
    criteria = ["energy_j", "time_s", measure]
    signs = np.array([1.0, 1.0, -1.0])
    within = pd.Series(False, index=frame.index)
    for _, rows in frame.groupby("seed"):
        within[rows.index] = nondominated(rows[criteria].to_numpy() * signs)
    grouped = frame.assign(share=within.astype(float)).groupby(by, sort=False, dropna=False)
    means = grouped[[*criteria, "share"]].mean().assign(seeds=grouped.size()).reset_index()
    return means.assign(front=nondominated(means[criteria].to_numpy() * signs))


def outcomes(study: Study, view: RunView, resource: str) -> tuple[Floats, Floats]:
    """Amounts spent and scores held then: of a run's end, or of every moment at which it was better than before."""
    if study.questions.front == "anytime":
        return view.climb.spent[resource], view.climb.value
    score = view.summary[study.questions.measure]
    return np.array([view.climb.end(resource)]), np.array([np.nan if score is None else score], dtype=float)


def surfaces(study: Study, views: Sequence[RunView], resource: str) -> dict[str, list[TrialCurve]]:
    """Method -> the attainment surface of each seed, over all points."""
    gathered: dict[tuple[str, int], list[tuple[Floats, Floats]]] = {}
    for view in views:
        key = view.climb.method, view.climb.seed
        gathered.setdefault(key, []).append(outcomes(study, view, resource))
    found: dict[str, list[TrialCurve]] = {}
    for (method, seed), parts in gathered.items():
        amounts, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        there = ~np.isnan(scores)
        order = np.lexsort((-scores[there], amounts[there]))
        amounts, scores = amounts[there][order], scores[there][order]
        if len(amounts):
            best = np.maximum.accumulate(scores)
            found.setdefault(method, []).append(TrialCurve(method, seed, {resource: amounts}, best))
    return found


def attained_by(surfaces: Sequence[TrialCurve], resource: str, amounts: ArrayLike, share: float) -> Floats:
    """The best score that at least a share of the surfaces had reached by each amount; NaN where too few had any."""
    values = np.stack([surface.at(resource, amounts) for surface in surfaces])
    ranked = -np.sort(-np.where(np.isnan(values), -np.inf, values), axis=0)
    level = ranked[max(1, ceil(share * len(ranked) - 1e-9)) - 1]
    return np.where(np.isinf(level), np.nan, level)


def attainment(study: Study, views: Sequence[RunView], resource: str) -> pd.DataFrame:
    """Attainment surfaces of every method over a grid of amounts.

    Returns:
        One row a (method, amount): method, amount, one column for each of `SHARES`, seeds.
    """
    by_method = surfaces(study, views, resource)
    every = [surface for found in by_method.values() for surface in found]
    if not every:
        return pd.DataFrame(columns=["method", "amount", *map(str, SHARES), "seeds"])
    least = min(float(surface.spent[resource][0]) for surface in every)
    top = max(surface.end(resource) for surface in every)
    grid = np.geomspace(least, top, POINTS) if least > 0 else np.linspace(least, top, POINTS)
    grid = np.unique([*grid, *(amount for surface in every for amount in surface.spent[resource])])
    frames = []
    for method in study.methods:
        mine = by_method.get(method.key, [])
        if mine:
            columns = {str(share): attained_by(mine, resource, grid, share) for share in SHARES}
            frames.append(pd.DataFrame({"method": method.key, "amount": grid, **columns, "seeds": len(mine)}))
    return pd.concat(frames, ignore_index=True)
