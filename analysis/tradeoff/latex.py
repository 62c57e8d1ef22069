"""Tables for papers: LaTeX with booktabs, numbers rounded for readers, nothing that has to be edited by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.quantities import number, resource, score
from analysis.ranks import ALPHA, Ranking
from analysis.tradeoff.frame import over_seeds
from analysis.tradeoff.load import Study
from analysis.tradeoff.prices import GAP

_SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"−": "$-$", "∞": r"$\infty$", "±": r"$\pm$", "–": "--", "λ": r"$\lambda$"},
    }
)


def escaped(text: object) -> str:
    """Text as LaTeX prints it."""
    return str(text).translate(_SPECIAL)


def tabular(header: Sequence[object], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table; the first columns hold text, the others numbers. Cells are LaTeX already, the header is not."""
    columns = "l" * texts + "r" * (len(header) - texts)
    first, *rest = [f"{' & '.join(cells)} \\\\" for cells in (list(map(escaped, header)), *rows)]
    lines = (f"\\begin{{tabular}}{{{columns}}}", "\\toprule", first, "\\midrule", *rest, "\\bottomrule")
    return "\n".join([*lines, "\\end{tabular}", ""])


def _value(value: object) -> str:
    return escaped(number(value)) if isinstance(value, float) else escaped(value)


def score_table(study: Study, frame: pd.DataFrame) -> str:
    """Final score: a row a point, a column a method, mean over seeds with half of its 95 % interval, best in bold."""
    fields = study.axis_fields
    estimates = over_seeds(frame, study.questions.measure, ["point", *fields, "method"])
    rows = []
    for _, group in estimates.groupby("point", sort=False):
        mine = {str(row["method"]): row for _, row in group.iterrows()}
        best = float(group["mean"].round(3).max())
        cells = [_value(group[field].iloc[0]) for field in fields]
        for method in study.methods:
            cells.append(_score_cell(mine[method.key], best) if method.key in mine else "--")
        rows.append(cells)
    header = [*(axis.label for axis in study.axes), *(method.label for method in study.methods)]
    return tabular(header, rows, len(fields))


def _score_cell(row: pd.Series, best: float) -> str:
    half = (float(row["high"]) - float(row["low"])) / 2
    text = score(float(row["mean"]))
    text = f"\\textbf{{{text}}}" if round(float(row["mean"]), 3) == best else escaped(text)
    return text if np.isnan(half) else f"{text} $\\pm$ {score(half)}"


def price_table(study: Study, frame: pd.DataFrame) -> str:
    """Median spending until targets were reached, all points together, with how many runs never got there."""
    rows = []
    for (kind, _, method), group in frame.groupby(["of", "target", "method"], sort=False):
        name = "gap" if kind == GAP else study.questions.words
        first = group.iloc[0]
        cells = [f"{escaped(name)} {_value(first['target'])}", escaped(study.label(str(method)))]
        for key in study.questions.resources:
            cells.append(_price_cell(group[group["resource"] == key].iloc[0], key))
        rows.append([*cells, f"{int(first['reached'])} of {int(first['seeds'])}"])
    names = [resource(key).name for key in study.questions.resources]
    return tabular(["Target", "Method", *names, "runs there"], rows, 2)


def _price_cell(row: pd.Series, key: str) -> str:
    """The median, or that it is beyond what the run that gave up first had spent."""
    entry = resource(key)
    if np.isfinite(row["median"]):
        return escaped(entry.text(float(row["median"])))
    return f"$>$ {escaped(entry.text(float(row['spent_by_censored'])))}"


def front_table(study: Study, configured: pd.DataFrame) -> str:
    """Configurations that nothing beats in energy, time and score together, cheapest energy first."""
    rows = []
    for _, row in configured[configured["front"]].sort_values("energy_j").iterrows():
        spent = [escaped(resource(key).text(float(row[key]))) for key in ("energy_j", "time_s")]
        places = [_value(row[field]) for field in study.axis_fields]
        share = escaped(f"{100 * float(row['share']):.0f} %")
        rows.append([escaped(study.label(row["method"])), *places, *spent, score(row[study.questions.measure]), share])
    header = ["Method", *(axis.label for axis in study.axes), "Energy", "Time", study.questions.label, "Seeds"]
    return tabular(header, rows, 1)


def pair_table(study: Study, ranking: Ranking, compared: pd.DataFrame) -> str:
    """Every pair of methods: mean difference, interval, p-values; differences that last after Holm in bold."""
    rows = []
    for _, row in compared.iterrows():
        text = escaped(f"{row['difference']:+.3f}".replace("-", "−"))
        text = f"\\textbf{{{text}}}" if row["p_holm"] < ALPHA else text
        interval = escaped(f"{row['low']:+.3f} to {row['high']:+.3f}".replace("-", "−"))
        names = [escaped(study.label(str(row[side]))) for side in ("one", "other")]
        rows.append([*names, text, interval, escaped(number(row["p"])), escaped(number(row["p_holm"]))])
    header = ["Method", "Minus", "Difference", "95 % interval", "p", "p after Holm"]
    told = f"% Friedman p = {ranking.p:.3g}, {ranking.blocks} blocks, critical difference {ranking.critical:.3g}\n"
    return told + tabular(header, rows, 2)
