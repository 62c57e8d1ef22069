"""What targets cost: spending until a score or a gap was first reached, with runs that never got there kept in view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.curves import TrialCurve
from analysis.targets import CLIMBS, spending_to_reach
from analysis.tradeoff.load import RunView, Study

SCORE, GAP = "score", "gap"
_COLUMNS = ("of", "target", "resource", "method", "seeds", "reached", "censored", "median", "fastest", "slowest")


def targets_of(study: Study, frame: pd.DataFrame) -> tuple[float, ...]:
    """Scores whose price is asked for: the study's, or `CLIMBS` of the way from the start to the best mean end.

    Rounded to three digits; none where no method ends above its start.
    """
    if study.questions.targets:
        return study.questions.targets
    means = frame.groupby(["point", "method"])[study.questions.measure].mean().dropna()
    start = float(frame["start"].mean())
    if means.empty or np.isnan(start) or means.max() <= start:
        return ()
    return tuple(dict.fromkeys(round(start + climb * (float(means.max()) - start), 3) for climb in CLIMBS))


def goals(study: Study, frame: pd.DataFrame, views: Sequence[RunView]) -> list[tuple[str, float, list[TrialCurve]]]:
    """(kind, target, curves that rise towards it) of every target; gaps are negated, to rise as scores do.

    A run of a method without certificates has no gap, so it can neither reach a gap nor fail to.
    """
    climbs = [view.climb for view in views]
    descents = [view.descent for view in views if view.descent is not None]
    scores = [(SCORE, target, climbs) for target in targets_of(study, frame)]
    return [*scores, *((GAP, target, descents) for target in study.questions.gap_targets)]


def price_of(kind: str, target: float, curve: TrialCurve, resource: str) -> float:
    """Amount spent when a run first reached a target; infinity if it never did."""
    return curve.reach(resource, -target if kind == GAP else target)


def prices(study: Study, frame: pd.DataFrame, views: Sequence[RunView], by_point: bool = True) -> pd.DataFrame:
    """Spending until each target was first reached.

    Args:
        by_point: one group a (point, method); otherwise all points of a method together.

    Returns:
        One row a (target, resource, group): axes if by point, of ("score" or "gap"), target, resource, method, seeds
        (runs in the group), reached, censored, median (infinity where it lies among those that never got there),
        fastest and slowest (of those that did), spent_by_censored (the least that one of the others had spent).
    """
    points = study.index[["point", *study.axis_fields]].to_dict("records")
    place_of = {id(curve): view.place for view in views for curve in (view.climb, view.descent) if curve is not None}
    rows = []
    for kind, target, curves in goals(study, frame, views):
        groups: dict[tuple[int, str], list[TrialCurve]] = {}
        for curve in curves:
            point = int(points[place_of[id(curve)]]["point"]) if by_point else -1
            groups.setdefault((point, curve.method), []).append(curve)
        for resource in study.questions.resources:
            for (_, method), trials in groups.items():
                where: dict[Any, Any] = points[place_of[id(trials[0])]] if by_point else {}
                place: dict[Any, Any] = {"of": kind, "target": target, "resource": resource, "method": method}
                found = spending_to_reach(trials, resource, -target if kind == GAP else target)
                rows.append(where | place | found)
    if not rows:
        return pd.DataFrame(columns=[*(["point", *study.axis_fields] if by_point else []), *_COLUMNS])
    return pd.DataFrame(rows)


def shares_reached(
    kind: str, target: float, curves: Sequence[TrialCurve], resource: str
) -> dict[str, tuple[np.ndarray, int]]:
    """Method -> (sorted amounts at which its runs reached the target, runs there are): steps of a share that ends
    below one where runs never got there.
    """
    found: dict[str, list[float]] = {}
    for curve in curves:
        found.setdefault(curve.method, []).append(price_of(kind, target, curve, resource))
    return {
        method: (np.sort([price for price in all_of if np.isfinite(price)]), len(all_of))
        for method, all_of in found.items()
    }
