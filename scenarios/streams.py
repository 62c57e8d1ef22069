"""Named randomness: every draw in a run is a pure function of (seed, purpose, entity, round).

A counter-based generator (Philox 4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11)
maps a key and a counter to four 32-bit words. The key is a hash of (seed, purpose), the counter is
(draw, round, entity). Nothing is consumed in sequence, so a result never depends on event order, on how many
terminals exist, or on which method is simulated: two methods meet the same channels and the same stragglers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ROUNDS = 10
_BLOCK = 8192  # counters at a time: their nine or so temporaries of 64 KiB stay in a core's cache
Words = NDArray[np.uint64]


def philox(counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Return Philox 4x32-10 words for broadcastable counters.

    Args:
        counter: four arrays of integers below 2**32, broadcast against each other to shape ``S``.
        key: two integers below 2**32.

    Returns:
        ``(4, *S)`` uint64 array whose entries are below 2**32.
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word).astype(np.uint64) for word in counter))
    return np.stack(_philox(c0, c1, c2, c3, key))


def _philox(c0: Words, c1: Words, c2: Words, c3: Words, key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Return the four words of :func:`philox` for counters of one shape."""
    k0, k1 = key
    for _ in range(_ROUNDS):
        product_0, product_1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            product_1 & _LOW,
            (product_0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            product_0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL_0) & 0xFFFFFFFF, (k1 + _WEYL_1) & 0xFFFFFFFF
    return c0, c1, c2, c3


def _philox_words(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int]:
    """Return the first two words of :func:`philox` for one counter: plain integers are 15 times faster than arrays."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product_0, product_1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1 = (product_1 >> 32) ^ c1 ^ k0, product_1 & 0xFFFFFFFF
        c2, c3 = (product_0 >> 32) ^ c3 ^ k1, product_0 & 0xFFFFFFFF
        k0, k1 = (k0 + _WEYL_0) & 0xFFFFFFFF, (k1 + _WEYL_1) & 0xFFFFFFFF
    return c0, c1


@lru_cache(maxsize=1024)
def _key(seed: int, purpose: str) -> tuple[int, int]:
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


@dataclass(frozen=True)
class Streams:
    """All the randomness of one run.

    Args:
        seed: the run's seed, any integer of at most 63 bits.
    """

    seed: int

    def key(self, purpose: str) -> tuple[int, int]:
        """Return the two 32-bit key words of ``purpose``, e.g. for a generator inside a compiled kernel."""
        return _key(self.seed, purpose)

    def number(self, purpose: str, entity: int = 0, round_: int = 0, draw: int = 0) -> float:
        """Return one uniform, the same as :meth:`uniform` with these arguments, faster."""
        high, low = _philox_words((draw, round_, entity, 0), _key(self.seed, purpose))
        return ((high >> 6) * 67108864.0 + (low >> 6) + 0.5) / 4503599627370496.0

    def uniform(
        self, purpose: str, entity: ArrayLike = 0, round_: ArrayLike = 0, draw: ArrayLike = 0
    ) -> NDArray[np.float64]:
        """Return uniforms strictly inside (0, 1), 52 random bits each.

        Args:
            purpose: name of the quantity drawn, e.g. ``"shadowing"``.
            entity: index of the terminal, link or task, broadcastable.
            round_: round or time index, broadcastable.
            draw: index among the draws of this (purpose, entity, round), broadcastable.

        Returns:
            float64 array of the broadcast shape.
        """
        key = self.key(purpose)
        # Buffering hands out casted, broadcast blocks: neither counters nor words ever exist at full size.
        blocks = np.nditer(
            [np.asarray(draw), np.asarray(round_), np.asarray(entity), None],
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_flags=[["readonly"], ["readonly"], ["readonly"], ["writeonly", "allocate"]],
            op_dtypes=[np.uint64, np.uint64, np.uint64, np.float64],
            casting="unsafe",
            buffersize=_BLOCK,
            order="C",
        )
        with blocks:
            for c0, c1, c2, uniform in blocks:
                word_0, word_1, _, _ = _philox(c0, c1, c2, np.zeros_like(c0), key)
                high, low = word_0 >> np.uint64(6), word_1 >> np.uint64(6)  # 26 + 26 bits: the half still fits
                uniform[...] = (high * 67108864.0 + low + 0.5) / 4503599627370496.0
            drawn: NDArray[np.float64] = blocks.operands[3]
        return drawn

    def normal(
        self, purpose: str, entity: ArrayLike = 0, round_: ArrayLike = 0, draw: ArrayLike = 0
    ) -> NDArray[np.float64]:
        """Return standard normals by inversion; same arguments as :meth:`uniform`."""
        from scipy.special import ndtri

        drawn = self.uniform(purpose, entity, round_, draw)
        return np.asarray(ndtri(drawn, out=drawn))

    def generator(self, purpose: str, entity: int = 0, round_: int = 0) -> np.random.Generator:
        """Return a NumPy generator of its own for code that wants one (shuffles, user data makers)."""
        k0, k1 = self.key(purpose)
        return np.random.Generator(np.random.Philox(key=[k0 | k1 << 32, entity | round_ << 32]))
