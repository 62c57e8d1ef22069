"""MOCHA with the published code's slip put in follows what that code, as published, has recorded.

There the models stay where they are when the relationship is learned, and are no image of the duals from then on: what
is recorded as dual exceeds the primal. With nothing else changed every number is met, so this is the only difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.methods.mocha import MOCHA, MochaParameters
from learning.related_tasks import Batch
from learning.task_relation import TaskRelation, learned_covariance
from tests.learning.mocha_reference import (
    LAMBDAS,
    agree,
    array,
    errors_agree,
    followed,
    follows,
    held_out_errors,
    known,
    needs_small,
    small,
    toy,
    turning_setting,
)

CASES = [
    *(pytest.param(toy, 40, f"toy mocha_full{{}} {scale}") for scale in ("l1", "l2")),
    *(pytest.param(small, 15, f"small mocha_full{{}} {scale}", marks=needs_small) for scale in ("l2", "l4")),
]


class AsPublished(MOCHA):
    """Models move with the changes of the duals only, whatever the relationship was before."""

    _followed: NDArray[np.float64] | float = 0.0
    """The dual sums that the models have followed."""

    def _move(self, batch: Batch) -> list[None]:
        W = self._models.values + self._relation.models(self._B - self._followed)
        self._followed = self._B.copy()
        self._views.values[:] = self._models.values[:] = W
        if any(self._due(number) for (number,) in batch):
            self._relation = TaskRelation(learned_covariance(W), self._relation.weight)
        return [None] * len(batch)

    def _certify(self, batch: Batch) -> list[dict[str, float]]:
        W = self._models.values
        sums = self.setting.solver.sums(np.arange(self.setting.terminals), W[self._tasks.owner])
        loss, conjugate, _ = self._tasks.means(sums).sum(axis=0)
        penalty = self._relation.penalty_of(W)
        return [{"primal": float(loss + penalty), "dual": float(-conjugate - penalty)}] * len(batch)


def published(data: Any, rounds: int, scale: str) -> AsPublished:
    """Return the method on data, learning every so many rounds; the order of rows starts again then."""
    parameters = MochaParameters(relationship="learned", relation_rounds=rounds, regularisation=LAMBDAS[scale])
    return AsPublished(turning_setting(data(), rounds), parameters)


@pytest.mark.parametrize(("data", "rounds", "name"), CASES)
def test_models_left_where_they_are_follow_the_trace_of_the_published_code(data: Any, rounds: int, name: str) -> None:
    trace, scale = name.format(""), name.split()[-1]
    method, times = published(data, rounds, scale), len(known()["traces"][trace])
    driver, found = followed(method, rounds * times)
    follows(found[: rounds * times : rounds], trace)
    errors_agree(held_out_errors(driver)[::rounds], trace)
    assert method._relation.caution == pytest.approx(array(name.format("_rho")).item(), abs=1e-9)
    if data is toy:
        agree(driver.models(), array(name.format("_W")).T)
        agree(method._relation.covariance, array(name.format("_Sig")))
        last = [array(name.format(end)).item() for end in ("_Pfin", "_Dfin", "_errfin")]
        agree([*found[-1], held_out_errors(driver)[-1]], last)
        once = published(data, rounds, scale)
        followed(once, rounds)
        agree(once._relation.covariance, array(name.format("_Sig1")))


def test_models_left_where_they_are_certify_nothing() -> None:
    _, found = followed(published(toy, 40, "l1"), 80)
    gaps = found[:, 0] - found[:, 1]
    assert gaps[:40].min() > -1e-12 and gaps[40:].max() < -0.5
