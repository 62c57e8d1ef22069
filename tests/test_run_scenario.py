"""The command line, run as a user runs it: a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.load import load_experiment

ROOT = Path(__file__).parents[1]
TINY = "tests/data/tiny.yaml"
TABLES = ("rounds", "tasks", "participation", "terminals", "base_stations", "references")


def run(*arguments: object, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "run_scenario.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiny")
    done = run(TINY, "--out", out, "--no-report")
    assert done.returncode == 0, done.stderr
    return out


def test_a_run_writes_every_table_with_method_and_seed(finished: Path) -> None:
    for name in TABLES:
        frame = pd.read_parquet(finished / f"{name}.parquet")
        assert len(frame) > 0
        assert set(frame["seed"]) == {0, 1}
        if name != "references":
            assert set(frame["method"]) == {"rhfedmtl", "fedavg"}
    record = json.loads((finished / "run.json").read_text())
    assert {(t["method"], t["seed"]) for t in record["trials"]} == {
        (m, s) for m in ("rhfedmtl", "fedavg") for s in (0, 1)
    }
    assert all(t["cost"] <= 400 * (1 + 1e-9) for t in record["trials"])


def test_two_processes_write_bit_identical_records(finished: Path, tmp_path: Path) -> None:
    assert run(TINY, "--out", tmp_path, "--no-report", "--workers", 1, "--quiet").returncode == 0
    for name in TABLES:
        ours, theirs = (pd.read_parquet(folder / f"{name}.parquet") for folder in (finished, tmp_path))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_both_engines_write_the_same_records(finished: Path, tmp_path: Path) -> None:
    done = run(TINY, "--set", "engine=cohort", "--out", tmp_path, "--no-report")
    assert done.returncode == 0, done.stderr
    order = ["method", "seed", "base_station", "edge_round", "terminal"]
    for name in TABLES:
        ours, theirs = (pd.read_parquet(folder / f"{name}.parquet") for folder in (tmp_path, finished))
        if name == "participation":  # the other engine writes it down in order of time
            ours, theirs = (frame.sort_values(order, ignore_index=True) for frame in (ours, theirs))
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, atol=1e-13)


def test_an_edited_file_of_sites_makes_another_network(tmp_path: Path) -> None:
    sites = tmp_path / "sites.csv"
    command = (TINY, "--seeds", 1, "--methods", "fedavg", "--out", tmp_path / "out", "--no-report")
    places = ("--set", f"network.layout.sites_csv={sites}")
    for text, there in (("0,0\n400,0\n0,400\n", 0), ("0,0\n400,0\n0,400\n", 1), ("0,0\n400,0\n0,300\n", 0)):
        sites.write_text("x_m,y_m\n" + text)
        done = run(*command, *places)
        assert done.returncode == 0, done.stderr
        assert ("1 trials were finished before" in done.stdout) == bool(there)
    told = pd.read_parquet(tmp_path / "out" / "base_stations.parquet")
    assert told["y_m"].tolist() == [0.0, 0.0, 300.0]


def test_terminals_that_train_heads_only_send_empty_messages(tmp_path: Path) -> None:
    classes = "[{name: large}, {name: small, trains: head}]"
    changes = ("terminals.dropout_probability=0", f"terminals.classes={classes}", "learning.model=learning.trunks:mlp")
    command = [word for change in (*changes, "methods.fedrep={cloud_rounds: 2}") for word in ("--set", change)]
    done = run(TINY, *command, "--seeds", 1, "--methods", "fedrep", "--out", tmp_path, "--no-report")
    assert done.returncode == 0, done.stderr
    told = pd.read_parquet(tmp_path / "terminals.parquet").set_index("device_class")
    trunk_bytes = 4 * (5 * 16 + 16) + 128  # of four features and the bias
    assert set(told["bytes_up"]["large"]) == {2 * trunk_bytes} and set(told["bytes_up"]["small"]) == {2 * 128}
    refused = run(TINY, *command, "--seeds", 1, "--methods", "fedavg", "--out", tmp_path / "other", "--no-report")
    assert refused.returncode == 2
    assert "terminals.classes.trains = 'head'" in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_a_second_run_recomputes_nothing_and_a_changed_one_does(finished: Path) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in finished.glob("trials/*/trial.json")}
    again = run(TINY, "--out", finished, "--no-report")
    assert again.returncode == 0
    assert "4 trials were finished before" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in finished.glob("trials/*/trial.json")} == stamps
    changed = run(TINY, "--out", finished, "--no-report", "--set", "methods.fedavg.learning_rate=0.2")
    assert "2 trials were finished before" in changed.stdout
    assert run(TINY, "--out", finished, "--no-report", "--quiet").returncode == 0


def test_adding_a_method_leaves_the_channels_and_results_of_the_others_unchanged(
    finished: Path, tmp_path: Path
) -> None:
    added = run(TINY, "--out", tmp_path, "--no-report", "--set", "methods.local={}", "--set", "methods.hfedmtl={}")
    assert added.returncode == 0, added.stderr
    for name in ("rounds", "terminals", "participation"):
        ours = pd.read_parquet(finished / f"{name}.parquet")
        theirs = pd.read_parquet(tmp_path / f"{name}.parquet")
        theirs = theirs[theirs["method"].isin(["rhfedmtl", "fedavg"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True, check_dtype=False)
    terminals = pd.read_parquet(tmp_path / "terminals.parquet")
    world = ["x_m", "y_m", "path_loss_db", "shadowing_db", "uplink_snr_db", "cpu_hz"]
    assert (terminals.groupby(["seed", "terminal"])[world].nunique() == 1).all().all()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        ([], "scenario = None"),
        ([TINY, "--bogus"], "--bogus"),
        ([TINY, "--seeds", "0"], "--seeds = 0: allowed: a whole number, at least 1"),
        ([TINY, "--methods", "mocha"], "--methods = 'mocha': allowed: among rhfedmtl, fedavg"),
        ([TINY, "--set", "learning.lamda1=1"], "learning.lamda1 = 1: allowed: did you mean 'lambda1'?"),
        ([TINY, "--set", "methods.fedavg.learning_rat=1"], "methods.fedavg.learning_rat = 1: allowed: did you mean"),
        (
            [TINY, "--set", "methods.fedavg.learning_rate=-1"],
            "methods.fedavg.learning_rate = -1: allowed: greater than 0",
        ),
        ([TINY, "--set", "methods.fedavgg={}"], "did you mean 'fedavg'?"),
        ([TINY, "--set", "data.source=matlab"], "data.path = None"),
        ([TINY, "--set", "data.source=nonsense"], "data.source = 'nonsense'"),
        ([TINY, "--set", "terminals.per_base_station=1000"], "terminals.per_base_station"),
        ([TINY, "--set", "learning.model=nowhere:nothing"], "learning.model"),
        (
            [TINY, "--set", "base_stations.power_model=pico"],
            "network.downlink.tx_power_dbm = 35.5: allowed: at most 24.1",
        ),
        ([TINY, "--set", "methods.rhfedmtl.controller=reference", "--set", "budget.cost=null"], "budget.cost = None"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_nothing_written(arguments: list[str], expected: str, tmp_path: Path) -> None:
    done = run(*arguments, "--out", tmp_path / "out", "--no-report")
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.parquet"))


def _csv(path: Path, rows: list[str]) -> Path:
    path.write_text("task,a,b,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda i: f"t{i % 2},{i},nan,{1 if i % 3 else -1}", "row 1, column 'b'"),
        (lambda i: f"t{i % 2},{i},1,{1 if i % 2 else -1}", "all 30 labels are -1"),
    ],
    ids=["NaN feature", "task with one class"],
)
def test_bad_data_is_one_line_exit_2(spoil, expected: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = _csv(tmp_path / "data.csv", [spoil(i) for i in range(60)])
    settings = ["--set", "data={source: table, path: " + str(path) + "}"]
    done = run(TINY, *settings, "--out", tmp_path / "out", "--no-report")
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_gpu_that_is_not_there_is_refused() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run(TINY, "--device", "cuda")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --device = 'cuda'")


def test_an_interrupt_keeps_finished_trials_and_exits_130(tmp_path: Path) -> None:
    command = [sys.executable, "run_scenario.py", TINY, "--seeds", "200", "--out", str(tmp_path), "--no-report"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background is started deaf to it
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=heard, **pipes)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and len(list(tmp_path.glob("trials/*/trial.json"))) < 3:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "finished trials are kept" in errors
    kept = list(tmp_path.glob("trials/*/trial.json"))
    assert len(kept) >= 3
    assert all(len(list(path.parent.glob("*.parquet"))) == 5 for path in kept)
    assert not list(tmp_path.glob("*.parquet"))


def test_a_kill_leaves_only_whole_trials_behind(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "run_scenario.py",
        TINY,
        "--seeds",
        "200",
        "--out",
        str(tmp_path),
        "--no-report",
        "--quiet",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and len(list(tmp_path.glob("trials/*/trial.json"))) < 2:
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1.0)  # workers notice the closed pipe and leave
    visible = [path for path in (tmp_path / "trials").iterdir() if not path.name.startswith(".")]
    assert len(visible) >= 2
    for folder in visible:
        assert json.loads((folder / "trial.json").read_text())["seed"] >= 0
        assert len([pd.read_parquet(path) for path in folder.glob("*.parquet")]) == 5


def test_quiet_prints_nothing_and_methods_can_be_listed(tmp_path: Path) -> None:
    done = run(TINY, "--quiet", "--seeds", 1, "--methods", "fedavg", "--out", tmp_path, "--no-report")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    listed = run("--list-methods")
    assert listed.returncode == 0
    for name in ("rhfedmtl", "hfedmtl", "fedavg", "fedprox", "local"):
        assert f"{name}: " in listed.stdout


def test_own_data_own_model_and_own_method_come_by_import_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np, torch\n"
        "from learning.methods.fedavg import FedAvg\n"
        "def data(rows):\n"
        "    g = np.random.default_rng(0)\n"
        "    X = [g.normal(size=(rows, 3)) for _ in range(3)]\n"
        "    return {f't{i}': (x, np.where(x[:, 0] + 0.1 * i > 0, 1.0, -1.0)) for i, x in enumerate(X)}\n"
        "def model(features):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(features, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))\n"
        "class Mine(FedAvg):\n"
        "    label = 'Mine'\n"
    )
    settings = [
        "data={source: 'mine:data', arguments: {rows: 80}, split: {train_fraction: 0.4}}",
        "learning.model=mine:model",
        "methods={mine: {use: 'mine:Mine', learning_rate: 0.5}}",
    ]
    arguments = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, str(ROOT / "run_scenario.py"), str(ROOT / TINY), *arguments]
    command += ["--seeds", "1", "--out", "out", "--no-report", "--set", "data.split.test_fraction=0.4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "1 trials were finished before" in again.stdout
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text().replace("Tanh", "ReLU"))
    edited = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert edited.returncode == 0 and "finished before" not in edited.stdout  # the code is part of what was asked
    scores = pd.read_parquet(tmp_path / "out" / "tasks.parquet")
    last = scores[(scores["event"] == "end") & (scores["split"] == "test")]["balanced_accuracy"]
    assert last.mean() > 0.7


ARRAY = """
import numpy as np

