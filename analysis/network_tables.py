"""Tables about the radio network as a planner reads them: base stations, rates, changes of cell, batteries."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cell_changes import KINDS, changes_per_minute, costs_of_changes, has_movers, moving_minutes, work_in_hand
from analysis.distributions import LEVELS, final_charge, link_rates_bps, upload_rates_bps
from analysis.load import Experiment
from analysis.network import end_s, first_trial, is_away, one_network
from analysis.quantities import BITS, DURATION, RATE, TIME, number
from analysis.tables import Cell, Table


def share(part: float) -> str:
    """A share in per cent, with a decimal where it is small; a dash for NaN."""
    if pd.isna(part):
        return "–"
    return f"{100 * part:.1f} %" if 0 < abs(part) < 0.1 else f"{100 * part:.0f} %"


def network_table(experiment: Experiment) -> Table:
    """Each base station of the first trial: its task, what its terminals' radio looks like, how long it was on the
    air, and, where sites fail, how long it was down."""
    terminals, stations = one_network(experiment)
    if stations.empty:
        return Table(("Base station",), ())
    method, seed = first_trial(experiment)
    over_s = max(end_s(experiment, method, seed), 1e-12)
    fails, moves = "outages" in stations, has_movers(experiment)
    terminals = terminals.assign(away=is_away(terminals))
    body = []
    for _, station in stations.iterrows():
        mine = terminals[terminals["base_station"] == station["base_station"]]
        cells = [Cell(str(station["base_station"])), Cell(str(station["task"])), Cell(str(len(mine)))]
        cells += [Cell(str(int(mine["away"].sum())))] if moves else []
        cells += [Cell(share(float(mine["los"].astype(float).mean()) if len(mine) else float("nan")))]
        cells += [Cell(_median(mine, "uplink_snr_db")), Cell(_median(mine, "downlink_sinr_db"))]
        for column in ("uplink_airtime_s", "downlink_airtime_s"):
            cells.append(Cell(share(float(station.get(column, float("nan"))) / over_s)))
        if fails:
            down_s = float(station["down_s"])
            cells += [Cell(number(float(station["outages"]))), Cell(share(down_s / over_s), TIME.text(down_s))]
        body.append(tuple(cells))
    header = (
        *("Base station", "Task", "Terminals", *(("Served elsewhere",) if moves else ())),
        *("In sight", "Median uplink SNR, dB", "Median downlink SINR, dB", "Uplink on the air", "Downlink on the air"),
        *(("Outages", "Down") if fails else ()),
    )
    caption = f"Base stations at the end of {experiment.label(method)}, seed {seed}"
    return Table(header, tuple(body), caption, frozenset({0, 1}))


def _median(terminals: pd.DataFrame, column: str) -> str:
    values = terminals[column].astype(float) if column in terminals else pd.Series(dtype=float)
    values = values[np.isfinite(values)]
    return "–" if values.empty else f"{values.median():.1f}".replace("-", "−")


def rate_table(experiment: Experiment) -> Table:
    """Rates at the edge of the cells (5 % of the terminals get no more), in the middle, and of the best."""
    rows = {f"{name.capitalize()}, alone": rates for name, rates in link_rates_bps(experiment).items()}
    notes = dict.fromkeys(rows, "link of the mapped trial")
    for key, rates in upload_rates_bps(experiment).items():
        rows[experiment.label(key)] = rates
        notes[experiment.label(key)] = "uploads, all seeds"
    body = []
    for name, rates in rows.items():
        if len(rates):
            levels = [Cell(RATE.text(float(level))) for level in np.quantile(rates, LEVELS)]
            body.append((Cell(name, notes[name]), Cell(f"{len(rates):,}"), *levels))
    header = ("", "Terminals", "5 % get no more than", "Median", "95 % get no more than")
    return Table(header, tuple(body), "Rates over terminals")


def handover_table(experiment: Experiment) -> Table:
    """What changing cells amounted to, method by method; no rows where nobody moves."""
    if not has_movers(experiment):
        return Table(("",), ())
    rates, costs, work = changes_per_minute(experiment), costs_of_changes(experiment), work_in_hand(experiment)
    body = []
    for key in moving_minutes(experiment).index:
        cost, mine = costs.loc[key], work.loc[key]
        again = BITS.text(float(cost["again_bits"]))
        body.append(
            (
                Cell(experiment.label(str(key)), f"{int(cost['changes']):,} changes"),
                *(Cell(number(float(rates.loc[key, kind]))) for kind in KINDS),
                Cell(share(float(cost["ping_pong_share"]))),
                Cell(
                    DURATION.text(float(cost["interruption_s"])), f"{share(float(cost['off_air_share']))} of the time"
                ),
                Cell(DURATION.text(float(cost["delay_s"]))),
                Cell(share(float(cost["away_share"]))),
                Cell(f"{mine['migrated']:,}", f"{mine['restarted']:,} again, {mine['dropped']:,} dropped"),
                Cell(again, f"{share(float(cost['again_share']))} of all sent" if cost["again_bits"] > 0 else ""),
            )
        )
    header = (
        *("", *(f"{name.capitalize()}s|per min" for name in KINDS.values())),
        *("Ping-pongs|of all", "Off the air|mean", "Held up|mean", "In other cells|of the time"),
        *("Uploads that go on", "Sent again"),
    )
    caption = "Changes of cell of moving terminals, all seeds together; rates are per moving terminal and minute"
    return Table(header, tuple(body), caption)


def charge_table(experiment: Experiment) -> Table:
    """State of charge at the end: how many batteries are empty, and how full the others are."""
    body = []
    for key, charges in final_charge(experiment).items():
        levels = [Cell(share(float(level))) for level in np.quantile(charges, LEVELS)]
        empty = int((charges <= 0.0).sum())
        cells = (
            Cell(experiment.label(key)),
            Cell(f"{len(charges):,}"),
            Cell(share(empty / len(charges)), f"{empty:,}"),
        )
        body.append((*cells, *levels))
    header = ("", "Batteries", "Empty", "5 % hold no more than", "Median", "95 % hold no more than")
    return Table(header, tuple(body), "State of charge at the end, all seeds together")
