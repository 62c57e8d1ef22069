"""Named randomness: the generator is Philox, and what it draws is uniform, independent and free of order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from scenarios.streams import Streams, philox

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)
WORD = st.integers(0, ONES)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_its_published_known_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert tuple(int(word) for word in philox(counter, key)) == expected


@given(st.tuples(WORD, WORD, WORD, WORD), st.tuples(WORD, WORD))
def test_philox_agrees_with_a_transcription_into_whole_numbers(
    counter: tuple[int, int, int, int], key: tuple[int, int]
) -> None:
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * a, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * c, 2**32)
        a, b, c, d = high_1 ^ b ^ k, low_1, high_0 ^ d ^ m, low_0
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    assert [int(word) for word in philox(counter, key)] == [a, b, c, d]


@pytest.mark.parametrize("axis", ["entity", "round_", "draw"])
def test_draws_along_every_index_are_uniform(axis: str) -> None:
    drawn = Streams(7).uniform("shadowing", **{axis: np.arange(100_000)})
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    assert drawn.min() > 0.0 and drawn.max() < 1.0


def test_normals_are_normal() -> None:
    assert stats.kstest(Streams(3).normal("shadowing", np.arange(100_000)), "norm").pvalue > 0.01


def test_a_uniform_holds_52_random_bits() -> None:
    scaled = Streams(1).uniform("bits", np.arange(65536)) * 2.0**52
    low_bits = scaled.astype(np.int64) & 0xFF
    assert stats.chisquare(np.bincount(low_bits, minlength=256)).pvalue > 0.01


def test_purposes_and_seeds_are_independent() -> None:
    index = np.arange(50_000)
    columns = [Streams(seed).normal(purpose, index) for seed in (0, 1) for purpose in ("slowdown", "dropout", "x")]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(len(index))
    assert len({tuple(column[:4]) for column in columns}) == len(columns)


def test_neighbouring_entities_rounds_and_draws_are_independent() -> None:
    block = Streams(5).normal("noise", np.arange(40)[:, None, None], np.arange(40)[:, None], np.arange(40))
    for axis in range(3):
        ahead, behind = np.moveaxis(block, axis, 0)[1:], np.moveaxis(block, axis, 0)[:-1]
        assert abs(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]) < 5.0 / np.sqrt(ahead.size)


@given(st.integers(0, 2**63 - 1), st.lists(WORD, min_size=1, max_size=5), st.lists(WORD, min_size=1, max_size=5), WORD)
def test_a_draw_does_not_depend_on_the_batch_it_is_made_in(
    seed: int, entities: list[int], rounds: list[int], draw: int
) -> None:
    streams = Streams(seed)
    batch = streams.uniform("slowdown", np.array(entities)[:, None], np.array(rounds), draw)
    assert batch.shape == (len(entities), len(rounds))
    for i, entity in enumerate(entities):
        for j, round_ in enumerate(rounds):
            assert batch[i, j] == streams.uniform("slowdown", entity, round_, draw)


@pytest.mark.parametrize("shape", [(20_000, 1), (3, 7_000), (1, 20_000), (0, 5)])
def test_a_large_batch_is_the_words_of_philox_at_every_place(shape: tuple[int, int]) -> None:
    streams, (rows, columns) = Streams(6), shape
    entity, draw = np.arange(rows)[:, None], np.arange(columns) + 2**32 - columns
    words = philox((draw, 9, entity, 0), streams.key("large"))
    expected = ((words[0] >> np.uint64(6)) * 2.0**26 + (words[1] >> np.uint64(6)) + 0.5) / 2.0**52
    np.testing.assert_array_equal(streams.uniform("large", entity, 9, draw), expected)
    np.testing.assert_array_equal(streams.normal("large", entity, 9, draw), special.ndtri(expected))


@given(st.integers(0, 2**63 - 1), st.text(max_size=8), WORD, WORD, WORD)
def test_one_number_is_the_same_to_the_last_bit_as_a_batch_of_one(
    seed: int, purpose: str, entity: int, round_: int, draw: int
) -> None:
    streams = Streams(seed)
    assert streams.number(purpose, entity, round_, draw) == streams.uniform(purpose, entity, round_, draw)


def test_two_objects_with_one_seed_draw_the_same() -> None:
    assert Streams(9).uniform("a", 4, 2) == Streams(9).uniform("a", 4, 2)
    assert Streams(9).key("a") == Streams(9).key("a") != Streams(9).key("b")


def test_a_generator_depends_on_purpose_entity_and_round() -> None:
    streams = Streams(2)
    numbers = {
        float(streams.generator(purpose, entity, round_).random())
        for purpose in ("a", "b")
        for entity in (0, 1)
        for round_ in (0, 1)
    }
    assert len(numbers) == 8
    assert streams.generator("a", 1, 1).random() == streams.generator("a", 1, 1).random()
