"""Regret by hand: the rival is the best of the grid, ratios are paired by seed, and the command line says them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.regret.table import regret, summary, text

ROOT = Path(__file__).parents[2]
GAPS = {
    ("fixed_1_1", True): [4.0, 1.0, 2.0],  # geometric mean 2
    ("fixed_2_1", True): [1.0, 1.0, 9.0],  # arithmetic mean higher, geometric mean 2.08
    ("online", False): [2.0, 2.0, 2.0],
}
SCORES = {"fixed_1_1": 0.7, "fixed_2_1": 0.8, "online": 0.75}


def runs(level: float = 1.0, spent: float = 0.9) -> pd.DataFrame:
    """Return what three seeds recorded."""
    rows = [
        {"level": level, "method": method, "grid": grid, "seed": seed, "gap": gap, "share_spent": spent}
        | {"score": SCORES[method] + 0.01 * seed}
        for (method, grid), gaps in GAPS.items()
        for seed, gap in enumerate(gaps)
    ]
    return pd.DataFrame(rows)


def test_the_rival_has_the_least_geometric_mean_and_ratios_are_paired_by_seed() -> None:
    row = regret(runs()).iloc[0]
    assert (row["method"], row["rival"], row["seeds"]) == ("online", "fixed_1_1", 3)
    logs = np.log([0.5, 2.0, 1.0])
    half = 4.302652729911275 * logs.std(ddof=1) / np.sqrt(3)  # Student t, 2 degrees of freedom
    assert row["ratio"] == pytest.approx(1.0)
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx((np.exp(-half), np.exp(half)))
    assert row["worst_ratio"] == pytest.approx(2.0)


def test_accuracy_is_compared_with_the_same_rival_and_with_the_most_accurate_one() -> None:
    row = regret(runs()).iloc[0]
    assert row["accuracy_difference"] == pytest.approx(0.05)
    assert row["most_accurate_difference"] == pytest.approx(-0.05)


@pytest.mark.parametrize(("spent", "overshoot"), [(0.9, 0.0), (1.0, 0.0), (1.25, 0.25)])
def test_what_was_spent_beyond_a_limit_is_said(spent: float, overshoot: float) -> None:
    assert regret(runs(spent=spent)).iloc[0]["overshoot"] == pytest.approx(overshoot)


def test_a_gap_of_rounding_is_not_divided_by() -> None:
    frame = runs()
    frame.loc[frame["grid"], "gap"] = 0.0
    frame.loc[~frame["grid"], "gap"] = 1e-15
    assert regret(frame).iloc[0]["ratio"] == pytest.approx(1.0)


def test_a_summary_is_over_all_levels() -> None:
    better = runs(0.5)
    better.loc[~better["grid"], "gap"] = 0.5
    row = summary(regret(pd.concat([better, runs()]))).iloc[0]
    assert row["mean_ratio"] == pytest.approx((0.25 + 1.0) / 2)
    assert row["geometric_mean_ratio"] == pytest.approx(0.5)
    assert row["worst_level_ratio"] == pytest.approx(1.0)


def test_the_text_has_a_line_for_every_level_and_controller() -> None:
    assert "| 100% | online | fixed_1_1 | 2 | 1.00 (" in text(regret(runs()))


def test_the_command_line_reads_what_it_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "analysis.regret", "tests/data/tiny.yaml", "--seeds", "2", "--levels", "0.5,1"]
    command += ["--local", "2,8", "--iterations", "1", "--out", str(tmp_path), "--workers", "1"]
    first, second = (subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300) for _ in "12")
    assert first.returncode == 0 == second.returncode, first.stderr
    assert first.stdout == second.stdout  # nothing was run again, and nothing forgotten
    found = pd.read_csv(tmp_path / "runs.csv")
    assert len(found) == 2 * 2 * (4 + 2) and (found["share_spent"] <= 1.0 + 1e-9).all()
    report = [sys.executable, "-m", "analysis.regret", str(tmp_path)]
    said = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0 and first.stdout in said.stdout
