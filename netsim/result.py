"""What a run leaves behind: plain tables, whichever engine simulated it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from channel_models.units import linear_to_db, watt_to_dbm
from netsim.availability import outages_of
from netsim.energy import SITE_COMPONENTS, TERMINAL_COMPONENTS
from netsim.mobility.handover_log import CellChange, as_columns
from netsim.participation import OUTCOMES, Columns, ParticipationLog, with_names
from netsim.port import Metrics
from netsim.recorder import Batch, Row, site_names
from netsim.trace import trace_events
from netsim.world import Ground
from scenarios.columnar import Chapters, Part, Table, stamped

Rows = list[dict[str, Any]]
FloatArray = NDArray[np.float64]
_STAMP = ("event", "cloud_round", "time_s", "energy_j", "cost", "bytes")
_TOTALS = ("time_s", "energy_j", "bytes", "cost", "carbon_g")
_EMPTY = 1e-9


@dataclass(frozen=True)
class Result:
    """Everything recorded in one run.

    Attributes:
        ended_by: which budget or other condition ended the run.
        totals: state at the end: time_s, energy_j, bytes, cost, and carbon_g if the scenario knows its electricity.
        rounds, tasks, participation, terminals, base_stations: tables; docs/records.md lists their columns.
        trace: timeline of all assignments, Trace Event Format, if the scenario asks for it.
        handovers: table of all changes of cell, if terminals may move.
    """

    ended_by: str
    totals: dict[str, float]
    rounds: Chapters
    tasks: Chapters
    participation: Table
    terminals: Table
    base_stations: Rows
    trace: dict[str, Any] | None
    handovers: Table | None = None


@dataclass(frozen=True, eq=False)
class Usage:
    """What every terminal has used: (terminals,) joules by component, bytes sent and received, charge left.

    The state of charge is NaN without a battery, and None where it is what has not been used of a full battery.
    """

    energy_j: dict[str, FloatArray]
    bytes_up: FloatArray
    bytes_down: FloatArray
    state_of_charge: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Activity:
    """What every base station has done: (sites,) joules by component, time its uplink was busy, iterations."""

    energy_j: dict[str, FloatArray]
    uplink_airtime_s: FloatArray
    edge_rounds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Records:
    """What was written down while a run went on; the rest if terminals may move.

    Attributes:
        rows, participation: events and assignments.
        cell_changes: every change of cell.
        roaming: further (terminals,) columns.
    """

    rows: Sequence[Row | Batch]
    participation: ParticipationLog
    cell_changes: list[CellChange] | None = None
    roaming: Columns = field(default_factory=dict)


def make_result(
    ground: Ground, task_names: list[str], ended_by: str, records: Records, usage: Usage, activity: Activity
) -> Result:
    """Lay out the tables of a run whose measurements are settled."""
    per_kwh = ground.scenario.output.carbon_g_per_kwh
    if per_kwh is not None:
        for record in records.rows:
            record.world["carbon_g"] = carbon_g(record.world["energy_j"], per_kwh)
    rounds, tasks = _event_tables(records.rows)
    participation = records.participation.since(0)
    assignments, end = with_names(participation), rounds[-1]
    return Result(
        ended_by=ended_by,
        totals={key: end[key] for key in _TOTALS if key in end},
        rounds=rounds,
        tasks=tasks,
        participation=Table(assignments | {"base_station": site_names(ground.sites)[assignments["base_station"]]}),
        terminals=Table(
            _terminal_columns(ground, usage) | records.roaming | _outcomes(ground.terminals, participation)
        ),
        base_stations=_station_rows(ground, task_names, activity, end["time_s"]),
        trace=trace_events(assignments) if ground.scenario.output.trace else None,
        handovers=None if records.cell_changes is None else _handovers(ground, records.cell_changes),
    )


def _handovers(ground: Ground, changes: list[CellChange]) -> Table:
    columns, names = as_columns(changes), site_names(ground.sites)
    home = names[ground.deployment.serving][columns["terminal"]]
    cells = {"from_cell": names[columns.pop("from_site")], "to_cell": names[columns.pop("to_site")]}
    first = {name: columns.pop(name) for name in ("time_s", "terminal")}
    return Table(first | {"base_station": home} | cells | columns)


def _event_tables(records: Sequence[Row | Batch]) -> tuple[Chapters, Chapters]:
    """Join the recorded states with their measurements; what was not measured stays in columns."""
    rounds: list[Part] = []
    tasks: list[Part] = []
    for quiet, some in groupby(records, lambda record: isinstance(record, Batch) and not record.metrics):
        if quiet:
            rounds += [Table(record.world) for record in some]
            continue
        rows: Rows = []
        for world, metrics in chain.from_iterable(map(_events, some)):
            rows.append(world | dict(metrics.scalars))
            if metrics.tasks:
                tasks += stamped(metrics.tasks, {key: world.get(key) for key in _STAMP})
        rounds.append(rows)
    return Chapters(rounds), Chapters(tasks)


def _events(record: Row | Batch) -> Iterable[tuple[dict[str, Any], Metrics]]:
    """Return the states of the world and what was measured then."""
    if isinstance(record, Row):
        return [(record.world, record.metrics)]
    return zip(Table(record.world), record.metrics, strict=True)


def carbon_g(energy_j: Any, g_per_kwh: float) -> Any:
    """Grams of carbon dioxide that go with amounts of electricity, a number or an array."""
    return np.asarray(energy_j) / 3.6e6 * g_per_kwh


def _terminal_columns(ground: Ground, usage: Usage) -> Columns:
    where, radio, devices = ground.deployment, ground.radio, ground.devices
    energies = {f"energy_{name}_j": usage.energy_j[name] for name in TERMINAL_COMPONENTS}
    return {
        "terminal": np.arange(ground.terminals),
        "base_station": site_names(ground.sites)[where.serving],
        "device_class": np.array([device.name for device in devices.classes], object)[devices.kind],
        "x_m": where.terminal_xy_m[:, 0],
        "y_m": where.terminal_xy_m[:, 1],
        "indoor": where.indoor,
        "distance_m": where.distance_m,
        "los": where.los,
        "path_loss_db": where.path_loss_db,
        "shadowing_db": where.shadowing_db,
        "tx_power_dbm": watt_to_dbm(radio.tx_power_w),
        "uplink_snr_db": linear_to_db(radio.uplink_snr),
        "downlink_sinr_db": linear_to_db(radio.downlink_sinr),
        "uplink_spectral_efficiency": radio.uplink_efficiency,
        "uplink_bps": radio.network.uplink.bandwidth_hz * radio.uplink_efficiency,
        "downlink_bps": radio.network.downlink.bandwidth_hz * radio.downlink_efficiency,
        "cpu_hz": devices.each(lambda device: device.cpu_hz),
        **energies,
        "energy_j": np.asarray(sum(energies.values())),
        "bytes_up": usage.bytes_up,
        "bytes_down": usage.bytes_down,
        **_charge(ground, usage),
    }


def _charge(ground: Ground, usage: Usage) -> Columns:
    """The state of charge, if any terminal has a battery; one that ends within rounding of empty is empty."""
    capacity_j = ground.devices.each(lambda device: np.nan if device.battery_j is None else device.battery_j)
    if np.isnan(capacity_j).all():
        return {}
    left = 1.0 - np.asarray(sum(usage.energy_j.values())) / capacity_j
    if usage.state_of_charge is not None:
        plain = ground.devices.each(lambda device: device.harvest is None and device.initial_charge == 1.0) > 0.0
        left = np.where(plain, left, usage.state_of_charge)
    return {"state_of_charge": np.where(left < _EMPTY, 0.0, left)}


def _outcomes(terminals: int, participation: Columns) -> Columns:
    """(terminals,) how often each terminal's assignments came to what."""
    place = participation["outcome"] * np.int64(terminals) + participation["terminal"]
    counts = np.bincount(place, minlength=len(OUTCOMES) * terminals).reshape(len(OUTCOMES), terminals)
    return dict(zip(OUTCOMES, counts, strict=True))


