"""What captions say of the experiment at hand: trial and seeds that are shown, and what only some networks have."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.distributions import sends_together
from analysis.load import Experiment
from analysis.network import first_trial, is_away, one_network
from analysis.scales import scale_of

_UPLOADS = " Full lines: mean rate of each terminal's uploads, from request for access to last bit, {seeds} together."
_TOGETHER = " Updates are sent together and added up by the air, so no upload has a rate of its own."


def facts(experiment: Experiment) -> dict[str, str]:
    """Words for the places in braces of an exhibit's caption."""
    terminals, stations = one_network(experiment)
    seeds, scale = seeds_text(experiment.seeds), scale_of(experiment)
    return {
        "trial": _trial(experiment),
        "seed": _coverage_seed(experiment),
        "seeds": seeds,
        "measure": scale.main.name,
        "words": scale.words,
        "no_learning": scale.no_learning,
        "sectors": ", a stroke where each antenna faces, dashed borders between sectors"
        if "azimuth_deg" in stations
        else "",
        "away": " A dark edge: served by another cell than that of its own base station."
        if is_away(terminals).any()
        else "",
        "uploads": _TOGETHER if sends_together(experiment) else _UPLOADS.format(seeds=seeds),
    }


def seeds_text(seeds: Sequence[int]) -> str:
    """How many seeds, e.g. "5 seeds", or which one."""
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"


def _trial(experiment: Experiment) -> str:
    """Which trial is shown where one stands for all."""
    if experiment.base_stations.empty:
        return "no trial"
    method, seed = first_trial(experiment)
    return f"{experiment.label(method)}, seed {seed}"


def _coverage_seed(experiment: Experiment) -> str:
    ground = experiment.coverage
    return "no seed" if ground.empty else f"seed {int(ground['seed'].iloc[0])}"