def tasks(declared):
    rng, found = np.random.default_rng(0), {}
    for cell in range(3):
        angle = rng.uniform(-0.5, 0.5, 60) + 0.2 * cell
        phases = np.pi * np.arange(6) * np.sin(angle)[:, None]
        X = np.column_stack([np.cos(phases), np.sin(phases)]) + 0.1 * rng.normal(size=(60, 12))
        found[f"cell-{cell}"] = (X, np.rad2deg(angle), "values") if declared else (X, np.rad2deg(angle))
    return found
"""


@pytest.mark.parametrize("declared", [False, True])
def test_a_problem_of_values_is_told_in_values_from_the_data_to_the_report(tmp_path: Path, declared: bool) -> None:
    (tmp_path / "antennas.py").write_text(ARRAY)
    methods = (
        "{fedper: {learning_rate: 0.001}, local: {learning_rate: 0.001}}"
        if declared
        else "{hfedmtl: {}, local: {learning_rate: 0.1}}"
    )
    settings = [
        f"data={{source: 'antennas:tasks', arguments: {{declared: {declared}}}}}",
        f"methods={methods}",
        "learning.loss=squared",
        *(["learning.model=learning.trunks:linear_trunk"] if declared else []),
        "budget={time_s: 20}",
    ]
    arguments = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, str(ROOT / "run_scenario.py"), str(ROOT / TINY), *arguments]
    command += ["--seeds", "2", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    ends = pd.read_parquet(tmp_path / "out" / "tasks.parquet").query("event == 'end' and split == 'test'")
    assert "accuracy" not in ends and ends.groupby("method")["r2"].mean().max() > 0.5
    page = (tmp_path / "out" / "report.html").read_text()
    assert "in R² averaged over tasks" in page and "R² below -1 counts as -1" in page
    assert "alanced accuracy" not in page and "AUC" not in page.partition("<script")[0]


def test_changes_of_cell_are_written_down_and_read_back(tmp_path: Path) -> None:
    moving = ("mobility.speed_mps=[40, 80]", "budget.cost=4000", "network.propagation.spatial_consistency=true")
    sets = [part for text in moving for part in ("--set", text)]
    done = run(TINY, *sets, "--methods", "rhfedmtl", "--seeds", 1, "--out", tmp_path, "--no-report")
    assert done.returncode == 0, done.stderr
    experiment = load_experiment(tmp_path)
    changes = experiment.handovers.groupby("terminal").size()
    counted = experiment.terminals.set_index("terminal")["cell_changes"]
    assert len(changes) > 0 and (counted[changes.index] == changes).all() and counted.sum() == changes.sum()


def test_a_method_may_have_a_model_of_its_own_and_errors_say_where_it_is_stated(tmp_path: Path) -> None:
    own = "methods={fedavg: {}, fedrep: {model: 'learning.trunks:linear_trunk', model_arguments: {width: 2}}}"
    done = run(TINY, "--set", own, "--seeds", 1, "--out", tmp_path, "--no-report")
    assert done.returncode == 0, done.stderr
    rounds = pd.read_parquet(tmp_path / "rounds.parquet")
    sent = rounds[rounds["event"] == "end"].set_index("method")["bytes_uplink"]
    merged = pd.read_parquet(tmp_path / "terminals.parquet").groupby("method")["merged"].sum()
    per_update = (sent / merged).round(6).to_dict()
    assert per_update == {"fedavg": 4 * 5 + 128, "fedrep": 4 * 5 * 2 + 128}  # features and a constant; a head stays
    wrong = run(TINY, "--set", own.replace("width", "widht"), "--seeds", 1, "--out", tmp_path, "--no-report")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: methods.fedrep.model_arguments = ")
    assert len(wrong.stderr.strip().splitlines()) == 1
