"""Plans by which terminals differ in H: each does what it does when all do as much as it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from learning import trunks
from learning.messages import Plan
from learning.methods import registry
from learning.setting import Setting
from learning.shared_trunk import SharedTrunkModel
from tests.learning.driving import cohort_of, random_federation, setting_of

EACH = np.array([1, 2, 3, 4, 6, 9, 3, 12, 5])
ALTERNATING = {"head_iterations": 2, "trunk_iterations": 1}
NAMES = ("local", "gossip", "dfedem", "fedavg", "ditto", "pfedme", "fedem", "fedper", "fedrep")


def setting_for(name: str) -> Setting:
    """Return a fresh setting of nine terminals, with a trunk and heads where that is wanted."""
    setting = setting_of(random_federation(0), "logistic")
    if name not in ("fedper", "fedrep"):
        return setting
    model = SharedTrunkModel(trunks.linear_trunk, {"width": 3}, setting.federation, setting.loss, "cpu")
    return replace(setting, model=model)


def trained(name: str, plan: Plan) -> tuple[Any, Any]:
    """Return (9, .) what terminals have reached in a round of a fresh method, and (9,) rows they have visited."""
    setting, kind = setting_for(name), registry.find(name)
    given = ALTERNATING if name == "fedrep" else {}
    method: Any = kind(setting, registry.parameters(kind, {"batch_size": 3, **given}, "methods.x"))
    work = method.train(cohort_of(setting.federation, range(3)), plan)
    method.settle()
    reached, visits = work.value, method.sizes(plan).samples
    return (np.hstack([reached.update, reached.private[0]]) if hasattr(reached, "private") else reached), visits


@pytest.mark.parametrize("name", NAMES)
def test_every_terminal_does_its_own_number_of_steps(name: str) -> None:
    together, visits = trained(name, Plan(int(EACH.max()), 1, EACH))
    for terminal, steps in enumerate(EACH.tolist()):
        alike, visited = trained(name, Plan(steps, 1))
        np.testing.assert_allclose(together[terminal], alike[terminal], rtol=0.0, atol=1e-13)
        assert visits[terminal] == visited[terminal]
    assert np.abs(together - trained(name, Plan(12, 1))[0]).max() > 1e-3


def test_fedrep_keeps_the_proportion_of_steps_on_heads_and_trunk() -> None:
    setting = setting_for("fedrep")
    model: Any = setting.model
    start = model.initial(setting.streams)
    for steps, heads_move, trunk_moves in ((1, False, True), (2, True, True), (3, True, True)):
        reached, _ = trained("fedrep", Plan(steps, 1))
        moved = np.any(reached != start, axis=0)
        assert moved[: model.trunk_size].any() == trunk_moves
        assert moved[model.trunk_size :].any() == heads_move
