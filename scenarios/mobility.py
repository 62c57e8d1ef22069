"""Terminals that move: how they go about, how they are measured on the way, and when another cell takes them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.sections import NonNegative, Positive, Section, Share

Speeds = tuple[NonNegative, NonNegative]
"""Lowest and highest speed, m/s."""


class Handover(Section):
    """Event A3 of TS 38.331 and what follows it: when a terminal changes cells, and what that costs."""

    offset_db: float = 2.0
    """How much better than its own cell a neighbour has to be."""
    hysteresis_db: NonNegative = 1.0
    """On top of the offset to begin; below the offset to give up."""
    time_to_trigger_s: NonNegative = 0.16
    """How long all measurements must say so; in effect rounded up to whole measurement intervals."""
    filter_coefficient: NonNegative = 4.0
    """k of the layer-3 filter F <- (1 - a) F + a M in dB with a = 2^(-k/4) for samples 200 ms apart; 0: no filter. At
    another measurement interval a is changed so that the filter forgets as fast."""
    measurement_error_db: NonNegative = 0.0
    """Standard deviation of every single measurement."""
    interruption_s: NonNegative = 0.05
    """Time off the air at a handover: neither cell serves the terminal."""
    in_flight: Literal["finish", "migrate", "restart"] = "migrate"
    """An upload that is running: finish: the terminal is handed over when it is done; migrate: the bits that are left
    go on in the new cell; restart: all bits are sent again there."""
    failure_sinr_db: float | None = None
    """Downlink SINR (Qout, e.g. -8) below which a link is out of sync: a handover command does not get through, nor
    does access to a cell. Absent: no link fails."""
    failure_timer_s: NonNegative = 1.0
    """T310: out of sync for so long, the link has failed and the terminal looks for the best cell itself."""
    reestablishment_s: NonNegative = 0.5
    """Time off the air after a failed link or handover."""
    ping_pong_s: NonNegative = 1.0
    """A return to the cell it came from within this time is counted as a ping-pong."""


class Mobility(Section):
    """How terminals move. Terminals with a highest speed of 0 stay where they were placed."""

    model: Literal["random_waypoint", "gauss_markov", "manhattan", "trace"] = "random_waypoint"
    """random_waypoint: straight to a uniform place at a uniform speed, a pause, and on; gauss_markov: speed and heading
    remember, and borders reflect; manhattan: along the streets of a grid; trace: as a file says. All but traces are
    stationary from the start, so the beginning of a run is like any other part of it."""
    moving_share: Share = 1.0
    """Share of the terminals that move, drawn; trace: those in the file do."""
    speed_mps: Speeds = (0.5, 2.0)
    """Lowest and highest speed. random_waypoint: uniform for every leg, lowest above 0; gauss_markov: uniform for a
    terminal's mean; manhattan: uniform for a terminal."""
    class_speed_mps: Mapping[str, Speeds] = Field(default_factory=dict)
    """Speeds of the terminals of some device classes, by their name."""
    roaming_m: Positive | None = None
    """Half the side of the square around its base station that a terminal stays in; absent: the box around all
    cells."""
    pause_s: NonNegative = 0.0
    """random_waypoint: longest pause at a waypoint, uniform from 0."""
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.85
    """gauss_markov: correlation of speed, and of heading, from one step to the next."""
    step_s: Positive = 1.0
    """gauss_markov: length of a step."""
    speed_deviation_mps: NonNegative = 0.5
    """gauss_markov: standard deviation of the speed."""
    heading_deviation_rad: NonNegative = 0.8
    """gauss_markov: standard deviation of the heading about the terminal's mean direction."""
    block_m: tuple[Positive, Positive] = (433.0, 250.0)
    """manhattan: distances between streets, east and north; as many whole blocks as fit (TR 36.885)."""
    turn_probability: Share = 0.5
    """manhattan: chance to leave the street at a crossing, to the left and to the right alike."""
    trace_path: str | None = None
    """trace: CSV file terminal,time_s,x_m,y_m, relative to the working directory; straight lines in between."""
    measurement_s: Positive = 0.2
    """Interval at which links of moving terminals are measured and their rates follow."""
    handover: Handover = Handover()
    membership: Literal["keep", "leave"] = "keep"
    """A terminal's data belong to its home base station, whoever serves it. keep: it takes part in its home's rounds
    wherever it is, with models and updates relayed between the sites over the backhaul; leave: while another cell
    serves it, it is unavailable, and an assignment in progress is dropped."""

    @model_validator(mode="after")
    def _speeds_make_sense(self) -> Mobility:
        for low, high in (self.speed_mps, *self.class_speed_mps.values()):
            if low > high:
                raise ValueError("a lowest speed that is at most the highest")
            if low == 0.0 < high and self.model == "random_waypoint":
                raise ValueError("a lowest speed above 0 for random_waypoint, which would slow down for ever")
            if low == 0.0 < high and self.model == "manhattan":
                raise ValueError("a lowest speed above 0 for manhattan")
        return self

    @model_validator(mode="after")
    def _traces_have_a_file(self) -> Mobility:
        if (self.model == "trace") != (self.trace_path is not None):
            raise ValueError("a trace_path for trace, and only for it")
        return self
