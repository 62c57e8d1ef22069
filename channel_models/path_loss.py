"""The propagation environments there are, by name: 3GPP TR 38.901 and the LTE-era rules of learning papers.

Laws and statistics of UMa, UMi, RMa, InH and InF are those of TR 38.901 (Tables 7.4.1-1, 7.4.2-1, 7.5-6 and, for
the factory clutter, 7.8-7). Antenna heights, inter-site distances and placement distances are usual simulation
defaults, and so are all numbers of "macro-128", "pico-140" and "free-space". The office and factory distance
limits are stated for the 3D distance and applied here to the horizontal one.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from channel_models import los_probability as sight
from channel_models import path_loss_generic as generic
from channel_models import path_loss_indoor as indoor
from channel_models import path_loss_outdoor as outdoor
from channel_models.environment import Environment, LosProbabilityLaw, PathLossLaw, ValidityRange
from channel_models.made_environments import stateless_environment

__all__ = ["ENVIRONMENTS", "Environment", "ValidityRange", "with_optional_nlos"]

_URBAN_RANGE = ValidityRange(max_d2d_los_m=5_000.0, max_d2d_nlos_m=5_000.0, fc_hz=(0.5e9, 100e9), h_ut_m=(1.5, 22.5))
_RURAL_RANGE = ValidityRange(
    max_d2d_los_m=10_000.0,
    max_d2d_nlos_m=5_000.0,
    fc_hz=(0.5e9, 30e9),
    h_bs_m=(10.0, 150.0),
    h_ut_m=(1.0, 10.0),
)
_OFFICE_RANGE = ValidityRange(max_d2d_los_m=150.0, max_d2d_nlos_m=150.0, fc_hz=(0.5e9, 100e9))
_FACTORY_RANGE = ValidityRange(max_d2d_los_m=600.0, max_d2d_nlos_m=600.0, fc_hz=(0.5e9, 100e9))
_LTE_RANGE = ValidityRange(max_d2d_los_m=5_000.0, max_d2d_nlos_m=5_000.0)

_UMA = Environment(
    name="UMa",
    h_bs_m=25.0,
    h_ut_m=1.5,
    inter_site_distance_m=500.0,
    min_d2d_m=10.0,
    min_placement_d2d_m=35.0,
    los_law_db=outdoor.uma_los_db,
    nlos_law_db=outdoor.uma_nlos_db,
    los_probability_law=sight.uma_los_probability,
    sigma_los_db=4.0,
    sigma_nlos_db=6.0,
    correlation_los_m=37.0,
    correlation_nlos_m=50.0,
    correlation_los_state_m=50.0,
    environment_height_law_m=outdoor.uma_environment_height_m,
    sigma_o2i_db=7.0,
    correlation_o2i_m=7.0,
    max_indoor_m=25.0,
    rician_k_db_mean=9.0,
    rician_k_db_sigma=3.5,
    validity=_URBAN_RANGE,
)

_UMI = Environment(
    name="UMi",
    h_bs_m=10.0,
    h_ut_m=1.5,
    inter_site_distance_m=200.0,
    min_d2d_m=10.0,
    min_placement_d2d_m=10.0,
    los_law_db=outdoor.umi_los_db,
    nlos_law_db=outdoor.umi_nlos_db,
    los_probability_law=sight.umi_los_probability,
    sigma_los_db=4.0,
    sigma_nlos_db=7.82,
    correlation_los_m=10.0,
    correlation_nlos_m=13.0,
    correlation_los_state_m=50.0,
    sigma_o2i_db=7.0,
    correlation_o2i_m=7.0,
    max_indoor_m=25.0,
    rician_k_db_mean=9.0,
    rician_k_db_sigma=5.0,
    validity=_URBAN_RANGE,
)

_RMA = Environment(
    name="RMa",
    h_bs_m=35.0,
    h_ut_m=1.5,
    inter_site_distance_m=1_732.0,
    min_d2d_m=10.0,
    min_placement_d2d_m=35.0,
    los_law_db=outdoor.rma_los_db,
    nlos_law_db=outdoor.rma_nlos_db,
    los_probability_law=sight.rma_los_probability,
    sigma_los_db=4.0,
    sigma_nlos_db=8.0,
    correlation_los_m=37.0,
    correlation_nlos_m=120.0,
    correlation_los_state_m=60.0,
    sigma_o2i_db=8.0,
    correlation_o2i_m=120.0,
    max_indoor_m=10.0,
    rician_k_db_mean=7.0,
    rician_k_db_sigma=4.0,
    breakpoint_law_m=outdoor.rma_breakpoint_m,
    sigma_los_far_db=6.0,
    validity=_RURAL_RANGE,
)


def _office(name: str, los_probability_law: LosProbabilityLaw) -> Environment:
    """InH: the two office plans differ only in how often a terminal sees its base station."""
    return Environment(
        name=name,
        h_bs_m=3.0,
        h_ut_m=1.0,
        inter_site_distance_m=20.0,
        min_d2d_m=1.0,
        min_placement_d2d_m=1.0,
        los_law_db=indoor.inh_los_db,
        nlos_law_db=indoor.inh_nlos_db,
        los_probability_law=los_probability_law,
        sigma_los_db=3.0,
        sigma_nlos_db=8.03,
        correlation_los_m=10.0,
        correlation_nlos_m=6.0,
        correlation_los_state_m=10.0,
        rician_k_db_mean=7.0,
        rician_k_db_sigma=4.0,
        validity=_OFFICE_RANGE,
    )


def _factory(
    name: str,
    heights_m: tuple[float, float],
    inter_site_distance_m: float,
    nlos_law_db: PathLossLaw | None,
    sigma_nlos_db: float,
    los_probability_law: LosProbabilityLaw,
) -> Environment:
    """InF: heights are (base station, terminal)."""
    return Environment(
        name=name,
        h_bs_m=heights_m[0],
        h_ut_m=heights_m[1],
        inter_site_distance_m=inter_site_distance_m,
        min_d2d_m=1.0,
        min_placement_d2d_m=1.0,
        los_law_db=indoor.inf_los_db,
        nlos_law_db=nlos_law_db,
        los_probability_law=los_probability_law,
        sigma_los_db=4.3,
        sigma_nlos_db=sigma_nlos_db,
        correlation_los_m=10.0,
        correlation_nlos_m=10.0,
        correlation_los_state_m=10.0,
        rician_k_db_mean=7.0,
        rician_k_db_sigma=8.0,
        validity=_FACTORY_RANGE,
    )


_LOW_SPARSE = partial(sight.inf_low_los_probability, clutter_density=0.2, clutter_size_m=10.0)
_LOW_DENSE = partial(sight.inf_low_los_probability, clutter_density=0.6, clutter_size_m=2.0)
_HIGH_SPARSE = partial(sight.inf_high_los_probability, clutter_density=0.2, clutter_size_m=10.0, clutter_height_m=2.0)
_HIGH_DENSE = partial(sight.inf_high_los_probability, clutter_density=0.6, clutter_size_m=2.0, clutter_height_m=6.0)


_FREE_SPACE = Environment(
    name="free-space",
    h_bs_m=25.0,
    h_ut_m=1.5,
    inter_site_distance_m=500.0,
    min_d2d_m=1.0,
    min_placement_d2d_m=1.0,
    los_law_db=generic.free_space_link_db,
    nlos_law_db=None,
    los_probability_law=sight.always_los,
    sigma_los_db=0.0,
    sigma_nlos_db=0.0,
    correlation_los_m=50.0,
    correlation_nlos_m=50.0,
    correlation_los_state_m=50.0,
)

ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType(
    {
        environment.name: environment
        for environment in (
            _UMA,
            _UMI,
            _RMA,
            _office("InH-mixed", sight.inh_mixed_los_probability),
            _office("InH-open", sight.inh_open_los_probability),
            _factory("InF-SL", (1.5, 1.5), 20.0, indoor.inf_sl_nlos_db, 5.7, _LOW_SPARSE),
            _factory("InF-DL", (1.5, 1.5), 50.0, indoor.inf_dl_nlos_db, 7.2, _LOW_DENSE),
            _factory("InF-SH", (8.0, 1.5), 50.0, indoor.inf_sh_nlos_db, 5.9, _HIGH_SPARSE),
            _factory("InF-DH", (8.0, 1.5), 20.0, indoor.inf_dh_nlos_db, 4.0, _HIGH_DENSE),
            _factory("InF-HH", (8.0, 8.0), 50.0, None, 4.3, sight.always_los),
            stateless_environment("macro-128", generic.macro_128_db, (25.0, 1.5), 35.0, 8.0, _LTE_RANGE),
            stateless_environment("pico-140", generic.pico_140_db, (10.0, 1.5), 10.0, 10.0, _LTE_RANGE),
            _FREE_SPACE,
        )
    }
)
"""Every environment by name. "macro-128" and "pico-140" have no line-of-sight state; "free-space" has no other."""

_OPTIONAL_NLOS: Mapping[str, tuple[PathLossLaw, float]] = MappingProxyType(
    {
        "UMa": (outdoor.uma_optional_nlos_db, 7.8),
        "UMi": (outdoor.umi_optional_nlos_db, 8.2),
        "InH-mixed": (indoor.inh_optional_nlos_db, 8.29),
        "InH-open": (indoor.inh_optional_nlos_db, 8.29),
    }
)


def with_optional_nlos(environment: Environment) -> Environment:
    """Return the environment with the optional law of Table 7.4.1-1 for links without line of sight.

    That law has one slope in 3D distance and its own shadowing deviation; both are taken as defaults. It has no
    floor: in UMi below 1 GHz and some kilometres out it falls up to 1.6 dB below the line-of-sight law.

    Raises
    ------
    ValueError
        If the table has no optional law for this environment.
    """
    if environment.name not in _OPTIONAL_NLOS:
        raise ValueError(f"{environment.name} has no optional law, only {', '.join(_OPTIONAL_NLOS)}")
    law_db, sigma_db = _OPTIONAL_NLOS[environment.name]
    return replace(environment, nlos_law_db=law_db, sigma_nlos_db=sigma_db)
