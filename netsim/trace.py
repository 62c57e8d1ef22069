"""A timeline of one run in the Trace Event Format, for chrome://tracing or Perfetto."""

from __future__ import annotations

from math import isnan
from typing import Any

from netsim.terminal import Participation


def trace_events(participation: list[Participation]) -> dict[str, Any]:
    """Return the trace of all assignments: one lane per terminal, grouped by base station; times in microseconds."""
    events: list[dict[str, Any]] = []
    for entry in participation:
        lane = {"pid": entry.base_station, "tid": entry.terminal, "ph": "X", "cat": entry.outcome}
        if isnan(entry.compute_s):
            continue
        computed_s = entry.start_s + entry.compute_s
        label = f"round {entry.edge_round} ({entry.outcome})"
        events.append(lane | {"name": f"compute {label}", "ts": entry.start_s * 1e6, "dur": entry.compute_s * 1e6})
        if entry.upload_s > 0.0:
            events.append(lane | {"name": f"upload {label}", "ts": computed_s * 1e6, "dur": entry.upload_s * 1e6})
    return {"traceEvents": events, "displayTimeUnit": "ms"}
