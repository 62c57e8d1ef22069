"""A made-up but realistic result folder: seven hexagonal cells, one task each, learning curves that saturate.

The numbers obey the recorder's rules (cumulative, step by step, tasks of one station at edge events), so every
analysis meets the shapes, zeros and NaNs of a real run; nothing is simulated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

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


def fabricate(folder: Path, plan: Plan | None = None) -> Path:
    """Writes the folder and returns it."""
    plan = plan or Plan()
    folder.mkdir(parents=True, exist_ok=True)
    profiles = PROFILES[: plan.methods]
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in _TABLES}
    trials = []
    for profile in profiles:
        for seed in plan.seeds:
            trial = _Trial(plan, profile, seed)
            for name, frame in trial.tables().items():
                frame.insert(0, "seed", seed)
                frame.insert(0, "method", profile.key)
                tables[name].append(frame)
            trials.append(trial.summary())
    for name, frames in tables.items():
        pd.concat(frames, ignore_index=True).to_parquet(folder / f"{name}.parquet")
    if plan.references:
        _references(plan).to_parquet(folder / "references.parquet")
    (folder / "run.json").write_text(json.dumps(_run(plan, profiles, trials)), encoding="utf-8")
    (folder / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    return folder


_TABLES = ("rounds", "tasks", "terminals", "base_stations", "participation")
SCENARIO = "# <resolved> & complete\nnetwork:\n  sites: 7\n  inter_site_distance_m: 500.0\n"


class _Trial:
    """One made-up (method, seed); the world (terminals, task difficulty) depends on the seed alone."""

    def __init__(self, plan: Plan, profile: Profile, seed: int) -> None:
        self.plan, self.profile, self.seed = plan, profile, seed
        self.world = np.random.default_rng([seed, 1])
        self.noise = np.random.default_rng([seed, 2, PROFILES.index(profile)])
        self.sites = hexagonal_sites()
        self.stations = [f"bs-{number:02d}" for number in range(len(self.sites))]
        self.level = self.world.normal(0.0, 0.03, len(self.sites))
        self.terminals = self._terminals()
        self.rounds, self.tasks, self.invitations = self._history()

    def tables(self) -> dict[str, pd.DataFrame]:
        return {
            "rounds": self.rounds,
            "tasks": self.tasks,
            "terminals": self._with_counts(),
            "base_stations": self._base_stations(),
            "participation": self.invitations,
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
        invited = pd.concat(invitations, ignore_index=True)
        return pd.DataFrame(rounds), pd.concat(tasks, ignore_index=True), invited.iloc[:0] if silent else invited

    def _spent(self, step: float) -> dict[str, float]:
        profile = self.profile
        cost = step * profile.cost
        time_s = step * profile.round_s * (1 + 0.03 * (self.seed % 3))
        traffic = step * profile.kilobytes * 1e3
        return {"time_s": time_s, "energy_j": step * profile.joules, "cost": cost, "bytes": traffic}

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

    def _metrics(self, event: str, cloud: int, step: float, place: int | None = None) -> pd.DataFrame:
        """Rows of all tasks, or of one station's task; the last task has one class only: no AUC."""
        chosen = np.arange(len(self.stations)) if place is None else np.array([place])
        way = 1 - np.exp(-step / self.profile.pace)
        quality = 0.5 + (self.profile.plateau - 0.5 + self.level[chosen]) * way
        quality = quality + way * self.noise.normal(0, 0.008, len(chosen))
        frame = pd.DataFrame({"event": event, "cloud_round": cloud, **self._spent(step)}, index=range(len(chosen)))
        frame["task"] = [f"hospital-{number + 1}" for number in chosen]
        frame["accuracy"] = 0.9 + 0.1 * (quality - 0.5)
        frame["balanced_accuracy"] = quality
        frame["auc"] = np.where(chosen == len(self.stations) - 1, np.nan, np.clip(quality + 0.04, 0, 1))
        frame["log_loss"] = 1.2 - quality
        frame["samples"] = 60
        return pd.concat([frame.assign(split="validation"), frame.assign(split="test")], ignore_index=True)

    def _invite(self, place: int, cloud: int, edge: int, step: float) -> pd.DataFrame:
        mine = self.terminals[self.terminals["base_station"] == self.stations[place]]
        speed = mine["device_class"].map(dict(zip(DEVICE_CLASSES, (1.8, 1.0, 0.5), strict=True))).to_numpy()
        compute = 0.3 * speed * self.noise.lognormal(0, 0.25, len(mine))
        upload = 0.2 * self.noise.lognormal(0, 0.5, len(mine))
        outcome = np.where(compute + upload > 1.0, "late", "merged").astype(object)
        luck = self.noise.random(len(mine))
        outcome[luck < 0.05], outcome[luck > 0.97] = "unavailable", "dropped"
        arrives = np.isin(outcome, ["merged", "late"])
        start = self._spent(step)["time_s"]
        return pd.DataFrame(
            {
                **{"base_station": self.stations[place], "cloud_round": cloud, "edge_round": edge},
                **{"terminal": mine["terminal"].to_numpy(), "outcome": outcome, "start_s": start},
                "compute_s": np.where(outcome == "unavailable", np.nan, compute),
                "upload_s": np.where(arrives, upload, np.nan),
                "finish_s": np.where(arrives, start + compute + upload, np.nan),
            }
        )

    def _with_counts(self) -> pd.DataFrame:
        counts = pd.crosstab(self.invitations["terminal"], self.invitations["outcome"])
        counts = counts.reindex(
            index=self.terminals["terminal"], columns=["merged", "late", "dropped", "unavailable"], fill_value=0
        )
        energy = {f"energy_{part}_j": 1.0 for part in ("compute", "transmit", "receive", "idle")}
        totals = {"energy_j": 4.0, "bytes_up": 1e4, "bytes_down": 1e4}
        return self.terminals.assign(**energy, **totals, **{name: counts[name].to_numpy() for name in counts})

    def _base_stations(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "base_station": self.stations,
                "task": [f"hospital-{number + 1}" for number in range(len(self.stations))],
                "x_m": self.sites[:, 0],
                "y_m": self.sites[:, 1],
                **{"energy_transmit_j": 7.0, "energy_static_j": 38.0},
                **{"uplink_airtime_s": 1.0, "downlink_airtime_s": 1.0, "edge_rounds": 30},
            }
        )


