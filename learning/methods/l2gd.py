"""L2GD: personal models that take a local step or a move towards their mean, as a shared coin says.

F. Hanzely, P. Richtarik, "Federated learning of a mixture of global and local models", arXiv 2002.05516,
algorithm 1. Moves keep the mean where it is, so one exchange serves a whole run of them: a base-station iteration is
an exchange, the run of moves and the run of local steps up to the next. With several base-station iterations per
cloud round the runs of all of them are equally long.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from learning.control.coin import CoinControl
from learning.control.observation import Controller
from learning.messages import Plan
from learning.methods.base import Array, IntArray
from learning.private import LocalRound, PersonalAveraging, Trained


@dataclass(frozen=True, config={"extra": "forbid"})
class CoinParameters:
    """Parameters of L2GD.

    Attributes:
        probability: p of a move towards the mean at a toss of the coin.
        proximal: lambda, pull of the personal models towards their mean; 0 is local training.
        bs_iterations: K, base-station iterations per cloud round.
        batch_size: rows per step; a terminal with fewer uses all it has.
        learning_rate: size of a local step, eta / (n (1 - p)) of the paper with n terminals; a move goes the share
            learning_rate x proximal x (1 - p) / p of the way, which may be 1 at most.
        decay: both are divided by 1 + decay x the terminal's rounds so far; 0 keeps them.
        cloud_rounds: stop after so many; absent: go on until the budget is met.
        weighting: terminals count by their training rows in all means, or all alike.
    """

    probability: float = Field(default=0.2, gt=0, lt=1)
    proximal: float = Field(default=0.1, ge=0)
    bs_iterations: int = Field(default=1, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=0.0, ge=0)
    cloud_rounds: int | None = Field(default=None, ge=1)
    weighting: Literal["samples", "equal"] = "samples"

    @property
    def move(self) -> float:
        """Share of the way to the mean that a move goes."""
        return self.learning_rate * self.proximal * (1.0 - self.probability) / self.probability

    @model_validator(mode="after")
    def _moves_no_further_than_the_mean(self) -> CoinParameters:
        if self.move > 1.0 + 1e-12:
            raise ValueError("learning_rate x proximal x (1 - probability) / probability of at most 1")
        return self


class L2GD(PersonalAveraging):
    """One model per terminal, and exchanges at random times."""

    label = "L2GD"
    Parameters: ClassVar[Any] = CoinParameters
    takes_late = False  # the moves of a run are towards one mean, that of all who share it

    def make_controller(self) -> Controller:
        """Return the coin."""
        p = self.parameters
        return CoinControl(p.probability, self.setting.streams, p.bs_iterations, p.cloud_rounds)

    def details(self, plan: Plan, terminals: IntArray) -> tuple[Array, ...]:
        """The number of moves."""
        return (np.full(len(terminals), getattr(plan, "moves", 1)),)

    def local(self, work: LocalRound) -> Trained:
        """The run of moves, then the run of local steps."""
        (moves,) = work.details
        move = self.parameters.move / (1.0 + self.parameters.decay * work.numbers)
        left = ((1.0 - move) ** moves)[:, None]
        start = work.received + left * (work.private[0] - work.received)
        own = self._descent.run(work.terminals, start, work.steps, work.numbers)
        return Trained(own, own[None])
