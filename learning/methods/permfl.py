"""PerMFL: a model per terminal, per base station and for all, each pulled towards the one above it.

S. Banerjee, A. Dadras, A. Yurtsever, M. Bhuyan, "Personalized multi-tier federated learning", arXiv 2407.14251. A team
is a base station with its terminals: min over x of mean over teams of min over w of mean over terminals of
min over theta of f(theta) + (lambda/2) ||theta - w||^2 + (gamma/2) ||w - x||^2.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from learning.methods.base import Array, IntArray
from learning.methods.fedprox import ProximalParameters, Pulled
from learning.private import LocalRound, PersonalAveraging, Trained
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class TierParameters(ProximalParameters):
    """Parameters of PerMFL; the H of the plan is its L, a base station's iterations are its K.

    Attributes:
        proximal: lambda, pull of a terminal's model towards its base station's; 0 is a short local descent each.
        team_proximal: gamma, pull of a base station's model towards the cloud's; 0 leaves the teams alone.
        team_rate: eta, step size of a base station's model; eta (lambda + gamma) may be 1 at most.
        cloud_rate: beta, step size of the cloud's model; beta gamma may be 1 at most.
    """

    proximal: float = Field(default=0.5, ge=0)
    team_proximal: float = Field(default=1.0, ge=0)
    team_rate: float = Field(default=0.5, gt=0)
    cloud_rate: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _contracts(self) -> TierParameters:
        """Beyond these bounds a model moves past the mean of what pulls it."""
        if self.team_rate * (self.proximal + self.team_proximal) > 1.0 + 1e-12:
            raise ValueError("team_rate x (proximal + team_proximal) of at most 1")
        if self.cloud_rate * self.team_proximal > 1.0 + 1e-12:
            raise ValueError("cloud_rate x team_proximal of at most 1")
        return self


class PerMFL(Pulled, PersonalAveraging):
    """Three tiers of models."""

    label = "PerMFL"
    Parameters: ClassVar[Any] = TierParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._adopted = self._sites.values.copy()  # written with the sites' models only, and ordered by them

    def local(self, work: LocalRound) -> Trained:
        """Steps from the base station's model, towards it; what they reach is used and sent."""
        reached = self._descent.run(work.terminals, work.received, work.steps, work.numbers)
        return Trained(reached, reached[None])

    def at_site(self, sites: IntArray, means: Array, weights: Array) -> Array:
        """w - eta (lambda (w - mean theta) + gamma (w - x))."""
        p, now = self.parameters, self._sites.values[sites]
        return now - p.team_rate * (p.proximal * (now - means) + p.team_proximal * (now - self._adopted[sites]))

    def at_cloud(self, mean: Array) -> Array:
        """x - beta gamma (x - mean w)."""
        now = self._cloud.values[0]
        return now - self.parameters.cloud_rate * self.parameters.team_proximal * (now - mean)

    def _copy_down(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for (sites,) in batch:
            self._adopted[sites] = self._cloud.values[0]
        return super()._copy_down(batch)
