"""The guide to a method of one's own: its example is a whole method, and runs as the guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "adding_a_method.md").read_text()


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the micro scenario, small, with the guide's method, from the folder that holds it."""
    said = re.search(r"run_scenario.py (scenarios/micro.yaml) --set \"(.*?)\"", GUIDE)
    assert said is not None
    small = ("--seeds", "1", "--workers", "1", "--quiet", "--no-report", "--set", "budget={time_s: 3}")
    command = [sys.executable, ROOT / "run_scenario.py", ROOT / said[1], "--set", said[2], "--methods", "vote,fedavg"]
    where = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([*command, *small, *options], cwd=folder, env=where, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the example."""
    example = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert example is not None
    assert len(example[1].splitlines()) <= 100
    where = tmp_path_factory.mktemp("mine")
    (where / "majority_vote.py").write_text(example[1])
    return where


def test_the_example_learns_beside_the_project_s_own_methods_and_sends_a_bit_a_parameter(folder: Path) -> None:
    done = run(folder, "--out", str(folder / "out"))
    assert done.returncode == 0, done.stderr
    tasks = pd.read_parquet(folder / "out" / "tasks.parquet")
    last = tasks[tasks["split"] == "test"].groupby(["method", "task"], sort=False).tail(1)
    assert last.groupby("method")["balanced_accuracy"].mean()["vote"] > 0.65
    sent = pd.read_parquet(folder / "out" / "terminals.parquet").groupby("method")["bytes_up"].sum()
    merged = pd.read_parquet(folder / "out" / "participation.parquet")
    whole = merged[merged["finish_s"].notna()].groupby("method").size()
    features = 13  # 12 and the bias
    assert sent["vote"] >= whole["vote"] * (features + 1024) / 8 * (1 - 1e-9)
    assert sent["vote"] / whole["vote"] < sent["fedavg"] / whole["fedavg"]
    assert np.isfinite(last["log_loss"]).all()


def test_the_example_s_parameters_are_checked(folder: Path) -> None:
    done = run(folder, "--set", "methods.vote.step=-1", "--out", str(folder / "refused"))
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "methods.vote.step" in done.stderr and "greater than 0" in done.stderr
