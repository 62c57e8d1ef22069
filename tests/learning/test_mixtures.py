"""Mixtures of models: Bayes' rule, the likelihood it raises, and predictions that are those of the mixture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax

from learning.mixtures import Mixture, expectation, fit_shares, log_likelihood, log_sums
from learning.models import LinearModel
from learning.primal_dual.losses import make_loss

Array = NDArray[np.float64]


def random_losses(seed: int, sizes: list[int], components: int = 3, scale: float = 2.0) -> tuple[Array, Array, Array]:
    """Return losses of ragged terminals, shares before, and ranges of rows."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    shares = rng.dirichlet(np.ones(components), len(sizes))
    return scale * rng.exponential(size=(offsets[-1], components)), shares, offsets


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 999),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    components=st.integers(1, 5),
    scale=st.sampled_from([0.1, 5.0, 2000.0]),
)
def test_the_e_step_is_bayes_rule_and_everything_sums_to_one(
    seed: int, sizes: list[int], components: int, scale: float
) -> None:
    losses, shares, offsets = random_losses(seed, sizes, components, scale)
    q, found = expectation(losses, shares, offsets)
    np.testing.assert_allclose(q.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    for t, (a, b) in enumerate(pairwise(offsets)):
        expected = softmax(np.log(shares[t]) - losses[a:b], axis=1)
        np.testing.assert_allclose(q[a:b], expected, atol=1e-11)
        np.testing.assert_allclose(found[t], expected.mean(axis=0) if b > a else shares[t], atol=1e-11)


def test_a_share_of_nothing_stays_nothing() -> None:
    losses, offsets = np.array([[700.0, 0.1], [650.0, 3.0]]), np.array([0, 2])
    q, found = expectation(losses, np.array([[0.0, 1.0]]), offsets)
    np.testing.assert_array_equal(found, [[0.0, 1.0]])
    np.testing.assert_array_equal(q[:, 0], 0.0)


def test_e_steps_never_lower_the_likelihood() -> None:
    losses, shares, offsets = random_losses(1, [7, 30, 1, 12])
    values = [log_likelihood(losses, shares, offsets)]
    for _ in range(30):
        shares = expectation(losses, shares, offsets)[1]
        values.append(log_likelihood(losses, shares, offsets))
    assert np.all(np.diff(values, axis=0) >= -1e-12)
    assert np.all(values[-1][:2] > values[0][:2] + 0.01)


def test_fitted_shares_are_where_no_other_share_is_likelier() -> None:
    losses, _, offsets = random_losses(2, [40, 15])
    shares = fit_shares(losses, offsets, steps=20_000, tolerance=1e-13)
    best = log_likelihood(losses, shares, offsets)
    rng = np.random.default_rng(0)
    for other in rng.dirichlet(np.ones(3), (500, 2)):
        for nearby in (other, 0.99 * shares + 0.01 * other):
            assert np.all(log_likelihood(losses, nearby, offsets) <= best + 1e-9)


def test_a_newcomer_fits_fifty_times_or_until_it_stands_still_whoever_else_is_fitting() -> None:
    losses, _, offsets = random_losses(3, [40, 1, 15, 6])
    together = fit_shares(losses, offsets)
    for t in range(4):
        rows = slice(offsets[t], offsets[t + 1])
        own, even = np.array([0, offsets[t + 1] - offsets[t]]), np.full((1, 3), 1.0 / 3.0)
        np.testing.assert_array_equal(fit_shares(losses[rows], own)[0], together[t])
        shares = even
        for _ in range(50):
            before, shares = shares, expectation(losses[rows], shares, own)[1]
            if np.abs(shares - before).sum() < 1e-6:
                break
        np.testing.assert_array_equal(shares[0], together[t])


def mixture_of(loss: str, components: int = 3) -> tuple[Mixture, Array, Array, Array]:
    """Return a mixture of linear models, (2, M P + M) parameters of two terminals, their rows and ranges."""
    rng = np.random.default_rng(4)
    models, shares = rng.normal(size=(2, components * 4)), rng.dirichlet(np.ones(components), 2)
    made = Mixture(LinearModel(4, None), make_loss(loss), components)  # type: ignore[arg-type]
    return made, np.hstack([models, shares]), rng.normal(size=(9, 4)), np.array([0, 5, 9])


def test_a_score_is_the_log_odds_of_the_mixed_probability() -> None:
    mixture, parameters, X, offsets = mixture_of("logistic")
    found = mixture.scores_each(parameters, X, offsets)
    for t, rows in enumerate((slice(0, 5), slice(5, 9))):
        models, shares = parameters[t, :12].reshape(3, 4), parameters[t, 12:]
        chance = expit(X[rows] @ models.T) @ shares
        np.testing.assert_allclose(found[rows], np.log(chance / (1.0 - chance)), atol=1e-12)
        losses = mixture.losses(parameters[:, :12], X, np.ones(9), offsets)[rows]
        np.testing.assert_allclose(np.exp(-losses) @ shares, chance, atol=1e-12)


def test_a_score_of_real_targets_is_the_mixed_mean() -> None:
    mixture, parameters, X, offsets = mixture_of("squared")
    found = mixture.scores_each(parameters, X, offsets)
    np.testing.assert_allclose(found[:5], X[:5] @ parameters[0, :12].reshape(3, 4).T @ parameters[0, 12:], atol=1e-13)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_one_component_scores_like_its_model(loss: str) -> None:
    mixture, parameters, X, offsets = mixture_of(loss, components=1)
    found, expected = mixture.scores_each(parameters, 30.0 * X, offsets), 30.0 * X[:5] @ parameters[0, :4]
    np.testing.assert_allclose(found[:5], expected, rtol=1e-12)


def test_logarithms_of_sums_do_not_overflow() -> None:
    found = log_sums(np.array([[1e4, 1e4], [-1e4, -2e4]]))
    np.testing.assert_allclose(found, [1e4 + np.log(2.0), -1e4])
