"""How well tasks are learned, by what their labels are: which measures are compared, and what is no achievement.

All that is compared is better when it is higher. Values have the coefficient of determination R^2 = 1 - sum of squared
errors / sum of squared deviations from the mean, which has no unit: tasks on different scales can be averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.curves import AUC, BALANCED_ACCURACY, FLOORS, R2, WORST_R2, WORST_TASK, Measure
from analysis.load import Experiment


@dataclass(frozen=True)
class Scale:
    """What is said about one kind of labels.

    Attributes:
        main: compared first, and in figures; ``worst`` is its lowest over tasks; ``also`` is compared besides.
        article: goes before the main measure in a sentence.
        metrics: recorded metric -> heading, for tables.
        no_learning: the answer that takes none, and ``chance`` what it scores where nothing else is recorded.
        note: what a reader has to know of the main measure.
    """

    main: Measure
    worst: Measure
    also: Measure | None
    article: str
    metrics: Mapping[str, str]
    no_learning: str
    chance: float
    note: str = ""

    @property
    def words(self) -> str:
        """The main measure within a sentence."""
        return self.main.words

    @property
    def compared(self) -> tuple[Measure, ...]:
        """Measures that methods are compared by."""
        return (self.main,) if self.also is None else (self.main, self.also)


CLASSES = Scale(
    *(BALANCED_ACCURACY, WORST_TASK, AUC, "a"),
    metrics={"balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy", "auc": "AUC"},
    no_learning="always answering one class",
    chance=0.5,
)
VALUES = Scale(
    *(R2, WORST_R2, None, "an"),
    metrics={"r2": "R²", "rmse": "Root mean square error"},
    no_learning="always answering the mean",
    chance=0.0,
    note=f"R² below {FLOORS['r2']:g} counts as {FLOORS['r2']:g}, so that no model that has diverged decides a mean.",
)


def scale_of(experiment: Experiment) -> Scale:
    """Return what suits the labels of an experiment."""
    return suitable(*(bool(experiment.tasks[scale.main.metric].notna().any()) for scale in (CLASSES, VALUES)))


def suitable(classes: bool, values: bool) -> Scale:
    """Values where no task has ``classes``, otherwise classes: beside them, tasks with ``values`` are left out."""
    if classes and values:
        return replace(CLASSES, note="Tasks whose labels are values have no balanced accuracy; they are left out.")
    return VALUES if values else CLASSES


def chance_of(experiment: Experiment, tasks: Iterable[str]) -> NDArray[np.float64]:
    """(tasks,) what the answer that takes no learning scores."""
    usual = scale_of(experiment).chance
    return np.array([experiment.chance.get(str(task), usual) for task in tasks])
