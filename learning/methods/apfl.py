"""APFL: a terminal uses the mixture alpha v + (1 - alpha) u of a private model and its copy of the global one.

Y. Deng, M. M. Kamani, M. Mahdavi, "Adaptive personalized federated learning", arXiv 2003.13461, with alpha fixed. The
private model descends on the loss of the mixture; the copy is FedAvg's and all that is sent. Both visit the same
minibatches. The mixture is kept between rounds, made of the copy that was sent.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.messages import Plan
from learning.methods.base import Array
from learning.methods.fedavg import AveragingParameters
from learning.private import LocalRound, PersonalAveraging, Trained


@dataclass(frozen=True, config={"extra": "forbid"})
class MixtureParameters(AveragingParameters):
    """Parameters of APFL.

    Attributes:
        mixture: alpha, weight of the private model; 0 is FedAvg, with each terminal's update in use, and 1 local
            training.
    """

    mixture: float = Field(default=0.5, ge=0, le=1)


class APFL(PersonalAveraging):
    """Mixtures of a global model and private ones; the vectors kept are the mixture and the private model."""

    label = "APFL"
    Parameters: ClassVar[Any] = MixtureParameters
    vectors = 2

    def visits(self, plan: Plan) -> Array:
        """Both descents."""
        return 2.0 * super().visits(plan)

    def local(self, work: LocalRound) -> Trained:
        """Step by step: the private model at the mixture's gradient, then the copy, then the mixture of both."""
        who, numbers, alpha = work.terminals, work.numbers, self.parameters.mixture
        copy, (mixture, private) = work.received, work.private
        slower = alpha * self._descent.rates(numbers)
        for step in range(int(work.steps.max(initial=0))):
            one = (step < work.steps).astype(np.int64)
            moved = self._descent.run(who, mixture, one, numbers, before=step, rate=slower)
            private = private + (moved - mixture)
            copy = self._descent.run(who, copy, one, numbers, before=step)
            mixture = np.where(one[:, None] > 0, alpha * private + (1.0 - alpha) * copy, mixture)
        return Trained(copy, np.stack([mixture, private]))
