"""Momentum and weight decay of local SGD: what methods offer of them, and what terminals keep from round to round.

A step is v <- m v + g, w <- w - eta v with g the gradient + wd w, as ``torch.optim.SGD`` takes it; heavy ball after
B. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Comput. Math. 1964.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class HeavyParameters:
    """How local SGD goes on from step to step of a round, which starts at rest.

    Attributes:
        momentum: m, share of the last step that the next one repeats; 0 is plain SGD. A pull towards another model is
            part of the gradient; an implicit one makes the step size smaller, as without momentum.
        weight_decay: wd, adds wd w to every gradient. It belongs to the descent alone: the rest point is that of a
            ridge of ``learning.lambda1`` + wd, but objectives are recorded with ``learning.lambda1`` only.
    """

    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


@dataclass(frozen=True, config={"extra": "forbid"})
class MomentumParameters(HeavyParameters):
    """How it goes on from round to round, too.

    Attributes:
        momentum_across_rounds: whether a terminal goes on in a round with the v it had at the end of its last one
            whose update arrived, which is never sent, instead of starting every round at rest.
    """

    momentum_across_rounds: bool = False


PLAIN = HeavyParameters()
"""Of methods that offer none."""


def momentum_of(rule: object) -> HeavyParameters:
    """Return what a method's parameters say about momentum and weight decay."""
    return rule if isinstance(rule, HeavyParameters) else PLAIN


def velocity_size(rule: object, size: int) -> int:
    """Return how many numbers a terminal keeps of its momentum for ``size`` parameters that it trains."""
    lasts = isinstance(rule, MomentumParameters) and rule.momentum_across_rounds
    return size if lasts and momentum_of(rule).momentum > 0.0 else 0


def velocities(rule: object, terminals: int, size: int) -> State | None:
    """Return a (terminals, size) row at rest for every terminal, None if no terminal keeps its velocity."""
    kept = velocity_size(rule, size)
    return State(np.zeros((terminals, kept))) if kept else None
