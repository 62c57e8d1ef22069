"""pFedMe: personal models by Moreau envelopes, theta = argmin F(theta) + (lambda/2) ||theta - w||^2, solved inexactly.

C. T. Dinh, N. H. Tran, T. D. Nguyen, "Personalized federated learning with Moreau envelopes", NeurIPS 2020,
algorithm 1: R times, K steps from w to theta and then w - eta lambda (w - theta). H is their R.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.descent import Descent
from learning.messages import Plan
from learning.methods.base import Array, IntArray
from learning.methods.fedprox import ProximalParameters
from learning.private import LocalRound, PersonalAveraging, Trained
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class MoreauParameters(ProximalParameters):
    """Parameters of pFedMe.

    Attributes:
        local_iterations: R, moves of a terminal's copy of the global model per base-station iteration.
        inner_iterations: K, steps that each of them takes to find the personal model.
        learning_rate: step size of those.
        proximal: lambda, pull of the personal model towards the copy.
        envelope_rate: eta, step size of the copy; with eta lambda = 1 it moves to the personal model.
        relaxation: beta, share of the way that the model of a base station moves to the mean of the copies.
    """

    inner_iterations: int = Field(default=5, ge=1)
    proximal: float = Field(default=1.0, gt=0)
    envelope_rate: float = Field(default=0.5, gt=0)
    relaxation: float = Field(default=1.0, gt=0, lt=2)


class PFedMe(PersonalAveraging):
    """A global model in the middle of personal ones."""

    label = "pFedMe"
    Parameters: ClassVar[Any] = MoreauParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._inner = Descent(setting, parameters, parameters.proximal, parameters.pull)

    def visits(self, plan: Plan) -> Array:
        """All inner steps."""
        return self._inner.visits(plan.everybodys * self.parameters.inner_iterations)

    def local(self, work: LocalRound) -> Trained:
        """R times: find the personal model near the copy, move the copy towards it."""
        p, who, numbers = self.parameters, work.terminals, work.numbers
        copy, (personal,) = work.received, work.private
        for move in range(int(work.steps.max(initial=0))):
            active = move < work.steps
            inner, before = np.where(active, p.inner_iterations, 0), move * p.inner_iterations
            found = self._inner.run(who, copy, inner, numbers, copy, before)
            personal = np.where(active[:, None], found, personal)
            copy = copy - p.envelope_rate * p.proximal * (copy - found)
        return Trained(copy, personal[None])

    def at_site(self, sites: IntArray, means: Array, weights: Array) -> Array:
        """Go a share of the way to the mean."""
        now = self._sites.values[sites]
        return now + self.parameters.relaxation * (means - now)
