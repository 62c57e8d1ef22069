"""What all methods have in common, and the defaults a new method starts from.

A method is one file in this folder with one subclass of :class:`Method`. The network calls its port (``plan``,
``sizes``, ``adopt``, ``train``, ``merge``, ``combine``, ``evaluate``, ``settle``) with the nodes that act at the same
time; every call returns at once, with the real work submitted to the deferred queue.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.control.blind import Blind
from learning.control.observation import Controller, Observation
from learning.deferred import Pending
from learning.distortion import Distortion
from learning.evaluation import Evaluator, Measurement, copied
from learning.head_evaluation import HeadedModel, HeadEvaluator
from learning.messages import Cohort, Plan, Receipt, Sizes
from learning.setting import Setting
from learning.state import State

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Node(Protocol):
    """A place in the hierarchy."""

    @property
    def tier(self) -> str:
        """``"cloud"``, ``"base_station"`` or ``"terminal"``."""

    @property
    def index(self) -> int:
        """Index within the tier; base station b serves task b."""


class Method(ABC):
    """A learning method.

    Subclasses say what they are called and what their parameters are, and implement the port.

    Args:
        setting: data, problem, randomness, queue.
        parameters: an instance of the class's own ``Parameters``.
    """

    label: ClassVar[str]
    """Name in figures."""
    Parameters: ClassVar[Any]
    """Frozen pydantic dataclass: each parameter with its meaning, range and limiting case."""
    protocols: ClassVar[tuple[str, ...]] = ("hierarchical",)
    """How the network may run it, see :class:`netsim.port.Method`; the first unless the scenario names another."""
    obstacles: ClassVar[Mapping[str, str]] = {}
    """Why not otherwise, by protocol, if not for the reasons in :mod:`learning.protocols`: what follows "because"."""
    nodes: ClassVar[str] = "terminals"
    """Who the nodes of the graph are if it is run decentralised: ``"terminals"`` or ``"base_stations"``."""
    personal: bool = False
    """Whether every terminal has a model of its own, which parameters may decide; the scores of a task are the
    means over its terminals' models."""
    losses: ClassVar[tuple[str, ...]] = ()
    """Names of the losses it is defined for; empty: all."""
    mixes_heads: ClassVar[bool] = True
    """Whether it averages whole models, so that all tasks must have the same label spaces."""
    knows_heads_only: ClassVar[bool] = False
    """Whether it has a use for terminals that train the heads of a model only, see ``setting.heads_only``."""
    sums_updates: ClassVar[bool] = False
    """Whether :meth:`merge` needs no more of the updates than their sum, and takes one that the air has distorted."""
    takes_late: ClassVar[bool] = False
    """Whether :meth:`merge` takes ``late`` updates, see :class:`learning.messages.Late`."""

    def __init__(self, setting: Setting, parameters: Any) -> None:
        self.setting = setting
        self.queue = setting.queue
        self.parameters = parameters
        self.protocol = self.protocols[0]
        self.evaluator = (HeadEvaluator if isinstance(setting.model, HeadedModel) else Evaluator)(setting)
        self.controller: Controller = self.make_controller()
        self._trained = np.zeros(setting.terminals, np.int64)

    # What a method defines ----------------------------------------------------------------------------------

    @abstractmethod
    def make_controller(self) -> Controller:
        """Return what chooses H and K."""

    @abstractmethod
    def sizes(self, plan: Plan) -> Sizes:
        """Return what a cloud round with this plan makes everybody send and compute."""

    @abstractmethod
    def train(self, cohort: Cohort, plan: Plan) -> Pending:
        """Submit the local work of the cohort's terminals, from the present models of its sites."""

    @abstractmethod
    def merge(
        self, cohort: Cohort, work: Pending, arrived: BoolArray, distortion: Distortion | None = None
    ) -> Receipt | None:
        """Submit the sites' aggregation of the updates in ``work`` that arrived, (n,) booleans.

        With a ``distortion`` the cohort is of one site, which heard the sum of them through it; it is passed to
        methods with ``sums_updates`` only.
        """

    @abstractmethod
    def models(self) -> tuple[State, IntArray]:
        """Return where the models in use are, and which (tasks,) row of it is each task's.

        With ``personal`` models it is (terminals,) rows, one for each terminal.
        """

    def newcomers(self) -> Pending | None:
        """Submit the (V, P) models that all terminals of the unseen tasks would use; None if it has none to offer."""
        return None

    def adopt(self, sites: IntArray) -> None:
        """Let base stations take in what the cloud sent; by default they need nothing."""

    def combine(self) -> None:
        """Let the cloud aggregate what all base stations sent; by default it does nothing."""

    # What all methods share ---------------------------------------------------------------------------------

    @property
    def blind(self) -> bool:
        """Whether plans look at nothing that rounds have cost or taken; a :meth:`plan` of its own may look."""
        controller = self.controller
        return type(self).plan is Method.plan and isinstance(controller, Blind) and not controller.heeds_pace

    def plan(self, observation: Observation) -> Plan | None:
        """Ask the controller for the next cloud round."""
        return self.controller.plan(observation, None)

    def evaluate(self, node: Node) -> Measurement:
        """Submit a measurement: of one task at its base station, of everything elsewhere.

        Personal models are scored when everything is; the objective is one of a model per task, and not theirs.
        """
        at_site = node.tier == "base_station"
        if at_site and (self.personal or not self.setting.edge_metrics):
            return Measurement()
        models, rows = self.models()
        if self.personal:
            owners = self.setting.federation.terminal_task
            return Measurement([], self.evaluator.measure(self.queue, owners, models, rows), self.measure_unseen())
        if at_site:
            task = np.array([node.index])
            return Measurement([], self.evaluator.measure(self.queue, task, models, rows[task]))
        used = copied(self.queue, models, rows)
        scores = self.evaluator.score(self.queue, np.arange(self.setting.tasks), used)
        return Measurement([self.evaluator.objective(self.queue, used)], scores, self.measure_unseen())

    def measure_unseen(self) -> Pending | None:
        """Submit a measurement of what unseen terminals would predict; None without them or an answer for them."""
        models = None if self.setting.federation.unseen is None else self.newcomers()
        return None if models is None else self.evaluator.score_unseen(self.queue, models)

    def settle(self) -> None:
        """Compute everything that is pending."""
        self.queue.flush()

    def next_rounds(self, terminals: IntArray) -> IntArray:
        """Return (n,) how often each terminal has trained before, and count this time."""
        numbers = self._trained[terminals]
        self._trained[terminals] += 1
        return numbers
