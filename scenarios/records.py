"""Durable records of single runs: one file each, found by what the run is, complete or not there.

The name of a record is the fingerprint of its run (:mod:`scenarios.trials`), so the same run is never done twice,
whichever study asks for it. It is a Parquet file: the table is the run's curve, its metadata say what was run and how
it ended. Nothing in it depends on when, where or how fast the run was done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.storage import new_file

SUMMARY = b"run"
"""Key of the metadata that hold the summary, as JSON."""

_END_OF_FILE = b"PAR1"
_ABANDONED_S = 3600.0


def record_path(root: Path, fingerprint: str) -> Path:
    """Return where the record of a run lies, or would lie."""
    return root / fingerprint[:2] / f"{fingerprint}.parquet"


def recorded(root: Path, fingerprint: str) -> bool:
    """Return whether a run's record is there and whole."""
    try:
        with record_path(root, fingerprint).open("rb") as file:
            file.seek(-len(_END_OF_FILE), 2)
            return file.read() == _END_OF_FILE
    except OSError:
        return False


def write_record(root: Path, fingerprint: str, curve: pd.DataFrame, summary: Mapping[str, Any]) -> None:
    """Write the record of a run; the same run gives the same bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    path = record_path(root, fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(curve, preserve_index=False)
    text = json.dumps(summary, sort_keys=True, allow_nan=False)
    table = table.replace_schema_metadata({SUMMARY: text.encode()})
    with new_file(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def sweep(root: Path) -> None:
    """Remove half-written files of processes that were killed long ago."""
    for path in root.glob("*/.*.parquet.*"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
        except FileNotFoundError:  # another study sweeps, too
            continue