def _outages(ground: Ground, site: int, end_s: float) -> dict[str, float]:
    """How often a site failed and how long it was down, if sites fail; down from the start counts as a failure."""
    law = ground.scenario.base_stations.outage
    if law is None:
        return {}
    failures, down_s, now_s = 0, 0.0, 0.0
    trajectory = outages_of(law, site, ground.streams)
    while (failed_s := trajectory.on_until_s(now_s)) < end_s:
        now_s = trajectory.back_at_s(failed_s)
        failures, down_s = failures + 1, down_s + min(now_s, end_s) - failed_s
    return {"outages": failures, "down_s": down_s}


def _azimuth(ground: Ground, site: int) -> dict[str, float]:
    """Where a site's antenna faces, if it faces anywhere."""
    if ground.scenario.network.propagation.antenna == "omni":
        return {}
    return {"azimuth_deg": float(ground.deployment.boresight_deg[site]) % 360.0}


def _station_rows(ground: Ground, task_names: list[str], activity: Activity, end_s: float) -> Rows:
    xy_m, energy_j = ground.deployment.site_xy_m, activity.energy_j
    return [
        {
            "base_station": f"bs-{site:02d}",
            "task": task_names[site],
            "x_m": float(xy_m[site, 0]),
            "y_m": float(xy_m[site, 1]),
            **_azimuth(ground, site),
            **{f"energy_{name}_j": float(energy_j[name][site]) for name in SITE_COMPONENTS},
            "uplink_airtime_s": float(activity.uplink_airtime_s[site]),
            "downlink_airtime_s": float(energy_j["transmit"][site]) / ground.radiating_w,
            "edge_rounds": int(activity.edge_rounds[site]),
            **_outages(ground, site, end_s),
        }
        for site in range(ground.sites)
    ]
