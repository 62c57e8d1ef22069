"""The made-up experiment that several tests read, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.load import Experiment, load_experiment
from tests.analysis.fabricated_experiment import fabricate


@pytest.fixture(scope="session")
def experiment_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three methods and four seeds; read it, do not write into it."""
    return fabricate(tmp_path_factory.mktemp("experiment") / "seven-hospitals")


@pytest.fixture(scope="session")
def experiment(experiment_folder: Path) -> Experiment:
    """What is in that folder."""
    return load_experiment(experiment_folder)
