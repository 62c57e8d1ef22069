"""A run on the CPU loads what it uses: torch and pandas together cost more memory than everything else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from learning.build import build_federation, build_method, build_setting, choose_device, load_tasks
from netsim.simulation import simulate
from netsim.world import build_world
from scenarios.loading import check
from scenarios.streams import Streams

streams = Streams(0)
scenario = check({
    "name": "small",
    "data": {"source": "synthetic", "arguments": {"tasks": 2, "samples_per_task": 40, "features": 3}},
    "budget": {"cost": 400},
    "terminals": {"per_base_station": 2},
    "methods": {"fedavg": {"cloud_rounds": 2}, "rhfedmtl": {"cloud_rounds": 2}},
})
tasks = load_tasks(scenario.data, scenario.learning.loss, streams)
federation = build_federation(scenario, tasks, streams)
serving = [int(task) for task in federation.terminal_task]
for key, entry in scenario.methods.items():
    method = build_method(key, entry, build_setting(scenario, federation, streams, choose_device("auto")))
    result = simulate(build_world(scenario, serving, 2, streams), method, list(federation.task_names))
    assert len(result.rounds) > 2
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Return the packages that a fresh interpreter has loaded after runs of linear methods on the CPU."""
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, env=hidden, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["torch", "triton", "pandas", "pyarrow", "matplotlib"])
def test_linear_methods_on_the_cpu_run_without(package: str, loaded: set[str]) -> None:
    assert "learning" in loaded and "numba" in loaded
    assert package not in loaded
