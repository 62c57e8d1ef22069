"""Losses, conjugates and coordinate steps against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.primal_dual.losses import LOSSES, Loss, make_loss

Array = NDArray[Any]
NAMES = sorted(LOSSES)


def feasible(loss: Loss, rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Return random feasible duals, the ends of the domain among them, and labels."""
    low, high = loss.domain()
    a = rng.normal(0.5, 1.0, size).clip(low, high)
    y = rng.normal(size=size) if loss.name == "squared" else rng.choice([-1.0, 1.0], size)
    return a, y


@pytest.mark.parametrize("name", NAMES)
def test_the_conjugate_is_the_supremum_of_its_definition(name: str) -> None:
    loss = make_loss(name)
    scores = np.linspace(-60.0, 60.0, 240_001)
    a = np.array([0.0, 0.05, 0.3, 0.5, 0.77, 0.95, 1.0])
    for y in (-1.0, 1.0) if name != "squared" else (-1.3, 0.4):
        label = np.full(len(a), y)
        beta = loss.sign(label) * a
        supremum = (-beta[:, None] * scores - loss.value(scores, np.full(len(scores), y))).max(axis=1)
        np.testing.assert_allclose(loss.conjugate(a, label), supremum, atol=1e-7)


@pytest.mark.parametrize("name", ["hinge", "smoothed_hinge", "squared_hinge", "logistic"])
def test_the_conjugate_is_infinite_outside_the_dual_domain(name: str) -> None:
    loss = make_loss(name)
    outside = np.array([-0.1]) if name == "squared_hinge" else np.array([-0.1, 1.1])
    assert np.all(np.isposinf(loss.conjugate(outside, np.ones(len(outside)))))


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_the_slope_of_the_loss(name: str) -> None:
    loss, h = make_loss(name), 1e-6
    scores = np.array([-30.0, -2.1, -0.3, 0.2, 0.7, 1.4, 25.0])
    for y in (-1.0, 1.0):
        label = np.full(len(scores), y)
        slope = (loss.value(scores + h, label) - loss.value(scores - h, label)) / (2 * h)
        np.testing.assert_allclose(loss.derivative(scores, label), slope, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_the_fenchel_young_term_vanishes_exactly_at_the_matching_dual(name: str) -> None:
    loss = make_loss(name)
    scores = np.array([-3.0, -0.4, 0.6, 0.8, 2.0])
    y = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    matching = -loss.sign(y) * loss.derivative(scores, y)
    np.testing.assert_allclose(loss.fenchel_young(scores, matching, y), 0.0, atol=1e-14)
    other = np.clip(matching + 0.3, *loss.domain())
    other = np.where(other == matching, matching - 0.3, other)
    assert np.all(loss.fenchel_young(scores, other, y) > 1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_conjugate_is_strongly_convex_with_the_stated_modulus(name: str) -> None:
    loss, rng = make_loss(name, 0.7), np.random.default_rng(3)
    (a, y), (b, _) = feasible(loss, rng, 500), feasible(loss, rng, 500)
    middle = loss.conjugate((a + b) / 2, y)
    bound = (loss.conjugate(a, y) + loss.conjugate(b, y)) / 2 - loss.smoothness / 8 * (a - b) ** 2
    assert np.all(middle <= bound + 1e-12)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
def test_no_feasible_dual_does_better_than_the_coordinate_step(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss = make_loss(name, rng.uniform(0.05, 1.5))
    a, y = feasible(loss, rng, 50)
    scores, q = rng.normal(0, 3, 50), 10.0 ** rng.uniform(-3, 3, 50)

    def worth(b: Array) -> Array:
        change = loss.sign(y) * (b - a)
        return -loss.conjugate(b, y) - change * scores - q * change**2 / 2

    best = loss.step(a, scores, y, q)
    low, high = loss.domain()
    for rival in (feasible(loss, rng, 50)[0], np.clip(best + 1e-3, low, high), np.clip(best - 1e-3, low, high), a):
        assert np.all(worth(best) >= worth(rival) - 1e-10 * (1 + q))


def test_the_logistic_step_solves_its_equation_to_rounding_from_any_start_even_the_ends() -> None:
    rng = np.random.default_rng(5)
    a, m = rng.uniform(-0.3, 1.3, 20_000).clip(0.0, 1.0), rng.normal(0, 8, 20_000)
    q = 10.0 ** rng.uniform(-4, 5, 20_000)
    c = make_loss("logistic").step(a, m, np.ones(20_000), q)
    residual = m + q * (c - a) + np.log(c) - np.log1p(-c)
    # c carries one rounding, which the slope q + 1 / (c (1 - c)) magnifies
    allowed = 2.2e-16 * (1 + np.abs(m) + q + 1 / (1 - c))
    assert np.all(np.abs(residual) <= 8 * allowed)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_has_the_same_bits_alone_and_among_others(name: str) -> None:
    rng, loss = np.random.default_rng(2), make_loss(name)
    a, scores, y = rng.uniform(size=200), rng.normal(size=200), np.where(rng.uniform(size=200) < 0.5, 1.0, -1.0)
    q = np.exp(rng.normal(scale=3.0, size=200))
    alone = [loss.step(*(np.array([value]) for value in row))[0] for row in zip(a, scores, y, q, strict=True)]
    np.testing.assert_array_equal(loss.step(a, scores, y, q), alone)


@pytest.mark.parametrize("name", NAMES)
def test_the_idle_dual_of_an_empty_row_has_no_gap(name: str) -> None:
    loss = make_loss(name)
    y = np.array([-1.0, 1.0])
    np.testing.assert_allclose(loss.fenchel_young(np.zeros(2), loss.idle_dual(y), y), 0.0, atol=1e-15)


def test_the_starting_dual_is_one_half_for_logistic_and_zero_elsewhere() -> None:
    starts = {name: make_loss(name).initial_dual() for name in NAMES}
    assert starts.pop("logistic") == 0.5
    assert set(starts.values()) == {0.0}


def test_a_vanishing_smoothing_turns_the_smoothed_hinge_into_the_hinge() -> None:
    scores, y = np.linspace(-3, 3, 101), np.ones(101)
    smoothed = make_loss("smoothed_hinge", 1e-9).value(scores, y)
    np.testing.assert_allclose(smoothed, make_loss("hinge").value(scores, y), atol=1e-9)


def test_unknown_losses_and_a_smoothing_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed: hinge,"):
        make_loss("huber")
    with pytest.raises(ValueError, match=r"smoothing = 0\.0"):
        make_loss("smoothed_hinge", 0.0)
