"""The machines of a scenario: what terminals and base stations are, how fast, how reliable, and what they draw."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.sections import Count, NonNegative, Positive, Section, Share


class Dvfs(Section):
    """Clocks a processor can run at, and which of them it takes."""

    levels_hz: Annotated[tuple[Positive, ...], Field(min_length=1)]
    policy: Literal["highest", "most_efficient", "deadline"] = "highest"
    """most_efficient: fewest joules a cycle, kappa f^2 + processor_static_w / f, least near (processor_static_w /
    (2 kappa))^(1/3); deadline: the slowest level with which an update computed without a slow-down, and uploaded while
    all that were asked upload, meets collection.deadline_s, or else the highest."""


class Harvest(Section):
    """What charges a battery: a steady power, and packets of energy that come as a compound Poisson process."""

    power_w: NonNegative = 0.0
    packets_per_s: NonNegative = 0.0
    """Mean number of packets a second; the times between them are exponential."""
    packet_j: NonNegative = 0.0
    """Mean energy of a packet; energies are exponential. What the battery cannot hold is lost."""
    restart_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
    """State of charge at which a terminal whose battery was empty switches on again."""

    @model_validator(mode="after")
    def _something_arrives(self) -> Harvest:
        if self.power_w == 0.0 and self.packets_per_s * self.packet_j == 0.0:
            raise ValueError("power_w > 0, or packets_per_s > 0 and packet_j > 0")
        return self


class DeviceClass(Section):
    """One kind of terminal hardware."""

    name: str
    weight: Positive = 1.0
    """Relative frequency of this class."""
    cpu_hz: Positive = 1e9
    """Clock of the processor; with dvfs, one of its levels is taken instead."""
    dvfs: Dvfs | None = None
    cycles_per_sample: Positive = 2e4
    """CPU cycles to visit one training row once."""
    trains: Literal["all", "head"] = "all"
    """head: it trains its heads on the trunk it is sent, and answers with an empty message (docs/hard_sharing.md)."""
    switched_capacitance: NonNegative = 1e-28
    """kappa in P = kappa f^3 and E = kappa f^2 cycles."""
    processor_static_w: NonNegative = 0.0
    """Drawn in addition while it computes, whatever the clock."""
    tx_power_dbm: float = 23.0
    """Radiated power."""
    amplifier_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.35
    tx_circuit_w: NonNegative = 0.15
    rx_power_w: NonNegative = 0.5
    idle_power_w: NonNegative = 0.02
    """Drawn all the time the terminal is on."""
    battery_j: Positive | None = None
    """Energy it can hold; when it is empty the terminal is off, for good without harvest. Default: never empty."""
    initial_charge: Annotated[float, Field(gt=0, le=1)] = 1.0
    """State of charge of the battery at the start."""
    refuse_below: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """State of charge below which it takes no work; what it has begun it finishes."""
    harvest: Harvest | None = None

    @model_validator(mode="after")
    def _charge_needs_a_battery(self) -> DeviceClass:
        if self.battery_j is None and (self.harvest or self.refuse_below or self.initial_charge < 1.0):
            raise ValueError("battery_j, if there is any of harvest, refuse_below and initial_charge")
        return self


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


class Diurnal(Section):
    """A daily rhythm: at any time t the share mean_share + swing cos(2 pi (t - peak_s) / period_s), cut to 0..1, is on.

    A terminal is on while that share is above a level of its own, which it draws anew every now and then, so the share
    is met exactly at all times.
    """

    mean_share: Share = 0.5
    swing: NonNegative = 0.3
    """Half the difference between peak and trough, before the cut."""
    period_s: Positive = 86400.0
    peak_s: float = 0.0
    """Time of the peak in the first time zone."""
    time_zones: Count = 1
    """Terminals are spread at random over as many zones, each period_s / time_zones later than the one before."""
    mean_habit_s: Positive = 3600.0
    """Mean time, exponential, until a terminal draws a new level."""


class Traces(Section):
    """Measured behaviour in CSV files (docs/traces.md has their formats), relative to the working directory."""

    speed_csv: str | None = None
    """Column speed: relative speed of the processor, a row for each trace."""
    availability_csv: str | None = None
    """Columns trace, on_s, off_s: intervals in which a terminal is there."""
    bandwidth_csv: str | None = None
    """Columns trace, time_s, factor: from then on the uplink is that many times as fast as the link budget says."""
    repeat_s: Positive | None = None
    """Time after which availability and bandwidth begin again. Absent: after its last interval a terminal is away for
    good, and its last bandwidth factor stays."""
    assignment: Literal["cyclic", "random"] = "cyclic"
    """cyclic: the terminal with stream index i follows trace i mod n; random: any trace, drawn for each file."""


class Terminals(Section):
    """The devices that hold the data."""

    per_base_station: Count = 4
    classes: tuple[DeviceClass, ...] = (DeviceClass(name="device"),)
    slowdown: Slowdown = Slowdown()
    dropout_probability: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance per round that a terminal is lost somewhere during its computation."""
    availability: Availability | None = None
    """Absent: always on."""
    diurnal: Diurnal | None = None
    """Instead of availability: shares that follow the time of day."""
    traces: Traces | None = None
    paper_energy: bool = False
    """Count energy as most papers on federated learning over radio do: transmitters at their radiated power
    (amplifier_efficiency 1, tx_circuit_w 0), receiving and idling for free (rx_power_w 0, idle_power_w 0)."""

    @model_validator(mode="after")
    def _one_law_of_presence(self) -> Terminals:
        laws = (self.availability, self.diurnal, self.traces.availability_csv if self.traces else None)
        if sum(law is not None for law in laws) > 1:
            raise ValueError("at most one of availability, diurnal and traces.availability_csv")
        return self

    @model_validator(mode="after")
    def _some_class(self) -> Terminals:
        if not self.classes:
            raise ValueError("at least one device class")
        names = [c.name for c in self.classes]
        if len(set(names)) < len(names):
            raise ValueError("device classes with different names")
        return self


