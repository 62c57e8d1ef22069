"""The report stands alone, says everything, and opens in a browser without a complaint."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from analysis.figures import exhibits
from analysis.load import load_experiment
from analysis.report import budget_text, main, write_report
from tests.analysis.fabricated_experiment import SCENARIO, fabricate
from tests.analysis.fabricated_trial import Plan
from tests.analysis.handmade_experiment import handmade, steps

ROOT = Path(__file__).parents[2]
SECTIONS = (
    *("finding", "endings", "learning", "comparison", "targets", "tasks", "energy", "participation", "network"),
    *("convergence", "references", "reproduce"),
)
CHROMIUM = shutil.which("chromium")


class _Page(HTMLParser):
    """What a page shows and what it would fetch."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        found = [values[name] for name in ("src", "href", "srcset", "action", "data", "poster") if name in values]
        self.images += [values["src"]] if tag == "img" else []
        self.links += found

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def report(experiment_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(shutil.copytree(experiment_folder, tmp_path_factory.mktemp("report") / "run"))


@pytest.fixture(scope="module")
def source(report: Path) -> str:
    return report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> _Page:
    return _Page(source)


def test_the_report_and_all_its_figures_are_in_the_folder(report: Path) -> None:
    names = {f"{exhibit.name}.{ending}" for exhibit in exhibits() for ending in ("pdf", "png")}
    assert {path.name for path in (report.parent / "figures").iterdir()} == names
    assert not list(report.parent.glob(".*"))


def test_the_page_needs_no_network_and_no_other_file(page: _Page, source: str) -> None:
    assert page.links
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "default-src 'none'" in source
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_links_within_the_page_lead_somewhere(page: _Page) -> None:
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets <= set(page.ids)
    assert set(SECTIONS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_every_figure_is_embedded_as_an_image(page: _Page) -> None:
    assert len(page.images) == len(exhibits())
    for image in page.images:
        head, code = image.split(",", 1)
        assert head == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(code)


@pytest.mark.parametrize(
    "words",
    [
        "Seven hospitals, one cell each",
        "Seven cells learn seven related tasks <together> under a cost budget.",
        "With the whole cost budget of 1,000, RHFedMTL scores higher than all 2 other methods",
        "RHFedMTL is lower than Local training",
        "Cost: 100 % is the budget, 1,000",
        "Simulated time: 100 % is the most any trial spent",
        "cost budget",
        "plan complete",
        "▲",
        "lower",
        "Energy in kJ, mean over seeds at the end",
        "Median time to arrival",
        "Multi-task optimum",
        "Always answering one class",
        "numpy 2.4.6",
        "0, 1, 2, 3",
        "1.56 min",
        "2030-01-02",
        "FedAvg with 3 edge rounds.",
        "hospital-7",
        "not corrected",
    ],
)
def test_the_page_says_what_a_reader_asks(page: _Page, source: str, words: str) -> None:
    assert words in page.text.replace("\xa0", " ") or (words == "▲" and words in source)


def test_the_scenario_is_shown_verbatim(source: str) -> None:
    shown = re.search(r"<details id=.scenario.>.*?<pre>(.*?)</pre>", source, re.DOTALL)
    assert shown is not None
    text = shown.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.strip() == SCENARIO.strip()


def test_every_comparison_has_its_verdict_in_words(source: str) -> None:
    cells = re.findall(r'<td class="(higher|lower|same)">(.*?)</td>', source, re.DOTALL)
    assert len(cells) == 2 * 4 * 6 * 2  # measures, resources, levels, other methods
    words = {"higher": "higher", "lower": "lower", "same": "no difference shown"}
    assert all(f">{words[style]}</small>" in text for style, text in cells)


def test_the_worst_task_of_each_method_is_marked_once(source: str) -> None:
    assert len(re.findall(r'<td class="worst">', source)) == 3


def test_a_page_is_written_for_one_method_with_one_seed_and_no_references(tmp_path: Path) -> None:
    plan = Plan(methods=1, seeds=(3,), cloud_rounds=2, cost_budget=None, references=False)
    folder = fabricate(tmp_path / "small", plan)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(run | {"flagship": "fedavg"}), encoding="utf-8")
    page = _Page(write_report(folder).read_text(encoding="utf-8"))
    assert "FedAvg was run alone" in page.text
    assert "No reference optimum was computed." in page.text
    assert "Nothing of this was recorded." not in page.text


def test_budgets_are_told_in_words() -> None:
    trials = {("ours", 0): steps(0.5, 0.6)}
    limits = {"time_s": 90.0, "energy_per_terminal_j": 2000.0}
    assert budget_text(handmade(trials, budget=limits)) == "time 1.5 min, energy per terminal 2 kJ"
    assert budget_text(handmade(trials)) == "none: every trial runs to the end of its plan"


@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["--help"], ["no/such/folder"]])
def test_a_wrong_call_exits_with_two_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.strip().splitlines()) == 1


def test_the_module_runs_as_a_command_and_leaves_a_bad_folder_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "analysis.report", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == f"{tmp_path}: not an experiment folder: run.json is missing"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_browser_loads_every_image_and_reports_no_error(report: Path, tmp_path: Path) -> None:
    switches = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    command = [str(CHROMIUM), *(f"--{switch}" for switch in switches.split())]
    command += ["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0"]
    command += ["--virtual-time-budget=20000"]
    command += [f"--user-data-dir={tmp_path}", "--dump-dom", report.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    body = re.search(r"<body[^>]*>", done.stdout)
    assert body is not None
    assert f'data-images="{len(exhibits())}"' in body.group()
    assert 'data-broken-images="0"' in body.group()
    assert "With the whole cost budget of 1,000, RHFedMTL scores higher" in done.stdout
    told = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert all("[bokeh" in line and "INFO" in line for line in told)
    assert "document idle" in told[-1]  # all charts are drawn


def test_tasks_met_after_training_are_told_of_methods_that_serve_them(experiment_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(experiment_folder, tmp_path / "run")
    tasks = pd.read_parquet(folder / "tasks.parquet")
    flagship = load_experiment(folder).flagship
    ends = tasks[(tasks["method"] == flagship) & (tasks["split"] == "test")].groupby(["seed", "task"]).tail(1)
    met = ends.assign(split="unseen", task="stranger-" + ends["task"].astype(str), balanced_accuracy=0.625)
    pd.concat([tasks, met], ignore_index=True).to_parquet(folder / "tasks.parquet")
    page = write_report(folder).read_text(encoding="utf-8")
    shown = page[page.index('id="unseen"') : page.index('id="energy"')]
    assert re.findall(r'<th scope="row"[^>]*>\s*(.*?)<', shown) == [load_experiment(folder).label(flagship)]
    assert "0.625" in shown
    assert "stranger-" not in shown
