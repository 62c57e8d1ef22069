"""A timeline of one run in the Trace Event Format, for chrome://tracing or Perfetto."""

from __future__ import annotations

from math import isnan
from typing import Any

from netsim.participation import Columns


def trace_events(participation: Columns) -> dict[str, Any]:
    """Return the trace of all assignments: one lane per terminal, grouped by base station; times in microseconds."""
    events: list[dict[str, Any]] = []
    names = ("base_station", "terminal", "edge_round", "outcome", "start_s", "compute_s", "upload_s")
    for site, terminal, number, outcome, start_s, compute_s, upload_s in zip(
        *(participation[name].tolist() for name in names), strict=True
    ):
        if isnan(compute_s):
            continue
        lane = {"pid": site, "tid": terminal, "ph": "X", "cat": outcome}
        label = f"round {number} ({outcome})"
        events.append(lane | {"name": f"compute {label}", "ts": start_s * 1e6, "dur": compute_s * 1e6})
        if upload_s > 0.0:
            upload = {"name": f"upload {label}", "ts": (start_s + compute_s) * 1e6, "dur": upload_s * 1e6}
            events.append(lane | upload)
    return {"traceEvents": events, "displayTimeUnit": "ms"}
