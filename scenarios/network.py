"""The radio access network of a scenario: where sites and terminals stand, the air between them, bands and wires."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

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
    ] = "UMa"
    """Laws of propagation. 3GPP TR 38.901: urban macro, urban micro street canyon, rural macro, indoor office (mixed or
    open plan), indoor factory (sparse or dense clutter, base station low in it or high above it; HH: terminals high,
    too). LTE-era rules of learning papers without a line-of-sight state: macro-128 (128.1 + 37.6 log10 d/km) and
    pico-140 (140.7 + 36.7 log10 d/km). free-space: Friis."""
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


class Propagation(Section):
    """What happens to the signal between antennas."""

    carrier_frequency_hz: Annotated[float, Field(ge=0.5e9, le=100e9)] = 3.5e9
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
    fading: Literal["none", "rayleigh", "rician"] = "rician"
    """Small-scale fading averaged into an ergodic spectral efficiency; rician: on line-of-sight links only."""
    antenna: Literal["omni", "sector"] = "omni"
    """Of base stations. omni: the same gain in all directions; sector: 65 degrees wide, 30 dB front to back (TR 38.901
    Table 7.3-1)."""
    downtilt_deg: Annotated[float, Field(ge=-90, le=90)] = 0.0
    """sector: how far below the horizon the main lobe points."""
    base_station_antenna_gain_dbi: float = 8.0
    """In the direction of the main lobe."""
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
    share: Literal["ofdma", "tdma"] = "ofdma"
    """ofdma: all at once, an equal slice each, power-limited; tdma: the whole band in turns of equal length."""
    min_slice_hz: Positive = 180e3
    """ofdma: narrowest slice (one resource block); further uploads wait in line."""
    noise_figure_db: NonNegative = 5.0
    interference_margin_db: NonNegative = 3.0
    """Rise over thermal noise caused by other cells."""
    access_delay_s: NonNegative = 0.01
    """Scheduling request and grant before every upload."""
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
