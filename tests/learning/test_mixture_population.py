"""The draw that numbers measured elsewhere are compared on is that of the authors' program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.benchmarks.mixture_population import Population, Rows, published_draw

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "mixture_draw.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drawn() -> Population:
    return published_draw()


def per_terminal(rows: Rows, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.add.reduceat(values, rows.offsets[:-1])


def test_terminals_have_the_rows_and_the_labels_that_the_program_gives_them(drawn: Population) -> None:
    for key, values in (("rows", np.ones_like), ("positives", lambda y: y > 0.0)):
        found = [per_terminal(rows, values(rows.y).astype(float)) for rows in (drawn.training, drawn.newcomers)]
        np.testing.assert_array_equal(np.concatenate(found), REFERENCE[key])


def test_the_program_pairs_the_same_labels_with_the_same_features(drawn: Population) -> None:
    tests = (drawn.test, drawn.newcomers_test)
    counts = [per_terminal(rows, (rows.y > 0.0).astype(float)) for rows in tests]
    np.testing.assert_array_equal(np.concatenate(counts), REFERENCE["test_positives"])
    sums = [per_terminal(rows, rows.X[:, 0] * (rows.y > 0.0)) for rows in tests]
    np.testing.assert_allclose(np.concatenate(sums), REFERENCE["test_first_feature"], atol=1e-6)
