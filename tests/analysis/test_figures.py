"""Every figure draws what was recorded, without warnings and without text upon text."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.curves import BALANCED_ACCURACY, task_curves, trial_states
from analysis.figures import exhibits, save_figure
from analysis.figures.convergence import FLOOR, suboptimality_curves
from analysis.figures.learning import reference_levels
from analysis.figures.registry import Exhibit
from analysis.figures.save import render, settle
from analysis.figures.steps import span_of
from analysis.figures.style import COLUMN_IN, PAGE_IN, looks, settings
from analysis.load import Experiment, Method
from analysis.quantities import COST, TIME
from tests.analysis.handmade_experiment import handmade, steps

each = pytest.mark.parametrize("exhibit", exhibits(), ids=lambda exhibit: exhibit.name)


@pytest.fixture
def strict() -> Iterator[None]:
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _crowded(experiment: Experiment) -> Experiment:
    """The same experiment with long names, as users will have them."""
    names = {"rhfedmtl": "RHFedMTL (ours, controller on)", "fedavg": "FedAvg with a rather long name"}
    methods = tuple(replace(m, label=names.get(m.key, m.label)) for m in experiment.methods)
    return replace(experiment, methods=methods)


def _bare() -> Experiment:
    """One method, one seed, task records and nothing else."""
    return handmade({("ours", 0): steps(0.5, 0.6, 0.7)})


@each
def test_a_figure_renders_to_vector_and_pixels_without_a_warning(
    experiment: Experiment, exhibit: Exhibit, tmp_path: Path, caplog: pytest.LogCaptureFixture, strict: None
) -> None:
    with caplog.at_level(logging.WARNING):
        save_figure(exhibit.draw(experiment), tmp_path / "figures", exhibit.name)
    assert caplog.text == ""
    assert (tmp_path / "figures" / f"{exhibit.name}.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "figures" / f"{exhibit.name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "figures").iterdir())) == 2


@each
def test_a_figure_has_the_width_of_a_column_or_a_page(experiment: Experiment, exhibit: Exhibit) -> None:
    width, height = exhibit.draw(experiment).get_size_inches()
    assert width == (PAGE_IN if exhibit.wide else COLUMN_IN)
    assert 1.0 < height < 9.0


@each
@pytest.mark.parametrize("crowded", [False, True])
def test_no_text_lies_on_other_text_or_leaves_the_figure(
    experiment: Experiment, exhibit: Exhibit, crowded: bool
) -> None:
    figure = exhibit.draw(_crowded(experiment) if crowded else experiment)
    boxes = _text_boxes(figure)
    assert len(boxes) > 5
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert min(width, height) < 1.5, f"{one!r} lies on {other!r}"
    for name, box in boxes:
        assert box.x0 > -1 and box.y0 > -1, name
        assert box.x1 < figure.bbox.x1 + 1 and box.y1 < figure.bbox.y1 + 1, name


def _text_boxes(figure: Figure) -> list[tuple[str, mpl.transforms.Bbox]]:
    """Visible texts and their boxes, in pixels; ticks outside their axes are not drawn and do not count."""
    with mpl.rc_context(settings()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        texts = [text for text in figure.findobj(Text) if text.get_visible() and str(text.get_text()).strip()]
        unseen = {
            id(tick_text)
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for tick in {*axis.get_major_ticks(), *axis.get_minor_ticks()} - {*axis._update_ticks()}  # type: ignore
            for tick_text in (tick.label1, tick.label2)
        }
        return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if id(t) not in unseen]


@each
def test_a_figure_is_offered_only_where_there_is_something_to_draw(exhibit: Exhibit, strict: None) -> None:
    bare = _bare()
    drawable = {"tasks", *(f"accuracy_vs_{name}" for name in ("time", "energy", "cost", "traffic"))}
    drawable |= {"worst_task_vs_time", "worst_task_vs_cost"}
    assert exhibit.available(bare) == (exhibit.name in drawable)
    if exhibit.available(bare):
        render(exhibit.draw(bare), "png")


@each
def test_missing_values_anywhere_do_not_break_a_figure(experiment: Experiment, exhibit: Exhibit, strict: None) -> None:
    generator = np.random.default_rng(1)
    tables = {}
    for name in ("rounds", "tasks", "terminals"):
        frame = getattr(experiment, name).copy()
        floats = [c for c in frame.select_dtypes("float") if c not in ("time_s", "energy_j", "cost", "bytes")]
        for column in floats:
            frame.loc[generator.random(len(frame)) < 0.2, column] = np.nan
        tables[name] = frame
    assert render(exhibit.draw(replace(experiment, **tables)), "png").startswith(b"\x89PNG")


def test_the_same_data_give_the_same_files(experiment: Experiment) -> None:
    draw = exhibits()[0].draw
    for file_format in ("pdf", "png", "svg"):
        assert render(draw(experiment), file_format) == render(draw(experiment), file_format)


def test_drawing_leaves_other_peoples_settings_alone(experiment: Experiment) -> None:
    before = dict(mpl.rcParams)
    exhibits()[0].draw(experiment)
    assert dict(mpl.rcParams) == before


@each
def test_settling_leaves_the_axes_where_drawing_puts_them(experiment: Experiment, exhibit: Exhibit) -> None:
    settled, plain = (exhibit.draw(experiment) for _ in range(2))
    settle(settled)
    with mpl.rc_context(settings()):
        FigureCanvasAgg(plain).draw()
    for one, other in zip(settled.axes, plain.axes, strict=True):
        assert one.get_position().bounds == pytest.approx(other.get_position().bounds, abs=0.01)


def test_a_method_looks_the_same_in_every_figure(experiment: Experiment) -> None:
    look = looks(experiment)
    assert len({entry.colour for entry in look.values()}) == len({e.marker for e in look.values()}) == 3
    for name in ("accuracy_vs_cost", "tasks"):
        (figure,) = [exhibit.draw(experiment) for exhibit in exhibits() if exhibit.name == name]
        entries = {
            text.get_text(): to_hex(handle.get_color())  # type: ignore[union-attr]
            for legend in figure.legends
            for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True)
        }
        assert all(entries[entry.label] == entry.colour for entry in look.values())


def test_the_flagship_has_the_same_colour_wherever_it_is_listed_and_many_methods_all_differ() -> None:
    base = _bare()
    many = replace(base, methods=(*(Method(f"m{n}", f"M{n}") for n in range(13)), *base.methods))
    assert looks(many)["ours"].marker == looks(base)["ours"].marker == "o"
    assert len({look.colour for look in looks(many).values()}) == 14
    few = replace(base, methods=many.methods[-3:])
    assert looks(few)["ours"].colour == looks(base)["ours"].colour


def test_an_axis_turns_logarithmic_only_where_half_of_the_way_is_made_at_its_beginning() -> None:
    slow = {("slow", 0): steps(0.5, *([0.5] * 60), 0.9)}
    together = {("ours", 0): steps(0.5, 0.9)} | slow
    linear = span_of(task_curves(trial_states(handmade(slow, flagship="slow")), BALANCED_ACCURACY), TIME)
    log = span_of(task_curves(trial_states(handmade(together)), BALANCED_ACCURACY), COST)
    assert (linear.log, linear.least, linear.top) == (False, 0.0, 61.0)
    assert (log.log, log.top) == (True, 61.0)
    assert 0 < log.least < 1.0


def test_the_distance_to_the_optimum_is_that_of_the_same_seed_and_never_negative(experiment: Experiment) -> None:
    references = experiment.references.copy()
    references.loc[references["seed"] == 2, "primal"] = 1e6  # worse than any objective: below the solver's error
    references = references[references["seed"] != 3]
    curves = suboptimality_curves(replace(experiment, references=references))
    assert {curve.seed for curve in curves} == {0, 1, 2}
    rounds = experiment.rounds.query("method == 'fedavg' and seed == 0 and event == 'end'")
    (mine,) = [curve for curve in curves if (curve.method, curve.seed) == ("fedavg", 0)]
    assert mine.value[-1] == pytest.approx(float(rounds["objective"].iloc[0]) - 2.0)
    assert {float(v) for curve in curves if curve.seed == 2 for v in curve.value} == {FLOOR * 1e6}


def test_reference_levels_are_sorted_and_belong_to_the_test_split(experiment: Experiment) -> None:
    levels = reference_levels(experiment, BALANCED_ACCURACY)
    assert list(levels.values()) == sorted(levels.values(), reverse=True)
    validation = replace(experiment, tasks=experiment.tasks[experiment.tasks["split"] == "validation"])
    assert reference_levels(validation, BALANCED_ACCURACY) == {}


def test_every_terminal_is_on_the_map(experiment: Experiment) -> None:
    (figure,) = [exhibit.draw(experiment) for exhibit in exhibits() if exhibit.name == "network_map"]
    drawn = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    points = sum(len(np.asarray(collection.get_offsets())) for collection in drawn)
    assert points == 7 * 9 + 7  # terminals and sites
