"""The scenario: everything a run is made of, typed, with units in the names and strict about unknown keys.

Nothing else in the project reads YAML. Every field has a documented default; a scenario file states what differs.
Parameters of a learning method belong to the method's own file and are checked there. The network and the machines
in it have rooms of their own, :mod:`scenarios.network` and :mod:`scenarios.equipment`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scenarios.equipment import BaseStations, Terminals
from scenarios.mobility import Mobility
from scenarios.network import Network
from scenarios.sections import Count, NonNegative, Positive, Section


class Split(Section):
    """Contiguous blocks of every recording; what the three fractions leave over is not used."""

    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of each recording's windows used for training."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share used for choosing settings; it follows the training block."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Share the reported scores are measured on."""

    @model_validator(mode="after")
    def _at_most_everything(self) -> Split:
        if self.train_fraction + self.validation_fraction + self.test_fraction > 1 + 1e-9:
            raise ValueError("train, validation and test fractions that sum to at most 1")
        return self


class Data(Section):
    """Where the tasks come from and how their rows reach the terminals."""

    source: str = "smartwatch"
    """smartwatch | matlab | table | synthetic | synthetic_mixture, or an import path `module:function` of your own."""
    path: str | None = None
    """File to read (matlab: .mat cell arrays; table: .csv or .parquet), relative to the working directory."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of an import path, or of a synthetic generator."""
    positive_exercises: tuple[str, ...] = ("PEN", "IR", "TRAP")
    """smartwatch: exercises labelled +1; the others are -1."""
    group_by: Literal["arm", "subject"] = "arm"
    """smartwatch: one task per arm (20 tasks) or per person (10 tasks)."""
    targets: tuple[str, ...] = ()
    """smartwatch: what heads predict instead, the tasks taking these in turn: positive (of positive_exercises, -1/+1),
    exercise (which of the seven), side (left or right arm, with group_by subject), or several joined by +, such as
    exercise+side. Needs a learning.model with heads."""
    window_s: Positive = 2.0
    """smartwatch: length of a window."""
    stride_s: Positive = 2.0
    """smartwatch: time between window starts; below window_s they overlap (and never straddle a split)."""
    task_column: str = "task"
    """table: column that names the task of a row."""
    label_column: str = "label"
    """table: column of the label, -1 or +1; any number with the loss squared."""
    minimum_per_class: Annotated[int, Field(ge=0)] = 0
    """matlab, table: leave out tasks with fewer rows than this in a class."""
    max_tasks: Count | None = None
    """Use only the first so many tasks."""
    unseen_tasks: Annotated[int, Field(ge=0)] = 0
    """Of these, the last so many take no part: they have no base station, and what was learned without them is scored
    on their test rows, as split "unseen". A method may let their terminals fit a few numbers to their training rows."""
    split: Split = Split()
    partition: Literal["iid", "contiguous", "dirichlet"] = "iid"
    """How a task's training rows are dealt to its terminals."""
    dirichlet_alpha: Positive = 0.5
    """dirichlet: concentration; small is very uneven."""
    standardise: bool = True
    """Scale features by mean and deviation of the pooled training rows."""
    bias: bool = True
    """Append a constant feature."""


