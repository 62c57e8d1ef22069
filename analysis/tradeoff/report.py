"""Everything a study's folder gets from its records: the tidy frame, tables, figures, and a page that sums them up."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.atomic import write_bytes
from analysis.figures.ranks import draw_ranks
from analysis.figures.style import looks_of
from analysis.interactive import Charts, gather, point_chart
from analysis.pages import draw_picture, fill
from analysis.quantities import RESOURCES, number, resource
from analysis.ranks import ALPHA, Ranking, pairs, rank
from analysis.tradeoff import figures, latex
from analysis.tradeoff.curve import PLANNED
from analysis.tradeoff.frame import blocks_of, tidy_frame
from analysis.tradeoff.fronts import attainment, configurations
from analysis.tradeoff.load import Study, load_study, run_views
from analysis.tradeoff.prices import goals, prices


@dataclass(frozen=True)
class Findings:
    """What was found out: frames by file name, figures by name with a caption, tables, and sentences."""

    frames: Mapping[str, pd.DataFrame]
    figures: Mapping[str, tuple[Figure, str]]
    tables: Mapping[str, str]
    sentences: tuple[str, ...]


def write_study(folder: str | Path) -> Path:
    """Analyse what is recorded of a study so far; return the path of the page that sums it up, which needs no network.

    Raises:
        NotAStudyError: the folder is not a study's; nothing is written then.
    """
    study = load_study(folder)
    found = find_out(study)
    for name, frame in found.frames.items():
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        write_bytes(study.folder / f"{name}.parquet", buffer.getvalue())
    pictures = [
        draw_picture(figure, study.folder / "figures", name, caption)
        for name, (figure, caption) in found.figures.items()
    ]
    (study.folder / "tables").mkdir(exist_ok=True)
    for name, text in found.tables.items():
        write_bytes(study.folder / "tables" / f"{name}.tex", text.encode("utf-8"))
    write_bytes(study.folder / "study.md", _page(study, found).encode("utf-8"))
    told = {"study": study, "sentences": found.sentences, "pictures": pictures, "charts": _charts(study, found)}
    page = study.folder / "report.html"
    write_bytes(page, fill("study.html.j2", **told))
    return page


def _charts(study: Study, found: Findings) -> Charts | None:
    """Every configuration, means over seeds, to be filtered by axes."""
    frame = found.frames.get("runs")
    if frame is None:
        return None
    fields, measure = {axis.field: axis.label for axis in study.axes}, study.questions.measure
    spent = [entry.key for entry in RESOURCES if entry.key in frame]
    by = ["method", *fields]
    means = frame.groupby(by, sort=False, dropna=False)[[*spent, measure]].mean().reset_index()
    return gather(point_chart(means, fields, study.questions.label, measure, looks_of(study.methods)))


def find_out(study: Study) -> Findings:
    """Look at all recorded runs; a study without any has nothing but a sentence that says so."""
    views = list(run_views(study))
    told = [_count(study, len(views))]
    if not views:
        return Findings({}, {}, {}, tuple(told))
    frame = tidy_frame(study, views)
    configured = configurations(study, frame)
    attained = {key: attainment(study, views, key) for key in study.questions.resources}
    wanted = goals(study, frame, views)
    by_point, together = prices(study, frame, views), prices(study, frame, views, by_point=False)
    blocks = blocks_of(study, frame)
    ranking, compared = rank(blocks), pairs(blocks)
    told += [_front_sentence(study, configured), *_test_sentences(study, ranking, compared)]
    drawn = {"fronts": (figures.draw_fronts(study, attained, configured), _front_caption(study))}
    if study.axes:
        measure = study.questions.measure, study.questions.label
        drawn = {"response": (figures.draw_response(study, frame, *measure), _RESPONSE), **drawn}
        for name, label in PLANNED.items() if study.questions.plans else ():
            drawn[name] = (figures.draw_response(study, frame, name, label), _PLANNED)
    if wanted:
        drawn["prices"] = (figures.draw_prices(study, wanted), _PRICES)
    if len(ranking.ranks) > 1 and ranking.blocks:
        bars = draw_ranks(ranking, looks_of(study.methods))
        drawn["ranks"] = (bars, _ranks_caption(study, ranking))
    surfaces = pd.concat([part.assign(resource=key) for key, part in attained.items()], ignore_index=True)
    frames = {"runs": frame, "front": configured, "attainment": surfaces, "prices": by_point, "pairs": compared}
    tables = {"scores": latex.score_table(study, frame), "front": latex.front_table(study, configured)}
    tables["tests"] = latex.pair_table(study, ranking, compared)
    if wanted:
        tables["prices"] = latex.price_table(study, together)
    return Findings(frames, drawn, tables, tuple(told))


def _count(study: Study, recorded: int) -> str:
    planned = len(study.index)
    failed = int(study.index["fingerprint"].isin(list(study.failed)).sum())
    text = f"{recorded} of {planned} runs are recorded"
    return text + (f"; {failed} failed and are left out, failed/ says why." if failed else ".")


def _front_sentence(study: Study, configured: pd.DataFrame) -> str:
    on = configured[configured["front"]]
    shares = ", ".join(f"{study.label(str(key))} {count}" for key, count in on["method"].value_counts().items())
    return (
        f"Of {len(configured)} configurations (point and method), nothing beats {len(on)} in mean energy, time and"
        f" {study.questions.words} together: {shares}."
    )


def _test_sentences(study: Study, ranking: Ranking, compared: pd.DataFrame) -> list[str]:
    unit = {"seed": "seeds, each a mean over points", "point": "points, each a mean over seeds"}[study.questions.blocks]
    if ranking.blocks < 2 or len(ranking.ranks) < 2:
        return [f"Methods are not compared: {ranking.blocks} complete {study.questions.blocks}s."]
    told = []
    if len(ranking.ranks) > 2:
        verdict = "differ" if ranking.p < ALPHA else "are not shown to differ"
        told.append(f"The methods {verdict} in rank over {ranking.blocks} {unit} (Friedman, p = {number(ranking.p)}).")
    lasting = compared[compared["p_holm"] < ALPHA]
    told.append(f"{len(lasting)} of {len(compared)} pairs differ after Holm (Wilcoxon, {ranking.blocks} {unit}).")
    smallest = 2.0 ** (1 - ranking.blocks)
    if smallest * len(compared) >= ALPHA:
        told.append(
            f"With {ranking.blocks} {study.questions.blocks}s the smallest p-value there can be is {number(smallest)},"
            f" or {number(min(1.0, smallest * len(compared)))} after Holm: too few to show any difference."
        )
    return told


_RESPONSE = "Score at the end of runs, mean over seeds with its 95 % t interval from three seeds on."
_PLANNED = "What was planned, mean over cloud rounds and seeds with its 95 % t interval from three seeds on."
_PRICES = (
    "Share of runs, all points together, that had reached a target by each amount. A curve that ends below 100 %"
    " belongs to runs that were over before; they count as runs that never got there."
)


def _front_caption(study: Study) -> str:
    when = {"end": "at the ends of runs", "anytime": "at any moment of runs"}[study.questions.front]
    return (
        f"Best score {when}, over all points, by what it took: line, what half of the seeds attain; band, what a"
        " quarter and three quarters attain. Right or last: means of all configurations; the edged ones are beaten by"
        " none in energy, time and score together."
    )


def _ranks_caption(study: Study, ranking: Ranking) -> str:
    return (
        f"Mean ranks over {ranking.blocks} {study.questions.blocks}s, 1 the best; a bar joins methods that Nemenyi's"
        f" test does not tell apart at {100 * ALPHA:.0f} %."
    )


def _page(study: Study, found: Findings) -> str:
    lines = [f"# {study.title}", "", *([study.question, ""] if study.question else [])]
    lines += [f"- {sentence}" for sentence in found.sentences]
    for name, (_, caption) in found.figures.items():
        lines += ["", f"![{name}](figures/{name}.png)", "", caption]
    asked = ", ".join(resource(key).name for key in study.questions.resources)
    lines += ["", f"Score: {study.questions.words}. Resources: {asked}."]
    if found.tables:
        lines += ["Tables for LaTeX: " + ", ".join(f"tables/{name}.tex" for name in found.tables) + "."]
        lines += ["Frames: " + ", ".join(f"{name}.parquet" for name in found.frames) + "."]
    return "\n".join(lines) + "\n"
