"""The environment of a scenario, if its laws cover what the scenario asks of them."""

from __future__ import annotations

import math

from channel_models.made_environments import Bodies, log_distance_environment, terahertz_environment
from channel_models.path_loss import ENVIRONMENTS, Environment
from channel_models.penetration import LEGACY_MAX_FC_HZ
from scenarios.errors import ScenarioError
from scenarios.network import Network


def environment_of(network: Network) -> Environment:
    """Return the laws of propagation that a network lives under.

    Raises:
        ScenarioError: heights, carrier or distances are outside the laws' range, there are no such buildings in the
            environment, or sectors without directional antennas.
    """
    environment = laws_of(network)
    _check_ranges(network, environment)
    _check_distances(network, environment)
    _check_buildings(network, environment)
    if network.layout.sectors > 1 and network.propagation.antenna == "omni":
        raise ScenarioError("network.propagation.antenna", "omni", "sector, because layout.sectors is 3")
    return environment


def laws_of(network: Network) -> Environment:
    """Return the environment that a network names, with the parameters it states."""
    name, propagation = network.layout.environment, network.propagation
    if name == "log-distance":
        law = propagation.log_distance
        return log_distance_environment(law.reference_loss_db, law.exponent, law.shadowing_sigma_db)
    if name == "THz":
        bodies = propagation.terahertz
        return terahertz_environment(
            Bodies(bodies.bodies_per_m2, bodies.body_radius_m, bodies.body_height_m, bodies.body_loss_db)
        )
    return ENVIRONMENTS[name]


def heights_m(network: Network, environment: Environment) -> tuple[float, float]:
    """Return the heights of base stations and terminals, metres."""
    layout = network.layout
    return layout.base_station_height_m or environment.h_bs_m, layout.terminal_height_m


def spacing_m(network: Network, environment: Environment) -> float:
    """Return the distance between neighbouring sites, metres."""
    return network.layout.inter_site_distance_m or environment.inter_site_distance_m


def nearest_m(network: Network, environment: Environment) -> float:
    """Return how close a terminal may stand to its site, metres."""
    return network.layout.min_distance_m or environment.min_placement_d2d_m


def _check_ranges(network: Network, environment: Environment) -> None:
    """Refuse heights and carriers the laws were not made for."""
    (site_m, terminal_m), valid = heights_m(network, environment), environment.validity
    _within("layout.base_station_height_m", site_m, valid.h_bs_m, environment)
    _within("layout.terminal_height_m", terminal_m, valid.h_ut_m, environment)
    _within("propagation.carrier_frequency_hz", network.propagation.carrier_frequency_hz, valid.fc_hz, environment)
    try:
        environment.los_probability(1.0, terminal_m, site_m)
    except ValueError as error:  # factory laws want the terminal below and the base station above the clutter
        raise ScenarioError("network.layout.terminal_height_m", terminal_m, str(error)) from None


def _within(field: str, value: float, limits: tuple[float, float], environment: Environment) -> None:
    low, high = limits
    if not low <= value <= high:
        allowed = f"{low:g} to {high:g}" if high < math.inf else f"at least {low:g}"
        raise ScenarioError(f"network.{field}", value, f"{allowed} in {environment.name}")


def _check_distances(network: Network, environment: Environment) -> None:
    """Refuse cells that reach beyond the laws, or that the space kept free around a site fills."""
    apart_m, close_m, valid = spacing_m(network, environment), nearest_m(network, environment), environment.validity
    most_m = math.sqrt(3.0) * min(valid.max_d2d_los_m, valid.max_d2d_nlos_m)
    if apart_m > most_m:
        allowed = f"at most {most_m:.0f} in {environment.name}, so that its laws reach the corners of a cell"
        raise ScenarioError("network.layout.inter_site_distance_m", apart_m, allowed)
    if close_m >= apart_m / 2.0:
        allowed = f"less than {apart_m / 2.0:g}, half the inter-site distance"
        raise ScenarioError("network.layout.min_distance_m", close_m, allowed)


def _check_buildings(network: Network, environment: Environment) -> None:
    """Refuse buildings where there are none, or other than the environment knows."""
    share, buildings = network.propagation.indoor_share, network.propagation.penetration
    if share == 0.0:
        return
    if environment.max_indoor_m is None:
        raise ScenarioError("network.propagation.indoor_share", share, f"0 in {environment.name}")
    if environment.name == "RMa" and buildings != "low":
        raise ScenarioError("network.propagation.penetration", buildings, "low in RMa")
    if buildings == "legacy" and network.propagation.carrier_frequency_hz > LEGACY_MAX_FC_HZ:
        raise ScenarioError("network.propagation.penetration", buildings, "low, high or mixed above 6 GHz")