class Learning(Section):
    """The learning problem every method solves: sum over tasks of mean loss + ridge + coupling to the mean."""

    loss: Literal["hinge", "smoothed_hinge", "squared_hinge", "logistic", "squared"] = "smoothed_hinge"
    smoothing: Positive = 0.5
    """Width of the quadratic part of the smoothed hinge."""
    lambda1: Positive = 0.01
    """Ridge on every task's model."""
    lambda2: NonNegative = 0.3
    """Strength of the pull towards the mean model; 0 decouples the tasks."""
    model: str = "linear"
    """linear, or an import path `module:function` returning a torch.nn.Module for (features), or for (features,
    outputs) one with children trunk and head: learning.trunks:linear_trunk, learning.trunks:mlp or your own."""
    model_arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of a function of (features, outputs), such as width."""
    precision: Literal["float64", "float32"] = "float64"
    """Of the rows, duals and models that terminals compute with, if the model is linear; sums, certificates and scores
    stay float64. With float32 a gap below about 1e-6 of the objective is rounding."""
    bits_per_value: Count = 32
    """Bits that carry one model value over the air."""
    message_overhead_bits: NonNegative = 1024
    """Headers and control information added to every message."""
    message_bits: Positive | None = None
    """Size of every message that carries a model or an update, whatever the model's own size: for studies that state
    it. Default: bits_per_value for every value, and message_overhead_bits."""


class Method(BaseModel):
    """One learning method in the comparison; further keys are the method's own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    use: str | None = None
    """Name of the method (see --list-methods) or import path `module:Class`; by default the entry's own key."""
    protocol: str | None = None
    """How the network runs it, if the method can be run in several ways; default: the first of those it allows."""
    label: str | None = None
    """Name in figures and tables."""
    model: str | None = None
    """Model of this method alone, in the form of learning.model; default: that one."""
    model_arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of ``model``, as learning.model_arguments."""

    @model_validator(mode="after")
    def _arguments_are_of_a_model(self) -> Method:
        if self.model_arguments and self.model is None:
            raise ValueError("a model beside model_arguments")
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The method's own parameters, as written in the file."""
        return dict(self.model_extra or {})


class Collection(Section):
    """Which terminals a base station asks in an iteration, and when it stops waiting for them."""

    scheduled_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the terminals present that is asked, drawn anew in every iteration; at least one."""
    policy: Literal["all", "first_k", "deadline"] = "all"
    k_fraction: Annotated[float, Field(gt=0, le=1)] = 0.75
    """first_k: share of the scheduled terminals that is enough."""
    deadline_s: Positive = 1.0
    """deadline: time from the broadcast; at least one update is always awaited."""
    late: Literal["drop", "carry"] = "drop"
    """first_k, deadline: whether terminals that are late are told to stop, or go on and are merged in the iteration of
    their base station in which they arrive; until then they are not asked again."""
    redispatch: Literal["after_all", "at_once"] = "after_all"
    """Asynchronous methods: whether terminals whose updates arrive at the same instant are sent the model that all of
    these updates have gone into, or each the one that its own has just gone into."""


class Budget(Section):
    """What may be spent; the run ends at the instant the first of these is met. Absent: unlimited."""

    time_s: Positive | None = None
    energy_j: Positive | None = None
    """Joules of all nodes together."""
    energy_per_terminal_j: Positive | None = None
    bytes: Positive | None = None
    """Bytes on all links together; a broadcast counts once."""
    cost: Positive | None = None
    """Abstract units, see below."""
    cost_per_local_iteration: NonNegative = 0.17
    """C_dev: one visit of one sample at one terminal."""
    cost_per_bs_iteration: NonNegative = 10.0
    """C_bs: one aggregation at one base station."""

    @model_validator(mode="after")
    def _something_ends_the_run(self) -> Budget:
        limits = (self.time_s, self.energy_j, self.energy_per_terminal_j, self.bytes, self.cost)
        if all(limit is None for limit in limits):
            raise ValueError("at least one of time_s, energy_j, energy_per_terminal_j, bytes, cost")
        return self


class Output(Section):
    """What is written besides the tables."""

    trace: bool = False
    """Write trace.json per trial: a timeline for chrome://tracing or Perfetto."""
    edge_metrics: bool = True
    """Measure scores and certificates at every base-station aggregation, not only at the cloud's."""
    carbon_g_per_kwh: NonNegative | None = None
    """Carbon intensity of the electricity; with it, rounds and run totals have a column carbon_g."""