def _references(plan: Plan) -> pd.DataFrame:
    rows = []
    for seed in plan.seeds:
        for name, primal, quality, worst in (
            ("multi-task optimum", 2.0, 0.78, 0.71),
            ("per-task optimum", np.nan, 0.72, 0.62),
            ("pooled optimum", np.nan, 0.69, 0.6),
            ("majority class", np.nan, 0.5, 0.5),
        ):
            metrics = {"accuracy": 0.93, "balanced_accuracy": quality, "auc": quality + 0.03}
            penalties = {"lambda1": 0.01, "lambda2": 0.01 if primal == 2.0 else np.nan}
            rows.append(
                {
                    "seed": seed,
                    "reference": name,
                    **penalties,
                    "primal": primal,
                    **metrics,
                    "worst_balanced_accuracy": worst,
                }
            )
    return pd.DataFrame(rows)


def _run(plan: Plan, profiles: tuple[Profile, ...], trials: list[dict[str, object]]) -> dict[str, object]:
    return {
        "scenario": "seven-hospitals",
        "title": "Seven hospitals, one cell each",
        "description": "Seven cells learn seven related tasks <together> under a cost budget.",
        "version": "1.0.0",
        "created": "2030-01-02T03:04:05+00:00",
        "host": {"system": "Linux", "processor": "x86-64", "cores": 2},
        "versions": {"python": "3.11.7", "numpy": "2.4.6", "pandas": "3.1.1"},
        "wall_time_s": 93.4,
        "seeds": list(plan.seeds),
        "methods": [
            {"key": p.key, "label": p.label, "description": f"{p.label} with {p.edge_rounds} edge rounds."}
            for p in profiles
        ],
        "flagship": "rhfedmtl",
        "budget": {
            **dict.fromkeys(("time_s", "energy_j", "energy_per_terminal_j", "bytes")),
            "cost": plan.cost_budget,
        },
        "trials": trials,
    }


def smaller(plan: Plan, **changes: object) -> Plan:
    """The plan with some sizes changed."""
    return replace(plan, **changes)  # type: ignore[arg-type]
