"""What a planner reads about the network, in words and units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.distributions import achieved_bps, link_rates_bps, sends_together, upload_rates_bps
from analysis.figures.captions import facts
from analysis.load import Experiment
from analysis.network_tables import charge_table, handover_table, network_table, rate_table, share
from analysis.quantities import CARBON, RATE
from analysis.summaries import carbon_g_per_joule, energy_by_component
from analysis.tables import Table, ending_table, energy_table, target_table
from analysis.targets import resource_to_target
from tests.analysis.fabricated_trial import CARBON_G_PER_J
from tests.analysis.handmade_experiment import handmade, steps


def _column(table: Table, heading: str) -> list[str]:
    return [row[table.header.index(heading)].text for row in table.rows]


def test_base_stations_say_how_long_they_were_down_and_on_the_air(experiment: Experiment) -> None:
    table = network_table(experiment)
    assert table.caption == "Base stations at the end of RHFedMTL, seed 0"
    assert _column(table, "Outages") == ["2"] * 7
    over_s = float(experiment.trials.query("method == 'rhfedmtl' and seed == 0")["time_s"].iloc[0])
    assert _column(table, "Down") == [share(1.5 / over_s)] * 7
    assert _column(table, "Uplink on the air") == [share(1.0 / over_s)] * 7
    assert _column(table, "Served elsewhere") != ["0"] * 7
    steady = experiment.base_stations.drop(columns=["outages", "down_s"])
    assert "Down" not in network_table(replace(experiment, base_stations=steady)).header


def test_rates_are_quantiles_over_terminals(experiment: Experiment) -> None:
    table = rate_table(experiment)
    assert [row[0].text for row in table.rows] == ["Downlink, alone", "Uplink, alone", "RHFedMTL", "FedAvg"]
    expected = achieved_bps(experiment).query("method == 'fedavg'")["rate_bps"].median()
    assert _column(table, "Median")[-1] == RATE.text(float(expected))


def test_no_upload_has_a_rate_where_the_air_adds_them_up(experiment: Experiment) -> None:
    together = replace(experiment, rounds=experiment.rounds.assign(air_noise=0.1))
    assert sends_together(together) and not sends_together(experiment)
    assert upload_rates_bps(together) == {}
    assert list(link_rates_bps(together)) == ["downlink"]
    assert "added up by the air" in facts(together)["uploads"]


def test_methods_whose_terminals_change_cells_have_a_row(experiment: Experiment) -> None:
    table = handover_table(experiment)
    assert [row[0].text for row in table.rows] == ["RHFedMTL", "FedAvg"]
    bare = handmade({("ours", 0): steps(0.5, 0.6)})
    assert handover_table(bare).rows == charge_table(bare).rows == network_table(bare).rows == ()


def test_empty_batteries_are_counted(experiment: Experiment) -> None:
    charge = experiment.terminals.query("method == 'local'")["state_of_charge"].dropna()
    row = charge_table(experiment).rows[-1]
    assert (row[1].text, row[2].note) == (f"{len(charge)}", f"{(charge == 0.0).sum()}")
    assert row[4].text == share(float(charge.median()))


@pytest.mark.parametrize(("part", "text"), [(0.0, "0 %"), (0.031, "3.1 %"), (0.5, "50 %"), (np.nan, "–")])
def test_small_shares_have_a_decimal(part: float, text: str) -> None:
    assert share(part) == text


def test_carbon_goes_with_energy_where_it_is_recorded(experiment: Experiment) -> None:
    assert carbon_g_per_joule(experiment) == pytest.approx(CARBON_G_PER_J)
    joules = energy_by_component(experiment)["total"]
    expected = [CARBON.text(CARBON_G_PER_J * float(amount)) for amount in joules]
    assert _column(energy_table(experiment), "Carbon dioxide") == expected
    assert _column(ending_table(experiment), "Carbon dioxide") == expected
    targets = resource_to_target(experiment)
    assert target_table(experiment, targets, targets["target"].min()).header[-1] == "Carbon dioxide"
    plain = replace(experiment, rounds=experiment.rounds.drop(columns="carbon_g"))
    assert "Carbon dioxide" not in ending_table(plain).header


def test_captions_name_the_trial_and_mention_only_what_there_is(experiment: Experiment) -> None:
    words = facts(experiment)
    assert (words["trial"], words["seeds"]) == ("RHFedMTL, seed 0", "4 seeds")
    assert "stroke" in words["sectors"] and "dark edge" in words["away"]
    still = replace(
        experiment,
        terminals=experiment.terminals.drop(columns="served_by"),
        base_stations=experiment.base_stations.drop(columns="azimuth_deg"),
        seeds=(3,),
    )
    assert (facts(still)["sectors"], facts(still)["away"], facts(still)["seeds"]) == ("", "", "seed 3")
