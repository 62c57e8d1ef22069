"""One made-up trial: learning curves that saturate, spending that grows evenly, terminals of three speeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

ENERGY_SHARES = {
    "energy_terminal_compute_j": 0.22,
    "energy_terminal_transmit_j": 0.16,
    "energy_terminal_receive_j": 0.05,
    "energy_terminal_idle_j": 0.09,
    "energy_bs_transmit_j": 0.07,
    "energy_bs_static_j": 0.38,
    "energy_backhaul_j": 0.03,
}
CARBON_G_PER_J = 300.0 / 3.6e6
Block = dict[str, Any]
"""Some rows of a table: columns as arrays of one length, or scalars."""

DEVICE_CLASSES = ("low-end", "mid-range", "high-end")


@dataclass(frozen=True)
class Profile:
    """How a made-up method behaves: where it saturates, how fast, what an edge round takes and costs."""

    key: str
    label: str
    plateau: float
    pace: float
    round_s: float
    joules: float
    cost: float
    kilobytes: float
    iterations: int
    edge_rounds: int
    certified: bool = False


PROFILES = (
    Profile("fedavg", "FedAvg", 0.70, 9, 1.0, 60, 40, 90, 20, 3),
    Profile("rhfedmtl", "RHFedMTL", 0.76, 6, 0.9, 50, 38, 80, 46, 3, certified=True),
    Profile("local", "Local training", 0.69, 3, 0.4, 25, 20, 0, 40, 3),
    Profile("mocha", "MOCHA", 0.765, 14, 1.6, 70, 45, 140, 60, 1, certified=True),
    Profile("fedprox", "FedProx", 0.705, 10, 1.05, 62, 40, 90, 20, 3),
    Profile("hfedmtl", "HFedMTL", 0.757, 7, 1.1, 55, 40, 85, 20, 4, certified=True),
)


@dataclass(frozen=True)
class Plan:
    """Size of the made-up experiment."""

    methods: int = 3
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    cloud_rounds: int = 10
    terminals_per_cell: int = 9
    cost_budget: float | None = 1000.0
    references: bool = True


def hexagonal_sites(spacing_m: float = 500.0) -> np.ndarray:
    """(7, 2) one site in the middle, six around it."""
    angles = np.pi / 6 + np.arange(6) * np.pi / 3
    return np.vstack([[0.0, 0.0], spacing_m * np.stack([np.cos(angles), np.sin(angles)], axis=1)])


def _table(blocks: list[Block]) -> pd.DataFrame:
    """Blocks of rows below each other; a scalar stands for all rows of its block."""
    sizes = [max(np.size(column) for column in block.values()) for block in blocks]
    columns = {}
    for name in blocks[0]:
        parts = [np.broadcast_to(np.asarray(b[name]), size) for b, size in zip(blocks, sizes, strict=True)]
        columns[name] = np.concatenate(parts)
    return pd.DataFrame(columns)


class Trial:
    """One made-up (method, seed); the world (terminals, task difficulty) depends on the seed alone."""

    def __init__(self, plan: Plan, profile: Profile, seed: int) -> None:
        self.plan, self.profile, self.seed = plan, profile, seed
        self.world = np.random.default_rng([seed, 1])
        self.noise = np.random.default_rng([seed, 2, PROFILES.index(profile)])
        self.sites = hexagonal_sites()
        self.stations = [f"bs-{number:02d}" for number in range(len(self.sites))]
        self.level = self.world.normal(0.0, 0.03, len(self.sites))
        self.terminals = self._terminals()
        self.names = self.terminals["terminal"].to_numpy()
        paces = dict(zip(DEVICE_CLASSES, (1.8, 1.0, 0.5), strict=True))
        self.speed = self.terminals["device_class"].map(paces).to_numpy()
        self.rounds, self.tasks, self.invitations = self._history()
        self.changes = self._cell_changes()

    def tables(self) -> dict[str, pd.DataFrame]:
        return {
            "rounds": self.rounds,
            "tasks": self.tasks,
            "terminals": self._with_counts(),
            "base_stations": self._base_stations(),
            "participation": self.invitations,
            "handovers": self.changes,
        }

    def summary(self) -> dict[str, object]:
        last, budget = self.rounds.iloc[-1], self.plan.cost_budget
        bound = budget is not None and last["cost"] >= budget * (1 - 1e-9)
        spent = {key: float(last[key]) for key in ("time_s", "energy_j", "bytes", "cost")}
        ended = "cost budget" if bound else "plan complete"
        return {"method": self.profile.key, "seed": self.seed, "ended_by": ended, **spent, "wall_s": 1.5}

    def _terminals(self) -> pd.DataFrame:
        per_cell, world = self.plan.terminals_per_cell, self.world
        count = per_cell * len(self.sites)
        radius, angle = 250 * np.sqrt(world.uniform(0.02, 1, count)), world.uniform(0, 2 * np.pi, count)
        place = np.repeat(self.sites, per_cell, axis=0)
        place = place + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        los = world.random(count) < np.exp(-radius / 150)
        loss = 60 + 30 * np.log10(radius) / 2 + np.where(los, 0, 18)
        fixed = {"path_loss_db": loss, "shadowing_db": world.normal(0, 6, count), "cpu_hz": 1e9}
        return pd.DataFrame(
            {
                "terminal": [f"t-{number:04d}" for number in range(count)],
                "base_station": np.repeat(self.stations, per_cell),
                "device_class": world.choice(DEVICE_CLASSES, count),
                "x_m": place[:, 0],
                "y_m": place[:, 1],
                "distance_m": radius,
                "los": los,
                **fixed,
                "uplink_snr_db": 120 - loss + fixed["shadowing_db"],
                "downlink_sinr_db": 10.0,
                "uplink_spectral_efficiency": 2.0,
                "uplink_bps": 1.8e6 * radius**-0.3,
                "downlink_bps": 3.6e6 * radius**-0.3,
                "samples": world.integers(20, 80, count),
            }
        )

    def _history(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        rounds, tasks, invitations = [self._round("start", "cloud", 0, 0, 0.0)], [self._metrics("start", 0, 0.0)], []
        step, profile = 0.0, self.profile
        most = (self.plan.cost_budget or np.inf) / profile.cost  # edge rounds the budget pays for
        for cloud in range(1, self.plan.cloud_rounds + 1):
            for edge in range(1, profile.edge_rounds + 1):
                for place in range(len(self.stations)):
                    step = min(step + 1 / len(self.stations), most)
                    rounds.append(self._round("edge", self.stations[place], cloud, edge, step))
                    tasks.append(self._metrics("edge", cloud, step, place))
                    invitations.append(self._invite(place, cloud, edge, step))
            rounds.append(self._round("cloud", "cloud", cloud, 0, step))
            tasks.append(self._metrics("cloud", cloud, step))
            if step >= most:
                break
        rounds.append(self._round("end", "cloud", cloud, 0, step))
        tasks.append(self._metrics("end", cloud, step))
        silent = profile.kilobytes == 0
        invited = _table(invitations)
        return pd.DataFrame(rounds), _table(tasks), invited.iloc[:0] if silent else invited

    def _spent(self, step: float) -> dict[str, float]:
        profile = self.profile
        cost = step * profile.cost
        time_s = step * profile.round_s * (1 + 0.03 * (self.seed % 3))
        traffic = step * profile.kilobytes * 1e3
        joules = step * profile.joules
        return {
            "time_s": time_s,
            "energy_j": joules,
            "carbon_g": joules * CARBON_G_PER_J,
            "cost": cost,
            "bytes": traffic,
        }

    def _round(self, event: str, node: str, cloud: int, edge: int, step: float) -> dict[str, object]:
        spent, profile = self._spent(step), self.profile
        way = np.exp(-step / profile.pace)
        gap = 3.0 * way * np.exp(self.noise.normal(0, 0.15)) if profile.certified and event != "start" else np.nan
        primal = 2.0 + 1.5 * way + max(0.0, 0.76 - profile.plateau)
        shares = {name: share * spent["energy_j"] for name, share in ENERGY_SHARES.items()}
        links = {"uplink": 0.45, "downlink": 0.45, "backhaul": 0.1}
        return {
            **{"event": event, "node": node, "cloud_round": cloud, "edge_round": edge, **spent, **shares},
            **{f"bytes_{name}": share * spent["bytes"] for name, share in links.items()},
            "local_iterations": np.nan if event == "start" else max(10, profile.iterations - 2 * cloud),
            "bs_iterations": np.nan if event == "start" else profile.edge_rounds,
            **{"scheduled": 9, "participants": 7, "late": 1, "dropped": 0, "unavailable": 1},
            **{"primal": primal, "dual": primal - gap, "gap": gap},
            "objective": np.nan if event == "edge" else primal,
        }

    def _metrics(self, event: str, cloud: int, step: float, place: int | None = None) -> Block:
        """Rows of all tasks, or of one station's task; the last task has one class only: no AUC."""
        chosen = np.tile(np.arange(len(self.stations)) if place is None else np.array([place]), 2)
        way = 1 - np.exp(-step / self.profile.pace)
        quality = 0.5 + (self.profile.plateau - 0.5 + self.level[chosen]) * way
        quality = quality + way * self.noise.normal(0, 0.008, len(chosen))
        return {
            **{"event": event, "cloud_round": cloud, **self._spent(step)},
            "task": np.array([f"hospital-{number + 1}" for number in chosen]),
            "split": np.repeat(["validation", "test"], len(chosen) // 2),
            "accuracy": 0.9 + 0.1 * (quality - 0.5),
            "balanced_accuracy": quality,
            "auc": np.where(chosen == len(self.stations) - 1, np.nan, np.clip(quality + 0.04, 0, 1)),
            "log_loss": 1.2 - quality,
            "samples": 60,
        }

    def _invite(self, place: int, cloud: int, edge: int, step: float) -> Block:
        mine = slice(place * self.plan.terminals_per_cell, (place + 1) * self.plan.terminals_per_cell)
        speed, count = self.speed[mine], self.plan.terminals_per_cell
        compute = 0.3 * speed * self.noise.lognormal(0, 0.25, count)
        upload = 0.2 * self.noise.lognormal(0, 0.5, count)
        luck = self.noise.random(count)
        outcome = np.where(luck < 0.05, "unavailable", np.where(compute + upload > 1.0, "late", "merged"))
        outcome = np.where(luck > 0.97, "dropped", outcome)
        arrives = np.isin(outcome, ["merged", "late"])
        start = self._spent(step)["time_s"]
        return {
            **{"base_station": self.stations[place], "cloud_round": cloud, "edge_round": edge},
            **{"terminal": self.names[mine], "outcome": outcome, "start_s": start},
            "compute_s": np.where(outcome == "unavailable", np.nan, compute),
            "upload_s": np.where(arrives, upload, np.nan),
            "finish_s": np.where(arrives, start + compute + upload, np.nan),
        }

    def _cell_changes(self) -> pd.DataFrame:
        """Three changes of every other terminal: there, back at once, and on; the lone method's nobody moves."""
        movers = self.terminals[::2] if self.profile.kilobytes else self.terminals[:0]
        end_s, rows = self.rounds["time_s"].iloc[-1], []
        for place, (_, terminal) in enumerate(movers.iterrows()):
            home = self.stations.index(terminal["base_station"])
            there, on = (self.stations[(home + step) % len(self.stations)] for step in (1, 2))
            for step, (old, new) in enumerate([(home, there), (there, home), (home, on)]):
                old, new = (cell if isinstance(cell, str) else self.stations[cell] for cell in (old, new))
                kind = ("handover", "failed", "link_failure", "reselection")[(place + step) % 4]
                work = ("nothing", "computing", "migrated", "restarted", "dropped")[(place + step) % 5]
                bits = {"left_bits": 3e4, "again_bits": 1e4 if work == "restarted" else 0.0}
                rows.append(
                    {
                        **{"time_s": (0.2 + 0.2 * step + 0.001 * place) * end_s, "terminal": terminal["terminal"]},
                        **{"base_station": terminal["base_station"], "from_cell": old, "to_cell": new},
                        **{"x_m": terminal["x_m"] + 5.0 * step, "y_m": terminal["y_m"], "kind": kind},
                        **{"ping_pong": step == 1, "delay_s": 0.01, "interruption_s": 0.05, "assignment": work},
                        **bits,
                        "level_difference_db": 4.0,
                    }
                )
        return pd.DataFrame(rows)

    def _roaming(self) -> dict[str, Any]:
        """Further columns of the terminals: who moves, and where they are at the end."""
        if self.changes.empty:
            return {"moves": False, "served_by": self.terminals["base_station"], "cell_changes": 0, "away_s": 0.0}
        groups = self.changes.groupby("terminal")
        last, count = (self.names_to(part) for part in (groups["to_cell"].last(), groups.size()))
        moves = count.notna().to_numpy()
        served_by = np.where(moves, last, self.terminals["base_station"])
        return {
            "moves": moves,
            "served_by": served_by,
            "cell_changes": count.fillna(0).to_numpy(),
            "away_s": 3.0 * moves,
        }

    def names_to(self, column: pd.Series) -> pd.Series:
        return self.terminals["terminal"].map(column)

    def _with_counts(self) -> pd.DataFrame:
        counts = pd.crosstab(self.invitations["terminal"], self.invitations["outcome"])
        counts = counts.reindex(
            index=self.terminals["terminal"], columns=["merged", "late", "dropped", "unavailable"], fill_value=0
        )
        energy = {f"energy_{part}_j": 1.0 for part in ("compute", "transmit", "receive", "idle")}
        totals: dict[str, Any] = {"energy_j": 4.0, "bytes_up": 1e4, "bytes_down": 1e4}
        charge = self.world.uniform(-0.2, 1.0, len(self.terminals)).clip(0.0)
        totals["state_of_charge"] = np.where(self.speed > 1.0, np.nan, charge)
        totals |= self._roaming()
        return self.terminals.assign(**energy, **totals, **{str(name): counts[name].to_numpy() for name in counts})

    def _base_stations(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "base_station": self.stations,
                "task": [f"hospital-{number + 1}" for number in range(len(self.stations))],
                "x_m": self.sites[:, 0],
                "y_m": self.sites[:, 1],
                **{"azimuth_deg": 30.0, "outages": 2, "down_s": 1.5},
                **{"energy_transmit_j": 7.0, "energy_static_j": 38.0},
                **{"uplink_airtime_s": 1.0, "downlink_airtime_s": 1.0, "edge_rounds": 30},
            }
        )