class Sleep(Section):
    """Transceivers that are switched down while nothing is on the air: N_TRX P_sleep instead of N_TRX P0.

    They wake up when a broadcast or an upload is asked for.
    """

    after_s: NonNegative = 0.1
    """Idle time before they sleep."""
    wake_up_s: NonNegative = 0.0
    """Time to the first broadcast or upload after sleep, spent at the no-load power."""


class Outage(Section):
    """Failures and repairs of whole sites. While a site is down nothing is on the air there and it draws no power."""

    mean_up_s: Positive
    """Mean time between a repair and the next failure, exponential."""
    mean_down_s: Positive
    """Mean time to repair, exponential."""
    recovery: Literal["wait", "skip", "reassociate"] = "wait"
    """What is on the air when a site fails is lost: uploads for good, a broadcast is sent again. wait: its cloud round
    goes on after the repair. skip: a site that is down when a cloud round begins has no part in it, the cloud uses the
    model it sent last; one that fails later leaves its other iterations out and sends what it has when repaired.
    reassociate: only the radio fails; rounds go on with models and updates relayed over the backhaul, for a terminal is
    always served by its own site or, while that is down, by the strongest that is up. Terminals that move leave a
    failed site in any case."""
    interruption_s: NonNegative = 0.5
    """Time off the air of a terminal that leaves a failed site, or returns to a repaired one."""
    in_flight: Literal["restart", "lost"] = "restart"
    """reassociate: whether an upload at a site that fails is sent again, all of it, in the next cell. One that is
    under way when its terminal returns goes on with the bits that are left."""


class BaseStations(Section):
    """Power of the sites: the EARTH model, P_in = N_TRX (P0 + slope x P_out) (Auer et al. 2011)."""

    power_model: Literal["macro", "rrh", "micro", "pico", "femto"] = "macro"
    static_power: Literal["none", "airtime", "always"] = "airtime"
    """How much of the no-load power N_TRX P0 is charged to learning. none: only what learning adds to a network that
    is there anyway; airtime: fully loaded while a cell is on the air for it; always: a network of its own."""
    sleep: Sleep | None = None
    """static_power always: sleep mode. Absent: no-load power all the time."""
    outage: Outage | None = None

    @model_validator(mode="after")
    def _who_sleeps_pays_for_idling(self) -> BaseStations:
        if self.sleep is not None and self.static_power != "always":
            raise ValueError("static_power: always, if there is sleep")
        return self
