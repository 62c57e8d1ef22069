"""Tables of what was recorded, a Parquet file each: of one trial, and joined over many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.simulator import Recorded
from scenarios.storage import new_file

TABLES = ("rounds", "tasks", "participation", "terminals", "base_stations")
SOMETIMES = ("handovers",)
"""Tables that only some scenarios have."""


def write_tables(folder: Path, result: Recorded, stamp: Mapping[str, Any]) -> None:
    """Write what was recorded, and the timeline if there is one, into a folder."""
    for name in (*TABLES, *SOMETIMES):
        table = getattr(result, name)
        if table is not None:
            write_table(folder / f"{name}.parquet", columns(table), stamp)
    if result.trace is not None:
        (folder / "trace.json").write_text(json.dumps(result.trace), encoding="utf-8")


def columns(table: Any) -> Any:
    """Return a recorded table as columns by name, or rows as they were recorded."""
    return getattr(table, "columns", table)


def write_table(path: Path, table: Sequence[Mapping[str, Any]] | Mapping[str, Any], stamp: Mapping[str, Any]) -> None:
    """Write rows, or columns by name, as Parquet, with the columns of ``stamp`` in front."""
    frame = pd.DataFrame(table)
    for position, (name, value) in enumerate(stamp.items()):
        frame.insert(position, name, value)
    frame.to_parquet(path, index=False)


def join_tables(folders: Sequence[Path], final: Path, name: str) -> None:
    """Concatenate one table of many trials into ``final`` / name.parquet, atomically."""
    frames = [pd.read_parquet(folder / f"{name}.parquet") for folder in folders]
    frames = [frame.dropna(axis="columns", how="all") for frame in frames if len(frame)]
    joined = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    with new_file(final / f"{name}.parquet") as temporary:
        joined.to_parquet(temporary, index=False)


def join_trials(folders: Sequence[Path], final: Path) -> None:
    """Join every table of many trials; those that only some scenarios have, of the trials that have them."""
    for name in TABLES:
        join_tables(folders, final, name)
    for name in SOMETIMES:
        having = [folder for folder in folders if (folder / f"{name}.parquet").is_file()]
        if having:
            join_tables(having, final, name)
