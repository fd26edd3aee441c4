"""Random numbers of the service, from a counter-based generator whose key is the request's seed.

Component and noise come from separate streams and item i takes the i-th draw of each. So a seed gives the same items in
every process, the first items of a longer sample are those of a shorter one, and another component keeps the noise.
"""

import secrets
from typing import Any, cast

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

SEED_LIMIT = 2**53  # a JSON number holds every integer below it exactly


def new_seed() -> int:
    """A seed in [0, 2^53) from the operating system's entropy."""
    return secrets.randbelow(SEED_LIMIT)


def draw_components(seed: int, n: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw n mixture components (n,), each in [0, K), by non-negative weights (K,) whose sum is taken as 1."""
    cumulative = np.cumsum(weights)
    uniform = _stream(seed, 0).random(n) * cumulative[-1]
    return np.searchsorted(cumulative, uniform, side="right").astype(np.int64)


def draw_noise(seed: int, n: int, size: int) -> NDArray[np.float32]:
    """Draw n rows (n, size) of independent standard normal noise."""
    return _stream(seed, 1).standard_normal((n, size), dtype=np.float32)


class _Key(ISeedSequence):
    """Gives a generator its key as it is: what `Philox(key=...)` does after asking the operating system for entropy."""

    def __init__(self, *words: int) -> None:
        self._words = np.array(words, dtype=np.uint64)

    def generate_state(self, n_words: int, dtype: object = np.uint64) -> NDArray[np.uint64]:
        """The key."""
        return self._words


def _stream(seed: int, index: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(cast(Any, _Key(seed, index))))
