"""The population of the comparison on planted mixtures: 20 terminals that learn and 4 that come when it is over.

As in O. Marfoq et al., "Federated multi-task learning under a mixture of distributions", NeurIPS 2021, appendix I.1:
150 features and a constant, 3 rules, shares from Dirichlet(0.4), min(50 + LogNormal(4, 2), 1000) training rows. Drawn
with this project's generator, or, to compare with numbers measured elsewhere, by the authors' program, whose law is
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from learning.data.federate import Evaluation, Federation, Unseen
from learning.data.mixture import mixture_rows, mixture_tasks, planted_components, planted_shares
from learning.metrics import evaluate_tasks
from scenarios.streams import Streams

SEEN, UNSEEN, FEATURES, RULES, CONCENTRATION, NOISE = 20, 4, 150, 3, 0.4, 0.1
TEST_ROWS = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of some terminals, one after the other.

    Attributes:
        X: (n, 151), y: (n,), offsets: (terminals + 1,).
    """

    X: Array
    y: Array
    offsets: NDArray[np.int64]

    def kept_back(self) -> Evaluation:
        """Return them as rows to score on, every terminal a task."""
        return Evaluation(self.X, self.y, self.offsets)


@dataclass(frozen=True, eq=False)
class Population:
    """One draw: training and test rows of those who learn, and of those who come later.

    Attributes:
        oracle: mean accuracy of who knows rules and shares, on the test rows of those who learn.
    """

    training: Rows
    test: Rows
    newcomers: Rows
    newcomers_test: Rows
    oracle: float

    def federation(self, with_newcomers: bool = True) -> Federation:
        """Return it with each terminal a task of its own."""
        unseen = None
        if with_newcomers:
            rows, names = self.newcomers, tuple(f"newcomer-{i}" for i in range(UNSEEN))
            test = self.newcomers_test.kept_back()
            unseen = Unseen(rows.X, rows.y, rows.offsets, np.arange(UNSEEN), names, test)
        return self._federation(np.arange(SEEN), self.test.kept_back(), unseen)

    def in_teams(self, teams: int) -> Federation:
        """Return it with as many terminals in each of some teams, and no rows of a team to score on."""
        nothing = Evaluation(self.test.X[:0], self.test.y[:0], np.zeros(teams + 1, np.int64))
        return self._federation(np.arange(SEEN) * teams // SEEN, nothing, None)

    def accuracy(self, scores: Array) -> float:
        """Return the mean accuracy over terminals of (n,) scores of their test rows."""
        return float(evaluate_tasks(scores, self.test.y, self.test.offsets).accuracy.mean())

    def _federation(self, owner: NDArray[np.int64], test: Evaluation, unseen: Unseen | None) -> Federation:
        rows, tasks = self.training, int(owner[-1]) + 1
        counts = np.bincount(owner, weights=np.diff(rows.offsets)).astype(np.int64)
        validation = Evaluation(rows.X[:0], rows.y[:0], np.zeros(tasks + 1, np.int64))
        names = tuple(f"task-{i}" for i in range(tasks))
        return Federation(rows.X, rows.y, rows.offsets, owner, names, counts, validation, test, unseen)


def population(seed: int) -> Population:
    """Return a draw of this project's generator."""
    streams = Streams(seed)
    made = mixture_tasks(SEEN + UNSEEN, FEATURES, RULES, CONCENTRATION, NOISE, 50, 1000, streams)
    rules = planted_components(RULES, FEATURES, streams)
    shares = [planted_shares(task, RULES, CONCENTRATION, streams) for task in range(len(made))]
    parts = []
    for task, rows in enumerate(map(len, made)):
        X, y = mixture_rows(task, rows + TEST_ROWS, rules, shares[task], NOISE, streams)
        parts.append(((X[:rows], y[:rows]), (X[rows:], y[rows:])))
    return _gathered(parts, rules, np.array(shares))


def published_draw(seed: int = 12345) -> Population:
    """Return the draw of the authors' program (github.com/omarfoq/FedEM) with its seed: the same numbers, in its order.

    They are those of numpy's legacy generator, whose stream does not change. The program does not mix the rules: each
    labels from the first row on, over what the rules before it said, and rows that none reaches are of the lower class,
    about a quarter of all.
    """
    source = np.random.RandomState(seed)
    rows = np.minimum(source.lognormal(4.0, 2.0, SEEN + UNSEEN).astype(int) + 50, 1000).tolist()
    shares = np.array([source.dirichlet(np.full(RULES, CONCENTRATION)) for _ in rows])
    rules = source.uniform(-1.0, 1.0, (RULES, FEATURES))
    sets = [
        (_legacy_rows(n, own, rules, source), _legacy_rows(TEST_ROWS, own, rules, source))
        for n, own in zip(rows, shares, strict=True)
    ]
    return _gathered(sets, rules, shares)


def _legacy_rows(n: int, shares: Array, rules: Array, source: np.random.RandomState) -> tuple[Array, Array]:
    counts = source.multinomial(n, shares)
    X, y = source.uniform(-1.0, 1.0, (n, FEATURES)), np.full(n, -1.0)
    for rule, count in zip(rules, counts, strict=True):
        margin = X[:count] @ rule + source.normal(size=count, scale=NOISE)
        y[:count] = np.where(margin > 0.0, 1.0, -1.0)
    order = np.arange(n)
    source.shuffle(order)
    return X[order], y[order]


def _gathered(parts: list[tuple[tuple[Array, Array], tuple[Array, Array]]], rules: Array, shares: Array) -> Population:
    """Return training and test rows of all terminals with a constant added, and what an oracle makes of them."""
    best = [
        np.mean((norm.cdf(X @ rules.T / NOISE) @ own > 0.5) == (y > 0.0))
        for (_, (X, y)), own in zip(parts[:SEEN], shares, strict=False)
    ]
    training, test = zip(*parts, strict=True)
    rows = (_joined(part) for part in (training[:SEEN], test[:SEEN], training[SEEN:], test[SEEN:]))
    return Population(*rows, float(np.mean(best)))


def _joined(parts: Sequence[tuple[Array, Array]]) -> Rows:
    X, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Rows(
        np.column_stack([X, np.ones(len(X))]), y, np.concatenate([[0], np.cumsum([len(labels) for _, labels in parts])])
    )
