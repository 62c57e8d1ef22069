"""What methods without rounds have in common: one model at the cloud, sent to one terminal after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.fixed import FixedControl
from learning.deferred import ALL, Pending
from learning.descent import Descent
from learning.distortion import Distortion
from learning.in_flight import Flight, InFlight
from learning.messages import Cohort, Plan, Receipt, Sizes
from learning.methods.base import BoolArray, IntArray, Method
from learning.setting import Setting
from learning.staleness import Law
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class AsynchronousParameters:
    """Parameters of all methods without rounds.

    Attributes:
        local_iterations: H, SGD steps a report.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: step size eta at the start.
        decay: the step size is eta / (1 + decay x the terminal's reports so far); 0 keeps it.
        max_staleness: reports on a model that has changed more often than that since are thrown away; absent: none.
        cloud_rounds: stop after so many times as many reports as there are terminals; absent: at the budget.
    """

    local_iterations: int = Field(default=5, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)
    max_staleness: int | None = Field(default=None, ge=0)
    cloud_rounds: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, config={"extra": "forbid"})
class DiscountingParameters(AsynchronousParameters):
    """Parameters of methods that trust old reports less: s(tau), see :class:`learning.staleness.Discounting`.

    Attributes:
        discount: constant, 1; polynomial, (1 + tau)^-a; hinge, 1 up to b and 1 / (a (tau - b) + 1) beyond.
        discount_power: a of polynomial; 0 is constant.
        hinge_slope: a of hinge.
        hinge_from: b of hinge.
    """

    discount: Law = "polynomial"
    discount_power: float = Field(default=0.5, ge=0)
    hinge_slope: float = Field(default=10.0, gt=0)
    hinge_from: float = Field(default=4.0, ge=0)


class Asynchronous(Method):
    """A method whose cloud takes in reports one at a time."""

    protocols = ("asynchronous",)
    obstacles: ClassVar[Mapping[str, str]] = {
        "hierarchical": "it takes in one report at a time, and base stations send many together",
        "isolated": "its terminals share one model",
    }

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self.cloud = State(setting.model.initial(setting.streams)[None].copy())
        self._flights = InFlight(setting, self.learn)

    @abstractmethod
    def learn(self, terminals: IntArray, models: State, rows: IntArray, steps: int, numbers: IntArray) -> Pending:
        """Submit local work, see :data:`learning.in_flight.Train`; the value will be the (n, P) models reached."""

    @abstractmethod
    def take_in(self, batch: list[tuple[Any, ...]]) -> list[None]:
        """Change the cloud's model: (received (P,), reached (P,), rule) for each report, in order of arrival.

        The rule is what :meth:`weigh` returned.
        """

    @abstractmethod
    def weigh(self, staleness: int) -> tuple[Any, int]:
        """Return what :meth:`take_in` is to know of a report, and how many new versions it brings about."""

    def make_controller(self) -> FixedControl:
        """Return fixed H."""
        return FixedControl(self.parameters.local_iterations, 1, self.parameters.cloud_rounds)

    def models(self) -> tuple[State, IntArray]:
        """The cloud's model, for every task."""
        return self.cloud, np.zeros(self.setting.tasks, np.int64)

    def sizes(self, plan: Plan) -> Sizes:
        """A whole model down and up."""
        bits, visits = self.setting.message_bits(self.setting.model.size), self.visits(plan.local_iterations)
        return Sizes(bits, bits, bits, bits, visits, np.zeros_like(visits))

    @abstractmethod
    def visits(self, steps: int) -> Any:
        """Return (terminals,) rows visited for a report."""

    def train(self, cohort: Cohort, plan: Plan) -> Any:
        """Let the cohort's terminals start from the cloud's present model."""
        numbers = self.next_rounds(cohort.terminals)
        return self._flights.send(cohort.terminals, self.cloud, plan.local_iterations, numbers)

    def merge(
        self,
        cohort: Cohort,
        work: Any,
        arrived: BoolArray,
        distortion: Distortion | None = None,
        staleness: int = 0,
    ) -> Receipt:
        """Submit the cloud's step with the one report that arrived, unless it is too old."""
        oldest = self.parameters.max_staleness
        if oldest is not None and staleness > oldest:
            return Receipt(accepted=False, versions=0)
        flight: Flight = work
        place = int(np.flatnonzero(arrived)[0])
        reached, row = self._flights.reached(flight, place)
        rule, versions = self.weigh(staleness)
        who = flight.terminals[place : place + 1]
        self.queue.submit(
            self._take_in, (who, reached, row, rule), reads=[(self._flights.received, who)], writes=[(self.cloud, ALL)]
        )
        return Receipt(accepted=True, versions=versions)

    def _take_in(self, batch: list[tuple[Any, ...]]) -> list[None]:
        received = self._flights.received.values
        return self.take_in([(received[who[0]], reached[row], rule) for who, reached, row, rule in batch])


class DescendingAsynchronous(Asynchronous):
    """A method without rounds whose terminals run SGD."""

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._descent = Descent(setting, parameters, self.proximal)

    @property
    def proximal(self) -> float:
        """Weight of the pull towards the model received."""
        return 0.0

    def learn(self, terminals: IntArray, models: State, rows: IntArray, steps: int, numbers: IntArray) -> Pending:
        """Submit SGD."""
        return self._descent.submit(terminals, models, rows, steps, numbers)

    def visits(self, steps: int) -> Any:
        """Return (terminals,) rows visited in ``steps`` steps."""
        return self._descent.visits(steps)
