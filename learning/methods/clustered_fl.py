"""Clustered FL: FedAvg that splits the tasks in two where their updates cancel out, and goes on in each part.

F. Sattler, K.-R. Mueller, W. Samek, "Clustered federated learning: model-agnostic distributed multitask optimization
under privacy constraints", IEEE TNNLS 2021, with the agglomerative clustering of its successors. Clients are base
stations: a task is what has a distribution of its own, and the cloud sees no single terminal's update.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from learning.methods.base import Array, IntArray
from learning.methods.fedavg import FedAvg, FedAvgParameters
from learning.setting import Setting
from learning.state import State


@dataclass(frozen=True, config={"extra": "forbid"})
class ClusterParameters(FedAvgParameters):
    """Parameters of clustered FL.

    Attributes:
        mean_threshold: eps1; a cluster is split once the norm of its mean update is below; 0 never splits: FedAvg.
        norm_threshold: eps2; and the longest update of its members above.
        relative: whether both are shares of the longest update of the first round, or norms themselves.
    """

    mean_threshold: float = Field(default=0.2, ge=0)
    norm_threshold: float = Field(default=0.3, ge=0)
    relative: bool = True


class ClusteredFL(FedAvg):
    """A model per cluster of tasks."""

    label = "Clustered FL"
    Parameters: ClassVar[Any] = ClusterParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._cloud = State(self._sites.values.copy())
        self._clusters = np.zeros(setting.tasks, np.int64)
        self._unit = None if parameters.relative else 1.0

    def models(self) -> tuple[State, IntArray]:
        """The clusters' models, one row for each of their tasks."""
        return self._cloud, np.arange(self.setting.tasks)

    def newcomers(self) -> None:
        """Offer none: a newcomer belongs to no cluster yet."""

    def clusters(self) -> IntArray:
        """Settle and return the (tasks,) cluster of each task, numbered from 0."""
        self.settle()
        return self._clusters.copy()

    # What the queue runs ------------------------------------------------------------------------------------

    def _copy_down(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for (sites,) in batch:
            self._sites.values[sites] = self._cloud.values[sites]
        return [None] * len(batch)

    def _combine(self, batch: list[tuple[Any, ...]]) -> list[None]:
        updates = self._sites.values - self._cloud.values
        if self._unit is None:
            self._unit = float(np.linalg.norm(updates, axis=1).max()) or None
        for cluster in np.unique(self._clusters):
            members = np.flatnonzero(self._clusters == cluster)
            if self._unit is not None and self._at_odds(updates[members], self._site_weights[members]):
                self._clusters[members[halves(updates[members])]] = self._clusters.max() + 1
        for cluster in np.unique(self._clusters):
            members = np.flatnonzero(self._clusters == cluster)
            mean = np.average(self._sites.values[members], axis=0, weights=self._site_weights[members])
            self._cloud.values[members] = mean
        return [None] * len(batch)

    def _at_odds(self, updates: Array, weights: Array) -> bool:
        """Return whether a cluster of more than two has come to rest while its members have not."""
        mean = np.linalg.norm(np.average(updates, axis=0, weights=weights))
        longest, unit = np.linalg.norm(updates, axis=1).max(), self._unit or 0.0
        calm, torn = self.parameters.mean_threshold * unit, self.parameters.norm_threshold * unit
        return bool(len(updates) > 2 and mean < calm and longest > torn)


def halves(updates: Array) -> Array:
    """Return (n,) which of the updates are in the second of two clusters, by complete linkage of their cosines.

    Nobody is, if all are equally far from each other.
    """
    lengths = np.linalg.norm(updates, axis=1, keepdims=True)
    distances = pdist(updates / np.where(lengths > 0.0, lengths, 1.0), "sqeuclidean") / 2.0
    return np.asarray(fcluster(linkage(distances, "complete"), 2, "maxclust") == 2)
