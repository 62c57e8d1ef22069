"""The radio access network of a scenario: where sites and terminals stand, the air between them, bands and wires."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from scenarios.graph import DeviceToDevice, Graph
from scenarios.sections import Count, NonNegative, Positive, Section, Share


def _terminal_height_m(layout: dict[str, Any]) -> float:
    """Height of a terminal whose scenario states none: hand-held, or above the clutter of InF-HH."""
    return 8.0 if layout["environment"] == "InF-HH" else 1.5


class Layout(Section):
    """Where base stations and terminals stand."""

    environment: Literal[
        "UMa",
        "UMi",
        "RMa",
        "InH-mixed",
        "InH-open",
        "InF-SL",
        "InF-DL",
        "InF-SH",
        "InF-DH",
        "InF-HH",
        "macro-128",
        "pico-140",
        "free-space",
        "log-distance",
        "THz",
    ] = "UMa"
    """Laws of propagation. 3GPP TR 38.901: urban macro, urban micro street canyon, rural macro, indoor office (mixed or
    open plan), indoor factory (sparse or dense clutter, base station low in it or high above it; HH: terminals high,
    too). LTE-era rules of learning papers without a line-of-sight state: macro-128 (128.1 + 37.6 log10 d/km) and
    pico-140 (140.7 + 36.7 log10 d/km). free-space: Friis; log-distance: see propagation.log_distance; THz: 28 to
    450 GHz over some ten metres, see propagation.terahertz."""
    inter_site_distance_m: Annotated[float, Field(gt=0, le=8600)] | None = None
    """Distance between neighbouring sites of the hexagonal grid; default of the environment (500 UMa, 200 UMi)."""
    base_station_height_m: Positive | None = None
    """Antenna height; default of the environment (25 UMa, 10 UMi)."""
    terminal_height_m: Annotated[Positive, Field(json_schema_extra={"default": 1.5})] = Field(
        default_factory=_terminal_height_m
    )
    """Default: 1.5, and 8 in InF-HH. The laws of an environment hold for some heights only, 1.5 to 22.5 in UMa."""
    min_distance_m: Positive | None = None
    """Closest a terminal may stand to its site, below half the inter-site distance; default of the environment (35 UMa,
    10 UMi)."""
    sectors: Literal[1, 3] = 1
    """Base stations at a site. With 3, base stations 3i, 3i + 1 and 3i + 2 stand at site i and face 30, 150 and 270
    degrees (counter-clockwise from east); propagation.antenna then has to be directional."""
    site_placement: Literal["hexagonal", "poisson"] = "hexagonal"
    """hexagonal: a grid, filled in a spiral from its centre; poisson: independent and uniform in a disc where their
    density is that of the grid."""
    sites_csv: str | None = None
    """File that says where the sites stand instead, relative to the working directory: columns x_m, y_m and, if the
    antennas shall not face 30 degrees (with three sectors: the first of them), azimuth_deg. Row i is site i; further
    rows are not used."""
    wrap_around: bool = False
    """A network of 7, 19 or 37 sites on the grid has copies of itself all around: every cell is an inner one."""
    terminal_placement: Literal["uniform", "clustered"] = "uniform"
    """uniform: in the hexagon of the own site (off the grid: as far as the ground reaches that is nearest to the site,
    at most one inter-site distance); clustered: uniform in one of some hotspots there, the same for all terminals of
    the base station (a Matern process)."""
    hotspots: Count = 3
    """clustered: hotspots of every base station."""
    hotspot_radius_m: Positive | None = None
    """clustered: default a tenth of the inter-site distance."""
    terminals_csv: str | None = None
    """File that says where the terminals stand instead: columns base_station (0, 1, ...), x_m and y_m. The terminals of
    a base station take its rows in their order, wherever they are; further rows are not used."""
    neighbour_sites: Annotated[int, Field(ge=6)] = 36
    """Sites modelled besides a terminal's own: those nearest to its own, 6, 18 or 36 for one, two or three rings.
    Others neither interfere nor win terminals. Networks of up to neighbour_sites + 1 sites are modelled in full; among
    1000 sites the median downlink SINR is 0.3 dB (UMa) or 0.2 dB (UMi) higher with 36 than with all."""


class LogDistance(Section):
    """The law reference_loss_db + 10 exponent log10(d / 1 m), for every link alike."""

    reference_loss_db: float = 40.0
    """Loss at one metre."""
    exponent: NonNegative = 4.0
    """2 in free space, 3 to 5 in cities; 0: the same loss everywhere."""
    shadowing_sigma_db: NonNegative = 0.0


class Terahertz(Section):
    """Bodies that block beams, and the analog arrays that make them (half-wavelength lines, one phase shifter each)."""

    bodies_per_m2: NonNegative = 0.1
    body_radius_m: Positive = 0.3
    body_height_m: Positive = 1.7
    body_loss_db: NonNegative = 20.0
    """What a blocked link loses."""
    base_station_antennas: Count = 128
    """Of each of three arrays; their gain adds to base_station_antenna_gain_dbi, in the serving link."""
    terminal_antennas: Count = 16
    """Of each of four arrays."""
    true_time_delays: Count = 1
    """Groups into which delays, not phases, divide a base station's array: 1 splits most, base_station_antennas not at
    all."""
    sub_bands: Count = 16
    """Parts of the band over which the split beam is averaged."""

    @model_validator(mode="after")
    def _delays_divide_the_array(self) -> Terahertz:
        if self.base_station_antennas % self.true_time_delays:
            raise ValueError(f"true_time_delays that divide the {self.base_station_antennas} base_station_antennas")
        return self


class Propagation(Section):
    """What happens to the signal between antennas."""

    carrier_frequency_hz: Annotated[float, Field(ge=0.5e9, le=450e9)] = 3.5e9
    log_distance: LogDistance = LogDistance()
    terahertz: Terahertz = Terahertz()
    shadowing: bool = True
    """Log-normal shadowing; spatial_consistency says how it is drawn."""
    spatial_consistency: bool = False
    """false: line of sight and shadowing are drawn anew for every (site, terminal); true: they follow random fields
    around every site, so terminals close to each other see and hear nearly the same (TR 38.901 clause 7.6.3)."""
    indoor_share: Share = 0.0
    """Share of the terminals that are inside buildings (UMa, UMi, RMa), drawn for each of them."""
    penetration: Literal["low", "high", "mixed", "legacy"] = "mixed"
    """Buildings that indoor terminals are in (TR 38.901 clause 7.4.3): low- or high-loss walls, half of the terminals
    behind either, or 20 dB at any carrier below 6 GHz. RMa knows only low."""
    fading: Literal["none", "rayleigh", "rician", "nakagami"] = "rician"
    """Small-scale fading averaged into an ergodic spectral efficiency; rician: on line-of-sight links, rayleigh on the
    others; nakagami: on all links."""
    rician_k: Literal["mean", "drawn"] = "mean"
    """rician: every line-of-sight link has the mean factor K of the environment, or one of its own, normal in dB with
    the environment's mean and deviation (rounded to whole dB from -10 to 30)."""
    nakagami_m: Annotated[float, Field(ge=0.5)] = 1.0
    """nakagami: shape; 1 is Rayleigh fading, more is steadier."""
    antenna: Literal["omni", "sector"] = "omni"
    """Of base stations. omni: the same gain in all directions; sector: 65 degrees wide, 30 dB front to back (TR 38.901
    Table 7.3-1)."""
    downtilt_deg: Annotated[float, Field(ge=-90, le=90)] = 0.0
    """sector: how far below the horizon the main lobe points."""
    base_station_antenna_gain_dbi: float = 8.0
    """In the direction of the main lobe."""
    terminal_antenna_gain_dbi: float = 0.0


class TruncatedShannon(Section):
    """Attenuated and truncated capacity, min(alpha log2(1 + SINR), most); the form of TR 36.942."""

    uplink_attenuation: Annotated[float, Field(gt=0, le=1)] = 0.4
    downlink_attenuation: Annotated[float, Field(gt=0, le=1)] = 0.6
    uplink_max_bit_s_hz: Positive = 2.0
    downlink_max_bit_s_hz: Positive = 4.4
    min_sinr_db: float = -10.0
    """Below it nothing is received."""


class Block(Section):
    """Short blocks: the normal approximation of Polyanskiy, Poor and Verdu (2010)."""

    channel_uses: Annotated[float, Field(ge=1)] = 1000.0
    """Complex symbols of a block. Above some 2000 the loss against capacity is small."""
    error_probability: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Share of the blocks lost on the way; the rate does not count sending them again."""


class LinkAdaptation(Section):
    """From SINR to bits per second and hertz."""

    model: Literal["mcs", "shannon", "truncated_shannon", "finite_blocklength"] = "mcs"
    """mcs: goodput envelope of a TS 38.214 table with HARQ; shannon: capacity with a gap; truncated_shannon: a share
    of the capacity; finite_blocklength: the best code for short blocks, each within one state of the fading."""
    truncated_shannon: TruncatedShannon = TruncatedShannon()
    block: Block = Block()
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
    """Share of the resource elements taken by control and reference signals, both ways. Usual peak-rate values below
    6 GHz are 0.14 down and 0.08 up, in millimetre waves 0.18 and 0.10; headers above the physical layer add 0.03 to
    0.05."""


class PowerControl(Section):
    """Open-loop uplink power control: a terminal compensates a share of its path loss (TS 38.213, 7.1.1).

    Radiated are P0 + 10 log10(resource blocks) + alpha PL dBm, not below -40 dBm and not above the device class's
    ``tx_power_dbm``. PL is the loss between the antenna ports, shadowing and antenna gains included. The resource
    blocks are those the terminal holds: with ofdma those of its slice, so it radiates less in a narrower one and
    keeps its SINR until its power is limited.
    """

    p0_dbm_per_rb: float = -90.0
    """Power wanted at the base station in a resource block of 180 kHz, with alpha = 1. Usual pairs with alpha:
    (1, -90 to -100), (0.8, -80 to -90), (0.6, -57 to -60)."""
    alpha: Share = 0.8
    """Share of the path loss that is compensated; 0: all terminals radiate the same, 1: all are received alike."""


class Slots(Section):
    """The uplink slot by slot, for focused studies: the channel fades while a scheduler hands out sub-bands."""

    slot_s: Positive = 1e-3
    sub_bands: Count = 8
    """Parts of the band that fade independently and are granted on their own, at one power density."""
    scheduler: Literal["round_robin", "proportional_fair"] = "proportional_fair"
    """round_robin: the whole band in turns of a slot; proportional_fair: every sub-band to the largest rate over the
    average so far."""
    averaging_slots: Annotated[float, Field(ge=1)] = 50
    """proportional_fair: over how many slots the average forgets."""
    coherence_time_s: Positive = 0.05
    """Time in which a channel changes, 0.423 over the largest Doppler shift: 43 ms at 3 km/h and 3.5 GHz."""
    burst_slots: Count = 20
    """Slots worked out at a time; no result but the course of transmit power within a burst depends on it."""


class OverTheAir(Section):
    """Analog aggregation: all terminals send at once, one value a sub-carrier and symbol, and the air adds them up.

    Truncated channel inversion: every terminal scales its symbols so that all arrive alike, as strong as the worst of
    them can, and is silent on sub-carriers it hears too weakly. Sub-carriers keep their fading during a transfer. What
    the terminals have to agree on before (channels, powers, mean and deviation of the values) is taken to fit into
    ``access_delay_s``.
    """

    subcarrier_spacing_hz: Positive = 15e3
    cyclic_prefix: NonNegative = 0.0714
    """Length of the guard interval over that of the symbol it precedes."""
    coherence_bandwidth_hz: Positive | None = None
    """Neighbouring sub-carriers within it fade alike; absent: every one on its own."""
    truncation_threshold: Annotated[float, Field(gt=0, le=1)] = 0.032
    """Power gain of the small-scale fading (mean 1) below which a terminal is silent on a sub-carrier."""
    phase_error_rad: NonNegative = 0.0
    """Standard deviation of the phase with which a terminal's symbols arrive."""
    divide_by: Literal["senders", "active"] = "senders"
    """What the sum on a sub-carrier is divided by: all who take part, or those who are not silent there."""


class Uplink(Section):
    """The radio channel that the terminals of a cell share towards their base station."""

    bandwidth_hz: Positive = 0.9e6
    """Band granted to the learning service in every cell."""
    share: Literal["ofdma", "tdma", "proportional_fair", "max_min", "sequential", "allotted", "slots"] = "ofdma"
    """ofdma: all at once, an equal slice each, power-limited; tdma: the whole band in turns of equal length;
    proportional_fair: turns that go to whose fading is best against its own mean; max_min: turns of such lengths that
    all run equally fast; sequential: one after the other in order of arrival; allotted: a slice of its own for every
    scheduled terminal, for the whole iteration, see allocation; slots: see slots."""
    slots: Slots = Slots()
    slow_fading: bool = False
    """What is left of fading in an upload that lasts few coherence times. false: every upload runs at its mean over
    fading; true: rates get a random factor per terminal and iteration, the more the shorter the upload is against
    slots.coherence_time_s and the fewer of slots.sub_bands it covers, and proportional_fair gains less where fading is
    slower than the average over slots.averaging_slots. Not with slots, which fade themselves, nor over the air."""
    allocation: Literal["equal_split", "proportional", "min_max_delay", "energy_minimal"] = "equal_split"
    """allotted: equal_split: equal slices; proportional: to bits over spectral efficiency; min_max_delay: all arrive
    together, as early as possible; energy_minimal: all arrive at deadline_s at the least energy of processors and
    transmitters, with clocks and powers to match. The last two count on every terminal's usual compute time."""
    deadline_s: Positive = 1.0
    """energy_minimal: when updates shall arrive, counted from the end of the broadcast; min_max_delay is used in
    iterations in which that cannot be."""
    min_slice_hz: Positive = 180e3
    """ofdma: narrowest slice (one resource block); further uploads wait in line."""
    noise_figure_db: NonNegative = 5.0
    interference_margin_db: NonNegative = 3.0
    """Rise over thermal noise caused by other cells."""
    access_delay_s: NonNegative = 0.01
    """Scheduling request and grant before every upload."""
    power_control: PowerControl | None = None
    """Absent: always full power."""
    duty: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the time that the band is an uplink: 1 with a band of its own (FDD), 0.2 to 0.25 of a band in turns
    (TDD) with four downlink slots to each uplink slot. Terminals radiate, and draw power for it, in their share."""
    transfer: Literal["digital", "over_the_air"] = "digital"
    """digital: every terminal sends a message of its own; over_the_air: a cell's terminals wait for one another and
    send analog symbols together, of which the base station hears the sum and noise (``share`` and ``min_slice_hz``
    mean nothing then)."""
    over_the_air: OverTheAir = OverTheAir()

    @model_validator(mode="after")
    def _room_for_a_subcarrier(self) -> Uplink:
        if self.transfer == "over_the_air" and self.subcarriers < 1:
            raise ValueError("a bandwidth_hz of at least one sub-carrier")
        return self

    @property
    def subcarriers(self) -> int:
        """Sub-carriers of an over-the-air transfer that fit into the band."""
        return int(self.bandwidth_hz / self.over_the_air.subcarrier_spacing_hz * (1.0 + 1e-12))


class Downlink(Section):
    """The broadcast from a base station to the terminals it has scheduled, at the worst one's rate."""

    bandwidth_hz: Positive = 0.9e6
    tx_power_dbm: float = 35.5
    """Power in this band: 49 dBm in 20 MHz leaves 35.5 dBm in 0.9 MHz."""
    noise_figure_db: NonNegative = 9.0
    neighbour_activity: Share = 0.3
    """Share of the time that each other base station interferes."""
    access_delay_s: NonNegative = 0.004
    duty: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the time that the band is a downlink, as ``uplink.duty``; sites radiate and terminals listen in it."""


class Interference(Section):
    """What cells do to each other on the air."""

    model: Literal["fixed", "load", "coupled"] = "fixed"
    """fixed: ``uplink.interference_margin_db`` and ``downlink.neighbour_activity`` everywhere and always; load: as much
    as follows from a load that every terminal offers, worked out once; coupled: whoever is on the air just then
    interferes. In coupled, margin and activity only decide who is in coverage; a terminal in coverage is never cut off,
    but carries on at outage_bit_s_hz in its slice when interference would silence it."""
    strongest_links: Annotated[int, Field(ge=1)] = 8
    """load, coupled: links to other sites that count, for every terminal."""
    refresh_s: Positive = 0.01
    """coupled: uplinks take notice of changes at multiples of this."""
    threshold: NonNegative = 0.05
    """coupled: smallest relative change of noise and interference at a site that its terminals react to."""
    offered_load_bps: Positive = 10e3
    """load: what every terminal asks for in each direction, on average over time."""


class Backhaul(Section):
    """The wired links between base stations and the cloud."""

    rate_bps: Positive = 1e9
    latency_s: NonNegative = 0.01
    """One way."""
    energy_j_per_bit: NonNegative = 2.5e-10
    shared: bool = False
    """Whether base stations share one wire to the cloud, and one back, of rate_bps each: n that send at the same time
    get an n-th of it. Otherwise each has wires of its own."""


class Network(Section):
    """The radio access network and its wires."""

    layout: Layout = Layout()
    propagation: Propagation = Propagation()
    link: LinkAdaptation = LinkAdaptation()
    uplink: Uplink = Uplink()
    downlink: Downlink = Downlink()
    interference: Interference = Interference()
    backhaul: Backhaul = Backhaul()
    graph: Graph = Graph()
    device_to_device: DeviceToDevice = DeviceToDevice()
