"""The scenario: everything a run is made of, typed, with units in the names and strict about unknown keys.

Nothing else in the project reads YAML. Every field has a documented default; a scenario file states what differs.
Parameters of a learning method belong to the method's own file and are checked there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of a scenario: immutable, no unknown keys, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


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
    """smartwatch | matlab | table | synthetic, or an import path `module:function` of your own."""
    path: str | None = None
    """File to read (matlab: .mat cell arrays; table: .csv or .parquet), relative to the working directory."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of an import path, or of the synthetic generator."""
    positive_exercises: tuple[str, ...] = ("PEN", "IR", "TRAP")
    """smartwatch: exercises labelled +1; the others are -1."""
    group_by: Literal["arm", "subject"] = "arm"
    """smartwatch: one task per arm (20 tasks) or per person (10 tasks)."""
    window_s: Positive = 2.0
    """smartwatch: length of a window."""
    stride_s: Positive = 2.0
    """smartwatch: time between window starts; below window_s they overlap (and never straddle a split)."""
    task_column: str = "task"
    """table: column that names the task of a row."""
    label_column: str = "label"
    """table: column of the label, -1 or +1."""
    minimum_per_class: Annotated[int, Field(ge=0)] = 0
    """matlab, table: leave out tasks with fewer rows than this in a class."""
    max_tasks: Count | None = None
    """Use only the first so many tasks."""
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
    """linear, or an import path `module:function` returning a torch.nn.Module for (features)."""
    precision: Literal["float64", "float32"] = "float64"
    """Of the rows, duals and models that terminals compute with, if the model is linear; sums, certificates and scores
    stay float64. With float32 a gap below about 1e-6 of the objective is rounding."""
    bits_per_value: Count = 32
    """Bits that carry one model value over the air."""
    message_overhead_bits: NonNegative = 1024
    """Headers and control information added to every message."""


class Method(BaseModel):
    """One learning method in the comparison; further keys are the method's own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    use: str | None = None
    """Name of the method (see --list-methods) or import path `module:Class`; by default the entry's own key."""
    label: str | None = None
    """Name in figures and tables."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The method's own parameters, as written in the file."""
        return dict(self.model_extra or {})


class Layout(Section):
    """Where base stations and terminals stand."""

    environment: Literal["UMa", "UMi"] = "UMa"
    """3GPP TR 38.901 deployment: urban macro or urban micro street canyon."""
    inter_site_distance_m: Annotated[float, Field(gt=0, le=8600)] | None = None
    """Distance between neighbouring sites of the hexagonal grid; default of the environment (500 UMa, 200 UMi)."""
    base_station_height_m: Positive | None = None
    """Antenna height; default of the environment (25 UMa, 10 UMi)."""
    terminal_height_m: Annotated[float, Field(ge=1.5, le=22.5)] = 1.5
    min_distance_m: Positive | None = None
    """Closest a terminal may stand to its site; default of the environment (35 UMa, 10 UMi)."""
    neighbour_sites: Annotated[int, Field(ge=6)] = 36
    """Sites modelled besides a terminal's own: those nearest to its own, 6, 18 or 36 for one, two or three rings.
    Others neither interfere nor win terminals. Networks of up to neighbour_sites + 1 sites are modelled in full; among
    1000 sites the median downlink SINR is 0.3 dB (UMa) or 0.2 dB (UMi) higher with 36 than with all."""


class Propagation(Section):
    """What happens to the signal between antennas."""

    carrier_frequency_hz: Annotated[float, Field(ge=0.5e9, le=100e9)] = 3.5e9
    shadowing: bool = True
    """Log-normal shadowing, one draw per (site, terminal)."""
    fading: Literal["none", "rayleigh", "rician"] = "rician"
    """Small-scale fading averaged into an ergodic spectral efficiency; rician: on line-of-sight links only."""
    base_station_antenna_gain_dbi: float = 8.0
    terminal_antenna_gain_dbi: float = 0.0


class LinkAdaptation(Section):
    """From SINR to bits per second and hertz."""

    model: Literal["mcs", "shannon"] = "mcs"
    """mcs: goodput envelope of a TS 38.214 table with HARQ; shannon: capacity with a gap."""
    mcs_table: Literal[1, 2] = 2
    """38.214 table 5.1.3.1-1 (up to 64QAM) or 5.1.3.1-2 (up to 256QAM)."""
    implementation_margin_db: NonNegative = 0.0
    """mcs: loss of a real receiver against the simulated decoder."""
    shannon_gap_db: NonNegative = 2.0
    max_bit_s_hz: Positive = 7.4063
    """shannon: ceiling of the modulation."""
    min_sinr_db: float = -6.0
    """shannon: below it nothing is received."""
    outage_bit_s_hz: Positive = 0.02
    """A link whose mean spectral efficiency is below this is out of coverage; its terminal is never scheduled."""
    overhead: Annotated[float, Field(ge=0, lt=1)] = 0.14
    """Share of the resource elements taken by control and reference signals."""


