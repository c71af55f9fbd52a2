"""Independent random streams, each named by what it is for; nothing here touches a global generator."""

import hashlib

import numpy as np

__all__ = ["generator", "torch_seed"]


def _sequence(seed: int, purpose: str, keys: tuple[int, ...]) -> np.random.SeedSequence:
    name = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    # The number of keys comes first, or a trailing key of 0 would change nothing.
    return np.random.SeedSequence([seed, name, len(keys), *keys])


def generator(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """Returns the stream for (seed, purpose, keys); different arguments give independent streams.

    Args:
        seed: the run's seed, >= 0.
        purpose: what the numbers are for, for example "sampling".
        keys: step, file, epoch, ... each >= 0.

    >>> int(generator(1, "demo", 5).integers(1000)) == int(generator(1, "demo", 5).integers(1000))
    True
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose, keys)))


def torch_seed(seed: int, purpose: str, *keys: int) -> int:
    """Returns a 63-bit seed for torch's generators, derived as in `generator`."""
    state = _sequence(seed, purpose, keys).generate_state(1, np.uint64)
    return int(state[0]) >> 1
