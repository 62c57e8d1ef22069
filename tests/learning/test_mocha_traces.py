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
    agree,
    array,
    errors_agree,
    followed,
    follows,
    held_out_errors,
    missing,
    needs_small,
    share_plan,
    small,
    toy,
    trace,
    turning,
    uneven,
)

Array = NDArray[Any]

CASES: dict[str, dict[str, Any]] = {
    "w": {},
    "wfrac05": {"shares": 0.5},
    "het": {"shares": uneven},
    "drop5": {"arrives": missing(5)},
    "drop9": {"arrives": missing(9)},
    "dropalways1": {"arrives": lambda terminal, number: terminal != 0},
}


@pytest.mark.parametrize("scale", ["l1", "l2"])
@pytest.mark.parametrize("case", CASES)
def test_rounds_on_the_toy_follow_the_trace(case: str, scale: str) -> None:
    driver, found = followed(turning(toy(), scale), 100, **CASES[case])
    follows(found, f"toy mocha_{case} {scale}")
    if case != "dropalways1":  # a task that never answers errs always there
        errors_agree(held_out_errors(driver), f"toy mocha_{case} {scale}", 10 if "drop" in case else 1)


@needs_small
@pytest.mark.parametrize(("case", "scale"), [("w", "l2"), ("w", "l4"), ("het", "l2"), ("het", "l4")])
def test_rounds_on_the_landmines_follow_the_trace(case: str, scale: str) -> None:
    driver, found = followed(turning(small(), scale), 60, **CASES[case])
    follows(found, f"small mocha_{case} {scale}")
    errors_agree(held_out_errors(driver), f"small mocha_{case} {scale}")


@pytest.mark.parametrize(
    ("case", "scale"),
    [
        ("toy", "l1"),
        ("toy", "l2"),
        pytest.param("small", "l2", marks=needs_small),
        pytest.param("small", "l4", marks=needs_small),
    ],
)
def test_models_duals_and_what_is_learned_from_them_are_those_recorded_in_the_end(case: str, scale: str) -> None:
    data, rounds = (toy(), 100) if case == "toy" else (small(), 60)
    method = turning(data, scale)
    W = followed(method, rounds)[0].models()
    learned = task_relation.TaskRelation(task_relation.learned_covariance(W), 1.0)
    found = {"W": W.T, "Sig": learned.covariance, "rho": [[learned.caution]]}
    if case == "toy":
        solver: Any = method.setting.solver
        found["alpha1"] = (solver.alpha * data.y)[: data.terminal_offsets[1], None]
    for name, values in found.items():
        agree(values, array(f"{case} mocha_w_{name} {scale}"), 1e-9)


@pytest.mark.parametrize("scale", ["l1", "l2"])
def test_learning_the_relationship_follows_the_trace_where_models_are_made_anew(
    monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    monkeypatch.setattr(task_relation, "LEAST_EIGENVALUE", 1e-30)  # the trace has no such floor
    reference = {name: array(f"toy mocha_fullfix_{name} {scale}") for name in SAVED}
    once = learning(scale)
    followed(once, 40)
    agree(once._relation.covariance, reference["Sig1"])
    method = learning(scale)
    driver, found = followed(method, 320)
    follows(found[::40], f"toy mocha_fullfix {scale}", 1e-9)
    agree(driver.models(), reference["W"].T, 1e-8)
    agree(method._relation.covariance, reference["Sig"], 1e-8)
    assert method._relation.caution == pytest.approx(reference["rho"].item(), abs=1e-7)
    agree(found[-1], [reference["Pfin"].item(), reference["Dfin"].item()], 1e-8)
    errors = held_out_errors(driver)[::40]
    errors_agree(errors, f"toy mocha_fullfix {scale}")
    assert errors[-1] == pytest.approx(reference["errfin"].item(), abs=1e-12)


SAVED = ("W", "Sig", "Sig1", "rho", "Pfin", "Dfin", "errfin")


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