class Uplink(Section):
    """The radio channel that the terminals of a cell share towards their base station."""

    bandwidth_hz: Positive = 0.9e6
    """Band granted to the learning service in every cell."""
    share: Literal["ofdma", "tdma"] = "ofdma"
    """ofdma: all at once, an equal slice each, power-limited; tdma: the whole band in turns of equal length."""
    min_slice_hz: Positive = 180e3
    """ofdma: narrowest slice (one resource block); further uploads wait in line."""
    noise_figure_db: NonNegative = 5.0
    interference_margin_db: NonNegative = 3.0
    """Rise over thermal noise caused by other cells."""
    access_delay_s: NonNegative = 0.01
    """Scheduling request and grant before every upload."""


class Downlink(Section):
    """The broadcast from a base station to the terminals it has scheduled, at the worst one's rate."""

    bandwidth_hz: Positive = 0.9e6
    tx_power_dbm: float = 35.5
    """Power in this band: 49 dBm in 20 MHz leaves 35.5 dBm in 0.9 MHz."""
    noise_figure_db: NonNegative = 9.0
    neighbour_activity: Share = 0.3
    """Share of the time that each other base station interferes."""
    access_delay_s: NonNegative = 0.004


class Backhaul(Section):
    """The wired links between base stations and the cloud."""

    rate_bps: Positive = 1e9
    latency_s: NonNegative = 0.01
    """One way."""
    energy_j_per_bit: NonNegative = 2.5e-10


class Network(Section):
    """The radio access network and its wires."""

    layout: Layout = Layout()
    propagation: Propagation = Propagation()
    link: LinkAdaptation = LinkAdaptation()
    uplink: Uplink = Uplink()
    downlink: Downlink = Downlink()
    backhaul: Backhaul = Backhaul()


class DeviceClass(Section):
    """One kind of terminal hardware."""

    name: str
    weight: Positive = 1.0
    """Relative frequency of this class."""
    cpu_hz: Positive = 1e9
    cycles_per_sample: Positive = 2e4
    """CPU cycles to visit one training row once."""
    switched_capacitance: NonNegative = 1e-28
    """kappa in P = kappa f^3 and E = kappa f^2 cycles."""
    tx_power_dbm: float = 23.0
    """Radiated power."""
    amplifier_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.35
    tx_circuit_w: NonNegative = 0.15
    rx_power_w: NonNegative = 0.5
    idle_power_w: NonNegative = 0.02
    """Drawn all the time the terminal is on."""
    battery_j: Positive | None = None
    """Energy it can spend; it is gone for good when empty. Default: mains or never empty."""


class Slowdown(Section):
    """Random factor >= 1 (lognormal: > 0) on the compute time, drawn per terminal and round."""

    kind: Literal["none", "shifted_exponential", "pareto", "lognormal", "bimodal"] = "shifted_exponential"
    scale: NonNegative = 0.5
    """shifted_exponential: mean of the excess; lognormal: sigma of the log."""
    tail_index: Positive = 2.0
    """pareto: alpha; at most 1 has no mean."""
    slow_probability: Share = 0.1
    """bimodal: how often a round is slow."""
    slow_factor: Annotated[float, Field(ge=1)] = 5.0
    """bimodal: how slow."""


class Availability(Section):
    """Two-state on/off behaviour: a user switches the device off, or a charger in."""

    mean_on_s: Positive
    mean_off_s: Positive


class Terminals(Section):
    """The devices that hold the data."""

    per_base_station: Count = 4
    classes: tuple[DeviceClass, ...] = (DeviceClass(name="device"),)
    slowdown: Slowdown = Slowdown()
    dropout_probability: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance per round that a terminal is lost somewhere during its computation."""
    availability: Availability | None = None
    """Absent: always on."""

    @model_validator(mode="after")
    def _some_class(self) -> Terminals:
        if not self.classes:
            raise ValueError("at least one device class")
        names = [c.name for c in self.classes]
        if len(set(names)) < len(names):
            raise ValueError("device classes with different names")
        return self


class BaseStations(Section):
    """Power of the sites: the EARTH model, P_in = N_TRX (P0 + slope x P_out) (Auer et al. 2011)."""

    power_model: Literal["macro", "rrh", "micro", "pico", "femto"] = "macro"
    static_power: Literal["none", "airtime", "always"] = "airtime"
    """Share of the no-load power charged to learning: none, while its cell is on the air, or all the time."""


class Collection(Section):
    """Which terminals a base station asks in an iteration, and when it stops waiting for them."""

    scheduled_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the terminals present that is asked, drawn anew in every iteration; at least one."""
    policy: Literal["all", "first_k", "deadline"] = "all"
    k_fraction: Annotated[float, Field(gt=0, le=1)] = 0.75
    """first_k: share of the scheduled terminals that is enough."""
    deadline_s: Positive = 1.0
    """deadline: time from the broadcast; at least one update is always awaited."""


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


class Scenario(Section):
    """A complete experiment: one network, one data set, several methods, several seeds."""

    schema_version: Literal[1] = 1
    """Version of this format; a future one will be told apart by it."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
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
    def _seeds_differ(self) -> Scenario:
        if len(set(self.seed_list)) < len(self.seed_list):
            raise ValueError("seeds that are all different")
        return self

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds, spelled out."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds
