"""The machines of a scenario: what terminals and base stations are, how fast, how reliable, and what they draw."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.sections import Count, NonNegative, Positive, Section, Share


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
