"""MOCHA against what the authors' code has recorded: rounds with a fixed relationship, and with one that is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning import task_relation
from learning.methods.mocha import MOCHA
from netsim.port import CLOUD
from tests.learning.driving import Driver
from tests.learning.mocha_reference import (
    SMALL_MAT,
    followed,
    known,
    missing,
    share_plan,
    small,
    toy,
    trace,
    turning,
    uneven,
)

Array = NDArray[Any]
needs_small = pytest.mark.skipif(not SMALL_MAT.exists(), reason="the landmine sub-sample is not shipped")

CASES: dict[str, dict[str, Any]] = {
    "w": {},
    "wfrac05": {"shares": 0.5},
    "het": {"shares": uneven},
    "drop5": {"arrives": missing(5)},
    "drop9": {"arrives": missing(9)},
    "dropalways1": {"arrives": lambda terminal, number: terminal != 0},
}


def agrees(found: Array, name: str) -> None:
    """Check recorded primal and dual values against a trace, as far as both go."""
    rows = {r: row for r, row in trace(name).items() if r < len(found)}
    assert len(rows) > 3
    np.testing.assert_allclose(found[list(rows)], list(rows.values()), atol=1e-10)


def errs_alike(driver: Driver, name: str, every: int = 1) -> None:
    """Check recorded test errors against a trace with a row for so many records; W = 0 has no answer there."""
    rows = {int(r) * every: row[0] for r, row in known()["traces"][name].items() if r != "0"}
    np.testing.assert_allclose(held_out_errors(driver)[list(rows)], list(rows.values()), atol=1e-12)


@pytest.mark.parametrize("scale", ["l1", "l2"])
@pytest.mark.parametrize("case", CASES)
def test_rounds_on_the_toy_follow_the_trace(case: str, scale: str) -> None:
    _, found = followed(turning(toy(), scale), 100, **CASES[case])
    agrees(found, f"toy mocha_{case} {scale}")


@needs_small
@pytest.mark.parametrize(("case", "scale"), [("w", "l2"), ("w", "l4"), ("het", "l2"), ("het", "l4")])
def test_rounds_on_the_landmines_follow_the_trace(case: str, scale: str) -> None:
    _, found = followed(turning(small(), scale), 60, **CASES[case])
    agrees(found, f"small mocha_{case} {scale}")


@pytest.mark.parametrize("scale", ["l1", "l2"])
def test_learning_the_relationship_follows_the_trace_where_models_are_made_anew(
    monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    monkeypatch.setattr(task_relation, "LEAST_EIGENVALUE", 1e-30)  # the trace has no such floor
    reference = {name: np.array(known()["arrays"][f"toy mocha_fullfix_{name} {scale}"]) for name in SAVED}
    once = learning(scale)
    followed(once, 40)
    np.testing.assert_allclose(once._relation.covariance, reference["Sig1"], atol=1e-10)
    method = learning(scale)
    driver, found = followed(method, 320)
    agrees(found[::40], f"toy mocha_fullfix {scale}")
    np.testing.assert_allclose(driver.models(), reference["W"].T, atol=1e-8)
    np.testing.assert_allclose(method._relation.covariance, reference["Sig"], atol=1e-8)
    assert method._relation.caution == pytest.approx(reference["rho"].item(), abs=1e-7)


SAVED = ("W", "Sig", "Sig1", "rho")


def learning(scale: str) -> MOCHA:
    """Return a method that learns the toy's relationship every 40 rounds."""
    return turning(toy(), scale, 40, relationship="learned", relation_rounds=40)


def test_the_floor_under_eigenvalues_matters_only_once_tasks_are_nearly_dependent() -> None:
    _, found = followed(learning("l1"), 280)
    apart = np.abs(found[::40] - np.array(list(trace("toy mocha_fullfix l1").values()))).max(axis=1)
    assert apart[:4].max() < 1e-10
    assert 1e-6 < apart[4:].max() < 1e-4


@pytest.mark.parametrize("case", ["toy", pytest.param("small", marks=needs_small)])
def test_the_objective_falls_with_every_learned_relationship(case: str) -> None:
    data, scale, ends = {
        "toy": (toy, "l1", [1.835846, 1.386491, 1.309797, 1.291992, 1.285606, 1.282892]),
        "small": (small, "l2", [22.973324, 19.479582, 18.846285, 18.680626]),
    }[case]
    method = turning(data(), scale, 60, relationship="learned", relation_rounds=60)
    driver, plan = Driver(method), share_plan(method.setting.federation, 1.0)
    for number in range(60 * len(ends)):
        driver.iterate(range(method.setting.tasks), plan)
        if number % 60 == 59:
            driver.record(CLOUD)  # what the duals imply before the relationship changes
        method.combine()
    found = [scalars["primal"] for scalars in driver.cloud_scalars()]
    np.testing.assert_allclose(found, ends, atol=1e-6)
    assert np.diff(found).max() < 0.0
