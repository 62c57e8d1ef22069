"""Mean-regularised personal models: everybody descends on its own loss plus (lambda/2) ||x - mean of all||^2.

The problem of F. Hanzely, P. Richtarik, "Federated learning of a mixture of global and local models",
arXiv 2002.05516, solved by alternation: local steps towards the last mean, then a new mean. ``l2gd`` is their
randomised method.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.methods.base import Array, IntArray
from learning.methods.fedprox import ProximalParameters, Pulled
from learning.private import LocalRound, PersonalAveraging, Trained


@dataclass(frozen=True, config={"extra": "forbid"})
class MeanParameters(ProximalParameters):
    """Parameters of mean regularisation.

    Attributes:
        proximal: lambda, pull of the personal models towards their mean; 0 is local training, and with a huge one all
            of them stay at the start.
    """

    proximal: float = Field(default=0.1, ge=0)


class L2SGD(Pulled, PersonalAveraging):
    """One model per terminal; only their mean is shared."""

    label = "L2SGD"
    Parameters: ClassVar[Any] = MeanParameters

    def local(self, work: LocalRound) -> Trained:
        """Steps of the own model towards the mean received; it is what is sent up."""
        own = self._descent.run(work.terminals, work.private[0], work.steps, work.numbers, work.received)
        return Trained(own, own[None])

    def at_site(self, sites: IntArray, means: Array, weights: Array) -> Array:
        """Move the mean by the share of the site's terminals that was heard: the others count as being at it."""
        now = self._sites.values[sites]
        return now + weights / self._site_weights[sites, None] * (means - now)
