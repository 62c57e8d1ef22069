"""A study: one scenario at many points, every method and seed at each of them, and what is asked of the outcome.

A point sets some fields of the scenario, by their dotted names. Axes are crossed; those in one list move together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from scenarios.errors import ScenarioError
from scenarios.loading import apply_overrides, changed, check, read_yaml, validated
from scenarios.presets import with_presets
from scenarios.schema import Scenario
from scenarios.sections import Count, Positive, Section

_DIGITS = 12  # of a number in a range: enough for any field, few enough that 10^0.3 cubed is what it should be

Range = tuple[float, float, Annotated[int, Field(ge=2)]]
Spent = Literal["time_s", "energy_j", "cost", "bytes"]


class Axis(Section):
    """One field and the values it takes, given in one of three ways."""

    field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$")]
    """Dotted name, e.g. budget.cost, terminals.classes.0.cpu_hz or methods.fedavg.learning_rate."""
    values: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """The values themselves."""
    lin: Range | None = None
    """First, last and number of evenly spaced values."""
    log: Range | None = None
    """First, last and number of values with equal ratios."""
    whole: bool = False
    """Round the values of a range to whole numbers."""
    label: str | None = None
    """What readers call the field; default: its name."""

    @model_validator(mode="after")
    def _values_are_given_once(self) -> Axis:
        if sum(way is not None for way in (self.values, self.lin, self.log)) != 1:
            raise ValueError("exactly one of values, lin, log")
        if self.log is not None and min(self.log[:2]) <= 0:
            raise ValueError("a log range between positive numbers")
        if self.whole and self.values is not None:
            raise ValueError("whole for a range only")
        steps = self.steps
        if any(step in steps[:place] for place, step in enumerate(steps)):
            raise ValueError("values that are all different")
        return self

    @property
    def steps(self) -> tuple[Any, ...]:
        """The values, spelled out."""
        if self.values is not None:
            return self.values
        spaced = np.linspace(*self.lin) if self.lin is not None else np.geomspace(*_some(self.log))
        return tuple(round(value) if self.whole else float(f"{value:.{_DIGITS}g}") for value in spaced.tolist())


def _some(value: Range | None) -> Range:
    assert value is not None
    return value


class Questions(Section):
    """What the analysis of a study looks at."""

    measure: Literal["balanced_accuracy", "accuracy", "worst_balanced_accuracy", "auc", "r2", "worst_r2"] | None = None
    """Score that is compared: mean over tasks of the reported split, or that of the worst task; by default
    balanced_accuracy, or r2 where no task has classes."""
    resources: Annotated[tuple[Spent, ...], Field(min_length=1)] = ("time_s", "energy_j", "cost")
    """What is spent, in the order of figures and tables."""
    targets: tuple[float, ...] = ()
    """Scores whose price is asked for; default: shares of the way from the start to the best method's end."""
    gap_targets: tuple[Positive, ...] = ()
    """Joint duality gaps whose price is asked for."""
    at: dict[Spent, tuple[Positive, ...]] = Field(default_factory=dict)
    """Amounts spent at which scores are read, besides a quarter, half and all of every budget that is set."""
    front: Literal["end", "anytime"] = "end"
    """Outcomes that fronts are made of: the ends of runs; or every recorded moment, as if one could stop there."""
    plans: bool = False
    """Draw H and K, means over cloud rounds, against the axes too."""
    blocks: Literal["seed", "point"] = "seed"
    """What tests take as one observation: a seed, mean over points; or a point, mean over seeds."""


class Study(Section):
    """A question, asked of one scenario at many points."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    title: str = ""
    question: str = ""
    scenario: str | dict[str, Any]
    """Path of a scenario, relative to the study's file; or the scenario itself."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Dotted fields of the scenario that are different at every point."""
    axes: tuple[Annotated[tuple[Axis, ...], Field(min_length=1)], ...] = ()
    """Crossed with each other; where a list stands instead of an axis, its axes move together."""
    methods: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Methods of the scenario; default: all of them."""
    seeds: Count | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    """How many seeds (0, 1, ...), or the list of them; default: those of the scenario."""
    flagship: str | None = None
    """Method that the others are compared with; default: the scenario's, or the first."""
    keep_tables: bool = False
    """Keep all tables of every run, as a scenario's trials do, and not only its curve."""
    questions: Questions = Questions()

    @field_validator("axes", mode="before")
    @classmethod
    def _one_axis_moves_alone(cls, axes: Any) -> Any:
        return [[axis] if isinstance(axis, Mapping) else axis for axis in axes] if isinstance(axes, list) else axes

    @model_validator(mode="after")
    def _axes_fit(self) -> Study:
        for group in self.axes:
            if len({len(axis.steps) for axis in group}) > 1:
                raise ValueError("as many values for each of the axes that move together")
        fields = [axis.field for group in self.axes for axis in group]
        if len(set(fields)) < len(fields):
            raise ValueError("axes of different fields")
        if any(field.split(".")[0] in ("name", "seeds", "flagship", "presets") for field in [*fields, *self.change]):
            raise ValueError("axes and changes of other fields than name, seeds, flagship and presets")
        return self

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield the values of every point's fields; a study without axes has one point."""
        groups = [
            [{axis.field: axis.steps[step] for axis in group} for step in range(len(group[0].steps))]
            for group in self.axes
        ]
        for chosen in itertools.product(*groups):
            yield {field: value for part in chosen for field, value in part.items()}


def load_study(path: Path) -> Study:
    """Read a study.

    Raises:
        ScenarioError: anything is wrong with it; one line that names file, field, value and what is allowed.
    """
    return validated(Study, read_yaml(path), str(path))


def load_base(study: Study, path: Path, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the mapping of the scenario that a study is about, with the study's own changes.

    Args:
        study: the study.
        path: its file.
        overrides: texts ``key.path=value``, applied last.

    Raises:
        ScenarioError: the scenario cannot be read or changed like this.
    """
    source = path.parent / study.scenario if isinstance(study.scenario, str) else path
    tree = read_yaml(source) if isinstance(study.scenario, str) else {"name": study.name, **study.scenario}
    return apply_overrides(changed(with_presets(tree, read_yaml, str(source)), study.change, str(path)), overrides)


def scenario_at(base: Mapping[str, Any], point: Mapping[str, Any], source: str) -> Scenario:
    """Return the checked scenario of a point.

    Raises:
        ScenarioError: it is none; the line names the point, too.
    """
    try:
        return check(changed(base, point), source)
    except ScenarioError as error:
        where = ", ".join(f"{field} {value}" for field, value in point.items())
        at = f"{source}, at {where}" if where else source
        raise ScenarioError(error.field, error.value, error.allowed, at) from None


def only(scenario: Scenario, method: str) -> Scenario:
    """Return the scenario with one method: what a run of it depends on, whatever else is compared."""
    return scenario.model_copy(update={"methods": {method: scenario.methods[method]}, "flagship": None})
