"""Studies, run as a user runs them: a process of its own, killed and resumed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.tradeoff.load import load_study, run_views

ROOT = Path(__file__).parents[1]
STUDY = """
name: small
scenario: {scenario}
change: {{output.edge_metrics: false}}
axes:
  - {{field: budget.cost, values: [200, 300]}}
  - {{field: methods.fedavg.learning_rate, values: [0.1, 0.2]}}
seeds: 3
questions: {{gap_targets: [0.2, 1.0e-9], at: {{time_s: [0.1]}}}}
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "analysis.tradeoff", *map(str, arguments)]


def run(*arguments: object, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


def written(folder: Path, text: str = STUDY) -> Path:
    path = folder / "small.yaml"
    path.write_text(text.format(scenario=ROOT / "tests" / "data" / "tiny.yaml"))
    return path


def records(out: Path) -> dict[str, Path]:
    return {path.stem: path for path in out.glob("records/*/*.parquet") if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    done = run(written(folder), "--out", folder / "out", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "18 runs in" in done.stdout and "6 runs need not be done" in done.stdout
    return folder / "out"


def test_a_setting_of_one_method_does_not_make_the_others_run_again(finished: Path) -> None:
    index = pd.read_parquet(finished / "index.parquet")
    assert len(index) == 24
    assert index.groupby(["method", "seed"])["fingerprint"].nunique().to_dict() == {
        (method, seed): count for method, count in (("fedavg", 4), ("rhfedmtl", 2)) for seed in range(3)
    }
    assert set(records(finished)) == set(index["fingerprint"])


def test_the_frame_has_a_row_a_run_with_what_its_record_says(finished: Path) -> None:
    frame, study = pd.read_parquet(finished / "runs.parquet"), load_study(finished)
    assert len(frame) == 24
    assert (frame["cost"] <= frame["budget.cost"] * (1 + 1e-9)).all()
    for view in run_views(study):
        row = frame.iloc[view.place]
        assert row["balanced_accuracy"] == view.summary["balanced_accuracy"]
        assert row["balanced_accuracy_at_100_percent_of_cost"] == row["balanced_accuracy"]
        assert row["balanced_accuracy_at_time_s_0.1"] == view.at["balanced_accuracy_at_time_s_0.1"]
    assert frame[frame["method"] == "fedavg"]["gap"].isna().all()
    assert frame[frame["method"] == "rhfedmtl"]["gap"].notna().all()


def test_a_run_of_a_study_ends_as_the_same_trial_of_a_comparison_does(finished: Path, tmp_path: Path) -> None:
    settings = ("--set", "output.edge_metrics=false", "--set", "budget.cost=300", "--no-report", "--quiet")
    run_scenario = [sys.executable, "run_scenario.py", "tests/data/tiny.yaml", "--out", str(tmp_path), *settings]
    assert subprocess.run(run_scenario, cwd=ROOT, timeout=120, check=False).returncode == 0
    frame = pd.read_parquet(finished / "runs.parquet")
    frame = frame[(frame["budget.cost"] == 300) & (frame["methods.fedavg.learning_rate"] == 0.1)]
    for trial in json.loads((tmp_path / "run.json").read_text())["trials"]:
        row = frame[(frame["method"] == trial["method"]) & (frame["seed"] == trial["seed"])].iloc[0]
        for name in ("time_s", "energy_j", "bytes", "cost", "ended_by"):
            assert row[name] == trial[name]


def test_targets_that_nobody_reaches_cost_more_than_anybody_spent(finished: Path) -> None:
    prices = pd.read_parquet(finished / "prices.parquet")
    never = prices[(prices["of"] == "gap") & (prices["target"] == 1e-9)]
    assert (never["reached"] == 0).all() and np.isinf(never["median"]).all() and (never["censored"] == 3).all()
    assert (never["spent_by_censored"] > 0).all()
    assert set(never["method"]) == {"rhfedmtl"}  # nothing certifies the others


def test_figures_and_tables_are_written_for_print_and_screen(finished: Path) -> None:
    for name in ("response", "fronts", "prices", "ranks"):
        assert (finished / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (finished / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"figures/{name}.png" in (finished / "study.md").read_text()
    for name in ("scores", "front", "tests", "prices"):
        text = (finished / "tables" / f"{name}.tex").read_text()
        assert text.rstrip().endswith(r"\end{tabular}")
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 1 and len({row.replace(r"\&", "").count("&") for row in rows}) == 1


def test_a_second_time_nothing_is_recomputed_and_a_new_value_makes_only_its_own_runs(
    finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished / "records", tmp_path / "records")
    stamps = {path: path.stat().st_mtime_ns for path in records(tmp_path).values()}
    shared = ("--records", tmp_path / "records", "--no-report")
    again = run(written(tmp_path), "--out", tmp_path / "again", *shared)
    assert again.returncode == 0 and " runs in" not in again.stdout
    wider = written(tmp_path, STUDY.replace("[200, 300]", "[200, 300, 350]"))
    more = run(wider, "--out", tmp_path / "wider", *shared, "--workers", 1)
    assert "9 runs in" in more.stdout, more.stderr
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_killed_at_any_moment_and_resumed_the_records_are_those_of_an_uninterrupted_study(
    finished: Path, tmp_path: Path
) -> None:
    study, out = written(tmp_path), tmp_path / "out"
    for wanted in (1, 7):
        process = subprocess.Popen(
            command(study, "--out", out, "--workers", 2, "--quiet", "--no-report"), cwd=ROOT, start_new_session=True
        )
        deadline_s = time.monotonic() + 120
        while time.monotonic() < deadline_s and len(records(out)) < wanted and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    kept = {name: path.stat().st_mtime_ns for name, path in records(out).items()}
    assert len(kept) >= 7
    assert run(study, "--out", out, "--quiet", "--no-report").returncode == 0
    ours, theirs = records(out), records(finished)
    assert set(ours) == set(theirs)
    assert all(ours[name].read_bytes() == theirs[name].read_bytes() for name in theirs)
    assert {name: ours[name].stat().st_mtime_ns for name in kept} == kept


def test_runs_that_fail_are_told_left_out_and_not_tried_again_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "breaking.py").write_text(
        "from learning.methods.fedavg import FedAvg\n"
        "class Breaking(FedAvg):\n"
        "    label = 'Breaking'\n"
        "    def __init__(self, setting, parameters):\n"
        "        super().__init__(setting, parameters)\n"
        "        if parameters.local_iterations == 3:\n"
        "            raise ValueError('three is too many')\n"
    )
    text = (
        "name: breaking\nscenario: {scenario}\nseeds: 2\nmethods: [mine]\n"
        "change: {{methods: {{mine: {{use: 'breaking:Breaking'}}}}}}\n"
        "axes: [{{field: methods.mine.local_iterations, values: [2, 3]}}]\n"
    )
    path = written(tmp_path, text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = command(path, "--out", "out", "--workers", 1)

    def again(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*asked, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )

    first = again()
    assert first.returncode == 1
    told = [line for line in first.stderr.splitlines() if line.startswith("error:")]
    assert len(told) == 2 and all("local_iterations 3" in line and "three is too many" in line for line in told)
    frame = pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert frame["methods.mine.local_iterations"].tolist() == [2.0, 2.0]
    assert "2 of 4 runs are recorded; 2 failed" in (tmp_path / "out" / "study.md").read_text()
    assert " runs in" not in again("--no-report").stdout
    assert "2 runs in" in again("--no-report", "--retry").stdout


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        (STUDY.replace("budget.cost,", "budget.cots,"), (), "budget.cots = 200: allowed: did you mean 'cost'?"),
        (STUDY.replace("[200, 300]", "[200, -3]"), (), "at budget.cost -3, methods.fedavg.learning_rate 0.1"),
        (STUDY + "methods: [mocha]", (), "methods = 'mocha': allowed: among rhfedmtl, fedavg"),
        (STUDY, ("--seeds", "0"), "--seeds = 0: allowed: a whole number, at least 1"),
        (STUDY, ("--bogus",), "--bogus"),
        (STUDY.replace("{scenario}", "nowhere.yaml"), (), "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_nothing_written(
    text: str, arguments: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    done = run(written(tmp_path, text), "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_study_is_told_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "not a study" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_the_guide_s_example_is_the_study_that_comes_with_the_project_and_runs(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "studies.md").read_text()
    example = re.search(r"```yaml\n(name: deadline\n.*?)```", guide, re.DOTALL)
    assert example is not None
    path = ROOT / "scenarios" / "studies" / "deadline.yaml"
    assert example[1] == path.read_text()
    reduced = ("--seeds", 2, "--set", "budget.time_s=0.4", "--methods", "rhfedmtl,fedavg")
    done = run(path, *reduced, "--out", tmp_path, "--quiet")
    assert done.returncode == 0, done.stderr
    frame = pd.read_parquet(tmp_path / "runs.parquet")
    assert len(frame) == 5 * 2 * 2
    assert sorted(set(frame["collection.deadline_s"])) == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert (frame["time_s"] <= 0.4 * (1 + 1e-9)).all()
    assert (tmp_path / "figures" / "response.pdf").is_file()
