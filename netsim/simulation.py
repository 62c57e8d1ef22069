"""One run: a method in a world, from the first broadcast to the instant a budget is met, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from channel_models.units import linear_to_db
from netsim.base_station import BaseStation
from netsim.energy import TERMINAL_COMPONENTS
from netsim.lone_terminal import LoneTerminal
from netsim.port import Method
from netsim.protocols import hierarchical, isolated
from netsim.recorder import Recorder, Row
from netsim.terminal import Terminal
from netsim.trace import trace_events
from netsim.world import World, limit_terminal_energy

Table = list[dict[str, Any]]


@dataclass(frozen=True)
class Result:
    """Everything recorded in one run, as plain rows.

    Attributes:
        ended_by: which budget or other condition ended the run.
        totals: state at the end: time_s, energy_j, bytes, cost, ...
        rounds, tasks, participation, terminals, base_stations: tables; docs/records.md lists their columns.
        trace: timeline of all assignments, Trace Event Format, if the scenario asks for it.
    """

    ended_by: str
    totals: dict[str, float]
    rounds: Table
    tasks: Table
    participation: Table
    terminals: Table
    base_stations: Table
    trace: dict[str, Any] | None


def simulate(
    world: World, method: Method, task_names: list[str], on_cloud: Callable[[Row], None] | None = None
) -> Result:
    """Run ``method`` in ``world`` until it ends.

    Args:
        world: a fresh world.
        method: a fresh method.
        task_names: task of each base station, for the tables.
        on_cloud: told every cloud aggregation, for progress.
    """
    recorder = Recorder(world, method, on_cloud)
    limit_terminal_energy(world)
    alone = method.protocol == "isolated"
    kind = LoneTerminal if alone else Terminal
    terminals = [kind(world, method, index, recorder.participation) for index in range(world.terminals)]
    stations = [
        BaseStation(world, method, site, [terminals[i] for i in world.terminals_of(site)], recorder)
        for site in range(world.sites)
    ]
    recorder.start()
    if alone:
        lone = [terminal for terminal in terminals if isinstance(terminal, LoneTerminal)]
        world.env.process(isolated(world, method, lone, recorder))
    else:
        for terminal in terminals:
            terminal.start()
        world.env.process(hierarchical(world, method, stations, recorder))
    ended_by = world.env.run(until=world.budget.ended)
    for terminal in terminals:
        terminal.stop()
    recorder.end()
    method.settle()
    rounds, tasks = _tables(recorder.rows)
    return Result(
        ended_by=str(ended_by),
        totals={key: rounds[-1][key] for key in ("time_s", "energy_j", "bytes", "cost")},
        rounds=rounds,
        tasks=tasks,
        participation=[
            vars(entry) | {"base_station": f"bs-{entry.base_station:02d}"} for entry in recorder.participation
        ],
        terminals=_terminal_table(world, terminals, recorder),
        base_stations=_station_table(world, stations, task_names),
        trace=trace_events(recorder.participation) if world.scenario.output.trace else None,
    )


def _tables(rows: list[Row]) -> tuple[Table, Table]:
    """Join the recorded states with their measurements, now that these are settled."""
    rounds, tasks = [], []
    keep = ("event", "cloud_round", "time_s", "energy_j", "cost", "bytes")
    for row in rows:
        rounds.append(row.world | dict(row.metrics.scalars))
        stamp = {key: row.world.get(key) for key in keep}
        tasks += [stamp | dict(task) for task in row.metrics.tasks]
    return rounds, tasks


def _terminal_table(world: World, terminals: list[Terminal], recorder: Recorder) -> Table:
    counts = [dict.fromkeys(("merged", "late", "dropped", "unavailable"), 0) for _ in terminals]
    for entry in recorder.participation:
        counts[entry.terminal][entry.outcome] += 1
    return [_terminal_row(world, terminal) | counts[terminal.index] for terminal in terminals]


def _terminal_row(world: World, terminal: Terminal) -> dict[str, Any]:
    i, where, radio, meter = terminal.index, world.deployment, world.radio, world.terminal_meter
    energies = {f"energy_{name}_j": meter.energy_j(i, name) for name in TERMINAL_COMPONENTS}
    return {
        "terminal": i,
        "base_station": f"bs-{terminal.site:02d}",
        "device_class": terminal.device.name,
        "x_m": float(where.terminal_xy_m[i, 0]),
        "y_m": float(where.terminal_xy_m[i, 1]),
        "distance_m": float(where.distance_m[i]),
        "los": bool(where.los[i]),
        "path_loss_db": float(where.path_loss_db[i]),
        "shadowing_db": float(where.shadowing_db[i]),
        "uplink_snr_db": float(linear_to_db(radio.uplink_snr[i])),
        "downlink_sinr_db": float(linear_to_db(radio.downlink_sinr[i])),
        "uplink_spectral_efficiency": float(radio.uplink_efficiency[i]),
        "cpu_hz": terminal.device.cpu_hz,
        **energies,
        "energy_j": sum(energies.values()),
        "bytes_up": terminal.bytes_up,
        "bytes_down": terminal.bytes_down,
    }


def _station_table(world: World, stations: list[BaseStation], task_names: list[str]) -> Table:
    return [
        {
            "base_station": f"bs-{station.index:02d}",
            "task": task_names[station.index],
            "x_m": float(world.deployment.site_xy_m[station.index, 0]),
            "y_m": float(world.deployment.site_xy_m[station.index, 1]),
            "energy_transmit_j": world.site_meter.energy_j(station.index, "transmit"),
            "energy_static_j": world.site_meter.energy_j(station.index, "static"),
            "uplink_airtime_s": world.uplinks[station.index].busy_s,
            "downlink_airtime_s": station.downlink_airtime_s,
            "edge_rounds": station.edge_rounds,
        }
        for station in stations
    ]
