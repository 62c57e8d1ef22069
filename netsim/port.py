"""What the network asks of a learning method: the only place where the clock and the maths meet.

Every call returns at once. A duration depends on sizes (samples, bits), almost never on values, so the network goes
on while values are still unknown; :meth:`Method.settle` is called when one is needed. Work is handed over a cohort at
a time, never terminal by terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Node:
    """A place in the hierarchy: tier ``"cloud"``, ``"base_station"`` or ``"terminal"``, and index in its tier."""

    tier: str
    index: int


CLOUD = Node("cloud", 0)


class Sizes(Protocol):
    """What one cloud round makes everybody send and compute; known when it is planned, whatever the results."""

    @property
    def cloud_bits(self) -> float:
        """What the cloud sends to each base station."""

    @property
    def broadcast_bits(self) -> float:
        """What a base station sends to its terminals in every iteration."""

    @property
    def personal_bits(self) -> float:
        """What a base station sends to each of its terminals alone, one after the other, after the broadcast.

        All begin to compute when the last has its own.
        """

    @property
    def update_bits(self) -> float:
        """What a terminal sends back; :func:`update_bits` says what each of them does."""

    @property
    def own_update_bits(self) -> NDArray[np.float64] | None:
        """(terminals,) what each terminal sends back where that differs, 0 for an answer without a message.

        None if all send ``update_bits``, as they must where updates are summed over the air.
        """

    @property
    def update_values(self) -> int:
        """How many numbers of it a base station sums up: what is sent over the air; digital transfers ignore it."""

    @property
    def aggregate_bits(self) -> float:
        """What a base station sends to the cloud."""

    @property
    def samples(self) -> NDArray[np.float64]:
        """(terminals,) visits of a training row per update, the unit of CPU cycles."""

    @property
    def fixed_samples(self) -> NDArray[np.float64]:
        """(terminals,) those that do not grow with H, such as a certificate's; C_dev is charged for the rest."""


def update_bits(sizes: Sizes, terminals: IntArray) -> NDArray[np.float64]:
    """Return (n,) what terminals send back."""
    own = sizes.own_update_bits
    return np.full(len(terminals), sizes.update_bits, np.float64) if own is None else np.asarray(own[terminals])


@dataclass(frozen=True, eq=False)
class Cohort:
    """Terminals that are sent a model together: those of one iteration of one base station, or of many.

    Attributes:
        sites: (S,) base stations, none twice.
        offsets: (S + 1,) ranges of ``terminals``, one per site.
        terminals: (n,) indices, site after site and ascending within a site.
    """

    sites: IntArray
    offsets: IntArray
    terminals: IntArray


@dataclass(frozen=True, eq=False)
class Late:
    """Updates of an earlier iteration of the same base station that have arrived by now.

    Attributes:
        cohort: as it was trained, of one site.
        work: what :meth:`Method.train` returned.
        arrived: (n,) whose updates they are; none of them has been merged before.
        staleness: how many iterations of the base station have been merged since, at least 1.
    """

    cohort: Cohort
    work: Any
    arrived: BoolArray
    staleness: int


class Distortion(Protocol):
    """What the air did to updates that were sent at the same time and heard as one sum."""

    def received(self, symbols: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (q,) mean of (K, q) symbols as it was heard: the same whenever, and however often, it is asked.

        Args:
            symbols: what the cohort's terminals that arrived sent, in their order; of mean 0 and variance 1 over all
                of them.
        """


class Plan(Protocol):
    """What a controller decides for one cloud round."""

    @property
    def local_iterations(self) -> int:
        """H, iterations per terminal and base-station iteration."""

    @property
    def bs_iterations(self) -> int:
        """K, base-station iterations in this cloud round."""

    @property
    def deadline_s(self) -> float | None:
        """How long base stations wait for updates under the policy ``deadline``, positive; None: as scenarios say."""


class Metrics(Protocol):
    """A pending measurement; readable after :meth:`Method.settle`."""

    @property
    def scalars(self) -> Mapping[str, float]:
        """Measured numbers of the whole event: primal, dual, gap, objective."""

    @property
    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """One row per task and split: scores."""


@dataclass(frozen=True)
class Price:
    """What one more local iteration everywhere, and one more base-station iteration everywhere, would cost.

    Attributes:
        local_iteration, bs_iteration: see above; base-station iterations pay for all that local ones do not.
        cloud_round: what of all the base-station iterations of the round before would have been spent on a single one:
            transfers to and from the cloud, and waiting for the base station that is last.
        waiting: the part of ``cloud_round`` that is waiting.
    """

    local_iteration: float
    bs_iteration: float
    cloud_round: float = 0.0
    waiting: float = 0.0


@dataclass(frozen=True)
class Observation:
    """What a controller may know when it plans: what is left, and what things have cost so far.

    Attributes:
        cloud_round: index of the round to plan, from 0.
        terminals: number of terminals.
        base_stations: number of base stations.
        remaining: budget left by resource ("time_s", "energy_j", "bytes", "cost"); only limited ones.
        prices: price by resource; ``cost`` is exact, the others are measured on the rounds before.
        seconds_per_sample: (terminals,) least time of one visit of a training row in any update that arrived, NaN for
            a terminal of which none did; None before the first round.
        slowdown: how many times as long as that updates that arrived have taken on average.
        deadline_s: how long base stations wait for updates unless a plan says otherwise; None if they have no deadline.
        upload_s: time from the end of its computation to its arrival of the update of an iteration that needs longest,
            averaged over iterations of the round before; 0 before the first.
        computed: updates whose computation was seen to its end, whether they were in time or not.
        excess: sum, over these and those that were given up before, of logarithms of how many times as long as the
            least time their computation took, or had taken by then. If slow-downs follow Pareto's law,
            ``computed / excess`` is the likeliest index of it.
    """

    cloud_round: int
    terminals: int
    base_stations: int
    remaining: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    seconds_per_sample: NDArray[np.float64] | None = None
    slowdown: float = 1.0
    deadline_s: float | None = None
    upload_s: float = 0.0
    computed: int = 0
    excess: float = 0.0


class Receipt(Protocol):
    """What an asynchronous server did with an update."""

    @property
    def accepted(self) -> bool:
        """Whether it counts; it may have been too old."""

    @property
    def versions(self) -> int:
        """How many new versions of the model it brought about: 0 while it waits in a buffer."""


class AsynchronousMethod(Protocol):
    """What is different of a method under the ``"asynchronous"`` protocol, see :meth:`Method.merge`."""

    def merge(self, cohort: Cohort, work: Any, arrived: BoolArray, *, staleness: int) -> Receipt:
        """Let the cloud take in the one update that ``arrived``."""


class PatientMethod(Protocol):
    """What is different of a method that is passed updates of earlier iterations, see :meth:`Method.merge`."""

    def merge(self, cohort: Cohort, work: Any, arrived: BoolArray, *, late: Sequence[Late]) -> Receipt | None:
        """Let the cohort's one site aggregate the updates that arrived, and those that are late."""


class Method(Protocol):
    """A learning method, as the network sees it."""

    protocol: str
    """How the network runs it:

    - ``"hierarchical"``: cloud, base stations and terminals in synchronous rounds;
    - ``"asynchronous"``: the cloud and terminals, without rounds; see :meth:`merge`;
    - ``"isolated"``: no radio;
    - ``"decentralised"``: the nodes of a graph exchange models with their neighbours, see
      :class:`DecentralisedMethod`.
    """

    @property
    def blind(self) -> bool:
        """Whether :meth:`plan` looks at nothing that rounds have cost or taken, so that nobody need measure them."""

    def plan(self, observation: Observation) -> Plan | None:
        """Decide the next cloud round; None ends the run."""

    def sizes(self, plan: Plan) -> Sizes:
        """Return what a cloud round with this plan makes everybody send and compute."""

    def adopt(self, sites: IntArray) -> None:
        """Let base stations take in what the cloud sent them."""

    def train(self, cohort: Cohort, plan: Plan) -> Any:
        """Submit local work that starts from the present models of the cohort's sites; return a name for it."""

    def merge(
        self, cohort: Cohort, work: Any, arrived: BoolArray, distortion: Distortion | None = None
    ) -> Receipt | None:
        """Let the cohort's sites aggregate the updates that arrived.

        If late updates are carried over, ``late``, a sequence of :class:`Late`, is passed where there are any: they are
        to be aggregated with those that arrived in time.

        Under the ``"asynchronous"`` protocol a cohort is who is sent the cloud's present model at the same instant, and
        the cloud takes in updates one at a time: exactly one has ``arrived``, ``staleness=tau`` tells how many versions
        there have been since its terminal was sent the model, and the method says what it did with it. Others return
        None and are not passed a staleness.

        Args:
            cohort: as it was trained.
            work: what :meth:`train` returned.
            arrived: (n,) whether the update of each of the cohort's terminals is there; the others are lost.
            distortion: what the air did to the sum of those that are there, which are of one site; None, and not
                passed, if every update came as a message of its own.
        """

    def combine(self) -> None:
        """Let the cloud aggregate what all base stations sent."""

    def evaluate(self, node: Node) -> Metrics:
        """Submit a measurement of the models in use, at a base station or in the whole system."""

    def settle(self) -> None:
        """Compute everything that is pending."""


class Contacts(Protocol):
    """Whom a node exchanges messages with in a round."""

    @property
    def nodes(self) -> IntArray:
        """(k,) neighbours, ascending."""

    @property
    def bits(self) -> NDArray[np.float64]:
        """(k,) what it sends to each of them."""


@dataclass(frozen=True, eq=False)
class Mixing:
    """What a node has at the end of a round.

    Attributes:
        node: which.
        round: number of the round.
        work: what it has sent.
        neighbours: (k,) its neighbours in the graph of the round, ascending.
        degree: how many they are.
        degrees: (k,) how many each of them has itself.
        met: (k,) whom it has exchanged messages with, both ways; whoever it has met has met it.
        works: what they have sent, of those it has met only.
    """

    node: int
    round: int
    work: Any
    neighbours: IntArray
    degree: int
    degrees: IntArray
    met: BoolArray
    works: Sequence[Any]


class DecentralisedMethod(Method, Protocol):
    """A method whose nodes mix what they have with what their neighbours in a graph have sent, without a centre.

    A round of a node is local work, an exchange with its neighbours, and mixing. Neighbours may be a round ahead, so
    what travels is the name of a piece of work, not the present state of a node.
    """

    nodes: str
    """Who the nodes of the graph are:

    - ``"terminals"``: one plan is made; its K is the number of rounds. A work is what :meth:`train` returned for a
      cohort of that terminal alone; :meth:`merge` is never called, for nothing is kept before it is mixed.
    - ``"base_stations"``: every round is planned as a cloud round is. The work of one is what :meth:`offer` returned
      after K iterations with its terminals; :meth:`adopt` and :meth:`combine` are never called.
    """

    def offer(self, node: int) -> Any:
        """Put aside what a base station has at the end of its iterations, and return a name for it."""

    def contacts(self, node: int, round_: int, neighbours: IntArray) -> Contacts:
        """Return whom of its ``neighbours`` (k,) a node exchanges messages with, and how much it sends to each.

        A node that names another is named by it in the same round, or else waits for it in vain until it has done
        with that round.
        """

    def mix(self, mixing: Mixing) -> None:
        """Let a node keep its own work, mixed with those it has met."""
