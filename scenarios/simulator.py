"""What it takes to run scenarios, said without the rooms that do it: learning and the network are not known here.

``run_scenario.py`` puts the rooms together and hands this interface to whatever asks for runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from scenarios.schema import Method, Scenario
from scenarios.trials import Trial


class Recorded(Protocol):
    """What a run leaves behind: besides these, every table of :mod:`scenarios.tables` by its name."""

    @property
    def ended_by(self) -> str:
        """Which budget or other condition ended the run."""

    @property
    def totals(self) -> dict[str, float]:
        """What was spent in all, by resource."""

    @property
    def rounds(self) -> Any:
        """Table of all events."""

    @property
    def tasks(self) -> Any:
        """Table of the scores of all tasks."""

    @property
    def trace(self) -> dict[str, Any] | None:
        """Timeline of all assignments, if the scenario asks for it."""


class Simulator(Protocol):
    """Runs scenarios. One is equal to any other of its kind, and can be sent to worker processes.

    Tasks and federations (tasks, split and dealt to terminals) are only handed on, from one call to the next.
    """

    def device(self, wanted: str) -> str:
        """Return the torch device for a wish of "auto", "cpu" or "cuda"."""

    def check_method(self, key: str, entry: Method) -> None:
        """Raise a ScenarioError if a method or one of its parameters is unknown."""

    def label(self, key: str, entry: Method) -> str:
        """Return what readers call a method."""

    def fits_cohorts(self, scenario: Scenario) -> bool:
        """Return whether terminals can be simulated in cohorts, which is faster and records the same to 1e-9."""

    def tasks(self, scenario: Scenario) -> Any:
        """Load the data of a scenario."""

    def federation(self, scenario: Scenario, tasks: Any, seed: int) -> Any:
        """Split tasks and deal them to the terminals of a seed."""

    def inputs(self, scenario: Scenario, tasks: Any) -> str:
        """Return a hash of what results depend on besides the scenario: its data, and the code."""

    def simulate(
        self, trial: Trial, federation: Any, threads: int, report: Callable[[Any], None] | None = None
    ) -> Recorded:
        """Simulate one method with one seed.

        Args:
            trial: what to simulate.
            federation: of its scenario and seed.
            threads: of the compiled kernels.
            report: told now and then how far it is: share done, seconds, joules and gap.
        """