class Scenario(Section):
    """A complete experiment: one network, one data set, several methods, several seeds."""

    schema_version: Literal[1] = 1
    """Version of this format; a future one will be told apart by it."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    presets: tuple[str, ...] = ()
    """Names (see --list-presets) or paths of YAML files whose fields hold where this scenario states none."""
    title: str = ""
    description: str = ""
    seeds: Count | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = 5
    """How many seeds (0, 1, ...), or the list of them."""
    flagship: str | None = None
    """Key of the method that the report compares with all others; default: the first."""
    data: Data = Data()
    learning: Learning = Learning()
    network: Network = Network()
    terminals: Terminals = Terminals()
    base_stations: BaseStations = BaseStations()
    mobility: Mobility | None = None
    """Absent: nobody moves."""
    collection: Collection = Collection()
    budget: Budget
    methods: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Method], Field(min_length=1)]
    engine: Literal["auto", "process", "cohort"] = "auto"
    """process: every terminal is a process of its own; cohort: a base station's terminals are simulated together, the
    same world in arrays; auto: cohort above 100 000 terminals."""
    output: Output = Output()

    @model_validator(mode="after")
    def _flagship_is_a_method(self) -> Scenario:
        if self.flagship is not None and self.flagship not in self.methods:
            raise ValueError(f"a flagship that is one of the methods: {', '.join(self.methods)}")
        return self

    @model_validator(mode="after")
    def _clocks_that_aim_at_a_deadline_have_one(self) -> Scenario:
        aims = any(device.dvfs and device.dvfs.policy == "deadline" for device in self.terminals.classes)
        if aims and self.collection.policy != "deadline":
            raise ValueError("collection.policy: deadline, if a device class has dvfs.policy deadline")
        return self

    @model_validator(mode="after")
    def _who_is_late_can_still_be_heard(self) -> Scenario:
        if self.collection.late == "carry" and self.network.uplink.transfer != "digital":
            raise ValueError("network.uplink.transfer: digital with collection.late carry")
        return self

    @model_validator(mode="after")
    def _speeds_are_of_classes(self) -> Scenario:
        known = [device.name for device in self.terminals.classes]
        if self.mobility is not None and set(self.mobility.class_speed_mps) - set(known):
            raise ValueError(f"mobility.class_speed_mps of device classes: {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _who_moves_meets_a_landscape(self) -> Scenario:
        if self.mobility is not None and not self.network.propagation.spatial_consistency:
            raise ValueError("network.propagation.spatial_consistency: true with mobility")
        return self

    @model_validator(mode="after")
    def _cells_change_only_where_links_may(self) -> Scenario:
        if not self.cells_change:
            return self
        cause = "mobility" if self.mobility is not None else "base_stations.outage.recovery reassociate"
        if self.network.interference.model == "load":
            raise ValueError(f"network.interference.model: fixed or coupled with {cause}")
        if self.network.uplink.transfer != "digital":
            raise ValueError(f"network.uplink.transfer: digital with {cause}")
        if self.network.layout.environment == "THz":
            raise ValueError(f"with {cause} a network.layout.environment other than THz")
        if self.network.uplink.share in ("allotted", "slots"):
            raise ValueError(f"with {cause} a network.uplink.share other than allotted and slots")
        return self

    @model_validator(mode="after")
    def _who_finds_another_cell_stays_a_member(self) -> Scenario:
        outage, mobility = self.base_stations.outage, self.mobility
        if outage and outage.recovery == "reassociate" and mobility and mobility.membership == "leave":
            raise ValueError("mobility.membership: keep with base_stations.outage.recovery reassociate")
        return self

    @model_validator(mode="after")
    def _seeds_differ(self) -> Scenario:
        if len(set(self.seed_list)) < len(self.seed_list):
            raise ValueError("seeds that are all different")
        return self

    def learned_by(self, key: str) -> Scenario:
        """Return the scenario as one of its methods meets it: with the model of its own, if it states one."""
        entry = self.methods[key]
        if entry.model is None:
            return self
        own = {"model": entry.model, "model_arguments": entry.model_arguments}
        return self.model_copy(update={"learning": self.learning.model_copy(update=own)})

    @property
    def cells_change(self) -> bool:
        """Whether another cell may come to serve a terminal."""
        outage = self.base_stations.outage
        return self.mobility is not None or (outage is not None and outage.recovery == "reassociate")

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds, spelled out."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds
