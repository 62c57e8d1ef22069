"""Charts in a page answer to their menus and need no network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.curves import TrialCurve
from analysis.figures.style import Look
from analysis.interactive import Charts, curve_chart, gather, point_chart
from analysis.quantities import RESOURCES

CHROMIUM = shutil.which("chromium")
LOOKS = {"a": Look("#0b63a5", "o", "Method A"), "b": Look("#b04a00", "s", "Method B"), "c": Look("#000000", "D", "C")}
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'"
# Chooses in the menus as a reader would and writes down what is drawn then.
CHOOSE = """
<script>
const all = () => Bokeh.documents.flatMap(d => [...d._all_models.values()]);
function choose() {
  for (const [title, value] of Object.entries(CHOICES))
    all().filter(m => m.type === "Select" && m.title === title).forEach(m => { m.value = value; });
  setTimeout(tell, 1000);
}
function tell() {
  const chart = all().find(m => m.type === "Figure");
  const drawn = chart.renderers.map(r => [...(r.data_source.data.mean ?? r.data_source.data.y)]);
  document.title = JSON.stringify([chart.below.find(m => m.axis_label).axis_label, drawn]);
}
addEventListener("load", () => setTimeout(choose, 1000));
</script>
"""


def curves(scale: float) -> list[TrialCurve]:
    spent = {entry.key: np.array([0.0, 1.0, 2.0]) * (place + 1) for place, entry in enumerate(RESOURCES)}
    return [
        TrialCurve(method, seed, spent, scale * np.array([0.5, 0.6, level]))
        for method, level in (("a", 0.9), ("b", 0.7))
        for seed in range(3)
    ]


def shown(charts: Charts, folder: Path, choices: str) -> str:
    """Open a page with a chart in a browser, choose, and return its title."""
    head = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">{charts.library}</head>'
    body = "".join(widget.place + widget.script for widget in charts.widgets)
    page = folder / "page.html"
    page.write_text(f"<!DOCTYPE html><html>{head}<body>{body}{CHOOSE.replace('CHOICES', choices)}</body></html>")
    switches = ["headless", "no-sandbox", "disable-gpu", "virtual-time-budget=20000", f"user-data-dir={folder}"]
    command = [str(CHROMIUM), *(f"--{switch}" for switch in switches), "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    return title.group(1)


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser")
def test_menus_choose_the_measure_and_the_resource(tmp_path: Path) -> None:
    charts = gather(curve_chart({"Score": curves(1.0), "Other": curves(0.5)}, LOOKS))
    assert charts is not None
    title = shown(charts, tmp_path, '{"Measure": "Other", "Against": "cost"}')
    assert title.startswith('["Cost",')
    assert "0.44999" in title or "0.45" in title  # half of .9, in single precision
    assert "0.8999" not in title


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser")
def test_menus_filter_configurations(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "method": ["a", "a", "b", "b"],
            "budget.cost": [100.0, 200.0, 100.0, 200.0],
            "time_s": [1.0, 2.0, 3.0, 4.0],
            "energy_j": [4.0, 3.0, 2.0, 1.0],
            "accuracy": [0.11, 0.22, 0.33, 0.44],
        }
    )
    charts = gather(point_chart(frame, {"budget.cost": "Budget"}, "Score", "accuracy", LOOKS))
    assert charts is not None
    everything = shown(charts, tmp_path, '{"Against": "energy_j"}')
    assert everything == '["Energy (J)",[[0.11,0.22],[0.33,0.44]]]'
    assert shown(charts, tmp_path, '{"Budget": "200"}') == '["Simulated time (s)",[[0.22],[0.44]]]'


def test_every_method_keeps_a_place_whatever_the_first_measure_lacks() -> None:
    """A glyph without data hangs the browser, so a method without the first measure is drawn as nowhere."""
    some = [curve for curve in curves(1.0) if curve.method == "a"]
    widget = curve_chart({"Gap": some, "Score": curves(1.0)}, LOOKS, geometric=True)
    assert widget is not None
    assert "Method B" in widget.script
    assert "Method A" in widget.script
    assert '"C"' not in widget.script


def test_nothing_to_draw_is_no_chart() -> None:
    assert curve_chart({"Gap": []}, LOOKS) is None
    assert gather(None) is None
